"""One round of a persistent market: re-solve what changed, prove the whole.

    changed tasks bid → annotators left dear and idle bid → fresh bound → done, or a smaller ε

The bound is recomputed every round from the current arcs and prices.  A row of it, the sum of the task's
best surpluses, can change only if a price moved whose arc is, or becomes, one of these best: only such rows
are read again.  The sum over all rows is taken afresh, in the order of a full pass, so it equals the full
pass bit for bit and cannot drift. When most prices have moved, the full pass is cheaper.

The first round is cold.  Later ones keep their ε between rounds and steer it by the gap they leave: when
the gap nears its target, new bids use a smaller ε and a slice of the tasks is audited at it (`polish`), so
that the market tightens a little in every round instead of all at once in an unlucky one.  If the gap is
missed nevertheless, all tasks are audited and ε is divided by 2 until it is met.
"""

from typing import NamedTuple

import numpy as np

from kernels.auction.audit import audit, audit_rows, drop
from kernels.auction.bound import fresh_bound, worth
from kernels.auction.compiling import entry, inner
from kernels.auction.forward import best_of_row, forward
from kernels.auction.market_arrays import EPS_FLOOR, FORWARD_EDGES, OPTIMAL, PHASES, WORK_LIMIT
from kernels.auction.paths import FIRST_RADIUS, settle
from kernels.auction.reverse import reverse
from kernels.auction.scaling import FLOOR, LONG_COLUMNS, THETA, coarse_eps, tame
from kernels.auction.slots import dear_and_idle, unfilled

WARM_THETA = 2.0
RAISE_BELOW, POLISH_ABOVE, LOWER_ABOVE = 0.65, 0.75, 0.85
"""Shares of the target gap: below the first ε grows, above the second a slice of the tasks is audited, above the
third ε shrinks; changes may be left unsettled up to the second."""

WAR = 64
"""A round whose first bids have read all arcs this many times is a price war: it goes on from a coarse ε."""

PATH_PRICE = 1.5
"""Paths may read 1/1.5 of the arcs that bids read per change: an arc takes longer there, and they may fail."""

PAUSE_AFTER = 128.0
"""Rounds of bids alone after paths have failed: rare enough that a failure is not among the slowest in a hundred."""

SLICES = 64
"""A polished round audits 1/64 of the tasks."""

EPS, SCALE, FIRST_DONE, CURSOR, LAST_GAP, SHARE, USUAL, PAUSE, SPARE_VALUE, MEMORY = range(10)
"""Positions in the memory that a market keeps between rounds, and its length."""


@inner
def welcome(edges, book, desk, waiting):
    """Give waiting tasks the profit that present prices allow, so that idle annotators may ask them."""
    for t in range(waiting):
        i = np.int64(desk.queue[t])
        if book.profit[i] == np.inf and book.tasks[i].demand > 0:
            _, book.profit[i] = best_of_row(edges, book, desk, i, np.int64(0))


