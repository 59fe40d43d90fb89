"""`solve` against OR-tools and against its own certificate."""

from typing import Any

import numpy as np
import pytest

from kernels.auction import certificate, solve
from kernels.auction.forward import SCOUT_FROM
from load.checks.auction_random import hostile_start, market, optimum


def check_exact(case: Any, scale: Any = 1.0, **start: Any) -> None:
    """The optimum is found and proven; value, prices and profits agree with the independent certificate."""
    indptr, indices, values, demand, capacity = case
    scaled = (indptr, indices, values * scale, demand, capacity)
    s = solve(*scaled, gap_tol=0.0, abs_tol=0.5 * scale, **start)
    best = optimum(*case)
    assert s.status == 0
    assert s.primal / scale == pytest.approx(best, rel=1e-9, abs=1e-9)
    primal, bound, _ = certificate(*scaled, s.held, s.price)
    assert primal == pytest.approx(s.primal, rel=1e-12)
    assert bound == pytest.approx(s.bound, rel=1e-12)
    assert bound / scale >= best * (1 - 1e-12)
    kept = s.profit.sum() + capacity[capacity > 0] @ s.price[capacity > 0]
    assert kept == pytest.approx(bound, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_integer_markets_are_solved_to_the_proven_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(100):
        check_exact(market(rng), scale=float(rng.choice([1.0, 1.0, 2.0**-40, 2.0**40])))


@pytest.mark.parametrize("seed", range(20))
def test_hostile_starts_do_not_change_the_optimum(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    for _ in range(100):
        case = market(rng)
        price, held = hostile_start(rng, case)
        check_exact(case, price=price, held=held)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e290])
def test_scale_of_values_does_not_matter(scale: Any) -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        check_exact(market(rng), scale=scale)


def test_float_markets_meet_the_requested_gap() -> None:
    rng = np.random.default_rng(6)
    for gap in (1e-1, 1e-2, 1e-3, 1e-6):
        for _ in range(50):
            indptr, indices, values, demand, capacity = market(rng)
            values = rng.random(values.size) * (values > 0)
            s = solve(indptr, indices, values, demand, capacity, gap_tol=gap)
            _, _, proven = certificate(indptr, indices, values, demand, capacity, s.held, s.price)
            assert s.status == 0
            assert proven <= gap * (1 + 1e-9)


def test_float32_values_are_solved_exactly_as_their_float64_copies() -> None:
    rng = np.random.default_rng(7)
    for _ in range(50):
        indptr, indices, values, demand, capacity = market(rng)
        narrow = rng.random(values.size).astype(np.float32)
        a = solve(indptr, indices, narrow, demand, capacity)
        b = solve(indptr, indices, narrow.astype(np.float64), demand, capacity)
        assert a.held.tobytes() == b.held.tobytes()
        assert a.price.tobytes() == b.price.tobytes()


def test_worthless_arcs_are_never_taken() -> None:
    values = np.array([np.nan, -np.inf, 0.0, -1.0, 2.0])
    s = solve(np.array([0, 5]), np.arange(5, dtype=np.int32), values, np.array([5]), np.ones(5, np.int64))
    assert s.held.tolist() == [0, 0, 0, 0, 1]
    assert (s.primal, s.bound, s.status) == (2.0, 2.0, 0)


@pytest.mark.parametrize(
    ("m", "n"),
    [(0, 0), (0, 3), (3, 0), (2, 2)],
)
def test_markets_without_arcs_are_worth_nothing(m: Any, n: Any) -> None:
    s = solve(
        np.zeros(m + 1, np.int64),
        np.empty(0, np.int32),
        np.empty(0),
        np.ones(m, np.int64),
        np.ones(n, np.int64),
    )
    assert (s.primal, s.bound, s.gap, s.status) == (0.0, 0.0, 0.0, 0)
    assert s.price.shape == (n,)
    assert s.profit.shape == (m,)


