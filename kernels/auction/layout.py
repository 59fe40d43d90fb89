"""The market in arrays: what the other files of this package read and write.

The problem is a b-matching with unit edges (a transportation problem whose arcs carry at most one unit):

    max  Σ_k w_k x_k      Σ_{k in row i} x_k ≤ d_i      Σ_{k in column j} x_k ≤ c_j      0 ≤ x_k ≤ 1

Rows are the ``m`` tasks (bidders), columns the ``n`` annotators (objects with ``c_j`` equal slots); arc ``k`` says
that annotator ``indices[k]`` may judge the task in whose row it lies, at the value ``w_k = values[k]``.  Anyone may
stay out, so an arc with ``w ≤ 0`` (or NaN, or −inf) is never taken.

The state of an auction is a price ``p_j ≥ 0`` per annotator slot, a profit ``π_i ≥ 0`` per unit of task, and the set of
held arcs.  It satisfies *ε-complementary slackness* when

    (1) arc not held:  w − π_i − p_j ≤ ε        (2) arc held:  w − π_i − p_j ≥ −ε
    (3) row not full:  π_i = 0                  (4) p_j > 0:  column full

and then the value of the held arcs is within ε times their number of the optimum (Bertsekas, Network Optimization,
1998, §7.2 and §7.3).  ``tolerance`` of a held arc is ``w − π_i``: the price at which its task would rather go elsewhere.

Held arcs are stored twice, once in the row's slots and once in the column's, so that neither side ever searches all its
candidates.  ``Edges`` is the input; ``Columns`` the same arcs by annotator; ``Book`` the state; ``Desk`` the scratch
space.  All arrays are views into one ``Workspace`` that a thread keeps and reuses.

This file deliberately holds no algorithm.
"""

import threading
from typing import NamedTuple

import numpy as np
from numba import njit

OPTIMAL, WORK_LIMIT, EPS_FLOOR = 0, 1, 2
"""Status: the target gap is met; the work limit came first; ε reached the floor of float64 before the target."""

STATUS = {OPTIMAL: "target gap met", WORK_LIMIT: "work limit reached", EPS_FLOOR: "limit of float64 reached"}

# Positions in the array of counters.
BIDS, REVERSE_BIDS, PHASES, FORWARD_EDGES, REVERSE_EDGES, AUDIT_EDGES, COUNTERS = 0, 1, 2, 3, 4, 5, 6


class Edges(NamedTuple):
    """Candidates by task, in compressed rows."""

    indptr: np.ndarray  # int64[m + 1]
    indices: np.ndarray  # int32[nnz], the annotator of each arc
    values: np.ndarray  # float[nnz]


class Columns(NamedTuple):
    """The same arcs by annotator; column j occupies ``start[j]:stop[j]``."""

    start: np.ndarray  # int32[n]
    stop: np.ndarray  # int32[n]
    arc: np.ndarray  # int32[...]
    row: np.ndarray  # int32[...]
    value: np.ndarray  # float[...], so that a reverse bid reads memory in order


class Book(NamedTuple):
    """Prices, profits and who holds what."""

    price: np.ndarray  # float64[n], +inf for an annotator without a slot
    profit: np.ndarray  # float64[m], +inf for a task without demand
    demand: np.ndarray  # int32[m], at most the row's length
    need: np.ndarray  # int32[m], demand not yet held
    row_start: np.ndarray  # int32[m + 1]
    row_arc: np.ndarray  # int32, the arcs task i holds: row_start[i] and the next demand[i] − need[i]
    capacity: np.ndarray  # int32[n], at most the column's length
    fill: np.ndarray  # int32[n], slots taken
    slot_start: np.ndarray  # int32[n + 1]
    slot_arc: np.ndarray  # int32, the arcs held at annotator j: slot_start[j] and the next fill[j]
    slot_row: np.ndarray  # int32
    slot_value: np.ndarray  # float64
    slot_key: np.ndarray  # float64, heap keys of large columns (see slots.py)
    heaped: np.ndarray  # uint8[n], 1 while the slots of a large column are in heap order


class Desk(NamedTuple):
    """Scratch space and counters of one call."""

    queue: np.ndarray  # int32[2m], two epochs of tasks that want to bid
    queued: np.ndarray  # uint8[m]
    offers: np.ndarray  # int32[2n], two epochs of annotators with a free slot and a price
    offered: np.ndarray  # uint8[n]
    unhappy: np.ndarray  # int32[m], tasks whose held arcs break (1) or (2)
    surplus: np.ndarray  # float64[longest row or column]
    pick: np.ndarray  # int64[most units wanted at once + 1]
    pick_key: np.ndarray  # float64, same length
    saved: np.ndarray  # float64[largest capacity]
    kept: np.ndarray  # float64[m], what each task keeps at the prices of the last audit
    best_price: np.ndarray  # float64[n], the prices with the smallest bound so far
    best_kept: np.ndarray  # float64[m], what each task keeps at those prices
    counters: np.ndarray  # int64[COUNTERS]


