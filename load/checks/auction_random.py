"""Random small markets, as nasty as they come, and an independent optimum to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from ortools.graph.python import min_cost_flow

Array = NDArray[Any]
Case = tuple[Array, Array, Array, Array, Array]


def market(rng: np.random.Generator, m_max: int = 24, n_max: int = 14, demand_max: int = 6) -> Case:
    """Draw a degenerate integer market: ties, worthless arcs, zero demand and capacity, too much demand."""
    m = int(rng.integers(0, m_max + 1))
    n = int(rng.integers(1, n_max + 1))
    most = int(rng.integers(0, n + 1))
    length = rng.integers(0, most + 1, m)
    indptr, indices = rows(rng, n, length)
    nnz = indices.size
    kind = int(rng.integers(0, 8))
    if kind == 0:
        values = rng.integers(-5, 20, nnz)
    elif kind == 1:
        values = np.full(nnz, 3)
    elif kind == 2:
        values = rng.integers(0, 2, nnz)
    elif kind == 3:
        values = np.repeat(rng.integers(0, 30, m), length) * rng.integers(1, 30, n)[indices]
    elif kind == 4:
        values = -rng.integers(0, 9, nnz)
    elif kind == 5:
        values = rng.integers(0, 10**6, nnz)
    elif kind == 6:
        values = np.repeat(rng.integers(0, 9, m), length)
    else:
        values = 10**6 + rng.integers(0, 3, nnz)
    demand = rng.integers(-1, demand_max, m)
    capacity = rng.integers(-1, rng.choice([2, 4, 21]), n)
    return indptr, indices, values.astype(np.float64), demand, capacity


def rows(rng: np.random.Generator, n: int, length: Array) -> tuple[Array, Array]:
    """Candidates of tasks with the given row lengths: indptr, indices."""
    chosen = [np.sort(rng.choice(n, k, replace=False)) for k in length]
    indptr = np.concatenate(([0], np.cumsum(length))).astype(np.int64)
    return indptr, np.concatenate([*chosen, []]).astype(np.int32)


def hostile_start(rng: np.random.Generator, case: Case) -> tuple[Array, Array]:
    """Random prices and a random, usually infeasible, set of held arcs."""
    _, indices, values, _, capacity = case
    scale = float(rng.choice([0, 1, 100])) * max(1.0, float(np.abs(values).max(initial=1.0)))
    price = rng.random(capacity.size) * scale
    price[rng.random(capacity.size) < 0.1] = np.inf
    return price, (rng.random(indices.size) < 0.3).astype(np.uint8)


def changes(rng: np.random.Generator, n: int, room: int, count: int) -> tuple[Array, Array, Array, Array]:
    """New rows for `count` tasks of a market of `n` annotators: indptr, indices, values, demand."""
    length = rng.integers(0, room + 1, count)
    indptr, indices = rows(rng, n, length)
    kind = int(rng.integers(0, 4))
    if kind == 0:
        values = rng.integers(-3, 20, indices.size)
    elif kind == 1:
        values = np.full(indices.size, 2)
    elif kind == 2:
        values = np.repeat(rng.integers(0, 30, count), length) * (1 + indices)
    else:
        values = rng.integers(0, 10**5, indices.size)
    return indptr, indices, values.astype(np.float64), rng.integers(-1, 5, count)


def optimum(indptr: Array, indices: Array, values: Array, demand: Array, capacity: Array) -> float:
    """Optimal value of an integer market by OR-tools' minimum cost flow."""
    m, n = demand.size, capacity.size
    if m == 0 or indices.size == 0:
        return 0.0
    flow = min_cost_flow.SimpleMinCostFlow()
    sink = m + n
    tails = np.repeat(np.arange(m, dtype=np.int32), np.diff(indptr))
    cost = -np.maximum(values, 0).astype(np.int64)
    wanted = np.maximum(demand, 0)
    flow.add_arcs_with_capacity_and_unit_cost(
        tails, (m + indices).astype(np.int32), np.ones(indices.size, np.int64), cost
    )
    flow.add_arcs_with_capacity_and_unit_cost(
        np.arange(m, m + n, dtype=np.int32), np.full(n, sink, np.int32), np.maximum(capacity, 0), np.zeros(n, int)
    )
    flow.add_arcs_with_capacity_and_unit_cost(
        np.arange(m, dtype=np.int32), np.full(m, sink, np.int32), wanted, np.zeros(m, np.int64)
    )
    flow.set_nodes_supplies(np.arange(m, dtype=np.int32), wanted)
    flow.set_node_supply(sink, -int(wanted.sum()))
    if flow.solve() != flow.OPTIMAL:
        raise RuntimeError("OR-tools: expected an optimal flow")
    return float(-flow.optimal_cost())
