"""What follows from the declaration of a column: how it begins, grows, is saved and forgotten."""

from typing import Annotated, NamedTuple

import numpy as np
import pytest

from kernels.lifecycle import PAIR, blank
from kernels.schema import Column, declared
from stream.core.state.pools import PoolState
from stream.core.state.table import Kind, Table
from stream.core.state.tables import IN_SKILLS, KINDS, Columns


class Things(NamedTuple):
    """A table of every kind of column."""

    records: Annotated[np.ndarray, Column(PAIR, is_stored=True, passing={"next": -1, "stamp": 7})]
    number: Annotated[np.ndarray, Column(np.float64, unused=np.inf)]
    each: Annotated[np.ndarray, Column(np.int32, unused=-1, per="annotators")]
    kept: Annotated[np.ndarray, Column(np.int32, unused=-1, per="annotators", outlives=True)]
    wide: Annotated[np.ndarray, Column(np.float32, per="classes", width=lambda k: 3 * k, is_stored=True)]


@pytest.fixture
def table() -> Table:
    return Table(Kind(Things, 4, is_marked=True), {"annotators": 2, "classes": 5})


def test_a_table_begins_unused(table: Table) -> None:
    assert len(table) == 4
    assert (table["records"] == blank(PAIR, 4)).all()
    assert (table["number"] == np.inf).all() and (table["each"] == -1).all() and not table["wide"].any()
    assert table["each"].shape == (4, 2) and table["wide"].shape == (4, 15)
    assert len(table.take_marked()) == 0


def test_all_columns_grow_together_and_what_is_new_is_unused(table: Table) -> None:
    table["number"][:], table["each"][:], table["records"]["index"] = 1.0, 2, 3
    assert table.marks is not None
    table.marks[1] = 1
    table.reserve(1_000)
    lengths = {len(array) for array in [*table.arrays.values(), table.marks]}
    assert len(lengths) == 1 and lengths.pop() >= 1_000
    assert (table["number"][:4] == 1).all() and (table["number"][4:] == np.inf).all()
    assert (table["each"][:4] == 2).all() and (table["each"][4:] == -1).all()
    assert (table["records"]["index"][:4] == 3).all() and (table["records"][4:] == blank(PAIR, 1)).all()
    assert table.take_marked().tolist() == [1] and table.take_marked().tolist() == []


def test_a_second_axis_gets_wider_where_it_has_such_places(table: Table) -> None:
    table["each"][:], table["wide"][:] = 5, 6
    table.widen("annotators", 8)
    assert table["each"].shape == (4, 8) and (table["each"][:, 2:] == -1).all() and (table["each"][:, :2] == 5).all()
    table.widen("classes", 6)
    assert table["wide"].shape == (4, 18) and table["wide"].sum() == 4 * 15 * 6 and table["each"].shape == (4, 8)


def test_what_is_per_annotator_goes_with_an_erased_one_unless_it_is_said_to_stay(table: Table) -> None:
    table["each"][:], table["kept"][:] = 5, 6
    table.erase("annotators", 1)
    assert table["each"].tolist() == [[5, -1]] * 4 and (table["kept"] == 6).all()


def test_saved_rows_have_no_fields_that_only_this_process_understands(table: Table) -> None:
    table["records"]["next"] = table["records"]["stamp"] = table["records"]["index"] = 4
    parts = table.saved(np.array([1, 3]))
    assert list(parts) == ["records", "wide"]
    assert [parts["records"][field].tolist() for field in ("next", "stamp", "index")] == [[-1, -1], [7, 7], [4, 4]]
    assert (table["records"]["next"] == 4).all(), "the column itself stays"
    lengths = table.lengths(np.array([2, 0]))
    assert lengths["records"].tolist() == [PAIR.itemsize] * 2 and lengths["wide"].tolist() == [4 * 3 * 2, 0]


def test_a_row_takes_the_bytes_of_its_columns_and_its_mark(table: Table) -> None:
    assert table.row_bytes() == PAIR.itemsize + 8 + 2 * 4 * 2 + 4 * 15 + 1
    assert table.row_bytes(beside="annotators") == PAIR.itemsize + 8 + 4 * 15 + 1


def test_kernels_get_the_arrays_of_every_table() -> None:
    columns = Columns()
    for name, kind in KINDS.items():
        seen = columns.pool.skills if name in IN_SKILLS else getattr(columns.pool, name)
        for column in declared(kind.schema):
            assert getattr(seen, column) is columns[name][column]
        assert getattr(columns.pool.dirty, name, None) is columns[name].marks
    assert set(columns.pool.dirty._fields) == {name for name, kind in KINDS.items() if kind.is_marked}


def test_a_new_model_copies_nothing_of_the_others() -> None:
    """The table of seats has models times annotators places: 64 MB at a thousand models and 16,000 people."""
    pool = PoolState("pool")
    pool.reserve_annotators(2_000)
    moves, before = 0, pool.columns.skills.seat_of
    for n in range(500):
        m = pool.models.of(pool.skill(f"skill {n}"), 2)
        pool.columns.skills.seat_of[m, 0] = n
        moves += not np.shares_memory(before, pool.columns.skills.seat_of)
        before = pool.columns.skills.seat_of
    assert moves <= 4
    assert (before[:500, 0] == range(500)).all() and (before[:500, 1:] == -1).all() and (before[500:] == -1).all()
