"""Everything that kernels write into begins with room for one entry, or none, and grows by the least step."""

import numpy as np
import pytest

from kernels import buffers
from kernels.lifecycle import blank
from stream.core.state import table, tables
from stream.core.state.growth import Array


def exactly(column: Array, length: int, unused: float = 0.0) -> Array:
    """As `stream.core.state.growth.longer`, with exactly this length and in a place of its own."""
    if length <= len(column):
        return column
    rows = np.full((length, *column.shape[1:]), unused, column.dtype) if unused else np.zeros(
        (length, *column.shape[1:]), column.dtype
    )  # fmt: skip
    if column.dtype.names:
        rows[:] = blank(column.dtype, 1)
    rows[: len(column)] = column
    return rows


def with_least_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give lists, pairs, emissions, seats and evidence no room before it is needed, and then no more than that."""
    for name in ("pairs", "emissions", "models", "seats", "evidence", "lists"):
        monkeypatch.setitem(tables.KINDS, name, tables.KINDS[name]._replace(rows=1))
    monkeypatch.setattr(buffers, "MOST_AT_FIRST", 1)
    monkeypatch.setattr(buffers, "GROWTH", 1)
    monkeypatch.setattr(table, "longer", exactly)
