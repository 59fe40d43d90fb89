"""`Market`: whatever changes, every round is as good as solving from nothing, and its proof is fresh."""

from typing import Any

import numpy as np
import pytest

from kernels.auction import Market, certificate
from kernels.auction.market import Case
from kernels.auction.warm import EPS, PAUSE, SHARE
from load.bench.auction_families import family
from load.checks.auction_random import changes, optimum


def empty_market(rng: Any, dtype: Any = np.float64, m_max: Any = 30, n_max: Any = 14) -> Any:
    m, n = int(rng.integers(1, m_max)), int(rng.integers(2, n_max))
    room = int(rng.integers(1, min(n, 9) + 1))
    indptr = np.arange(0, m * room + 1, room, dtype=np.int64)
    indices = np.tile(np.arange(room, dtype=np.int32), m)
    capacity = rng.integers(-1, 5, n)
    return Market(indptr, indices, np.zeros(m * room, dtype), np.zeros(m, np.int64), capacity, max_capacity=6), room


def churn(rng: Any, market: Any, room: Any, most: Any = 5) -> None:
    """Replace some tasks and some capacities."""
    m, n = market.demand.size, market.capacity.size
    tasks = rng.choice(m, int(rng.integers(0, min(m, most) + 1)), replace=False)
    indptr, indices, values, demand = changes(rng, n, room, tasks.size)
    market.set_tasks(tasks, indptr, indices, values.astype(market.edges.values.dtype), demand)
    annotators = rng.choice(n, int(rng.integers(0, min(n, 3) + 1)), replace=False)
    market.set_capacities(annotators, rng.integers(-1, 5, annotators.size))


def state(market: Market) -> tuple[Case, np.ndarray, np.ndarray]:
    """The market as a one-shot case, its assignment and its prices."""
    case, held = market.snapshot()
    return case, held, market.price.copy()


