"""Between two stages: what is proven so far, and which held arcs the next ε no longer justifies.

One pass over the arcs gives, at the present prices,

* the dual bound ``D(p) = Σ_j c_j p_j + Σ_i (sum of the d_i best positive surpluses of row i)``, which no
  assignment
  can exceed, whatever the prices (weak duality);
* for each task the interval of profits that justify what it holds: from ``outside``, the best surplus it
  does not
  hold, to ``worst``, the least surplus it holds, plus ε.  The profit is set to the lower of the two;
* the tasks for which that interval is empty by more than ε, or all negative (`unhappy`), and those that still
  want to bid.

The bound is taken from the prices and the input alone, never from profits, so that no slip in the
bookkeeping can make it too small.  Where nothing outside beats what a task holds, the held arcs *are* its
best, and no search is needed.
"""

import numpy as np

from kernels.auction.compiling import inlined, inner
from kernels.auction.forward import best_of_row, look
from kernels.auction.market_arrays import AUDITS
from kernels.auction.select import best
from kernels.auction.slots import clear_slot, release_slot


@inner
def primal(book):
    """Value of the held arcs."""
    total = 0.0
    for j in range(book.annotators.size):
        first = book.annotators[j].first
        for t in range(first, first + book.annotators[j].fill):
            total += book.slots[t].value
    return total


@inlined
def cost_of(book, j):
    """What annotator `j` adds to `slot_cost`, without a branch.

    +inf is the price of annotators without a slot, and of nobody else (`scaling.tame`).  If somebody with slots has it
    all the same, the sum is +inf and the caller raises: an unknown price proves nothing.
    """
    cost = book.annotators[j].capacity * book.price[j]
    return cost if book.annotators[j].capacity > 0 else 0.0


@inner
def slot_cost(book):
    """The annotators' part of the dual bound, Σ c p: four sums, so that additions do not wait for each other."""
    n = book.price.size
    a = b = c = d = 0.0
    for j in range(0, n - 3, 4):
        a += cost_of(book, j)
        b += cost_of(book, j + 1)
        c += cost_of(book, j + 2)
        d += cost_of(book, j + 3)
    for j in range(n - n % 4, n):
        a += cost_of(book, j)
    return (a + b) + (c + d)


@inlined
def look_at_held(book, desk, i):
    """Surpluses of what task `i` holds, into ``desk.saved``; returns number, sum of positives, least."""
    task = book.tasks[i]
    held = task.demand - task.need
    total = 0.0
    worst = np.inf
    for t in range(held):
        s = book.row_value[task.first + t] - book.price[book.row_column[task.first + t]]
        desk.saved[t] = s
        total += max(s, 0.0)
        worst = min(worst, s)
    return held, total, worst


@inner
def merge(desk, held, size, d):
    """Sum and least of the `d` best among ``desk.surplus[:size]`` and the `held` in ``desk.saved``."""
    for t in range(held):
        desk.surplus[size + t] = max(desk.saved[t], 0.0)
    found, _ = best(desk.surplus, size + held, d, desk.pick, desk.pick_key)
    total = 0.0
    least = np.inf
    for t in range(found):
        total += desk.pick_key[t]
        least = min(least, desk.pick_key[t])
    return total, least if found == d else 0.0


@inlined
def look_around(edges, book, desk, i):
    """Write what task `i` keeps at the present prices, and find the profits that justify what it holds.

    ``desk.kept[i]`` becomes the sum of its best positive surpluses, ``desk.least[i]`` the smallest of them.

    Returns
    -------
    outside : best surplus it does not hold, or 0.0
    worst : least surplus it holds, or +inf
    """
    _, outside = best_of_row(edges, book, desk, i, np.int64(0))
    held, kept, worst = look_at_held(book, desk, i)
    least = max(worst, 0.0) if book.tasks[i].need == 0 else 0.0
    if outside > 0.0 and (book.tasks[i].need > 0 or outside > worst):
        size = look(edges, book, desk, i)
        kept, least = merge(desk, held, size, np.int64(book.tasks[i].demand))
    desk.kept[i] = kept
    desk.least[i] = least
    return outside, worst


@inner
def audit_rows(edges, book, desk, eps, start, stop):
    """Audit the tasks from `start` to `stop`.

    Returns
    -------
    kept : what these tasks keep at the present prices; ``desk.kept`` holds the parts
    wanting : number of tasks written to ``desk.queue``: need left and a positive surplus
    unhappy : number of tasks written to ``desk.unhappy``; their profit is set to their best surplus
    """
    total = 0.0
    wanting = 0
    unhappy = 0
    for i in range(start, stop):
        desk.kept[i] = 0.0
        if book.tasks[i].demand == 0:
            book.profit[i] = np.inf
            continue
        outside, worst = look_around(edges, book, desk, i)
        total += desk.kept[i]
        if worst < max(outside - 2.0 * eps, -eps):  # the second: a profit is never negative
            book.profit[i] = outside
            desk.unhappy[unhappy] = i
            unhappy += 1
        else:
            book.profit[i] = max(min(outside, worst + eps), 0.0)
            if book.tasks[i].need > 0 and outside > 0.0:
                desk.queue[wanting] = i
                wanting += 1
    return total, wanting, unhappy


@inner
def audit(edges, book, desk, eps):
    """Audit all tasks; the first result is the dual bound at the present prices."""
    desk.counters[AUDITS] += 1
    kept, wanting, unhappy = audit_rows(edges, book, desk, eps, np.int64(0), np.int64(book.tasks.size))
    return slot_cost(book) + kept, wanting, unhappy


@inner
def drop(book, desk, eps, unhappy, wanting):
    """Release the arcs that break (2) at `eps`; their tasks join the `wanting` first of ``desk.queue``."""
    for u in range(unhappy):
        i = desk.unhappy[u]
        least = book.profit[i] - eps
        task = book.tasks[i]
        t = task.first
        while t < task.first + task.demand - task.need:
            j = np.int64(book.row_column[t])
            if book.row_value[t] - book.price[j] < least:
                release_slot(book, j, np.int64(book.row_arc[t]))
                clear_slot(book, task, t)
            else:
                t += 1
        desk.queue[wanting] = i
        wanting += 1
    return wanting
