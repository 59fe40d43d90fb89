"""The judge: how far any assignment can be from the optimum, under any prices.

For prices ``p ≥ 0``, weak duality bounds the value of every feasible assignment by

    D(p) = Σ_j c_j p_j + Σ_i (sum of the d_i largest positive  w_k − p_j  in row i)

because a task that takes at most d_i arcs keeps at most the second sum and pays the rest as prices, of
which annotator j receives at most c_j p_j.  The gap ``(D − P) / D`` of an assignment of value ``P``
therefore needs no trust in the solver: it is computed from the input, the held arcs and the
prices.  Nothing here is shared with the solver's own bookkeeping.

See D. P. Bertsekas, Network Optimization (1998), §4.2 and §7.1.
"""

import numpy as np

from kernels.auction.validation import check_array, check_market, check_price
from kernels.jit import allocating

FEASIBLE, ROW_OVER, COLUMN_OVER, WORTHLESS = 0, 1, 2, 3


@allocating
def row_bound(indptr, indices, values, i, d, capacity, price, largest):
    """Sum of the `d` largest positive surpluses of row `i`; `largest` is scratch of at least `d` elements."""
    found = 0
    for k in range(indptr[i], indptr[i + 1]):
        j = indices[k]
        if capacity[j] <= 0:
            continue
        s = values[k] - price[j]
        if not s > 0.0 or (found == d and s <= largest[d - 1]):
            continue
        if found < d:
            found += 1
        t = found - 1
        while t > 0 and largest[t - 1] < s:
            largest[t] = largest[t - 1]
            t -= 1
        largest[t] = s
    total = 0.0
    for t in range(found):
        total += largest[t]
    return total


@allocating
def certify(indptr, indices, values, demand, capacity, held, price):
    """Value and bound, and what is wrong with the assignment: kind and row or column (or −1)."""
    widest = 1
    for i in range(demand.size):
        widest = max(widest, min(demand[i], indptr[i + 1] - indptr[i]))
    largest = np.empty(widest, np.float64)
    taken = np.zeros(capacity.size, np.int64)
    fault = FEASIBLE
    where = -1
    value = 0.0
    bound = 0.0
    for j in range(capacity.size):
        if capacity[j] > 0:
            bound += capacity[j] * price[j]
    for i in range(demand.size):
        d = min(max(demand[i], 0), indptr[i + 1] - indptr[i])
        count = 0
        for k in range(indptr[i], indptr[i + 1]):
            if held[k]:
                count += 1
                taken[indices[k]] += 1
                value += values[k]
                if not values[k] > 0.0:
                    fault = WORTHLESS
                    where = k
        if count > d:
            fault = ROW_OVER
            where = i
        if d > 0:
            bound += row_bound(indptr, indices, values, i, d, capacity, price, largest)
    for j in range(capacity.size):
        if taken[j] > max(capacity[j], 0):
            fault = COLUMN_OVER
            where = j
    return value, bound, fault, where


def certificate(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, demand: np.ndarray, capacity: np.ndarray,
    held: np.ndarray, price: np.ndarray, *, check: bool = True,
) -> tuple[float, float, float]:  # fmt: skip
    """Value of an assignment, the bound that the prices prove, and the relative gap between them.

    Parameters
    ----------
    indptr, indices, values, demand, capacity
        The market, as for `solve`.
    held : uint8[nnz]
        The assignment: 1 where an arc is taken.
    price : float64[n]
        Any prices ≥ 0; those of annotators without capacity do not matter.
    check : bool
        Validate the input arrays.  Feasibility of the assignment is always checked.

    Returns
    -------
    primal, bound, gap : float
        ``gap = (bound − primal) / bound``, 0.0 if the bound is 0.

    Raises
    ------
    ValueError
        If the assignment exceeds a demand or a capacity or takes a worthless arc; TypeError or ValueError for
        malformed arrays.

    Examples
    --------
    >>> import numpy as np
    >>> market = (np.array([0, 2]), np.array([0, 1], np.int32), np.array([3.0, 4.0]), np.array([1]),
    ...           np.array([1, 1]))
    >>> certificate(*market, np.array([1, 0], np.uint8), np.zeros(2))
    (3.0, 4.0, 0.25)
    """
    if check:
        check_market(indptr, indices, values, demand, capacity)
        check_array("held", held, [np.uint8], indices.size)
        check_price("price", price, capacity.size)
    values = values.astype(np.float64, copy=False)
    value, bound, fault, where = certify(indptr, indices, values, demand, capacity, held, price)
    if fault == ROW_OVER:
        raise ValueError(f"held: task {where} has more annotators than its demand {demand[where]}")
    if fault == COLUMN_OVER:
        raise ValueError(f"held: annotator {where} has more tasks than the capacity {capacity[where]}")
    if fault == WORTHLESS:
        raise ValueError(f"held[{where}]: expected arcs of positive value, got {values[where]}")
    gap = (bound - value) / bound if bound > 0.0 else 0.0
    return value, bound, gap
