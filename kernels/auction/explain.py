"""Why this pair: what the prices say about an assignment, and what it would take to change it.

At the prices ``p`` of a solved market a task takes its best surpluses ``w − p``.  That gives each pair an
explanation that needs no search: the *price* the annotator's slot commands, the *runner-up*, the candidate
whom the task would take instead, and the *margin*, how far the pair's surplus lies above the runner-up's
(or, for a pair not taken, how far below the last that counted).

The margin is a safe distance: a smaller change of the pair's value alters the dual bound exactly as it
alters the assignment's value, so the assignment stays optimal, within the gap that was proven before.  The
exact distance can be larger, because the rest of the market may rearrange itself: `flip` re-solves without
the pair (or with it) and returns the value at which the optimum changes.  This is sensitivity analysis of
linear programs: V. Chvátal, Linear Programming (1983), ch. 10.
"""

from typing import NamedTuple

import numpy as np

from kernels.auction.compiling import entry
from kernels.auction.market_arrays import Case
from kernels.auction.solver import Solution, solve
from kernels.auction.validation import check_array, check_market, check_price


class Explanation(NamedTuple):
    """One entry per arc of the market."""

    price: np.ndarray
    """float64: price of a slot of the arc's annotator."""
    margin: np.ndarray
    """float64: change of the value (down if held, up if not) below which the assignment stays optimal."""
    runner_up: np.ndarray
    """int32: for a held arc, the annotator whom the task would take instead, or −1."""


@entry
def explain_kernel(case, held, price, out):
    """Fill the columns of an `Explanation`."""
    indptr, indices, values, demand, capacity = case
    prices, margin, runner_up = out
    for i in range(demand.size):
        outside = 0.0
        second = np.int32(-1)
        least = np.inf
        count = 0
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            prices[k] = price[j]
            s = values[k] - price[j]
            if held[k]:
                count += 1
                least = min(least, s)
            elif capacity[j] > 0 and s > outside:
                outside = s
                second = j
        full = count == min(demand[i], indptr[i + 1] - indptr[i])
        for k in range(indptr[i], indptr[i + 1]):
            s = values[k] - price[indices[k]]
            if held[k]:
                margin[k] = max(s - outside, 0.0)
                runner_up[k] = second
            elif demand[i] <= 0 or capacity[indices[k]] <= 0:
                margin[k] = np.inf
                runner_up[k] = -1
            else:
                margin[k] = max((least if full else 0.0) - s, 0.0)
                runner_up[k] = -1


def explain(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, demand: np.ndarray, capacity: np.ndarray,
    held: np.ndarray, price: np.ndarray,
) -> Explanation:  # fmt: skip
    """Price, margin and runner-up of every arc under an assignment and its prices.

    Parameters
    ----------
    indptr, indices, values, demand, capacity : the market, as for `solve`
    held, price : its solution

    Returns
    -------
    Explanation
    """
    check_market(indptr, indices, values, demand, capacity)
    check_array("held", held, [np.uint8], indices.size)
    check_price("price", price, capacity.size)
    nnz = indices.size
    out = Explanation(np.empty(nnz, np.float64), np.empty(nnz, np.float64), np.empty(nnz, np.int32))
    explain_kernel(Case(indptr, indices, values.astype(np.float64, copy=False), demand, capacity), held, price, out)
    return out


def flip(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, demand: np.ndarray, capacity: np.ndarray,
    solution: Solution, arc: int, *, gap_tol: float = 0.0, abs_tol: float = 0.0,
) -> float:  # fmt: skip
    """Least change of an arc's value at which the optimum takes another decision about it.

    Solves the market once more, from the given solution, with the opposite decision enforced: a held arc is
    removed, another one is taken out together with one unit of its task and of its annotator.

    Parameters
    ----------
    indptr, indices, values, demand, capacity : the market, as for `solve`
    solution : Solution
    arc : int
    gap_tol, abs_tol : target of the second solve; the answer is exact within the two gaps

    Returns
    -------
    float
        How far the value must fall (held) or rise (not held); +inf if no value makes the pair possible.
    """
    values = values.astype(np.float64)
    demand = demand.copy()
    capacity = capacity.copy()
    task = int(np.searchsorted(indptr, arc, side="right")) - 1
    enforced = 0.0
    if not solution.held[arc]:
        if demand[task] <= 0 or capacity[indices[arc]] <= 0:
            return np.inf
        enforced = values[arc]
        demand[task] = min(demand[task], indptr[task + 1] - indptr[task]) - 1
        capacity[indices[arc]] -= 1
    held = solution.held.copy()
    values[arc] = 0.0
    held[arc] = 0
    other = solve(
        indptr, indices, values, demand, capacity,
        price=solution.price, held=held, gap_tol=gap_tol, abs_tol=abs_tol,
    )  # fmt: skip
    return solution.primal - other.primal - enforced
