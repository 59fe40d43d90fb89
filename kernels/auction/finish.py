"""From nearly optimal to optimal on an integer grid: shortest augmenting paths, with the auction's prices.

An auction proves the optimum of integer values only once ε is below the grid by the number of pairs; its last
phases move the same few people again and again by less than a grid step.  Here they are replaced by the
Hungarian finish of Jonker and Volgenant, generalised to demands, capacities and staying out.

Prices are rounded down to the grid, each task's profit is set to the best surplus it does not hold, and what
it holds below that is released.  Then complementary slackness, (1) and (2) of `layout`, holds exactly, with
integers; what is missing is (3) and (4): tasks with need and a profit, annotators with a free slot and a
price.  `paths.settle` repairs each of them by a path of least cost.  All lengths, and so all duals, are integers
below 2⁵³, which float64 adds exactly: at the end bound and value are equal.

R. Jonker and A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
problems", Computing 38 (1987); D. P. Bertsekas, Network Optimization (1998), §7.5, for starting it from an
auction.
"""

import numpy as np

from kernels.auction.compiling import inner
from kernels.auction.forward import best_of_row
from kernels.auction.paths import settle
from kernels.auction.slots import dear_and_idle, release_row, release_slot, unfilled

EARLY_PATIENCE, PATIENCE = 4, 32
"""All arcs may be read so many times; an early attempt gives up sooner."""

EXACT_BELOW = 2.0**50
"""Sums of a few values below this are exact in float64."""


@inner
def integral(edges, largest_value):
    """Whether all values worth taking are integers, small enough to be added exactly."""
    whole = largest_value < EXACT_BELOW
    for k in range(edges.values.size):
        w = edges.values[k]
        whole &= not w > 0.0 or w == np.floor(w)
    return whole


@inner
def round_down(edges, book, desk):
    """Integer prices and profits under which what is held is optimal as far as it goes."""
    for j in range(book.price.size):
        book.price[j] = np.floor(book.price[j])
    for i in range(book.tasks.size):
        task = book.tasks[i]
        if task.demand > 0:
            _, outside = best_of_row(edges, book, desk, np.int64(i), np.int64(0))
            book.profit[i] = outside
            t = task.first
            while t < task.first + task.demand - task.need:
                k, j = np.int64(book.row_arc[t]), np.int64(book.row_column[t])
                if book.row_value[t] - book.price[j] < outside:
                    release_slot(book, j, k)
                    release_row(book, np.int64(i), k)
                else:
                    t += 1


@inner
def finish(auction, early, eps, max_edges):
    """Repair (3) and (4) exactly, path by path; returns the number of arcs read.

    Stops early once more than `max_edges` arcs have been read, or where paths turn out to be so long that another
    phase of the auction is cheaper, sooner in an `early` attempt; the state is then still feasible.
    """
    edges, _, book, desk, _ = auction
    round_down(edges, book, desk)
    limit = min(max_edges, (EARLY_PATIENCE if early else PATIENCE) * edges.indices.size)
    waiting = unfilled(book, desk)
    idle = dear_and_idle(book, desk)
    radius = max(np.floor(eps), 1.0)
    _, _, read = settle(auction, waiting, idle, radius, 0.0, limit)
    return read + edges.indices.size
