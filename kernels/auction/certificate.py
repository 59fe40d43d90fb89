"""The judge: how far any assignment can be from the optimum, under any prices.

For prices ``p ≥ 0``, weak duality bounds the value of every feasible assignment by

    D(p) = Σ_j c_j p_j + Σ_i (sum of the d_i largest positive  w_k − p_j  in row i)

because a task that takes at most d_i arcs keeps at most the second sum and pays the rest as prices, of
which annotator j receives at most c_j p_j.  The gap ``(D − P) / D`` of an assignment of value ``P``
therefore needs no trust in the solver: it is computed from the input, the held arcs and the
prices.  Nothing here is shared with the solver's own bookkeeping.

Tasks may be grouped, and a group g hold b_g arcs at most.  Of the arcs that its tasks would keep, each its d_i best,
the group then keeps the b_g best, and the same argument holds.

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


@allocating
def slots_and_rows(indptr, indices, values, demand, capacity, price):
    """D(p): what all slots cost, and what all rows keep."""
    widest = 1
    for i in range(demand.size):
        widest = max(widest, min(demand[i], indptr[i + 1] - indptr[i]))
    largest = np.empty(widest, np.float64)
    bound = 0.0
    for j in range(capacity.size):
        if capacity[j] > 0:
            bound += capacity[j] * price[j]
    for i in range(demand.size):
        d = min(max(demand[i], 0), indptr[i + 1] - indptr[i])
        if d > 0:
            bound += row_bound(indptr, indices, values, i, d, capacity, price, largest)
    return bound


@allocating
def keep_rows(indptr, indices, values, demand, capacity, price, start, kept):
    """What each row would keep, its best surpluses first: row i in ``kept[start[i]:start[i + 1]]``, zeros at first."""
    for i in range(demand.size):
        d = start[i + 1] - start[i]
        if d > 0:
            row_bound(indptr, indices, values, i, d, capacity, price, kept[start[i] : start[i + 1]])


def dual_bound(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, demand: np.ndarray, capacity: np.ndarray,
    price: np.ndarray, *, group: np.ndarray | None = None, budget: np.ndarray | None = None,
) -> float:  # fmt: skip
    """The bound that the prices prove: no assignment of this market is worth more.

    Parameters
    ----------
    indptr, indices, values, demand, capacity
        The market, as for `solve`; not checked.
    price : float64[n]
        Any prices ≥ 0; those of annotators without capacity do not matter.
    group : int64[m], optional
        The group of each task, or −1.
    budget : int64[groups], optional
        How many arcs the tasks of each group may take together.

    Returns
    -------
    float

    Examples
    --------
    Two tasks, two annotators, prices of 1; if both tasks draw on a budget of one arc, only the better one counts.

    >>> import numpy as np
    >>> market = (np.array([0, 2, 4]), np.array([0, 1, 0, 1], np.int32), np.array([9.0, 5.0, 7.0, 6.0]),
    ...           np.array([1, 1]), np.array([1, 1]))
    >>> dual_bound(*market, np.ones(2))
    16.0
    >>> dual_bound(*market, np.ones(2), group=np.array([0, 0]), budget=np.array([1]))
    10.0
    """
    if group is None:
        return slots_and_rows(indptr, indices, values, demand, capacity, price)
    longest = np.clip(np.minimum(demand, np.diff(indptr)), 0, None)
    start = np.concatenate(([0], np.cumsum(longest)))
    kept = np.zeros(int(start[-1]))
    keep_rows(indptr, indices, values, demand, capacity, price, start, kept)
    owner = np.repeat(group, longest)
    wanted = np.bincount(owner[(owner >= 0) & (kept > 0.0)], minlength=budget.size)
    able = capacity > 0
    return float(capacity[able] @ price[able] + kept.sum() - beyond(kept, owner, wanted > budget, budget))


def beyond(kept: np.ndarray, owner: np.ndarray, short: np.ndarray, budget: np.ndarray) -> float:
    """What groups that are `short` would keep beyond the best `budget` of theirs."""
    mine = np.flatnonzero((owner >= 0) & short[owner])
    owner, kept = owner[mine], kept[mine]
    order = np.lexsort((-kept, owner))
    owner, kept = owner[order], kept[order]
    place = np.arange(owner.size) - np.searchsorted(owner, owner)
    return kept[place >= np.maximum(budget, 0)[owner]].sum()


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
