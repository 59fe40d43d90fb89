"""Who holds a slot: attaching and releasing arcs, and finding the holder who minds leaving least.

The tolerance of a holder, ``w − π_i``, is the price above which its task would rather go elsewhere.  A bid at a full
column is decided against the weakest tolerance.  Profits move all the time, so tolerances are computed afresh when they
are needed and never trusted from before.

Up to ``HEAP_FROM`` slots that is a plain scan.  A larger column keeps its slots as a heap ordered by ``slot_key``, a lower
bound of the tolerance: while tasks bid, profits fall and tolerances only rise, so a key that has gone stale is too low.
It is corrected when it reaches the root (`settle`).  Whatever else happens to a holder (a release, a profit that rose)
clears ``heaped`` and the heap is rebuilt at the next bid.
"""

import numpy as np
from numba import njit

HEAP_FROM = 64


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def attach(book, i, j, k, value):
    """Task `i` takes a free slot of annotator `j` by arc `k`."""
    book.row_arc[book.row_start[i] + book.demand[i] - book.need[i]] = k
    book.need[i] -= 1
    t = book.slot_start[j] + book.fill[j]
    book.slot_arc[t] = k
    book.slot_row[t] = i
    book.slot_value[t] = value
    book.fill[j] += 1
    book.heaped[j] = 0


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def release_row(book, i, k):
    """Forget arc `k` on the side of its task."""
    first = book.row_start[i]
    last = first + book.demand[i] - book.need[i] - 1
    t = first
    while book.row_arc[t] != k:
        t += 1
    book.row_arc[t] = book.row_arc[last]
    book.need[i] += 1


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def release_slot(book, j, k):
    """Forget arc `k` on the side of its annotator."""
    first = book.slot_start[j]
    last = first + book.fill[j] - 1
    t = first
    while book.slot_arc[t] != k:
        t += 1
    book.slot_arc[t] = book.slot_arc[last]
    book.slot_row[t] = book.slot_row[last]
    book.slot_value[t] = book.slot_value[last]
    book.fill[j] -= 1
    book.heaped[j] = 0


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def sift_slot(book, first, size, t):
    """Restore the heap of slots (smallest key first) below node `t`."""
    key = book.slot_key[first + t]
    arc = book.slot_arc[first + t]
    row = book.slot_row[first + t]
    value = book.slot_value[first + t]
    while True:
        child = 2 * t + 1
        if child >= size:
            break
        if child + 1 < size and book.slot_key[first + child + 1] < book.slot_key[first + child]:
            child += 1
        c = first + child
        if book.slot_key[c] >= key:
            break
        book.slot_key[first + t] = book.slot_key[c]
        book.slot_arc[first + t] = book.slot_arc[c]
        book.slot_row[first + t] = book.slot_row[c]
        book.slot_value[first + t] = book.slot_value[c]
        t = child
    book.slot_key[first + t] = key
    book.slot_arc[first + t] = arc
    book.slot_row[first + t] = row
    book.slot_value[first + t] = value


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def heapify(book, first, size):
    """Order the slots of a large column by their present tolerance."""
    for t in range(first, first + size):
        book.slot_key[t] = book.slot_value[t] - book.profit[book.slot_row[t]]
    for t in range(size // 2 - 1, -1, -1):
        sift_slot(book, first, size, t)


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def settle(book, first, size):
    """Bring the holder with the truly weakest tolerance to the root and return that tolerance."""
    while True:
        key = book.slot_value[first] - book.profit[book.slot_row[first]]
        if key <= book.slot_key[first]:
            return key
        book.slot_key[first] = key
        sift_slot(book, first, size, 0)


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def weakest(book, j):
    """Slot of the holder at a full annotator `j` with the weakest tolerance, that tolerance, and the second weakest.

    In a large column the second is not known before the weakest has been replaced: it is returned as +inf and
    `replace` finds the new minimum.
    """
    first = book.slot_start[j]
    size = book.fill[j]
    if size > HEAP_FROM:
        if book.heaped[j] == 0:
            heapify(book, first, size)
            book.heaped[j] = 1
        return np.int64(first), settle(book, first, size), np.inf
    low = np.inf
    second = np.inf
    slot = np.int64(first)
    for t in range(first, first + size):
        tolerance = book.slot_value[t] - book.profit[book.slot_row[t]]
        if tolerance < low:
            second = low
            low = tolerance
            slot = np.int64(t)
        elif tolerance < second:
            second = tolerance
    return slot, low, second


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def replace(book, j, slot, i, k, value, bid, second):
    """Task `i` takes over `slot` by arc `k`; returns the new weakest tolerance of annotator `j`.

    `bid` is the newcomer's own tolerance, `second` what `weakest` returned.
    """
    book.row_arc[book.row_start[i] + book.demand[i] - book.need[i]] = k
    book.need[i] -= 1
    book.slot_arc[slot] = k
    book.slot_row[slot] = i
    book.slot_value[slot] = value
    if book.fill[j] > HEAP_FROM:
        first = book.slot_start[j]
        book.slot_key[slot] = bid
        sift_slot(book, first, book.fill[j], 0)
        return settle(book, first, book.fill[j])
    return second if second < bid else bid
