"""The market in arrays: what the other files of this package read and write.

The problem is a b-matching with unit edges (a transportation problem whose arcs carry at most one unit):

    max  Σ_k w_k x_k      Σ_{k in row i} x_k ≤ d_i      Σ_{k in column j} x_k ≤ c_j      0 ≤ x_k ≤ 1

Rows are the ``m`` tasks (bidders), columns the ``n`` annotators (objects with ``c_j`` equal slots); arc
``k`` says that annotator ``indices[k]`` may judge the task in whose row it lies, at the value ``w_k =
values[k]``.  Anyone may stay out, so an arc with ``w ≤ 0`` (or NaN, or −inf) is never taken.

The state of an auction is a price ``p_j ≥ 0`` per annotator slot, a profit ``π_i ≥ 0`` per unit of task,
and the set of held arcs.  It satisfies *ε-complementary slackness* when

    (1) arc not held:  w − π_i − p_j ≤ ε        (2) arc held:  w − π_i − p_j ≥ −ε
    (3) row not full:  π_i = 0                  (4) p_j > 0:  column full

and then the value of the held arcs is within ε times their number of the optimum (Bertsekas, Network
Optimization, 1998, §7.2 and §7.3).  The *tolerance* of a held arc is ``w − π_i``: the price at which its
task would rather go elsewhere.

Held arcs are stored twice, once in the row's slots and once in the column's, so that neither side ever
searches all its candidates.  What is read together lies together: one record of 16 bytes per task, slot and
arc of a column, two per annotator; only prices and profits, which every scan gathers, are arrays of their
own.

This file deliberately holds no algorithm.
"""

from typing import NamedTuple

import numpy as np

OPTIMAL, WORK_LIMIT, EPS_FLOOR = 0, 1, 2
"""Status: the target gap is met; the work limit came first; ε reached the floor of float64 before the
target."""

BIDS, REVERSE_BIDS, PHASES, FORWARD_EDGES, REVERSE_EDGES, AUDITS, COUNTERS = 0, 1, 2, 3, 4, 5, 6
"""Positions in the array of counters, and its length."""

TASK = np.dtype([("first", "i4"), ("demand", "i4"), ("need", "i4"), ("queued", "i4")])
"""`first`: start of the task's slots in ``row_arc``, of which it uses ``demand − need``."""

ANNOTATOR = np.dtype(
    [
        ("first", "i4"),  # start of the annotator's slots
        ("capacity", "i4"),
        ("fill", "i4"),  # slots taken
        ("heaped", "i2"),  # 1 while the slots of a large column are in heap order, see slots.py
        ("offered", "i2"),  # 1 while waiting in ``desk.offers``
        ("vacant", "i4"),  # the first of the places that arcs have left in the column, see arena.py, or -1
        ("start", "i4"),  # the annotator's arcs in `Columns`: start, stop and the end of the room
        ("stop", "i4"),
        ("room", "i4"),
    ]
)

SLOT = np.dtype([("value", "f8"), ("arc", "i4"), ("row", "i4")])
ARC = np.dtype([("value", "f8"), ("arc", "i4"), ("row", "i4")])
"""An arc as its annotator sees it.  `ARC32` has a float32 value."""
ARC32 = np.dtype([("value", "f4"), ("arc", "i4"), ("row", "i4")])

LISTED = np.dtype([("threshold", "f8"), ("size", "i8")])
"""An annotator's shortlist, see shortlist.py."""


class Edges(NamedTuple):
    """Candidates by task, in compressed rows."""

    indptr: np.ndarray  # int64[m + 1]
    indices: np.ndarray  # int32[nnz], the annotator of each arc
    values: np.ndarray  # float[nnz]


class Case(NamedTuple):
    """A market as it is given, see `solve`."""

    indptr: np.ndarray  # int64[m + 1]
    indices: np.ndarray  # int32[nnz]
    values: np.ndarray  # float64[nnz]
    demand: np.ndarray  # int64[m]
    capacity: np.ndarray  # int64[n]


class Targets(NamedTuple):
    """When to stop, see `solve`."""

    gap_tol: float
    abs_tol: float
    max_work: int


class Book(NamedTuple):
    """Prices, profits and who holds what."""

    price: np.ndarray  # float64[n], +inf for an annotator without a slot
    profit: np.ndarray  # float64[m], +inf for a task without demand
    tasks: np.ndarray  # TASK[m]
    annotators: np.ndarray  # ANNOTATOR[n]
    row_arc: np.ndarray  # int32, the arcs that tasks hold
    row_column: np.ndarray  # int32, their annotators
    row_value: np.ndarray  # float64, their values
    slots: np.ndarray  # SLOT, the arcs that annotators hold
    keys: np.ndarray  # float64, heap keys beside `slots`


class Desk(NamedTuple):
    """Scratch space and counters of one call."""

    queue: np.ndarray  # int32[2m], two epochs of tasks that want to bid
    offers: np.ndarray  # int32[2n], two epochs of annotators with a free slot and a price; the second half also serves
    # as the cursor of `transpose` and lists the annotators that a path search has reached
    unhappy: np.ndarray  # int32[m], tasks whose held arcs break (1) or (2), or that a search reached; ring of `scout`
    surplus: np.ndarray  # float64[longest row or column + largest demand or capacity + 1]
    pick: np.ndarray  # int64[most units wanted at once + 1]
    pick_key: np.ndarray  # float64, same length
    saved: np.ndarray  # float64[largest demand or capacity + 1]
    kept: np.ndarray  # float64[m], what each task keeps at the prices of the last audit
    least: np.ndarray  # float64[m], the smallest surplus that counted in `kept`, 0 if there was room for more
    best_price: np.ndarray  # float64[n], the prices with the smallest bound so far
    best_kept: np.ndarray  # float64[m], what each task keeps at those prices
    counters: np.ndarray  # int64[COUNTERS]
    shortlist: np.ndarray  # ARC, the lists of all annotators
    listed: np.ndarray  # LISTED[n], or empty: no lists


class Search(NamedTuple):
    """Distances, the arcs on which nodes were reached, and a heap of nodes (annotator ``j`` is ``m + j``)."""

    task: np.ndarray  # float64[m], +inf between searches
    annotator: np.ndarray  # float64[n], +inf between searches
    task_arc: np.ndarray  # int32[m]
    annotator_arc: np.ndarray  # int32[n]
    annotator_row: np.ndarray  # int32[n], the row of ``annotator_arc``
    key: np.ndarray  # float64[h], distances
    node: np.ndarray  # int32[h]


class Auction(NamedTuple):
    """All that one solves with."""

    edges: Edges
    columns: np.ndarray  # ARC or ARC32, the arcs by annotator
    book: Book
    desk: Desk
    search: Search
