"""An annotator twice in a row: refused at the door, and harmless for a caller who vouches wrongly."""

from typing import Any

import numpy as np
import pytest

from kernels.auction import Market, certificate, solve, solver
from kernels.auction.audit import slot_cost
from kernels.auction.market import Case
from kernels.auction.market_arrays import ANNOTATOR, TASK, Book
from kernels.jit import entry

GAP = 1e-3


def doubled(rng: Any, m: Any, n: Any) -> Any:
    """Rows of a random market in which annotators stand up to three times, and the same rows without repeats."""
    whole, once = [], []
    for i in range(m):
        row = rng.choice(n, size=int(rng.integers(1, n + 1)), replace=False)
        more = rng.choice(row, size=int(rng.integers(1, 4))) if i == 0 or rng.random() < 0.5 else []
        both = rng.permutation(np.concatenate([row, more])).astype(int).tolist()
        worth = np.round(rng.random(len(both)) * 10 - 1, 3).tolist()
        best: dict[int, float] = {}
        for j, value in zip(both, worth, strict=True):
            best[j] = max(value, best.get(j, -np.inf))
        whole.append(list(zip(both, worth, strict=True)))
        once.append(list(best.items()))
    return whole, once


def arrays(rows: Any, limits: tuple[np.ndarray, np.ndarray]) -> Case:
    arcs = [arc for row in rows for arc in row]
    return (
        np.cumsum([0, *map(len, rows)]), np.array([j for j, _ in arcs], np.int32),
        np.array([value for _, value in arcs], np.float64), *limits,
    )  # fmt: skip


def pairs(case: Any, held: Any) -> Any:
    rows = np.repeat(np.arange(case[3].size), np.diff(case[0]))
    return list(zip(rows[held > 0].tolist(), case[1][held > 0].tolist(), strict=True))


def check(case: Case, once: Case, held: Any, price: Any, primal: Any, bound: Any) -> None:
    """Feasible, each pair once, and proven: prices and bound are right for the market without repeats."""
    taken = pairs(case, held)
    assert len(set(taken)) == len(taken)
    assert np.isfinite(price[case[4] > 0]).all()
    held_once = np.array([pair in taken for pair in pairs(once, np.ones(once[1].size))], np.uint8)
    value, proven, gap = certificate(*once, held_once, price)
    assert (value, proven) == (pytest.approx(primal, abs=1e-9), pytest.approx(bound, abs=1e-9))
    assert gap <= GAP * (1 + 1e-9) and primal <= bound * (1 + 1e-12)


@pytest.mark.parametrize("seed", range(300))
def test_a_market_that_names_an_annotator_twice_is_refused_or_harmless(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 14)), int(rng.integers(1, 8))
    limits = rng.integers(0, 4, m), rng.integers(0, 4, n)
    case, once = (arrays(rows, limits) for rows in doubled(rng, m, n))
    with pytest.raises(ValueError, match=r"annotator [0-9]+ appears twice among the candidates of task"):
        solve(*case)
    price, held = rng.random(n), rng.integers(0, 2, case[1].size).astype(np.uint8)
    starts: list[dict[str, Any]] = [{}, {"price": price, "held": held}]
    for start in starts:
        s = solve(*case, check=False, gap_tol=GAP, **start)
        check(case, once, s.held, s.price, s.primal, s.bound)


@pytest.mark.parametrize("seed", range(40))
def test_so_are_changes_of_a_living_market(seed: int) -> None:
    rng = np.random.default_rng(1000 + seed)
    m, n, places = int(rng.integers(2, 14)), int(rng.integers(2, 8)), 12
    columns = np.tile(np.arange(places, dtype=np.int32), m)
    capacity = np.concatenate([rng.integers(0, 4, n), np.zeros(places - n, np.int64)])
    market = Market(
        np.arange(0, m * places + 1, places), columns, np.zeros(m * places), np.zeros(m, np.int64), capacity
    )
    rows: list[list[tuple[int, float]]] = [[] for _ in range(m)]
    demand = np.zeros(m, np.int64)
    for _ in range(5):
        changed = rng.choice(m, size=int(rng.integers(1, m + 1)), replace=False)
        demand[changed] = rng.integers(0, 4, changed.size)
        whole, once = doubled(rng, changed.size, n)
        case = arrays(whole, (demand[changed], capacity))
        with pytest.raises(ValueError, match="appears twice among the candidates of task"):
            market.set_tasks(changed, *case[:4])
        market.set_tasks(changed, *case[:4], check=False)
        for i, row in zip(changed.tolist(), once, strict=True):
            rows[i] = row
        r = market.solve(gap_tol=GAP)
        snapshot, held = market.snapshot()
        check(snapshot, arrays(rows, (demand, capacity)), held, market.price, r.primal, r.bound)


def test_an_unknown_price_of_somebody_with_slots_never_makes_a_bound() -> None:
    @entry
    def cost(book: Any) -> Any:
        return slot_cost(book)

    annotators = np.zeros(3, ANNOTATOR)
    annotators["capacity"] = [0, 2, 1]
    empty = np.empty(0)
    book = Book(
        np.array([np.inf, 1.5, 0.5]), empty, np.empty(0, TASK), annotators, empty, empty, empty, empty, empty
    )
    assert cost(book) == 3.5  # who has no slot costs nothing, whatever the price
    book.price[2] = np.inf
    assert cost(book) == np.inf


@pytest.mark.parametrize("bound", [np.inf, np.nan])
def test_a_solution_without_a_bound_is_an_error(bound: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solver, "solve_kernel", lambda *_: (13.0, bound, 0, 0.1))
    one = np.array([0, 1]), np.zeros(1, np.int32), np.ones(1), np.ones(1, np.int64), np.ones(1, np.int64)
    with pytest.raises(ArithmeticError, match="expected a finite bound"):
        solve(*one)
