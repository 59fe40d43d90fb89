"""Columns grow without moving, and what is new is blank."""

import numpy as np
import pytest

from kernels.lifecycle import PAIR, blank
from stream.core.growth import longer


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
