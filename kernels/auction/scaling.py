"""ε-scaling: from a coarse auction to the target gap.

With a small ε from the start, tasks that compete for the same annotators raise the price in tiny steps
("price wars").  So the first auction runs at a coarse ε, and each further one at ε / `THETA`, from the
prices and the held arcs of the last.  Arcs that the smaller ε no longer justifies are released first
(`audit.drop`).  Every phase runs forward *and* reverse: leaving the reverse stage to the last phases costs
up to 25 times as much on markets of identical annotators.

Either order of the two stages is right: forward never empties a full column, reverse never empties a full
row, so each keeps what the other has established.  A coarse phase leaves prices too high, and what `drop`
has released is placed best by letting prices fall, so later phases begin with reverse (a third of the bids
on identical annotators, half on a line).  Not so in a market that is not
crowded, nor where columns are much longer than rows: there an annotator's bid costs much more than a task's.

It stops as soon as ``bound − primal ≤ max(gap_tol · bound, abs_tol)``.  Where integers are to be solved to the
proven optimum (``gap_tol=0``, ``abs_tol < 1``), the last phases are left to shortest paths (`finish`), tried once
at a gap where that is cheap in most markets, and again nearer the optimum where it was not.  ε is never taken below
``1e-13`` of the largest value, where float64 can no longer tell bids apart.

The coarse ε is relative to the mean over tasks of their best value (not to the maximum: one huge value must
not coarsen the rest).  Crowded markets (more demand than slots) start at 0.3 of it, balanced ones
at 0.08; where annotators abound, hardly anybody competes and 0.003 solves the market at once.
"""

import numpy as np

from kernels.auction.audit import audit, drop, primal
from kernels.auction.columns import transpose
from kernels.auction.compiling import inner, merged
from kernels.auction.finish import finish, integral
from kernels.auction.forward import forward
from kernels.auction.market_arrays import EPS_FLOOR, OPTIMAL, PHASES, WORK_LIMIT
from kernels.auction.reverse import reverse
from kernels.auction.slots import dear_and_idle, unfilled

THETA = 5.0
AIM = 0.8
"""The gap shrinks about as ε does: the last ε is chosen to leave this part of the target, not as small as it goes."""

FINISH_FROM, NEARER = 1e-3, 1e-2
"""The exact finish is tried when the gap is below `FINISH_FROM`, and again when it is `NEARER` times that."""

LAST_EARLY = FINISH_FROM * NEARER
LONG_FINISH_FROM = 1e-6
"""With long columns what the finish releases takes longer than the phases that it saves."""

FLOOR = 1e-13
CROWDED = 1.2
"""Units wanted per slot from which a market is crowded."""

LONG_COLUMNS = 8
"""Columns this many times as long as rows are long."""


@inner
def coarse_eps(edges, book):
    """First ε, the largest positive value (0 if there is none), and whether the market is crowded."""
    indptr, _, values = edges
    largest = 0.0
    total = 0.0
    rows = 0
    units = 0
    slots = 0
    for i in range(book.tasks.size):
        if book.tasks[i].demand > 0:
            top = 0.0
            for k in range(indptr[i], indptr[i + 1]):
                top = values[k] if values[k] > top else top
            if top > 0.0:
                total += top
                rows += 1
                units += book.tasks[i].demand
                largest = max(largest, top)
    for j in range(book.annotators.size):
        slots += book.annotators[j].capacity
    load = units / max(slots, 1)
    share = 0.3 if load >= CROWDED else 0.08 if load >= 0.8 else 0.02 if load >= 0.4 else 0.003
    return share * (total / max(rows, 1)), largest, load >= CROWDED


@inner
def tame(book, largest):
    """Lower unknown prices to the largest value: at it, too, nobody bids, and the bound is finite from the start."""
    for j in range(book.price.size):
        if book.annotators[j].capacity > 0:
            book.price[j] = min(book.price[j], largest)


@inner
def copy_to(source, target):
    """``target[:] = source`` without the temporary copy that Numba makes of it."""
    for t in range(target.size):
        target[t] = source[t]


@merged
def run(auction, warm, targets):
    """Phases until the target is met.

    Returns
    -------
    status, bound, eps : the prices of the bound are in ``desk.best_price``, its rows in ``desk.best_kept``
    """
    edges, columns, book, desk, _ = auction
    gap_tol, abs_tol, max_work = targets
    for j in range(book.price.size):
        desk.best_price[j] = 0.0 if book.annotators[j].capacity > 0 else np.inf
    eps, largest, crowded = coarse_eps(edges, book)
    if largest == 0.0:
        desk.best_kept[:] = 0.0
        return OPTIMAL, 0.0, 0.0
    tame(book, largest)
    floor = largest * FLOOR
    bound = np.inf
    wanting = 0
    unhappy = 0
    work = 0
    transposed = False
    exact = gap_tol == 0.0 and abs_tol < 1.0 and integral(edges, largest)
    finishing = False
    finish_from = FINISH_FROM if book.tasks.size <= LONG_COLUMNS * book.annotators.size else LONG_FINISH_FROM
    if warm:
        _, wanting, unhappy = audit(edges, book, desk, eps)
    else:
        for i in range(book.tasks.size):
            if book.tasks[i].need > 0:
                desk.queue[wanting] = i
                wanting += 1
    reverse_first = crowded and book.tasks.size <= LONG_COLUMNS * book.annotators.size
    while True:
        first_phase = desk.counters[PHASES] == 0
        desk.counters[PHASES] += 1
        wanting = drop(book, desk, eps, unhappy, wanting)
        if not finishing and (first_phase or not reverse_first):
            work += forward(edges, book, desk, wanting, eps, max_work - work)
        idle = dear_and_idle(book, desk)
        if (finishing or idle > 0) and not transposed:
            transpose(edges, book.annotators, columns, desk.offers[book.price.size :])
            transposed = True
        if finishing:
            work += finish(auction, finish_from >= LAST_EARLY, eps, max_work - work)
        elif idle > 0:
            work += reverse(columns, book, desk, idle, eps, max_work - work)
        if reverse_first and not first_phase and not finishing:
            work += forward(edges, book, desk, unfilled(book, desk), eps, max_work - work)
        next_eps = max(eps / THETA, floor)
        now, wanting, unhappy = audit(edges, book, desk, next_eps)
        if now < bound:
            bound = now
            copy_to(book.price, desk.best_price)
            copy_to(desk.kept, desk.best_kept)
        if bound - primal(book) <= max(gap_tol * bound, abs_tol):
            return OPTIMAL, bound, eps
        if work >= max_work:
            return WORK_LIMIT, bound, eps
        finishing = exact and bound - primal(book) <= finish_from * bound
        if finishing:
            finish_from *= NEARER
        elif eps <= floor:
            return EPS_FLOOR, bound, eps
        eps = max(next_eps, min(0.5, AIM * gap_tol * bound / (bound - primal(book))) * eps)
