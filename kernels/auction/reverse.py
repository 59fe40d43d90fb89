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

from kernels.auction.compiling import inlined, inner, prefetch
from kernels.auction.forward import IN_ORDER_FROM, found_of
from kernels.auction.lanes import FEW, column_top_2, column_top_3, column_top_4
from kernels.auction.market_arrays import REVERSE_BIDS, REVERSE_EDGES
from kernels.auction.select import best
from kernels.auction.shortlist import LONG, UNLISTED, come_back, forget_lists, look_at_list, note, place_of, strike_off
from kernels.auction.slots import attach, clear_slot, hide_held, release_slot, show_held

FAR, NEAR = 4, 1
"""How many bids ahead an annotator's record, and its column, are fetched."""


@inner
def next_epoch(annotators, offers, base, count):
    """Put a large epoch (``offers[base : base + count]``) into the order of memory."""
    if count * IN_ORDER_FROM >= annotators.size:
        t = base
        for j in range(annotators.size):
            if annotators[j].offered:
                offers[t] = j
                t += 1


@inlined
def fetch_column(columns, annotator):
    """Ask for the cache lines of a column."""
    for t in range(annotator.start, annotator.stop, 4):
        prefetch(columns, t)


@inlined
def least_attractive(book, i):
    """Of the arcs that task `i` holds: place of the worst, its tolerance ``w − p``, the second worst."""
    low = np.inf
    second = np.inf
    task = book.tasks[i]
    place = np.int64(task.first)
    for t in range(task.first, task.first + task.demand - task.need):
        tolerance = book.row_value[t] - book.price[np.uint32(book.row_column[t])]
        if tolerance < low:
            second = low
            low = tolerance
            place = np.int64(t)
        elif tolerance < second:
            second = tolerance
    return place, low, second


@inlined
def rank(columns, book, desk, j):
    """Write ``w − π`` of every task that annotator `j` may take into ``desk.surplus``, 0 for those it has."""
    hide_held(book, desk, j)
    arcs = columns[book.annotators[j].start : book.annotators[j].stop]
    surplus = desk.surplus[: arcs.size]
    for c in range(surplus.size):
        s = arcs[c].value - book.profit[np.uint32(arcs[c].row)]
        surplus[c] = s if s > 0.0 else 0.0
    show_held(book, desk, j)
    return surplus.size


@inlined
def best_of_column(columns, book, desk, j, q):
    """The `q` best arcs that annotator `j` does not hold: see `select.best`."""
    if q > FEW:
        size = rank(columns, book, desk, j)
        return best(desk.surplus, size, q, desk.pick, desk.pick_key)
    start, stop = np.int64(book.annotators[j].start), np.int64(book.annotators[j].stop)
    hide_held(book, desk, j)
    if q == 1:
        column_top_2(columns, book.profit, start, stop, desk.pick, desk.pick_key)
    elif q == 2:
        column_top_3(columns, book.profit, start, stop, desk.pick, desk.pick_key)
    else:
        column_top_4(columns, book.profit, start, stop, desk.pick, desk.pick_key)
    show_held(book, desk, j)
    return found_of(desk, q)


@inlined
def offer_to(book, desk, j, i, k, value, eps):
    """One offer of annotator `j` to task `i` by arc `k`.

    Returns the annotator dropped for it, `j` if the offer was refused, −1 if nobody had to go.
    """
    if book.tasks[i].need > 0:
        attach(book, i, j, k, value)
        if book.tasks[i].need == 0:
            _, tolerance, _ = least_attractive(book, i)
            book.profit[i] = max(book.profit[i], tolerance + eps)
        return np.int64(-1)
    place, tolerance, second = least_attractive(book, i)
    offer = value - book.price[j]
    if offer <= tolerance:
        book.profit[i] = offer + eps
        return j
    dropped, lost, worth = np.int64(book.row_column[place]), np.int64(book.row_arc[place]), book.row_value[place]
    release_slot(book, dropped, lost)
    clear_slot(book, book.tasks[i], place)
    attach(book, i, j, k, value)
    book.profit[i] = max(min(second, offer) + eps, 0.0)  # rounding may take it below
    if desk.listed.size > 0:
        come_back(book, desk, dropped, i, lost, worth)
    return dropped


