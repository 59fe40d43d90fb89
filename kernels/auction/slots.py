"""Who holds a slot: attaching and releasing arcs, and finding the holder who minds leaving least.

The tolerance of a holder, ``w − π_i``, is the price above which its task would rather go elsewhere.  A bid
at a full column is decided against the weakest tolerance.  Profits move all the time, so tolerances are
computed afresh when they are needed and never trusted from before.

Up to `HEAP_FROM` slots that is a plain scan.  A larger column keeps its slots as a heap ordered by
``keys``, a lower bound of the tolerance: while tasks bid, profits fall and tolerances only rise, so a key
that has gone stale is too low.  It is corrected when it reaches the root (`settle`).  Whatever else happens
to a holder (a release, a profit that rose) clears ``heaped``, and the heap is rebuilt at the next bid.
"""

import numpy as np

from kernels.auction.compiling import inlined, inner

HEAP_FROM = 64


@inlined
def take_slot(book, task, j, k, value):
    """Note arc `k` to annotator `j` on the side of its task."""
    t = task.first + task.demand - task.need
    book.row_arc[t] = k
    book.row_column[t] = j
    book.row_value[t] = value
    task.need -= 1


@inlined
def attach(book, i, j, k, value):
    """Task `i` takes a free slot of annotator `j` by arc `k`."""
    task = book.tasks[i]
    take_slot(book, task, j, k, value)
    annotator = book.annotators[j]
    slot = book.slots[annotator.first + annotator.fill]
    slot.value = value
    slot.arc = k
    slot.row = i
    annotator.fill += 1
    annotator.heaped = 0


@inlined
def clear_slot(book, task, t):
    """Free slot `t` of a task: its last one moves there."""
    last = task.first + task.demand - task.need - 1
    if t != last:
        book.row_arc[t] = book.row_arc[last]
        book.row_column[t] = book.row_column[last]
        book.row_value[t] = book.row_value[last]
    task.need += 1


@inlined
def release_row(book, i, k):
    """Forget arc `k` on the side of its task."""
    task = book.tasks[i]
    t = task.first
    while book.row_arc[t] != k:
        t += 1
    clear_slot(book, task, t)


@inlined
def release_slot(book, j, k):
    """Forget arc `k` on the side of its annotator."""
    annotator = book.annotators[j]
    t = annotator.first
    while book.slots[t].arc != k:
        t += 1
    last = annotator.first + annotator.fill - 1
    book.slots[t] = book.slots[last]
    annotator.fill -= 1
    annotator.heaped = 0


@inlined
def sift_slot(book, first, size, t):
    """Restore the heap of slots (smallest key first) below node `t`."""
    slots = book.slots
    keys = book.keys
    key = keys[first + t]
    value = slots[first + t].value
    arc = slots[first + t].arc
    row = slots[first + t].row
    child = 2 * t + 1
    while child < size:
        if child + 1 < size and keys[first + child + 1] < keys[first + child]:
            child += 1
        if keys[first + child] >= key:
            break
        keys[first + t] = keys[first + child]
        slots[first + t] = slots[first + child]
        t = child
        child = 2 * t + 1
    keys[first + t] = key
    slots[first + t].value = value
    slots[first + t].arc = arc
    slots[first + t].row = row


@inlined
def settle(book, first, size):
    """Bring the holder with the truly weakest tolerance to the root and return that tolerance."""
    while True:
        key = book.slots[first].value - book.profit[book.slots[first].row]
        if key <= book.keys[first]:
            return key
        book.keys[first] = key
        sift_slot(book, first, size, np.int64(0))


@inlined
def weakest(book, j):
    """Who minds leaving the full annotator `j` least: slot, its tolerance, the second weakest tolerance.

    In a large column the second is not known before the weakest has been replaced: it is returned as +inf,
    and `replace` finds the new minimum.
    """
    first = np.int64(book.annotators[j].first)
    size = np.int64(book.annotators[j].fill)
    slots = book.slots
    if size > HEAP_FROM:
        if book.annotators[j].heaped == 0:
            for t in range(first, first + size):
                book.keys[t] = slots[t].value - book.profit[slots[t].row]
            for t in range(size // 2 - 1, -1, -1):
                sift_slot(book, first, size, np.int64(t))
            book.annotators[j].heaped = 1
        return first, settle(book, first, size), np.inf
    low = np.inf
    second = np.inf
    slot = first
    for t in range(first, first + size):
        tolerance = slots[t].value - book.profit[slots[t].row]
        if tolerance < low:
            second = low
            low = tolerance
            slot = t
        elif tolerance < second:
            second = tolerance
    return slot, low, second


@inlined
def replace(book, j, slot, i, k, value, bid, second):
    """Task `i` takes over `slot` by arc `k`; returns the new weakest tolerance of annotator `j`.

    `bid` is the newcomer's own tolerance, `second` what `weakest` returned.
    """
    take_slot(book, book.tasks[i], j, k, value)
    book.slots[slot].value = value
    book.slots[slot].arc = k
    book.slots[slot].row = i
    size = np.int64(book.annotators[j].fill)
    if size > HEAP_FROM:
        book.keys[slot] = bid
        sift_slot(book, slot, size, np.int64(0))
        return settle(book, slot, size)
    return second if second < bid else bid


@inner
def dear_and_idle(book, desk):
    """List the annotators with a free slot and a price in ``desk.offers``; returns how many."""
    count = 0
    for j in range(book.price.size):  # one condition, rarely true: prices alone would be as hard to predict as a coin
        if (book.price[j] > 0.0) & (book.annotators[j].fill < book.annotators[j].capacity):
            desk.offers[count] = j
            count += 1
    return count


@inner
def unfilled(book, desk):
    """List the tasks with need left and a profit to gain in ``desk.queue``; returns how many."""
    count = 0
    for i in range(book.profit.size):
        if book.tasks[i].need > 0 and book.profit[i] > 0.0:
            desk.queue[count] = i
            count += 1
    return count


@inlined
def hide_held(book, desk, j):
    """Give the tasks that hold annotator `j` the profit +∞, so that `j` does not look at them."""
    annotator = book.annotators[j]
    for t in range(annotator.fill):
        i = book.slots[annotator.first + t].row
        desk.saved[t] = book.profit[i]
        book.profit[i] = np.inf


@inlined
def show_held(book, desk, j):
    """Undo `hide_held`."""
    annotator = book.annotators[j]
    for t in range(annotator.fill):
        book.profit[book.slots[annotator.first + t].row] = desk.saved[t]
