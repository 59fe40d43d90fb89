"""The bound alone, with budgets that tasks share: weak and strong duality against a linear program."""

import numpy as np
import pytest
from scipy.optimize import linprog

from kernels.auction import certificate, dual_bound, solve

SEEDS = range(40)


class Case:
    """A small market whose tasks may share budgets."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        m, n, groups = (int(rng.integers(1, most)) for most in (9, 6, 4))
        rows = [np.sort(rng.permutation(n)[: rng.integers(0, n + 1)]) for _ in range(m)]
        self.indptr = np.concatenate(([0], np.cumsum([len(row) for row in rows])))
        self.indices = np.concatenate([np.empty(0, np.int64), *rows]).astype(np.int32)
        self.values = np.round(rng.uniform(-1.0, 4.0, self.indices.size), rng.integers(0, 4))
        self.demand, self.capacity = rng.integers(0, 4, m), rng.integers(0, 4, n)
        self.group, self.budget = rng.integers(-1, groups, m), rng.integers(-1, 5, groups)
        self.prices = [np.zeros(n), *(rng.uniform(0.0, 4.0, n) * rng.integers(0, 2, n) for _ in range(6))]

    @property
    def market(self) -> tuple[np.ndarray, ...]:
        return self.indptr, self.indices, self.values, self.demand, self.capacity

    def bound(self, price: np.ndarray) -> float:
        return float(dual_bound(*self.market, price, group=self.group, budget=self.budget))

    def optimum(self) -> tuple[float, np.ndarray]:
        """The linear program's value, and its prices of the annotators."""
        owner = np.repeat(np.arange(len(self.demand)), np.diff(self.indptr))
        of_task = (owner == np.arange(len(self.demand))[:, None]).astype(float)
        of_person = (self.indices == np.arange(len(self.capacity))[:, None]).astype(float)
        of_group = (self.group[owner] == np.arange(len(self.budget))[:, None]).astype(float)
        limits = np.concatenate([self.capacity, self.demand, np.maximum(self.budget, 0)])
        if not len(owner):
            return 0.0, np.zeros(len(self.capacity))
        found = linprog(
            -self.values, A_ub=np.vstack([of_person, of_task, of_group]), b_ub=limits, bounds=(0, 1)
        )
        assert found.status == 0
        return -float(found.fun), -found.ineqlin.marginals[: len(self.capacity)]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_prices_bound_less_than_the_optimum_and_the_best_ones_no_more(seed: int) -> None:
    case = Case(seed)
    value, price = case.optimum()
    for other in case.prices:
        assert case.bound(other) >= value - 1e-9
    assert case.bound(price) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_budgets_it_is_the_bound_of_the_certificate(seed: int) -> None:
    case = Case(seed)
    solution = solve(*case.market)
    _, bound, _ = certificate(*case.market, solution.held, solution.price)
    assert dual_bound(*case.market, solution.price) == pytest.approx(bound, abs=1e-12)
    case.group[:] = -1
    assert case.bound(solution.price) == pytest.approx(bound, abs=1e-12)


def test_annotators_without_capacity_have_no_price_that_matters() -> None:
    market = (np.array([0, 2]), np.array([0, 1], np.int32), np.array([3.0, 4.0]), np.array([1]), np.array([1, 0]))
    assert dual_bound(*market, np.array([1.0, np.inf])) == 3.0
    assert dual_bound(*market, np.array([1.0, np.inf]), group=np.zeros(1, int), budget=np.ones(1, int)) == 3.0
