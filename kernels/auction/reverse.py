"""Reverse auction: annotators with a free slot and a price bid for tasks, prices only fall.

After `forward` an annotator may be dear and idle: whoever drove the price up has since been lured away.  That breaks (4)
of `layout`, and with it the proof.  So annotator ``j`` with ``f`` free slots ranks the tasks by ``w − π``, picks the best
``f``, and lowers its price to what the best one it leaves would pay (never raising it).  A picked task that still has
need takes the slot.  A full one compares: its least attractive annotator, of tolerance ``w − p``, is kept if it
tolerates as much as ``w − p_j`` offers (then only ``π_i`` rises, to the offer + ε), else it is dropped, bids in its
turn, and ``π_i = min(next tolerance, offer) + ε``.

The stage mirrors `forward` with the roles exchanged: profits only rise, prices fall, a full row stays full.  It keeps
(1) to (3) and establishes (4).  So one forward and one reverse stage reach ε-optimality from *any* prices and *any*
held arcs: no alternation, no restart at price zero.  D. P. Bertsekas, D. A. Castañón and H. Tsaknakis, "Reverse auction
and the solution of inequality constrained assignment problems", SIAM J. Optimization 3 (1993); D. P. Bertsekas and
D. A. Castañón, "A forward/reverse auction algorithm for asymmetric assignment problems", Computational Optimization and
Applications 1 (1992).
"""

import numpy as np
from numba import njit

from kernels.auction.forward import next_epoch
from kernels.auction.layout import REVERSE_BIDS, REVERSE_EDGES
from kernels.auction.select import best
from kernels.auction.slots import attach, release_slot


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def least_attractive(edges, book, i):
    """Of the arcs that task `i` holds: position in its slots and tolerance ``w − p`` of the worst, and the second worst."""
    low = np.inf
    second = np.inf
    first = book.row_start[i]
    slot = np.int64(first)
    for t in range(first, first + book.demand[i] - book.need[i]):
        k = book.row_arc[t]
        tolerance = edges.values[k] - book.price[edges.indices[k]]
        if tolerance < low:
            second = low
            low = tolerance
            slot = np.int64(t)
        elif tolerance < second:
            second = tolerance
    return slot, low, second


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def rank(columns, book, desk, j):
    """Write ``w − π`` of every task that annotator `j` may take into ``desk.surplus``; those it has count as −inf."""
    profit = book.profit
    first = book.slot_start[j]
    held = book.fill[j]
    for t in range(held):
        i = book.slot_row[first + t]
        desk.saved[t] = profit[i]
        profit[i] = np.inf
    value = columns.value[columns.start[j] : columns.stop[j]]
    row = columns.row[columns.start[j] : columns.stop[j]]
    surplus = desk.surplus
    for c in range(value.size):
        surplus[c] = value[c] - profit[row[c]]
    for t in range(held):
        profit[book.slot_row[first + t]] = desk.saved[t]
    return value.size


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def reverse(edges, columns, book, desk, count, eps, max_edges):
    """Let the first `count` annotators of ``desk.offers`` bid until no price stands on a free slot.

    Stops early once more than `max_edges` arcs have been read; the state is then still feasible.  Returns the
    number of arcs read.
    """
    price = book.price
    profit = book.profit
    need = book.need
    offers = desk.offers
    offered = desk.offered
    n = price.size
    for t in range(count):
        offered[offers[t]] = 1
    base = 0
    bids = 0
    read = 0
    while count > 0 and read < max_edges:
        next_epoch(offers, base, count, offered)
        other = n - base
        waiting = 0
        for turn in range(base, base + count):
            j = offers[turn]
            offered[j] = 0
            free = book.capacity[j] - book.fill[j]
            if free == 0 or price[j] <= 0.0:
                continue
            if read >= max_edges:
                offers[other + waiting] = j
                waiting += 1
                offered[j] = 1
                continue
            size = rank(columns, book, desk, j)
            read += size
            found, left_out = best(desk.surplus, size, free, desk.pick, desk.pick_key)
            if left_out < price[j]:
                price[j] = left_out
            p = price[j]
            bids += found
            start = columns.start[j]
            for t in range(found):
                c = start + desk.pick[t]
                k = columns.arc[c]
                i = columns.row[c]
                w = columns.value[c]
                if need[i] > 0:
                    attach(book, i, j, k, w)
                    if need[i] == 0:
                        _, tolerance, _ = least_attractive(edges, book, i)
                        if tolerance + eps > profit[i]:
                            profit[i] = tolerance + eps
                    continue
                slot, tolerance, second = least_attractive(edges, book, i)
                offer = w - p
                if offer <= tolerance:
                    profit[i] = offer + eps
                    continue
                lost = book.row_arc[slot]
                other_j = edges.indices[lost]
                release_slot(book, other_j, lost)
                if price[other_j] > 0.0 and offered[other_j] == 0:
                    offered[other_j] = 1
                    offers[other + waiting] = other_j
                    waiting += 1
                book.row_arc[slot] = book.row_arc[book.row_start[i] + book.demand[i] - 1]
                need[i] += 1
                attach(book, i, j, k, w)
                profit[i] = (second if second < offer else offer) + eps
            if book.fill[j] < book.capacity[j] and price[j] > 0.0 and offered[j] == 0:
                offered[j] = 1
                offers[other + waiting] = j
                waiting += 1
        base = other
        count = waiting
    for t in range(base, base + count):
        offered[offers[t]] = 0
    desk.counters[REVERSE_BIDS] += bids
    desk.counters[REVERSE_EDGES] += read
    return read
