"""Everything that kernels write into begins with room for one entry, or none, and grows by the least step."""

from typing import Any

import numpy as np
import pytest

from kernels import buffers, skill
from kernels.lifecycle import EMISSION, PAIR, blank
from stream.core import pools
from stream.core.growth import Array
from stream.core.pools import PoolState


def exactly(column: Array, length: int, unused: float = 0.0) -> Array:
    """As `stream.core.growth.longer`, with exactly this length and in a place of its own."""
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
    empty = PoolState._empty

    def bare(self: PoolState) -> Any:
        columns = empty(self)
        return columns._replace(
            pairs=blank(PAIR, 1), emissions=np.zeros(1, EMISSION), dirty_seats=np.zeros(1, np.uint8),
            skills=skill.empty(models=1, annotators=16, seats=1, evidence=1),
        )  # fmt: skip

    monkeypatch.setattr(buffers, "MOST_AT_FIRST", 1)
    monkeypatch.setattr(buffers, "GROWTH", 1)
    monkeypatch.setattr(pools, "longer", exactly)
    monkeypatch.setattr(PoolState, "_empty", bare)
