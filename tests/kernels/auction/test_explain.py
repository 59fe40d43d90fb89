"""Explanations hold when they are put to the test: change a value as told, solve again."""

import numpy as np
import pytest

from kernels.auction import explain, flip, solve
from load.checks.auction_random import market, optimum


def changed(case, arc, by):
    """The market with the value of one arc changed."""
    indptr, indices, values, demand, capacity = case
    values = values.copy()
    values[arc] += by
    return indptr, indices, values, demand, capacity


def cases(seed, count):
    """Solved integer markets with at least one candidate."""
    rng = np.random.default_rng(seed)
    while count:
        case = market(rng, m_max=8, n_max=6)
        if case[1].size:
            yield rng, case, solve(*case, gap_tol=0.0, abs_tol=0.5)
            count -= 1


def test_within_its_margin_a_value_does_not_change_what_is_optimal():
    for rng, case, s in cases(1, 150):
        told = explain(*case, s.held, s.price)
        arc = int(rng.integers(case[1].size))
        step = np.floor(min(told.margin[arc] - (s.bound - s.primal), 1e6))
        if step > 0:
            by = -step if s.held[arc] else step
            assert optimum(*changed(case, arc, by)) == pytest.approx(s.primal + by * s.held[arc])


def test_a_pair_flips_at_the_value_told_and_not_before():
    for rng, case, s in cases(2, 150):
        arc = int(rng.integers(case[1].size))
        far = flip(*case, s, arc, abs_tol=0.5)
        sign = -1 if s.held[arc] else 1
        if np.isinf(far):
            assert optimum(*changed(case, arc, 1e6)) == s.primal
        else:
            assert far >= 0
            before, after = (changed(case, arc, sign * by) for by in (far, far + 1))
            assert optimum(*before) == s.primal + sign * far * s.held[arc]
            kept_value = s.primal + sign * (far + 1) * s.held[arc]
            if after[2][arc] > 0 or s.held[arc]:
                assert optimum(*after) > kept_value or case[2][arc] - far <= 0


def test_the_margin_never_exceeds_the_distance_to_the_flip():
    for rng, case, s in cases(3, 150):
        told = explain(*case, s.held, s.price)
        arc = int(rng.integers(case[1].size))
        far = flip(*case, s, arc, abs_tol=0.5)
        if case[2][arc] > 0 and not np.isinf(far):
            assert told.margin[arc] <= far + (s.bound - s.primal) + 1e-9


def test_the_runner_up_is_whom_the_task_takes_when_the_pair_is_forbidden_and_prices_stay():
    for _, case, s in cases(4, 100):
        indptr, indices, values, demand, capacity = case
        told = explain(*case, s.held, s.price)
        for i in range(demand.size):
            row = slice(indptr[i], indptr[i + 1])
            surplus = np.where(capacity[indices[row]] > 0, values[row] - s.price[indices[row]], -1.0)
            free = np.where(s.held[row] == 0, surplus, -1.0)
            for k in np.flatnonzero(s.held[row]) + indptr[i]:
                if free.max() > 0:
                    assert free[indices[row] == told.runner_up[k]] == free.max()
                else:
                    assert told.runner_up[k] == -1


def test_the_price_of_a_full_annotator_is_between_what_one_slot_more_earns_and_one_less_costs():
    for _, case, s in cases(5, 60):
        indptr, indices, values, demand, capacity = case
        slack = s.bound - s.primal + 1e-9
        for j in range(capacity.size):
            if capacity[j] > 0:
                step = np.eye(capacity.size, dtype=np.int64)[j]
                more = optimum(indptr, indices, values, demand, capacity + step) - s.primal
                less = s.primal - optimum(indptr, indices, values, demand, capacity - step)
                assert more - slack <= s.price[j] <= less + slack
