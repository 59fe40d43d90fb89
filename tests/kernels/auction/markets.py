"""Random small markets, as nasty as they come, and an independent optimum to compare with."""

import numpy as np
from ortools.graph.python import min_cost_flow


def market(rng, m_max=24, n_max=14, demand_max=6):
    """A degenerate integer market: ties, worthless arcs, zero demand and capacity, too much demand."""
    m = int(rng.integers(0, m_max + 1))
    n = int(rng.integers(1, n_max + 1))
    rows = [
        np.sort(rng.choice(n, rng.integers(0, rng.integers(0, n + 1) + 1), replace=False)) for _ in range(m)
    ]
    length = np.array([len(r) for r in rows], np.int64)
    indptr = np.concatenate(([0], np.cumsum(length))).astype(np.int64)
    indices = np.concatenate([*rows, []]).astype(np.int32)
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
    demand = rng.integers(-1, demand_max, m).astype(np.int64)
    capacity = rng.integers(-1, rng.choice([2, 4, 21]), n).astype(np.int64)
    return indptr, indices, values.astype(np.float64), demand, capacity


def optimum(indptr, indices, values, demand, capacity):
    """Optimal value of an integer market by OR-tools' minimum cost flow."""
    m, n = demand.size, capacity.size
    if m == 0 or indices.size == 0:
        return 0.0
    flow = min_cost_flow.SimpleMinCostFlow()
    sink = m + n
    tails = np.repeat(np.arange(m), np.diff(indptr)).astype(np.int32)
    cost = -np.maximum(values, 0).astype(np.int64)
    demand = np.maximum(demand, 0)
    flow.add_arcs_with_capacity_and_unit_cost(
        tails, (m + indices).astype(np.int32), np.ones(indices.size, np.int64), cost
    )
    flow.add_arcs_with_capacity_and_unit_cost(
        (m + np.arange(n)).astype(np.int32),
        np.full(n, sink, np.int32),
        np.maximum(capacity, 0),
        np.zeros(n, np.int64),
    )
    flow.add_arcs_with_capacity_and_unit_cost(
        np.arange(m, dtype=np.int32), np.full(m, sink, np.int32), demand, np.zeros(m, np.int64)
    )
    flow.set_nodes_supplies(np.arange(m, dtype=np.int32), demand)
    flow.set_node_supply(sink, -int(demand.sum()))
    assert flow.solve() == flow.OPTIMAL
    return float(-flow.optimal_cost())


def hostile_start(rng, market):
    """Random prices and a random, usually infeasible, set of held arcs."""
    _, indices, values, _, capacity = market
    scale = float(rng.choice([0, 1, 100])) * max(1.0, np.abs(values).max(initial=1.0))
    price = rng.random(capacity.size) * scale
    price[rng.random(capacity.size) < 0.1] = np.inf
    return price, (rng.random(indices.size) < 0.3).astype(np.uint8)


def changes(rng, n, room, most):
    """New rows for up to `most` tasks of a market of `n` annotators: indptr, indices, values, demand."""
    length = rng.integers(0, room + 1, most)
    indices = np.concatenate([*(np.sort(rng.choice(n, k, replace=False)) for k in length), []]).astype(
        np.int32
    )
    indptr = np.concatenate(([0], np.cumsum(length))).astype(np.int64)
    kind = int(rng.integers(0, 4))
    if kind == 0:
        values = rng.integers(-3, 20, indices.size)
    elif kind == 1:
        values = np.full(indices.size, 2)
    elif kind == 2:
        values = np.repeat(rng.integers(0, 30, most), length) * (1 + indices)
    else:
        values = rng.integers(0, 10**5, indices.size)
    return indptr, indices, values.astype(np.float64), rng.integers(-1, 5, most)
