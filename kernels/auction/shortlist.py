"""What an annotator may bid for next, without reading all its arcs at every bid.

In a reverse stage profits only rise, so what a task offers, ``w − π``, only falls.  When an annotator has read
all its arcs, it notes those that lie above a threshold a few ε below its new price.  As long as its next bids
and the best one they leave are above that threshold, nothing outside the list can matter, and only the list is
read.  A price falls by about ε a bid, so a list serves about `STEPS` bids.

Arcs that the annotator holds are not in its list: one that it takes is struck off, one that it loses to
another annotator comes back.  In `solve` the list is in the order of the arcs, so ties go to the lowest
arc, and the result is the same as without lists.

Only columns of at least `LONG` arcs have lists: below, keeping them costs as much as they save.
"""

import numpy as np

from kernels.auction.compiling import inlined, inner
from kernels.auction.slots import hide_held, show_held

STEPS = 12.0
LONG = 256
UNLISTED = -1
"""Size of the list of an annotator that has none."""

PART, SPARE = 16, 64
"""A list has room for 1/`PART` of the arcs and `SPARE` more, half of these for arcs that come back."""


@inlined
def place_of(annotator, j):
    """Where the list of annotator `j` begins."""
    return annotator.start // PART + SPARE * j


@inner
def forget_lists(desk):
    """At the beginning of a stage nobody has a list."""
    for j in range(desk.listed.size):
        desk.listed[j].size = UNLISTED


@inlined
def thin_out(profit, entries, size, threshold):
    """Keep the entries above `threshold`, in their order; returns how many."""
    kept = np.int64(0)
    for t in range(size):
        value, row = entries[t].value, entries[t].row
        entries[kept].value = value
        entries[kept].arc = entries[t].arc
        entries[kept].row = row
        kept += value - profit[np.uint32(row)] > threshold
    return kept


@inner
def note(columns, book, desk, j, left_out, eps):
    """List the arcs of annotator `j` that it does not hold, from a few ε below `left_out` on.

    While there are more than the list has room for, the threshold rises half of the way to `left_out`.
    """
    profit = book.profit
    annotator = book.annotators[j]
    first = place_of(annotator, j)
    room = (annotator.stop - annotator.start) // PART + SPARE // 2
    entries = desk.shortlist[first : first + room + 1]
    threshold = max(left_out - STEPS * eps, 0.0)
    size = np.int64(0)
    hide_held(book, desk, j)
    for t in range(annotator.start, annotator.stop):
        value, row = columns[t].value, columns[t].row
        entries[size].value = value
        entries[size].arc = columns[t].arc
        entries[size].row = row
        size += value - profit[np.uint32(row)] > threshold
        if size > room:
            threshold += 0.5 * (left_out - threshold)
            size = thin_out(profit, entries, size, threshold)
            if size > room:
                break
    show_held(book, desk, j)
    desk.listed[j].size = size if size <= room else UNLISTED
    desk.listed[j].threshold = threshold


@inlined
def look_at_list(book, desk, j):
    """Write what the listed arcs offer into ``desk.surplus``; returns how many."""
    first = place_of(book.annotators[j], j)
    entries = desk.shortlist[first : first + desk.listed[j].size]
    surplus = desk.surplus[: entries.size]
    for c in range(surplus.size):
        s = entries[c].value - book.profit[np.uint32(entries[c].row)]
        surplus[c] = s if s > 0.0 else 0.0
    return surplus.size


@inlined
def strike_off(book, desk, j):
    """Remove the entries that annotator `j` has taken, marked by −1 for their arc."""
    first = place_of(book.annotators[j], j)
    kept = first
    for t in range(first, first + desk.listed[j].size):
        entry = desk.shortlist[kept]
        entry.value = desk.shortlist[t].value
        entry.row = desk.shortlist[t].row
        entry.arc = desk.shortlist[t].arc
        kept += entry.arc >= 0
    desk.listed[j].size = kept - first


@inlined
def come_back(book, desk, j, i, k, value):
    """Annotator `j` has lost task `i`: arc `k` is open to it again."""
    size = np.int64(desk.listed[j].size)
    if size == UNLISTED or value - book.profit[i] <= desk.listed[j].threshold:
        return
    annotator = book.annotators[j]
    if size == (annotator.stop - annotator.start) // PART + SPARE - 1:
        desk.listed[j].size = UNLISTED
        return
    t = place_of(annotator, j) + size
    while t > place_of(annotator, j) and desk.shortlist[t - 1].arc > k:
        desk.shortlist[t] = desk.shortlist[t - 1]
        t -= 1
    desk.shortlist[t].value = value
    desk.shortlist[t].arc = k
    desk.shortlist[t].row = i
    desk.listed[j].size = size + 1
