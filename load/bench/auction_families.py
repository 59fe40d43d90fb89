"""Families of markets on which the auction is measured, and how each of them changes.

A family is drawn once: who the annotators are.  Then it gives as many tasks as one asks for, so that a task
that replaces another comes from the same distribution and meets the same people.

| family | value of a pair |
|---|---|
| uniform | independent, in [0, 1) |
| skill | the annotator's skill (Beta(8, 2)) at one of 20 kinds of work, times a priority of 1, 2 or 4 |
| rank1 | importance of the task × skill of the annotator: everybody wants the same people |
| identical | depends on the task alone: all annotators are equal |
| five_levels | 0.2, 0.4, … 1: ties everywhere |
| geometric | falls with the distance on a line: long chains of displacement |
| pareto | heavy tail: a few tasks are worth more than all others |
| near_ties | 1 plus up to 1e-6 |
| balanced | uniform, as many slots as units wanted, one each |
| slack | skill, four annotators per task |
| capacity_20, capacity_400 | rank1, few annotators of 1–20 or 1–800 slots each |

Demand is 1–3 annotators a task and capacity 1–4 tasks an annotator, four tasks to an annotator, unless noted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FAMILIES = (
    "uniform", "skill", "rank1", "identical", "five_levels", "geometric", "pareto", "near_ties", "balanced",
    "slack", "capacity_20", "capacity_400",
)  # fmt: skip

KINDS_OF_WORK = 20


@dataclass(frozen=True)
class Family:
    """A market's people, and a source of tasks for them.

    Parameters
    ----------
    name : one of `FAMILIES`
    m, n : tasks, annotators
    k : candidates of a task
    demand, capacity : the largest demand and capacity; the smallest is 1
    """

    name: str
    m: int
    n: int
    k: int
    demand: int
    capacity: int
    skill: Array
    place: Array

    def capacities(self, rng: np.random.Generator, size: int) -> Array:
        """Capacities of `size` annotators."""
        return rng.integers(1, self.capacity + 1, size)

    def tasks(self, rng: np.random.Generator, size: int) -> tuple[Array, Array, Array, Array]:
        """New tasks: indptr, indices (int32), values (float64), demand."""
        if self.name == "geometric":
            position = rng.random(size)
            middle = np.searchsorted(self.place, position)
            first = np.clip(middle - self.k // 2, 0, self.n - self.k)
            indices = first[:, None] + np.arange(self.k)
            distance = np.abs(position[:, None] - self.place[indices])
            values = np.maximum(1e-3, 1.0 - distance * self.n / (self.k + 8))
        else:
            indices = distinct(rng, self.n, size, self.k)
            values = self._values(rng, indices)
        indptr = np.arange(0, size * self.k + 1, self.k, dtype=np.int64)
        demand = rng.integers(1, self.demand + 1, size)
        return indptr, indices.ravel().astype(np.int32), np.ascontiguousarray(values.ravel()), demand

    def _values(self, rng: np.random.Generator, indices: Array) -> Array:
        size = len(indices)
        if self.name in ("skill", "slack"):
            kind = rng.integers(0, KINDS_OF_WORK, size)
            priority = rng.choice([1.0, 1.0, 1.0, 2.0, 4.0], size)
            values: Array = self.skill[indices, kind[:, None]] * priority[:, None]
        elif self.name in ("rank1", "capacity_20", "capacity_400"):
            values = rng.random(size)[:, None] * self.skill[indices, 0]
        elif self.name == "identical":
            values = np.repeat(rng.random(size)[:, None], self.k, axis=1)
        elif self.name == "five_levels":
            values = rng.integers(1, 6, indices.shape) / 5.0
        elif self.name == "pareto":
            values = rng.pareto(1.2, indices.shape) + 0.01
        elif self.name == "near_ties":
            values = 1.0 + 1e-6 * rng.random(indices.shape)
        else:
            values = rng.random(indices.shape)
        return values


def distinct(rng: np.random.Generator, n: int, size: int, k: int) -> Array:
    """`size` rows of `k` different annotators each, ascending."""
    indices: Array = np.sort(rng.integers(0, n, (size, k)), axis=1)
    while True:
        repeated = np.zeros(indices.shape, bool)
        repeated[:, 1:] = indices[:, 1:] == indices[:, :-1]
        if not repeated.any():
            return indices
        indices[repeated] = rng.integers(0, n, int(repeated.sum()))
        indices.sort(axis=1)


def family(name: str, m: int, k: int, seed: int) -> Family:
    """The family `name` around `m` tasks (balanced and slack: a quarter) with `k` candidates each."""
    rng = np.random.default_rng([seed, FAMILIES.index(name)])
    n, demand, capacity = m // 4, 3, 4
    if name == "balanced":
        m, n, demand, capacity = m // 4, m // 4, 1, 1
    elif name == "slack":
        m, n = m // 4, m
    elif name == "geometric":
        n, demand, capacity = m // 2, 1, 2
    elif name == "capacity_20":
        n, capacity = m // 10, 20
    elif name == "capacity_400":
        n, capacity = m // 200, 800
    kinds = KINDS_OF_WORK if name in ("skill", "slack") else 1
    skill = rng.beta(8, 2, (n, kinds)) if kinds > 1 else rng.random((n, 1))
    return Family(name, m, n, k, demand, capacity, skill, np.sort(rng.random(n)))
