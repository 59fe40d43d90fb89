"""Gathering the bytes of many rows in one pass, and putting them back: a row of a task is its head, record,
posteriors, pairs and lists.

Python would join eight small byte strings a row; `pack_tasks` copies them one behind the other into one buffer, which
the caller cuts. Links between pairs are blanked on the way: they follow from the order. `scatter` is the way back: it
copies one part of every row (all records, say) to its place in a column. Both check nothing: lengths are the caller's.
"""

import numpy as np

from kernels.jit import entry, inner
from kernels.lifecycle.codes import NONE
from kernels.lifecycle.layout import PAIR

#: bytes of the links between pairs, which stand side by side
LINKS, LINKS_END = PAIR.fields["next"][1], PAIR.fields["live_previous"][1] + 4


@inner
def _copy(source, start, n, out, at):
    for k in range(n):
        out[at + k] = source[start + k]
    return at + n


@entry
def pack_tasks(pool, slots, parts, lengths, pairs, lists, out, ends):
    """Write the rows of tasks to ``out`` and where each ends to ``ends``.

    Parameters
    ----------
    slots : int64[n]
    parts : tuple of uint8[n, :]
        What every row has: its head, its record, its posteriors.
    lengths : int64[parts, n]
        How much of each part a row has.
    pairs, lists : uint8[:, PAIR.itemsize], uint8[:, 4]
        The pool's columns as bytes.
    out : uint8[:]
        Room for all rows.
    ends : int64[n]
    """
    at = 0
    for i in range(slots.shape[0]):
        task = pool.tasks[slots[i]]
        for k in range(len(parts)):
            at = _copy(parts[k][i], 0, lengths[k, i], out, at)
        p = task.head
        while p != NONE:
            start = at
            at = _copy(pairs[p], 0, pairs.shape[1], out, at)
            for k in range(LINKS, LINKS_END):
                out[start + k] = 255
            p = pool.pairs[p].next
        for j in range(task.only, task.only + task.only_n):
            at = _copy(lists[j], 0, 4, out, at)
        for j in range(task.exclude, task.exclude + task.exclude_n):
            at = _copy(lists[j], 0, 4, out, at)
        ends[i] = at


@entry
def scatter(data, starts, lengths, out, places):
    """Copy ``data[starts[i] : starts[i] + lengths[i]]`` to ``out[places[i] :]`` for every i.

    Parameters
    ----------
    data, out : uint8[:]
        Rows one behind the other; a column as bytes.
    starts, lengths, places : int64[n]
    """
    for i in range(starts.shape[0]):
        _copy(data, starts[i], lengths[i], out, places[i])


def precompile():
    """Compile `scatter` for the one set of types it is called with."""
    one = np.zeros(1, np.int64)
    scatter(np.zeros(1, np.uint8), one, one, np.zeros(1, np.uint8), one)