@pytest.mark.parametrize("seed", range(12))
def test_every_round_finds_and_proves_the_optimum_of_the_changed_market(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(8):
        market, room = empty_market(rng)
        for turn in range(15):
            churn(rng, market, room, most=30 if turn == 0 else 5)
            r = market.solve(gap_tol=0.0, abs_tol=0.5)
            case, held, price = state(market)
            primal, bound, _ = certificate(*case, held, price)
            assert r.status == 0
            assert (primal, bound) == (r.primal, pytest.approx(r.bound, rel=1e-12))
            assert primal == optimum(*case)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounds_with_a_gap_are_certified_and_feasible(dtype: Any) -> None:
    rng = np.random.default_rng(77)
    for _ in range(6):
        market, room = empty_market(rng, dtype, m_max=200, n_max=60)
        for turn in range(20):
            churn(rng, market, room, most=200 if turn == 0 else 10)
            r = market.solve(gap_tol=1e-2)
            case, held, price = state(market)
            primal, bound, gap = certificate(*case, held, price)
            assert gap <= 1e-2
            assert (primal, bound) == (pytest.approx(r.primal), pytest.approx(r.bound))


def test_the_incremental_bound_equals_the_full_pass_bit_for_bit() -> None:
    rng = np.random.default_rng(5)
    market, room = empty_market(rng, m_max=200, n_max=60)
    compared = 0
    for turn in range(40):
        churn(rng, market, room, most=200 if turn == 0 else 4)
        r = market.solve(gap_tol=2e-2)
        if r.audits == 0:
            market._notes.memory[SHARE] = 1.0  # the next round must read all rows
            assert market.solve(gap_tol=0.5).bound == r.bound
            compared += 1
    assert compared > 20


def test_a_round_cut_short_by_its_work_limit_is_feasible_and_the_next_ones_finish_the_work() -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        market, room = empty_market(rng)
        churn(rng, market, room, most=30)
        for limit in (0, 5, 50, 500, 10**9):
            r = market.solve(gap_tol=0.0, abs_tol=0.5, max_work=limit)
            case, held, price = state(market)
            primal, _, _ = certificate(*case, held, np.where(np.isfinite(price), price, 1e9))
            assert primal == r.primal
        assert r.status == 0
        assert primal == optimum(*case)


def test_a_round_cut_short_while_annotators_return_does_not_claim_more_than_it_proves() -> None:
    rng = np.random.default_rng(16)
    for _ in range(60):
        market, room = empty_market(rng)
        churn(rng, market, room, most=30)
        for limit in (10**9, 0, 1, 20, 3, 200):
            market.set_capacities(np.arange(market.capacity.size), rng.integers(0, 4, market.capacity.size))
            churn(rng, market, room)
            r = market.solve(gap_tol=0.0, abs_tol=0.5, max_work=limit)
            case, held, price = state(market)
            primal, bound, _ = certificate(*case, held, price)
            assert (primal, bound) == pytest.approx((r.primal, r.bound))
            assert bound >= optimum(*case) - 1e-6
            assert r.status == 1 or primal == pytest.approx(optimum(*case))


def test_a_round_that_would_become_a_price_war_goes_on_from_a_coarse_epsilon() -> None:
    """Identical annotators, one too few, and an ε far too small for what the tasks are worth."""
    m, n = 21, 10
    indices = np.tile(np.arange(n, dtype=np.int32), m)
    indptr = np.arange(0, m * n + 1, n)
    one, two = np.ones(m, np.int64), np.full(n, 2, np.int64)
    market = Market(indptr, indices, np.full(m * n, 1e5), np.where(np.arange(m) > 0, one, 0), two)
    market.solve(gap_tol=0.0, abs_tol=0.5)
    market._notes.memory[EPS], market._notes.memory[PAUSE] = 1e-3, 9.0  # and paths have failed before
    market.set_tasks(np.array([0]), indptr[:2], indices[:n], np.full(n, 1e5), one[:1])
    r = market.solve(gap_tol=0.0, abs_tol=0.5, max_work=10**6)
    case, held, price = state(market)
    assert r.status == 0
    assert certificate(*case, held, price)[0] == optimum(*case)


def test_a_round_without_changes_keeps_every_pair() -> None:
    rng = np.random.default_rng(8)
    market, room = empty_market(rng, m_max=200, n_max=60)
    churn(rng, market, room, most=200)
    market.solve()
    before = market.held
    r = market.solve()
    assert (market.held == before).all()
    assert (r.bids, r.reverse_bids, r.audits) == (0, 0, 0)


@pytest.mark.compiled
def test_in_a_balanced_market_a_change_is_settled_by_a_path_and_not_by_a_chain_of_bids() -> None:
    rng = np.random.default_rng(3)
    f = family("balanced", 4000, 16, seed=1)
    indptr, indices, values, demand = f.tasks(rng, f.m)
    market = Market(indptr, indices, values, demand, f.capacities(rng, f.n))
    market.solve()
    for turn in range(12):
        tasks = rng.choice(f.m, 10, replace=False)
        market.set_tasks(tasks, *f.tasks(rng, tasks.size))
        r = market.solve()
        case, held, price = state(market)
        assert certificate(*case, held, price)[2] <= 1e-3
        if turn > 2:  # paths are tried once it is known what bids cost
            assert r.bids + r.reverse_bids <= 3 * tasks.size
            assert r.audits == 0


@pytest.mark.compiled
def test_what_a_round_leaves_unsettled_is_settled_later() -> None:
    rng = np.random.default_rng(4)
    f = family("balanced", 4000, 16, seed=1)
    indptr, indices, values, demand = f.tasks(rng, f.m)
    market = Market(indptr, indices, values, demand, f.capacities(rng, f.n))
    market.solve()
    for _ in range(8):
        tasks = rng.choice(f.m, 5, replace=False)
        market.set_tasks(tasks, *f.tasks(rng, tasks.size))
        market.solve()
    loose = market.solve()
    exact = market.solve(gap_tol=1e-9)
    case, held, price = state(market)
    primal, bound, gap = certificate(*case, held, price)
    assert gap <= 1e-9
    assert loose.primal <= exact.primal * (1 + 1e-9)
    assert (primal, bound) == (pytest.approx(exact.primal), pytest.approx(exact.bound))


def test_two_markets_with_one_history_are_equal_in_every_bit() -> None:
    a, b = (np.random.default_rng(9) for _ in range(2))
    (x, room), (y, _) = empty_market(a), empty_market(b)
    for _ in range(30):
        churn(a, x, room)
        churn(b, y, room)
        assert x.solve() == y.solve()
        assert x.price.tobytes() == y.price.tobytes()
        assert x.held.tobytes() == y.held.tobytes()


def test_columns_that_overflow_are_laid_out_afresh() -> None:
    """All tasks crowd the first annotators, then the last ones."""
    m, n, room = 60, 40, 3
    indptr = np.arange(0, m * room + 1, room, dtype=np.int64)
    tasks = np.arange(m)
    market = Market(
        indptr,
        np.tile(np.arange(3, dtype=np.int32), m),
        np.ones(m * room),
        np.ones(m, np.int64),
        np.full(n, 2),
    )
    for first in (0, 37, 10, 0):
        indices = np.tile(np.arange(first, first + 3, dtype=np.int32), m)
        market.set_tasks(tasks, indptr, indices, np.arange(1.0, m * room + 1), np.ones(m, np.int64))
        r = market.solve(gap_tol=0.0, abs_tol=0.5)
        case, held, price = state(market)
        assert r.primal == optimum(*case)
        assert certificate(*case, held, price)[0] == r.primal


def test_values_far_above_all_before_do_not_start_a_price_war() -> None:
    rng = np.random.default_rng(10)
    market, room = empty_market(rng, m_max=200, n_max=60)
    churn(rng, market, room, most=200)
    market.solve()
    m, n = market.demand.size, market.capacity.size
    indptr, indices, values, demand = changes(rng, n, room, m)
    market.set_tasks(np.arange(m), indptr, indices, values * 1e9, demand)
    r = market.solve()
    assert r.status == 0
    assert r.work < 1000 * market.edges.indices.size


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tasks": np.array([0, 0])}, "tasks: expected different rows"),
        ({"tasks": np.array([0, 9])}, "tasks: expected different rows"),
        ({"tasks": np.array([0])}, "demand: expected length 1, got 2"),
        ({"indptr": np.array([0, 3, 3]), "indices": np.arange(3, dtype=np.int32), "values": np.ones(3)},
         "indptr: task 0 has 2 places, got 3 arcs"),
    ],
)  # fmt: skip
def test_malformed_changes_are_named_and_change_nothing(change: Any, words: Any) -> None:
    market = Market(
        np.array([0, 2, 4]),
        np.array([0, 1, 0, 1], np.int32),
        np.ones(4),
        np.array([1, 1]),
        np.array([1, 1, 1]),
    )
    market.solve()
    good = {
        "tasks": np.array([0, 1]),
        "indptr": np.array([0, 1, 2]),
        "indices": np.array([0, 1], np.int32),
        "values": np.array([5.0, 6.0]),
        "demand": np.array([1, 1]),
    }
    before = market.edges.values.copy()
    with pytest.raises(ValueError, match=words):
        market.set_tasks(**(good | change))
    assert (market.edges.values == before).all()
    with pytest.raises(ValueError, match="capacity: expected <= max_capacity = 8, got 9"):
        market.set_capacities(np.array([0]), np.array([9]))
