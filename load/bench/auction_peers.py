"""The peers that the auction is measured against, each at its pinned version and by its own fastest
interface.

Only their solve call is timed, never the building of their graph or matrix.  Time is the CPU time of the
thread: all of them and the auction run on one thread, and a busy machine then disturbs the comparison
least."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ortools.graph.python import min_cost_flow

Array = NDArray[Any]
Case = tuple[Array, Array, Array, Array, Array]


def ortools(case: Case, scale: float) -> tuple[float, float]:
    """Seconds and optimal value of OR-tools' minimum cost flow, values rounded to 1/`scale`."""
    indptr, indices, values, demand, capacity = case
    m, n = demand.size, capacity.size
    sink = m + n
    flow = min_cost_flow.SimpleMinCostFlow()
    tails = np.repeat(np.arange(m, dtype=np.int32), np.diff(indptr))
    cost = -np.round(scale * values.astype(np.float64)).astype(np.int64)
    flow.add_arcs_with_capacity_and_unit_cost(
        tails, (m + indices).astype(np.int32), np.ones(indices.size, np.int64), cost
    )
    flow.add_arcs_with_capacity_and_unit_cost(
        np.arange(m, m + n, dtype=np.int32), np.full(n, sink, np.int32), capacity, np.zeros(n, np.int64)
    )
    flow.add_arcs_with_capacity_and_unit_cost(
        np.arange(m, dtype=np.int32), np.full(m, sink, np.int32), demand, np.zeros(m, np.int64)
    )
    flow.set_nodes_supplies(np.arange(m, dtype=np.int32), demand)
    flow.set_node_supply(sink, -int(demand.sum()))
    start = time.thread_time()
    status = flow.solve()
    seconds = time.thread_time() - start
    if status != flow.OPTIMAL:
        raise RuntimeError(f"OR-tools: expected an optimal flow, got status {status}")
    return seconds, -flow.optimal_cost() / scale


def scipy(matrix: Array) -> tuple[float, float]:
    """Seconds and value of SciPy's dense linear sum assignment."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 (only the dense table needs it)

    start = time.thread_time()
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    return time.thread_time() - start, float(matrix[rows, columns].sum())


def lapx(matrix: Array) -> tuple[float, float]:
    """Seconds and value of lapx's Jonker–Volgenant."""
    import lap  # noqa: PLC0415 (likewise)

    cost = matrix.max() - matrix
    start = time.thread_time()
    _, columns, _ = lap.lapjv(cost)
    seconds = time.thread_time() - start
    return seconds, float(matrix[np.arange(len(matrix)), columns].sum())
