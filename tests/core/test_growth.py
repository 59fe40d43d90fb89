"""Columns grow without moving, and what is new is blank."""

from collections.abc import Callable

import numpy as np
import pytest

from kernels.lifecycle import PAIR, blank
from stream.core.state.growth import longer
from stream.core.state.pools import PoolState


def moved(before: np.ndarray, after: np.ndarray) -> bool:
    return not np.shares_memory(before, after)


def test_a_column_keeps_its_rows_and_new_ones_are_blank() -> None:
    column = blank(PAIR, 5)
    column["index"] = range(5)
    grown = longer(column, 2_000)
    assert (grown["index"][:5] == range(5)).all()
    assert (grown[5:] == blank(PAIR, 1)).all()
    assert len(grown) >= 2_000
    assert longer(grown, 2_000) is grown


def test_a_column_moves_hardly_ever_however_long_it_gets() -> None:
    column, moves = blank(PAIR, 16), 0
    while len(column) < 200_000:
        column["index"][-1] = len(column)
        grown = longer(column, len(column) + 1)
        moves += moved(column, grown)
        assert grown["index"][len(column) - 1] == len(column)
        assert len(column) < len(grown) <= 2 * len(column)
        column = grown
    assert moves <= 4


@pytest.mark.parametrize("shape", [(3,), (3, 2)])
def test_plain_columns_begin_with_what_stands_for_unused(shape: tuple[int, ...]) -> None:
    grown = longer(np.zeros(shape), 10, np.inf)
    assert (grown[:3] == 0).all() and (grown[3:] == np.inf).all() and grown.shape[1:] == shape[1:]


def test_where_memory_is_not_promised_beyond_need_a_column_doubles(monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = np.zeros

    def scarce(shape: int | tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        if np.prod(shape) > 2 * 100:
            raise MemoryError
        return zeros(shape, dtype)

    column = blank(PAIR, 60)
    monkeypatch.setattr(np, "zeros", scarce)
    assert len(longer(column, 100)) == 120


@pytest.mark.parametrize(
    "foreign",
    [
        lambda: np.arange(40.0)[5:10],
        lambda: np.arange(40.0)[:10:2],
        lambda: np.arange(40.0)[9:4:-1],
        lambda: np.arange(40.0).view(np.int64)[:5],
        lambda: np.ones(40, [("a", "f8"), ("b", "f8")])["a"][:5],
        lambda: np.arange(80.0).reshape(40, 2)[:5, 0],
        lambda: np.frombuffer(np.arange(40.0).tobytes())[:5],
    ],
    ids=["later rows", "every other row", "backwards", "another type", "one field", "one column", "read only"],
)
def test_a_view_that_is_not_the_first_rows_of_its_base_is_copied(foreign: Callable[[], np.ndarray]) -> None:
    column = foreign()
    before, base = column.copy(), column.base.copy()
    grown = longer(column, 8)
    assert moved(column, grown)
    assert grown.dtype == column.dtype
    assert (grown[:5] == before).all() and (grown[5:] == 0).all()
    assert (column.base == base).all()


def test_what_has_a_place_for_each_annotator_keeps_its_contents_and_is_copied_at_powers_of_two() -> None:
    pool = PoolState("pool")
    pool.models.of(pool.skill("skill"), 2)
    pool.limit(pool.project("limited"))
    pool.teach(pool.project("taught"))
    moves = 0
    for n in range(1, 20_000):
        before = pool.columns
        slot = pool.annotator(f"annotator {n}")
        c = pool.columns
        moves += before.limited.taken is not c.limited.taken
        pool.columns.limited.taken[0, slot] = n
        pool.columns.taught.credit[0, slot] = n
        pool.columns.skills.seat_of[0, slot] = n
        widths = {column.shape[1] for column in (c.limited.taken, c.taught.credit, c.skills.seat_of)}
        assert len(widths) == 1 and widths.pop() >= len(c.annotators.records)
    assert moves <= 12
    c, used = pool.columns, pool.annotators.used
    for column, unused in ((c.limited.taken, 0), (c.taught.credit, 0), (c.skills.seat_of, -1)):
        assert (column[0, :used] == range(1, 20_000)).all()
        assert (column[0, used:] == unused).all()


def test_a_pool_takes_more_classes_whenever_they_come() -> None:
    """Columns grow by shares of their own lengths: those of posteriors may be longer than that of tasks."""
    pool, made = PoolState("p"), 0
    for classes in (3, 7, 12, 20):
        for _ in range(300):
            slot = pool.add_task(f"t{made}")
            pool.columns.tasks.reported[slot, 0] = made
            made += 1
        pool.tables.widen("classes", classes)
        assert len(pool.columns.tasks.reported) >= made
        assert (pool.columns.tasks.reported[:made, 0] == range(made)).all()
