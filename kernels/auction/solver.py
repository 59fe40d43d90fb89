"""`solve`: one market from arrays to a certified assignment.

The Python side checks the input and hands flat buffers to one compiled call; the compiled side never
raises.  Buffers belong to the calling thread and are reused, so that a small market costs microseconds;
several threads may solve at the same time (the kernels release the GIL).
"""

from typing import NamedTuple

import numpy as np

from kernels.auction.audit import primal
from kernels.auction.compiling import entry, inner
from kernels.auction.market_arrays import Auction, Case, Edges, Targets
from kernels.auction.scaling import copy_to, run
from kernels.auction.slots import attach
from kernels.auction.validation import check_bound, check_market, check_start, check_targets, count_once
from kernels.auction.workspace import Workspace, carve, is_roomy, measure
from kernels.buffers import Overrun

NO_ROOM = -1
NO_LIMIT = np.iinfo(np.int64).max
_workspace = Workspace()


class Solution(NamedTuple):
    """A feasible assignment and the prices that prove how good it is."""

    held: np.ndarray
    """uint8[nnz]: 1 where the arc is taken."""
    price: np.ndarray
    """float64[n]: price of one slot of each annotator; +inf where the capacity is 0."""
    profit: np.ndarray
    """float64[m]: what each task keeps at these prices, the sum of its best positive surpluses."""
    primal: float
    """Value of the held arcs."""
    bound: float
    """Σ capacity · price + Σ profit: no assignment of this market is worth more."""
    gap: float
    """(bound − primal) / bound, or 0.0 if nothing can be earned."""
    status: int
    """0: the target gap is met; 1: `max_work` came first; 2: ε reached the floor of float64."""
    eps: float
    """The last ε."""
    bids: int
    """Bids by tasks."""
    reverse_bids: int
    """Bids by annotators."""
    phases: int
    """Values of ε that were used."""
    work: int
    """Arcs read by bids: the quantity that `max_work` limits."""


@inner
def open_book(edges, demand, capacity, price, held, book, desk):
    """Initialise the state from the given prices and held arcs; returns whether there were any.

    Demand is cut to the row's length, capacity to one more than the column's: an annotator with more slots
    than candidates can never be full, so its price is and stays 0.  Surplus holders are dropped in the
    order of rows.
    """
    indptr, indices, values = edges
    tasks = book.tasks
    annotators = book.annotators
    warm = False
    place = 0
    for j in range(annotators.size):
        length = np.int64(annotators[j].room - annotators[j].start)
        slots = min(max(capacity[j], 0), length + 1)
        annotators[j].first = place
        annotators[j].capacity = slots
        annotators[j].fill = 0
        annotators[j].heaped = 0
        annotators[j].offered = 0
        place += slots
        book.price[j] = 0.0 if slots > 0 else np.inf
        if price.size > 0 and price[j] > 0.0 and 0 < slots <= length:
            book.price[j] = price[j]
            warm = True
    place = 0
    for i in range(tasks.size):
        wanted = min(max(demand[i], 0), indptr[i + 1] - indptr[i])
        tasks[i].first = place
        tasks[i].demand = wanted
        tasks[i].need = wanted
        tasks[i].queued = 0
        place += wanted
        book.profit[i] = 0.0 if wanted > 0 else np.inf
        if held.size > 0:
            for k in range(indptr[i], indptr[i + 1]):
                j = indices[k]
                free = annotators[j].fill < annotators[j].capacity and tasks[i].need > 0
                if held[k] and free and values[k] > 0.0:
                    attach(book, i, j, k, values[k])
                    warm = True
    desk.counters[:] = 0
    return warm


class Found(NamedTuple):
    """What `solve_kernel` writes, see `Solution`."""

    held: np.ndarray
    price: np.ndarray
    profit: np.ndarray


@entry
def solve_kernel(case, price, held, targets, sizes, buffers, out):
    """Solve in the buffers of a `Workspace`; an empty `price` or `held` means none.

    Returns value, bound, status and the last ε; the status is `NO_ROOM`, and nothing has been written, if the buffers
    are too small for the sizes or one of the arrays for the market.
    """
    m, n, nnz = case.demand.size, case.capacity.size, case.indices.size
    enough = min(out.held.size, case.values.size) >= nnz and out.price.size >= n and out.profit.size >= m
    started = (price.size == 0 or price.size >= n) and (held.size == 0 or held.size >= nnz)
    if not (enough and started and is_roomy(buffers, m, n, nnz, sizes)):
        return 0.0, np.inf, NO_ROOM, 0.0
    edges = Edges(case.indptr, case.indices, case.values)
    book, desk, search = carve(buffers, m, n, sizes)
    warm = open_book(edges, case.demand, case.capacity, price, held, book, desk)
    status, bound, eps = run(Auction(edges, buffers.columns, book, desk, search), warm, targets)
    out.held[:] = 0
    for i in range(book.tasks.size):
        task = book.tasks[i]
        for t in range(task.first, task.first + task.demand - task.need):
            out.held[book.row_arc[t]] = 1
    copy_to(desk.best_price, out.price)
    copy_to(desk.best_kept, out.profit)
    return primal(book), bound, status, eps