@inner
def polish(edges, book, desk, memory, touched, waiting, eps):
    """Audit the next 1/`SLICES` of the tasks and let the unhappy ones bid; returns how many wait."""
    m = np.int64(book.tasks.size)
    start = np.int64(memory[CURSOR])
    if start >= m:
        start = np.int64(0)
    stop = min(m, start + m // SLICES + 1)
    memory[CURSOR] = stop
    for t in range(waiting):  # the audit writes its own list over the queue
        desk.queue[m + t] = desk.queue[t]
    _, _, unhappy = audit_rows(edges, book, desk, eps, start, stop)
    for t in range(waiting):
        desk.queue[t] = desk.queue[m + t]
    for i in range(start, stop):
        touched[i] = 1
    fresh = np.int64(0)
    for u in range(unhappy):
        i = desk.unhappy[u]
        if book.tasks[i].queued == 0:
            desk.unhappy[fresh] = i
            fresh += 1
    return drop(book, desk, eps, fresh, waiting)


@inner
def by_paths(auction, memory, waiting, idle, max_edges):
    """Try to settle all changes by paths, at no more than bids usually cost.

    Returns how many tasks still wait, whether the rest is small enough to leave, what it costs, and the arcs read.
    """
    usual = np.int64(memory[USUAL] * (waiting + idle) / PATH_PRICE)
    budget = max(memory[SPARE_VALUE], 0.0)
    radius = FIRST_RADIUS * memory[EPS]
    waiting, cost, read = settle(auction, waiting, idle, radius, budget, min(usual, max_edges))
    auction.desk.counters[FORWARD_EDGES] += read
    if cost > budget:
        memory[PAUSE] = PAUSE_AFTER
    return waiting, cost <= budget, cost, read


@inner
def note_usual(memory, units, edges_read):
    """Remember what bids cost per unsettled task or annotator."""
    if units > 0:
        now = edges_read / units
        memory[USUAL] = now if memory[USUAL] == 0.0 else 0.75 * memory[USUAL] + 0.25 * now
    memory[PAUSE] = max(memory[PAUSE] - 1.0, 0.0)


class Notes(NamedTuple):
    """What a market remembers from one round to the next."""

    memory: np.ndarray  # float64[MEMORY]
    seen: np.ndarray  # float64[n], the prices of the last bound
    touched: np.ndarray  # uint8[m], 1 for rows that are others than then


@entry
def round_kernel(auction, notes, waiting, targets):
    """Solve and prove; see the module.  Returns status, value, bound, ε and how many tasks still wait."""
    edges, columns, book, desk, _ = auction
    memory, seen, touched = notes
    gap_tol, abs_tol, max_work = targets
    desk.counters[:] = 0
    warm = memory[FIRST_DONE] > 0.0
    if warm:
        coarse, scale = memory[EPS], memory[SCALE]
    else:
        coarse, scale, _ = coarse_eps(edges, book)
    if scale == 0.0:
        for j in range(book.price.size):
            if book.annotators[j].capacity > 0:
                book.price[j] = 0.0
        for t in range(waiting):
            book.tasks[desk.queue[t]].queued = 0
        return OPTIMAL, 0.0, 0.0, 0.0, np.int64(0)
    eps = coarse
    theta = WARM_THETA if warm else THETA
    floor = scale * FLOOR
    bound = np.inf
    work = 0
    unhappy = 0
    first_phase = True
    reverse_first = book.tasks.size <= LONG_COLUMNS * book.annotators.size
    calm = tried = False
    left = 0.0
    units = idle = np.int64(0)
    if warm:
        if memory[LAST_GAP] > POLISH_ABOVE:
            waiting = polish(edges, book, desk, memory, touched, waiting, eps)
        idle = dear_and_idle(book, desk)
        units = waiting + idle
        tried = memory[USUAL] > 0.0 and memory[PAUSE] == 0.0
        if reverse_first or tried:
            welcome(edges, book, desk, waiting)
        if tried:
            waiting, calm, left, work = by_paths(auction, memory, waiting, idle, max_work)
        for t in range(idle):  # who returns and has not been invited: as `tame`
            book.price[desk.offers[t]] = min(book.price[desk.offers[t]], scale)
    else:
        tame(book, scale)
    patience = min(max_work, WAR * (edges.indices.size + WAR)) if warm else max_work
    while True:
        desk.counters[PHASES] += 1
        if not calm:
            if not first_phase:
                waiting = drop(book, desk, eps, unhappy, waiting)
            if not (reverse_first and (warm or not first_phase)):
                work += forward(edges, book, desk, waiting, eps, patience - work)
            if tried or not (warm and first_phase and reverse_first):
                idle = dear_and_idle(book, desk)
            work += reverse(columns, book, desk, idle, eps, patience - work)
            if reverse_first and (warm or not first_phase):
                if not first_phase:
                    waiting = unfilled(book, desk)
                work += forward(edges, book, desk, waiting, eps, patience - work)
            if patience <= work < max_work:
                eps, _, _ = coarse_eps(edges, book)
                theta = THETA
                warm = False
            patience = max_work
            if warm and first_phase and not tried:
                note_usual(memory, units, work)
        now = -1.0
        value = worth(book)
        next_eps = max(eps / theta, floor)
        if warm and first_phase:
            now, memory[SHARE] = fresh_bound(edges, columns, book, desk, seen, touched, memory[SHARE])
        met = now >= 0.0 and now - value <= max(gap_tol * now, abs_tol)
        if calm and not met:
            calm = False  # what was left to the next round costs too much after all
            left = 0.0
            continue
        if not met:
            now, waiting, unhappy = audit(edges, book, desk, next_eps)
            memory[SHARE] = 1.0  # the audit has left other sums in the desk
        bound = now
        if bound - value <= max(gap_tol * bound, abs_tol):
            status = OPTIMAL
            waiting = waiting if calm else np.int64(0)
            break
        if work >= max_work:
            status = WORK_LIMIT
            break
        if eps <= floor:
            status = EPS_FLOOR
            break
        eps = next_eps
        first_phase = False
    target = max(gap_tol * bound, abs_tol)
    share = (bound - value - left) / target if target > 0.0 else 1.0
    if share < RAISE_BELOW and not calm:
        eps *= 1.05
    elif share > LOWER_ABOVE:
        eps = max(eps / 1.1, floor)
    memory[SPARE_VALUE] = (POLISH_ABOVE - share) * target
    memory[EPS] = eps
    memory[SCALE] = scale
    memory[FIRST_DONE] = 1.0
    memory[LAST_GAP] = share
    for t in range(waiting):
        book.tasks[desk.queue[t]].queued = 1
    return status, value, bound, eps, waiting