@njit(cache=True, nogil=True)
def measure(indptr, indices, demand, capacity, degree):
    """Sizes of a market; `degree` (int32[n]) receives the number of arcs of each annotator.

    Returns
    -------
    tasks, annotators, row slots, column slots, longest row or column, largest demand or capacity
    """
    m = demand.size
    n = capacity.size
    degree[:n] = 0
    for k in range(indices.size):
        degree[indices[k]] += 1
    row_slots = 0
    slots = 0
    longest = 0
    widest = 0
    for i in range(m):
        length = indptr[i + 1] - indptr[i]
        d = min(max(demand[i], 0), length)
        row_slots += d
        longest = max(longest, length)
        widest = max(widest, d)
    for j in range(n):
        c = min(max(capacity[j], 0), np.int64(degree[j]) + 1)
        slots += c
        longest = max(longest, np.int64(degree[j]))
        widest = max(widest, c)
    return m, n, row_slots, slots, longest, widest


def lengths(sizes):
    """Numbers of int32, float64 and uint8 elements that `carve` cuts for a market of these sizes."""
    m, n, rows, slots, longest, widest = sizes
    ints = 6 * m + rows + 7 * n + 2 * slots + 2
    reals = 3 * m + 2 * n + 2 * slots + longest + 2 * widest + 24
    return ints, reals, m + 2 * n + 16, widest + 2


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def carve(ints, reals, flags, pick, counters, arc, row, value, sizes):
    """Cut a `Book`, a `Desk` and `Columns` out of flat buffers (see `lengths`).  Nothing is initialised."""
    m, n, rows, slots, longest, widest = sizes
    a = 0
    demand = ints[a : a + m]
    a += m
    need = ints[a : a + m]
    a += m
    unhappy = ints[a : a + m]
    a += m
    row_start = ints[a : a + m + 1]
    a += m + 1
    row_arc = ints[a : a + rows]
    a += rows
    capacity = ints[a : a + n]
    a += n
    fill = ints[a : a + n]
    a += n
    slot_start = ints[a : a + n + 1]
    a += n + 1
    slot_arc = ints[a : a + slots]
    a += slots
    slot_row = ints[a : a + slots]
    a += slots
    queue = ints[a : a + 2 * m]
    a += 2 * m
    offers = ints[a : a + 2 * n]
    a += 2 * n
    columns = Columns(ints[a : a + n], ints[a + n : a + 2 * n], arc, row, value)
    b = 0
    profit = reals[b : b + m]
    b += m
    price = reals[b : b + n]
    b += n
    best_price = reals[b : b + n]
    b += n
    kept = reals[b : b + m]
    b += m
    best_kept = reals[b : b + m]
    b += m
    slot_value = reals[b : b + slots]
    b += slots
    slot_key = reals[b : b + slots]
    b += slots
    surplus = reals[b : b + longest + 1]
    b += longest + 1
    pick_key = reals[b : b + widest + 2]
    b += widest + 2
    saved = reals[b : b + widest + 1]
    queued = flags[:m]
    offered = flags[m : m + n]
    heaped = flags[m + n : m + 2 * n]
    book = Book(
        price, profit, demand, need, row_start, row_arc, capacity, fill,
        slot_start, slot_arc, slot_row, slot_value, slot_key, heaped,
    )  # fmt: skip
    desk = Desk(
        queue, queued, offers, offered, unhappy, surplus, pick, pick_key, saved,
        kept, best_price, best_kept, counters,
    )  # fmt: skip
    return book, desk, columns


class Workspace(threading.local):
    """Flat buffers of one thread.  They only grow: a call that fits allocates nothing.

    NumPy allocates them, not the kernels: its large blocks ask the kernel for huge pages, which is worth a fifth of the
    time of a market of a million tasks.
    """

    def __init__(self):
        self.ints = np.empty(1024, np.int32)
        self.reals = np.empty(1024, np.float64)
        self.flags = np.empty(1024, np.uint8)
        self.pick = np.empty(64, np.int64)
        self.counters = np.zeros(COUNTERS, np.int64)
        self.degree = np.empty(64, np.int32)
        self.arcs = np.empty(64, np.int32)
        self.rows = np.empty(64, np.int32)
        self.values = {}

    def reserve(self, sizes):
        """Grow until a market of `sizes` fits."""
        ints, reals, flags, pick = lengths(sizes)
        if self.ints.size < ints:
            self.ints = np.empty(ints, np.int32)
        if self.reals.size < reals:
            self.reals = np.empty(reals, np.float64)
        if self.flags.size < flags:
            self.flags = np.empty(flags, np.uint8)
        if self.pick.size < pick:
            self.pick = np.empty(pick, np.int64)

    def column_buffers(self, nnz, dtype):
        """Buffers for the arcs by annotator."""
        if self.arcs.size < nnz:
            self.arcs = np.empty(nnz, np.int32)
            self.rows = np.empty(nnz, np.int32)
        values = self.values.get(dtype)
        if values is None or values.size < nnz:
            values = self.values[dtype] = np.empty(max(nnz, 64), dtype)
        return self.arcs, self.rows, values