_NO_PRICE = np.empty(0, np.float64)
_NO_HELD = np.empty(0, np.uint8)


def solve(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, demand: np.ndarray, capacity: np.ndarray, *,
    price: np.ndarray | None = None, held: np.ndarray | None = None,
    gap_tol: float = 1e-3, abs_tol: float = 0.0, max_work: int = NO_LIMIT, check: bool = True,
) -> Solution:  # fmt: skip
    """Assign annotators to tasks so that the total value is within a proven gap of the optimum.

    Parameters
    ----------
    indptr : int64[m + 1]
        Row ``i`` of the candidates is ``indptr[i]:indptr[i + 1]``.
    indices : int32[nnz]
        Annotator of each arc; no annotator twice in a row.
    values : float64[nnz] or float32[nnz]
        Value of each arc.  Values ≤ 0, NaN and −inf are never taken.
    demand : int64[m]
        How many different annotators each task wants at most.
    capacity : int64[n]
        How many tasks each annotator can take at most.
    price : float64[n], optional
        Prices to start from, ≥ 0 or +inf for "unknown"; any prices are safe, good ones are fast.
    held : uint8[nnz], optional
        Arcs to start from; surplus ones are dropped in the order of rows.
    gap_tol, abs_tol : float
        Stop when ``bound − primal ≤ max(gap_tol · bound, abs_tol)``.  With integer values, ``gap_tol=0,
        abs_tol=0.5`` proves the optimum.
    max_work : int
        Stop after about this many arcs have been read; counted, not timed, so that the result does not
        depend on the machine.
    check : bool
        Validate the input.  Without, the caller vouches for shapes, dtypes, contiguity and indices in range;
        an annotator who is twice in a row counts once, at the larger value.

    Returns
    -------
    Solution

    Raises
    ------
    TypeError, ValueError
        With what was expected and what came.
    ArithmeticError
        The auction has lost a price: an error of the program, and no result.
    Overrun
        Without `check`: a row or an annotator lies outside of the arrays.

    Examples
    --------
    Two tasks want the same annotator; the price of that annotator is what the loser would pay.

    >>> import numpy as np
    >>> s = solve(np.array([0, 2, 4]), np.array([0, 1, 0, 1], np.int32), np.array([9.0, 5.0, 7.0, 6.0]),
    ...           np.array([1, 1]), np.array([1, 1]), gap_tol=0.0, abs_tol=0.5)
    >>> s.held.tolist(), s.primal, s.status
    ([1, 0, 0, 1], 15.0, 0)
    >>> bool(s.bound - s.primal < 1)
    True
    """
    if check:
        check_market(indptr, indices, values, demand, capacity)
        check_start(indices.size, capacity.size, price, held)
        check_targets(gap_tol, abs_tol, max_work)
    if values.dtype != np.float64:
        values = values.astype(np.float64)
    space = _workspace
    space.grow(annotators=capacity.size)
    *sizes, repeated = measure(indptr, indices, demand, capacity, space.buffers.annotators)
    sizes = tuple(sizes)
    if repeated:
        values = count_once(indptr, indices, values)
    space.reserve(demand.size, capacity.size, indices.size, sizes)
    out = Found(
        np.empty(indices.size, np.uint8), np.empty(capacity.size, np.float64), np.empty(demand.size, np.float64)
    )
    value, bound, status, eps = solve_kernel(
        Case(indptr, indices, values, demand, capacity),
        _NO_PRICE if price is None else price, _NO_HELD if held is None else held,
        Targets(float(gap_tol), float(abs_tol), int(max_work)), sizes, space.buffers, out,
    )  # fmt: skip
    if status == NO_ROOM:
        raise Overrun(
            f"Expected rows within {indices.size} arcs of {capacity.size} annotators, and as many values, prices and "
            f"held arcs as there are of each, got sizes {sizes}; `check` says what is wrong"
        )
    check_bound(bound)
    bids, reverse_bids, phases, forward_edges, reverse_edges, _ = space.buffers.counters.tolist()
    gap = (bound - value) / bound if bound > 0.0 else 0.0
    return Solution(*out, value, bound, gap, status, eps, bids, reverse_bids, phases, forward_edges + reverse_edges)
