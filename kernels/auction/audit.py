"""Between two stages: what is proven so far, and which held arcs the next ε no longer justifies.

One pass over the arcs gives, at the present prices,

* the dual bound ``D(p) = Σ_j c_j p_j + Σ_i (sum of the d_i best positive surpluses of row i)``, which no assignment can
  exceed, whatever the prices (weak duality);
* for each task the interval of profits that justify what it holds: from ``U``, the best surplus it does not hold, to
  the worst surplus it holds plus ε.  The profit is set to the lower end of what is allowed;
* the tasks for which that interval is empty by more than 2ε (`unhappy`), and those that still want to bid.

The bound is taken from the prices and the input alone, never from profits, so that no slip in the bookkeeping can make
it too small.
"""

import numpy as np
from numba import njit

from kernels.auction.layout import AUDIT_EDGES
from kernels.auction.select import best
from kernels.auction.slots import release_slot


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def primal(book):
    """Value of the held arcs."""
    total = 0.0
    for j in range(book.fill.size):
        for t in range(book.slot_start[j], book.slot_start[j] + book.fill[j]):
            total += book.slot_value[t]
    return total


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def slot_cost(book):
    """The annotators' part of the dual bound, Σ c p."""
    total = 0.0
    for j in range(book.price.size):
        if book.capacity[j] > 0:
            total += book.capacity[j] * book.price[j]
    return total


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def top_sum(surplus, size, d, desk):
    """Sum of the `d` best positive entries of ``surplus[:size]``."""
    found, _ = best(surplus, size, d, desk.pick, desk.pick_key)
    total = 0.0
    for t in range(found):
        total += surplus[desk.pick[t]]
    return total


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def audit(edges, book, desk, eps):
    """Refresh profits for `eps`, list the tasks that are unhappy and those that want to bid.

    Returns
    -------
    bound : the dual bound at the present prices; ``desk.kept`` holds its rows
    wanting : number of tasks written to ``desk.queue``: need left and a positive surplus
    unhappy : number of tasks written to ``desk.unhappy``; their profit is set to their best surplus
    """
    indptr, indices, values = edges
    price = book.price
    surplus = desk.surplus
    bound = slot_cost(book)
    wanting = 0
    unhappy = 0
    for i in range(book.need.size):
        d = book.demand[i]
        if d == 0:
            book.profit[i] = np.inf
            desk.kept[i] = 0.0
            continue
        low = indptr[i]
        value = values[low : indptr[i + 1]]
        column = indices[low : indptr[i + 1]]
        for c in range(value.size):
            surplus[c] = value[c] - price[column[c]]
        first = book.row_start[i]
        desk.kept[i] = top_sum(surplus, value.size, d, desk)
        bound += desk.kept[i]
        worst = np.inf
        for t in range(first, first + d - book.need[i]):
            c = book.row_arc[t] - low
            if surplus[c] < worst:
                worst = surplus[c]
            surplus[c] = -1.0
        outside = 0.0
        for c in range(value.size):
            outside = surplus[c] if surplus[c] > outside else outside
        if worst < outside - 2.0 * eps:
            book.profit[i] = outside
            desk.unhappy[unhappy] = i
            unhappy += 1
            continue
        book.profit[i] = outside if outside < worst + eps else worst + eps
        if book.need[i] > 0 and outside > 0.0:
            desk.queue[wanting] = i
            wanting += 1
    desk.counters[AUDIT_EDGES] += values.size
    return bound, wanting, unhappy


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def drop(edges, book, desk, eps, unhappy, wanting):
    """Release the arcs that break (2) at `eps`; their tasks join the `wanting` first of ``desk.queue``."""
    for u in range(unhappy):
        i = desk.unhappy[u]
        least = book.profit[i] - eps
        first = book.row_start[i]
        t = first
        while t < first + book.demand[i] - book.need[i]:
            k = book.row_arc[t]
            j = edges.indices[k]
            if edges.values[k] - book.price[j] < least:
                release_slot(book, j, k)
                book.row_arc[t] = book.row_arc[first + book.demand[i] - book.need[i] - 1]
                book.need[i] += 1
            else:
                t += 1
        desk.queue[wanting] = i
        wanting += 1
    return wanting
