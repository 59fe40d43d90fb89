"""Reverse auction: annotators with a free slot and a price bid for tasks, prices only fall.

After `forward` an annotator may be dear and idle: whoever drove the price up has since been lured
away.  That breaks (4) of `layout`, and with it the proof.  So annotator ``j`` with ``f`` free slots ranks
the tasks by ``w − π``, picks the best ``f``, and lowers its price to what the best one it leaves would pay
(never raising it).  A picked task that still has need takes the slot.  A full one compares: its least
attractive annotator, of tolerance ``w − p``, is kept if it tolerates as much as ``w − p_j`` offers (then
only ``π_i`` rises, to the offer + ε), else it is dropped, bids in its turn, and ``π_i = min(next tolerance,
offer) + ε``.

The stage mirrors `forward` with the roles exchanged: profits only rise, prices fall, a full row stays
full.  It keeps (1) to (3) and establishes (4).  So one forward and one reverse stage reach ε-optimality
from *any* prices and
*any* held arcs: no alternation, no restart at price zero.

D. P. Bertsekas, D. A. Castañón and H. Tsaknakis, "Reverse auction and the solution of inequality
constrained assignment problems", SIAM J. Optimization 3 (1993); D. P. Bertsekas and D. A. Castañón, "A
forward/reverse auction algorithm for asymmetric assignment problems", Computational Optimization and
Applications 1 (1992).
"""

import numpy as np

from kernels.auction.forward import IN_ORDER_FROM
from kernels.auction.jit import inner
from kernels.auction.layout import REVERSE_BIDS, REVERSE_EDGES
from kernels.auction.select import best
from kernels.auction.slots import attach, release_slot


@inner
def next_epoch(annotators, offers, base, count):
    """Put a large epoch (``offers[base : base + count]``) into the order of memory."""
    if count * IN_ORDER_FROM >= annotators.size:
        t = base
        for j in range(annotators.size):
            if annotators[j].offered:
                offers[t] = j
                t += 1


@inner
def least_attractive(edges, book, i):
    """Of the arcs that task `i` holds: place of the worst, its tolerance ``w − p``, the second worst."""
    low = np.inf
    second = np.inf
    task = book.tasks[i]
    place = np.int64(task.first)
    for t in range(task.first, task.first + task.demand - task.need):
        k = book.row_arc[t]
        tolerance = edges.values[k] - book.price[edges.indices[k]]
        if tolerance < low:
            second = low
            low = tolerance
            place = np.int64(t)
        elif tolerance < second:
            second = tolerance
    return place, low, second


@inner
def rank(columns, book, desk, j):
    """Write ``w − π`` of every task that annotator `j` may take into ``desk.surplus``, 0 for those it has."""
    profit = book.profit
    slots = book.slots
    annotator = book.annotators[j]
    first = annotator.first
    held = annotator.fill
    for t in range(held):
        i = slots[first + t].row
        desk.saved[t] = profit[i]
        profit[i] = np.inf
    arcs = columns[annotator.start : annotator.stop]
    surplus = desk.surplus[: arcs.size]
    for c in range(surplus.size):
        s = arcs[c].value - profit[arcs[c].row]
        surplus[c] = s if s > 0.0 else 0.0
    for t in range(held):
        profit[slots[first + t].row] = desk.saved[t]
    return surplus.size


@inner
def offer_to(edges, book, j, i, k, value, eps):
    """One offer of annotator `j` to task `i` by arc `k`.  Returns the annotator dropped for it, or −1."""
    if book.tasks[i].need > 0:
        attach(book, i, j, k, value)
        if book.tasks[i].need == 0:
            _, tolerance, _ = least_attractive(edges, book, i)
            book.profit[i] = max(book.profit[i], tolerance + eps)
        return -1
    place, tolerance, second = least_attractive(edges, book, i)
    offer = value - book.price[j]
    if offer <= tolerance:
        book.profit[i] = offer + eps
        return -1
    lost = book.row_arc[place]
    dropped = edges.indices[lost]
    release_slot(book, dropped, lost)
    task = book.tasks[i]
    book.row_arc[place] = book.row_arc[task.first + task.demand - 1]
    task.need = 1
    attach(book, i, j, k, value)
    book.profit[i] = max(min(second, offer) + eps, 0.0)  # rounding may take it below
    return dropped


@inner
def reverse(edges, columns, book, desk, count, eps, max_edges):
    """Let the first `count` annotators of ``desk.offers`` bid until no price stands on a free slot.

    Stops early once more than `max_edges` arcs have been read; the state is then still feasible.  Returns the
    number of arcs read.
    """
    price = book.price
    annotators = book.annotators
    offers = desk.offers
    for t in range(count):
        annotators[offers[t]].offered = 1
    base = 0
    bids = 0
    read = 0
    while count > 0 and read < max_edges:
        next_epoch(annotators, offers, base, count)
        other = annotators.size - base
        waiting = 0
        for turn in range(base, base + count):
            j = np.int64(offers[turn])
            annotator = annotators[j]
            annotator.offered = 0
            if annotator.fill == annotator.capacity or price[j] <= 0.0:
                continue
            if read < max_edges:
                size = rank(columns, book, desk, j)
                read += size
                free = np.int64(annotator.capacity - annotator.fill)
                found, left_out = best(desk.surplus, size, free, desk.pick, desk.pick_key)
                bids += found
                price[j] = min(price[j], left_out)
                for t in range(found):
                    arc = columns[annotator.start + desk.pick[t]]
                    dropped = offer_to(edges, book, j, np.int64(arc.row), np.int64(arc.arc), arc.value, eps)
                    if dropped >= 0 and price[dropped] > 0.0 and annotators[dropped].offered == 0:
                        annotators[dropped].offered = 1
                        offers[other + waiting] = dropped
                        waiting += 1
            if annotator.fill < annotator.capacity and price[j] > 0.0 and annotator.offered == 0:
                annotator.offered = 1
                offers[other + waiting] = j
                waiting += 1
        base = other
        count = waiting
    for t in range(base, base + count):
        annotators[offers[t]].offered = 0
    desk.counters[REVERSE_BIDS] += bids
    desk.counters[REVERSE_EDGES] += read
    return read