def test_work_limit_still_gives_a_feasible_and_certified_answer() -> None:
    rng = np.random.default_rng(8)
    for limit in (0, 1, 10, 100, 1000):
        for _ in range(40):
            case = market(rng)
            unknown = np.where(rng.random(case[4].size) < 0.5, np.inf, 0.0)
            for price in (None, unknown):
                s = solve(*case, price=price, gap_tol=0.0, abs_tol=0.5, max_work=limit)
                primal, bound, _ = certificate(*case, s.held, s.price)
                assert s.status in (0, 1)
                assert primal == pytest.approx(s.primal)
                assert bound == pytest.approx(s.bound)
                assert bound >= optimum(*case) - 1e-6
                assert s.status == 1 or s.primal == pytest.approx(optimum(*case))


@pytest.mark.compiled
def test_a_market_larger_than_caches_in_which_bids_are_foreseen_is_certified_too() -> None:
    rng = np.random.default_rng(12)
    m, n, k = 1 << 16, 1 << 14, 64
    assert m * k >= SCOUT_FROM
    indices = ((rng.integers(0, n, m)[:, None] + 97 * np.arange(k)) % n).astype(np.int32).ravel()
    values = rng.random(m)[:, None] * rng.random(n)[indices.reshape(m, k)]
    case = np.arange(0, m * k + 1, k), indices, values.ravel(), rng.integers(1, 4, m), rng.integers(1, 5, n)
    s = solve(*case, gap_tol=1e-2)
    primal, bound, gap = certificate(*case, s.held, s.price)
    assert s.status == 0
    assert (primal, bound) == pytest.approx((s.primal, s.bound))
    assert gap <= 1e-2


def test_same_input_gives_the_same_bits() -> None:
    rng = np.random.default_rng(9)
    for _ in range(50):
        case = market(rng)
        a, b = solve(*case), solve(*case)
        for x, y in zip(a, b, strict=True):
            assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def test_exact_solution_is_a_fixed_point_of_a_warm_start() -> None:
    rng = np.random.default_rng(10)
    for _ in range(100):
        case = market(rng)
        a = solve(*case, gap_tol=0.0, abs_tol=0.5)
        b = solve(*case, price=a.price, held=a.held, gap_tol=0.0, abs_tol=0.5)
        assert b.primal == pytest.approx(a.primal)


@pytest.mark.parametrize("seed", range(4))
def test_values_of_many_magnitudes_are_solved_to_the_proven_optimum(seed: int) -> None:
    rng = np.random.default_rng(200 + seed)
    m, n, k = 400, 100, 12
    indices = np.sort(np.argsort(rng.random((m, n)), axis=1)[:, :k], axis=1).astype(np.int32)
    values = np.round(1e6 * (rng.pareto(1.2, m * k) + 0.01) * 10.0 ** rng.integers(0, 3, m * k))
    demand, capacity = rng.integers(1, 4, m), rng.integers(1, 5, n)
    case = np.arange(0, m * k + 1, k), indices.ravel(), values, demand, capacity
    s = solve(*case, gap_tol=0.0, abs_tol=0.5)
    assert s.status == 0
    assert s.primal == optimum(*case)
    assert s.bound == s.primal


@pytest.mark.parametrize("grid", [1.0, 100.0, 1e6])
@pytest.mark.parametrize("kind", ["independent", "rank one", "identical", "balanced"])
def test_large_integer_markets_end_with_bound_and_value_equal(kind: Any, grid: Any) -> None:
    rng = np.random.default_rng(21)
    m, n, k = 600, 150, 16
    demand, capacity = rng.integers(1, 4, m), rng.integers(1, 5, n)
    if kind == "balanced":
        n, demand, capacity = m, np.ones(m, np.int64), np.ones(m, np.int64)
    indices = np.sort(np.argsort(rng.random((m, n)), axis=1)[:, :k], axis=1).astype(np.int32)
    importance = np.ones(m) if kind in ("independent", "balanced") else rng.random(m)
    if kind == "identical":
        values = np.repeat(importance, k).reshape(m, k)
    else:
        values = importance[:, None] * (rng.random(n)[indices] if kind == "rank one" else rng.random((m, k)))
    values = np.round(grid * values.ravel())
    case = np.arange(0, m * k + 1, k), indices.ravel(), values, demand, capacity
    s = solve(*case, gap_tol=0.0, abs_tol=0.5)
    assert s.status == 0
    assert s.primal == optimum(*case)
    assert s.bound - s.primal < 1
