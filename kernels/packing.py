"""Gathering the bytes of many rows in one pass, and putting them back: a row of a task is its head, record,
posteriors, pairs and lists.

Python would join eight small byte strings a row; `pack_tasks` copies them one behind the other into one buffer, which
the caller cuts. Links between pairs are blanked on the way: they follow from the order. `scatter` is the way back: it
copies one part of every row (all records, say) to its place in a column. Neither writes or reads beyond an end: a row
that finds no room is counted (`kernels.buffers`), a part that lies outside is refused.
"""

from typing import Any, NamedTuple

import numpy as np

from kernels.buffers import COUNTS, USED, WANTED, Overrun, enlarged, first_room, is_short
from kernels.jit import entry, inner
from kernels.lifecycle.codes import NONE
from kernels.lifecycle.pool_columns import PAIR

#: bytes of the links between pairs, which stand side by side
LINKS, LINKS_END = PAIR.fields["next"][1], PAIR.fields["live_previous"][1] + 4


class Octets(NamedTuple):
    """Bytes of many rows."""

    data: np.ndarray  # u1
    count: np.ndarray


@inner
def _copy(source, start, n, out, at):
    """Copy ``n`` bytes if they find room; returns where they would end."""
    if at + n <= out.shape[0]:
        for k in range(n):
            out[at + k] = source[start + k]
    return at + n


@entry
def pack_kernel(pool, slots, parts, lengths, pairs, lists, out, ends):
    """Write the rows to ``out``, which counts bytes, and to ``ends`` where each ends."""
    data = out.data
    at = 0
    for i in range(slots.shape[0]):
        task = pool.tasks.records[slots[i]]
        for k in range(len(parts)):
            at = _copy(parts[k][i], 0, lengths[k, i], data, at)
        p = task.head
        while p != NONE:
            start = at
            at = _copy(pairs[p], 0, pairs.shape[1], data, at)
            if at <= data.shape[0]:
                for k in range(LINKS, LINKS_END):
                    data[start + k] = 255
            p = pool.pairs.records[p].next
        for j in range(task.only, task.only + task.only_n):
            at = _copy(lists[j], 0, 4, data, at)
        for j in range(task.exclude, task.exclude + task.exclude_n):
            at = _copy(lists[j], 0, 4, data, at)
        ends[i] = at
    out.count[WANTED] = at
    out.count[USED] = min(at, data.shape[0])


def pack_tasks(
    pool: Any, slots: np.ndarray, parts: tuple[np.ndarray, ...], lengths: np.ndarray, pairs: np.ndarray,
    lists: np.ndarray, guess: int,
) -> tuple[bytes, np.ndarray]:  # fmt: skip
    """Return the rows of tasks, one behind the other, and where each ends.

    Parameters
    ----------
    slots : int64[n]
    parts : tuple of uint8[n, :]
        What every row has: its head, its record, its posteriors.
    lengths : int64[parts, n]
        How much of each part a row has.
    pairs, lists : uint8[:, PAIR.itemsize], uint8[:, 4]
        The pool's columns as bytes.
    guess : int
        About how many bytes there will be.
    """
    out = Octets(np.empty(first_room(guess), np.uint8), np.zeros(COUNTS, np.int64))
    ends = np.empty(len(slots), np.int64)
    pack_kernel(pool, slots, parts, lengths, pairs, lists, out, ends)
    while is_short(out):
        out = enlarged(out)
        pack_kernel(pool, slots, parts, lengths, pairs, lists, out, ends)
    return out.data[: int(out.count[USED])].tobytes(), ends


@entry
def scatter_kernel(data, starts, lengths, out, places):
    """Copy part after part; returns how many were copied before one that would lie outside."""
    for i in range(starts.shape[0]):
        start, n, place = starts[i], lengths[i], places[i]
        if min(start, n, place) < 0 or start + n > data.shape[0] or place + n > out.shape[0]:
            return i
        for k in range(n):
            out[place + k] = data[start + k]
    return starts.shape[0]


def scatter(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray, out: np.ndarray, places: np.ndarray) -> None:
    """Copy ``data[starts[i] : starts[i] + lengths[i]]`` to ``out[places[i] :]`` for every i.

    Parameters
    ----------
    data, out : uint8[:]
        Rows one behind the other; a column as bytes.
    starts, lengths, places : int64[n]

    Raises
    ------
    Overrun
        A part lies outside of ``data`` or of ``out``.
    """
    done = scatter_kernel(data, starts, lengths, out, places)
    if done < len(starts):
        raise Overrun(
            f"Expected bytes {starts[done]} + {lengths[done]} of {len(data)} to go to {places[done]} of {len(out)}"
        )


def precompile() -> None:
    """Compile `scatter_kernel` for the one set of types it is called with."""
    one = np.zeros(1, np.int64)
    scatter(np.zeros(2, np.uint8), one, one, np.zeros(2, np.uint8), one)