@inlined
def call(book, desk, j, at):
    """Let annotator `j` bid in the next epoch if there is reason to; returns where in ``desk.offers`` the next goes."""
    annotator = book.annotators[j]
    if annotator.fill < annotator.capacity and book.price[j] > 0.0 and annotator.offered == 0:
        annotator.offered = 1
        desk.offers[at] = j
        at += 1
    return at


@inlined
def bid(book, desk, j, arcs, found, eps, mark, at):
    """Annotator `j` makes the first `found` offers of ``desk.pick``, places in `arcs`.

    Returns where the next annotator who waits goes (see `call`), and how many offers were taken; with `mark`, −1 is
    written over the arcs of those.
    """
    taken = np.int64(0)
    for t in range(found):
        arc = arcs[desk.pick[t]]
        dropped = offer_to(book, desk, j, np.int64(arc.row), np.int64(arc.arc), arc.value, eps)
        if dropped != j:
            taken += 1
            if mark:
                arc.arc = -1
            if dropped >= 0:
                at = call(book, desk, dropped, at)
    return at, taken


@inner
def reverse(columns, book, desk, count, eps, max_edges):
    """Let the first `count` annotators of ``desk.offers`` bid until no price stands on a free slot.

    Stops early once more than `max_edges` arcs have been read; the state is then still feasible.  Returns the
    number of arcs read.
    """
    price = book.price
    annotators = book.annotators
    offers = desk.offers
    for t in range(count):
        annotators[offers[t]].offered = 1
    forget_lists(desk)
    lists = desk.listed.size > 0
    base = 0
    bids = 0
    read = 0
    while count > 0 and read < max_edges:
        next_epoch(annotators, offers, base, count)
        other = annotators.size - base
        at = other
        for turn in range(base, base + count):
            if turn + FAR < base + count:
                prefetch(annotators, offers[turn + FAR])
                if not lists:
                    fetch_column(columns, annotators[offers[turn + NEAR]])
            j = np.int64(offers[turn])
            annotator = annotators[j]
            annotator.offered = 0
            if annotator.fill == annotator.capacity or price[j] <= 0.0:
                continue
            if read < max_edges:
                free = np.int64(annotator.capacity - annotator.fill)
                listed = lists and desk.listed[j].size != UNLISTED
                if listed:
                    size = look_at_list(book, desk, j)
                    read += size
                    found, left_out = best(desk.surplus, size, free, desk.pick, desk.pick_key)
                    listed = left_out >= desk.listed[j].threshold
                if listed:
                    price[j] = min(price[j], left_out)
                    arcs = desk.shortlist[place_of(annotator, j) :]
                    at, taken = bid(book, desk, j, arcs, found, eps, True, at)
                    if taken > 0:
                        strike_off(book, desk, j)
                else:
                    found, left_out = best_of_column(columns, book, desk, j, free)
                    size = annotator.stop - annotator.start
                    read += size
                    price[j] = min(price[j], left_out)
                    if lists:
                        desk.listed[j].size = UNLISTED
                    arcs = columns[annotator.start :]
                    at, _ = bid(book, desk, j, arcs, found, eps, False, at)
                    if lists and size >= LONG:
                        note(columns, book, desk, j, left_out, eps)
                bids += found
            at = call(book, desk, j, at)
        base = other
        count = at - other
    for t in range(base, base + count):
        annotators[offers[t]].offered = 0
    desk.counters[REVERSE_BIDS] += bids
    desk.counters[REVERSE_EDGES] += read
    return read
