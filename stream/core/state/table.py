"""Tables: structs of arrays that grow, made from the declaration of their columns.

    declaration   `kernels.schema.Column`, beside the names that kernels use (``kernels/lifecycle/pool_columns.py``)
    table         the arrays of one axis, and a mark for each row that has changed
    tables        all of a pool: they grow together where one has a place for each row of another

How arrays grow without moving is in ``stream/core/state/growth.py``.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.lifecycle import blank
from kernels.schema import Column, declared
from stream.core.state.growth import Array, longer, wider


class Kind(NamedTuple):
    """A table as it begins: its columns, its first rows, and whether rows are marked when they change."""

    schema: type[Any]
    rows: int
    is_marked: bool = False


class Table:
    """Columns with one axis.

    Parameters
    ----------
    kind : Kind
    places : mapping of str to int
        How many places each kind of second axis has.
    """

    def __init__(self, kind: Kind, places: Mapping[str, int]) -> None:
        self.columns = declared(kind.schema)
        self.arrays = {name: _empty(column, kind.rows, places) for name, column in self.columns.items()}
        self.marks: Array | None = np.zeros(kind.rows, np.uint8) if kind.is_marked else None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]

    def reserve(self, rows: int) -> None:
        """Make room for so many rows; new ones are unused."""
        for name, column in self.columns.items():
            self.arrays[name] = longer(self.arrays[name], rows, column.unused)
            rows = len(self.arrays[name])  # all are at least as long as the first
        if self.marks is not None:
            self.marks = longer(self.marks, rows)

    def widen(self, per: str, places: int) -> None:
        """Make room for so many places in the second axis of the columns that have such."""
        for name, column in self.columns.items():
            if column.per == per:
                self.arrays[name] = wider(self.arrays[name], column.width(places), column.unused)

    def erase(self, per: str, place: int) -> None:
        """Whoever had this place of the second axis is to be forgotten."""
        for name, column in self.columns.items():
            if column.per == per and not column.outlives:
                self.arrays[name][:, place] = column.unused

    def take_marked(self) -> Array:
        """Slots of the rows that have changed since the last call."""
        assert self.marks is not None
        marked = np.flatnonzero(self.marks)
        self.marks[marked] = 0
        return marked

    @property
    def stored(self) -> dict[str, Column]:
        """The columns that a saved row has parts of, in its order."""
        return {name: column for name, column in self.columns.items() if column.is_stored}

    def saved(self, slots: Array) -> dict[str, Array]:
        """The stored columns of these rows as they are saved."""
        parts = {name: self.arrays[name][slots] for name in self.stored}
        for name, column in self.stored.items():
            for field, value in column.passing.items():
                parts[name][field] = value
        return parts

    def lengths(self, places: Array) -> dict[str, Array]:
        """How many bytes of each stored column a row has that uses so many ``places`` of the second axis."""
        most = range(int(places.max(initial=0)) + 1)
        found: dict[str, Array] = {}
        for name, column in self.stored.items():
            size = np.dtype(column.dtype).itemsize
            sizes = [size * column.width(n) if column.per else size for n in most]
            found[name] = np.array(sizes, np.int64)[places]
        return found

    def row_bytes(self, beside: str = "") -> int:
        """Bytes of memory that a row takes, ``beside`` what it has for each place of that kind."""
        arrays = [array for name, array in self.arrays.items() if not beside or self.columns[name].per != beside]
        return sum(array.nbytes // len(array) for array in [*arrays, *([] if self.marks is None else [self.marks])])


def _empty(column: Column, rows: int, places: Mapping[str, int]) -> Array:
    dtype = np.dtype(column.dtype)
    shape = (rows, column.width(places[column.per])) if column.per else (rows,)
    array: Array = blank(dtype, rows) if dtype.names else np.full(shape, column.unused, dtype)
    return array
