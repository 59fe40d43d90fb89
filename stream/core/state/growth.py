"""Columns that grow while rounds go on.

    length    rows that there are
    room      rows that the column has an address for; the system gives memory to those that are written to

A column that needs more than its room moves to a new one, sixteen times as long.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.lifecycle import blank

Array = npt.NDArray[Any]

#: a column that must move gets room for so many times its rows; the system gives it memory as it is written to
ROOM = 16


def longer(column: Array, length: int, unused: float = 0.0) -> Array:
    """The column with at least ``length`` rows, new ones as in a blank record or ``unused``.

    Moving a column of a million rows takes longer than a round may, and so does blanking as many new ones. So it moves
    hardly ever, and grows by doubling only while it is short, then by a sixteenth.

    A column never gets shorter, and only the longest view of a room may grow: rows beyond it are as the system gave
    them, all zero.
    """
    n = len(column)
    if length <= n:
        return column
    room = column.base
    if not isinstance(room, np.ndarray) or not _begins(room, column) or len(room) < length:
        try:
            room = np.zeros((ROOM * length, *column.shape[1:]), column.dtype)
        except MemoryError:  # where the system promises no more than it has
            room = np.zeros((2 * length, *column.shape[1:]), column.dtype)
        room[:n] = column
    end = min(len(room), max(length, n + max(n // 16, min(n, 1024))))
    if column.dtype.names:
        room[n:end] = blank(column.dtype, 1)
    elif unused:
        room[n:end] = unused
    return room[:end]


def _begins(room: Array, column: Array) -> bool:
    """Whether the column is the first rows of the room, as they are."""
    same = room.dtype == column.dtype and room.shape[1:] == column.shape[1:] and room.strides == column.strides
    return same and room.ctypes.data == column.ctypes.data and room.flags.writeable


def wider(column: Array, width: int, unused: float = 0.0) -> Array:
    """A copy of the two-dimensional column with more columns, new ones ``unused``."""
    grown: Array = np.zeros((column.shape[0], width), column.dtype)
    grown[:, : column.shape[1]] = column
    if unused:
        grown[:, column.shape[1] :] = unused
    return grown
