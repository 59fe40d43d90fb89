"""The demo's settings against the real core, in memory: does the policy reach what bench-demo asks for?

One seed and a coarse clock keep it quick; the bar is bench-demo's minus the spread between seeds (.005).
"""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import kron, vstack

from kernels import candidates
from load.bench.bench_demo import ACCURACY, JUDGMENTS
from load.replay.session import Setting, market_of
from load.world.crowd import Rule, read
from load.world.dry_run import POOL, Rehearsal, rehearse
from load.world.usual import UsualPractice
from stream.core import shard
from stream.core.market import matching, required
from stream.core.market.proof import Proof
from stream.core.state.pools import PoolState
from tests.load.bench.in_memory import InMemory

SETTING = Setting()
SECONDS = 36.0
SPREAD = 0.005
LIFT = 1e4
EVERY = 20  # matchings of which one is solved once more


class Witness:
    """Solves some of the markets once more, by a linear program over the values of all their pairs."""

    def __init__(self) -> None:
        self.seen = 0
        self.solved: list[tuple[float, Proof]] = []

    def __call__(self, pool: PoolState, *arguments: Any) -> matching.Matched | None:
        best = self.optimum(pool, arguments[0]) if self.seen % EVERY == 0 else None
        matched = matching.match(pool, *arguments)
        if matched is not None:
            self.seen += 1
            if best is not None:
                self.solved.append((best, matched.proof))
        return matched

    @staticmethod
    def optimum(pool: PoolState, seed: int) -> float | None:
        """What the best offers would be worth, those of pull aside; budgets and shares there are none."""
        scratch = matching.Scratch()
        tasks, _, free = scratch.open_market(pool.columns)
        if not len(tasks) or not len(free):
            return None
        scratch.reserve(pool.annotators.used, len(free), pool.classes)
        people = pool.columns.annotators.records[free]
        capacity = (people["capacity"] - people["live"]).astype(np.int64)
        promised = required.cover(pool, tasks, free, capacity, seed, matching.fit_of(pool))
        further = tasks[pool.columns.tasks.owes[tasks] <= 0]
        rows = np.concatenate([promised.tasks, further])
        lift = np.where(np.arange(len(rows)) < len(promised.tasks), LIFT, 0.0)
        look = candidates.Look(1, 1, candidates.EVERYBODY)
        dense = candidates.recall(
            pool.columns, rows, free, matching.fit_of(pool), pool.in_force, look, scratch.bench, lift
        ).dense
        n, m = dense.shape
        values = np.where(dense > 0, dense - lift[:, None], 0.0).ravel()
        most = np.where(dense > 0, 1.0, 0.0).ravel()
        of_tasks, of_people = kron(np.eye(n), np.ones((1, m))).tocsr(), kron(np.ones((1, n)), np.eye(m)).tocsr()
        limits = np.concatenate([pool.columns.tasks.vacancies[further], capacity])
        k = len(promised.tasks)
        equal = {"A_eq": of_tasks[:k], "b_eq": promised.counts} if k else {}
        bounds = np.column_stack([np.zeros(len(most)), most])
        found = linprog(-values, A_ub=vstack([of_tasks[k:], of_people]), b_ub=limits, bounds=bounds, **equal)
        assert found.status == 0
        return -float(found.fun)


@pytest.fixture(scope="module")
def witness() -> Witness:
    return Witness()


@pytest.fixture(scope="module")
def run(witness: Witness) -> tuple[InMemory, Rehearsal]:
    allocator = InMemory(market_of(SETTING))
    with pytest.MonkeyPatch.context() as patch:  # other tests have budgets, of which it knows nothing
        patch.setattr(shard, "match", witness)
        figures = rehearse(
            allocator,
            read("rte"),
            SETTING.rule,
            habits=SETTING.habits,
            seed=SETTING.seed,
            speed=SETTING.speed,
            lease_s=SETTING.lease_s,
            seconds=SECONDS,
            step_s=0.1,
        )
    return allocator, figures


@pytest.mark.slow
def test_accuracy_and_spend_keep_to_the_bar_of_bench_demo(run: tuple[InMemory, Rehearsal]) -> None:
    _, figures = run
    assert figures.accuracy >= ACCURACY - SPREAD
    assert figures.received <= JUDGMENTS


@pytest.mark.slow
def test_every_task_ends_and_nothing_is_a_dead_letter(run: tuple[InMemory, Rehearsal]) -> None:
    allocator, figures = run
    assert figures.settled == figures.tasks == 800
    assert allocator.dead_letters == []


@pytest.mark.slow
def test_the_spammer_judges_a_small_part_of_what_is_open_to_it(run: tuple[InMemory, Rehearsal]) -> None:
    _, figures = run
    assert 0 < figures.spammer < 0.1 * figures.tasks


@pytest.mark.slow
def test_it_is_more_accurate_than_the_usual_practice(run: tuple[InMemory, Rehearsal]) -> None:
    _, figures = run
    usual = UsualPractice(
        read("rte"), SETTING.habits, SETTING.seed, start=0.0, speed=SETTING.speed, lease_s=SETTING.lease_s
    )
    usual.advance(SECONDS)
    assert figures.accuracy > usual.accuracy + 0.02


@pytest.mark.slow
def test_every_round_states_a_gap_within_the_markets_target(run: tuple[InMemory, Rehearsal]) -> None:
    allocator, _ = run
    pools = [pool for completed in allocator.rounds for pool in completed.pools if pool.offers]
    assert pools
    assert max(pool.gap for pool in pools) <= market_of(SETTING).gap
    for pool in pools:
        # required work that nobody is left for is no part of the market: it may be small in a large pool
        assert pool.covers == "all" or pool.open_tasks * pool.free_annotators > matching.FULL_PAIRS
    assert sum(pool.unproven_value for pool in pools) < 0.01 * sum(pool.value for pool in pools)


@pytest.mark.slow
def test_the_bounds_are_true_and_the_offers_as_good_as_stated(
    run: tuple[InMemory, Rehearsal], witness: Witness
) -> None:
    """The gap of the test above is only as good as the bound: here the optimum itself is computed beside it."""
    solved = [(best, proof) for best, proof in witness.solved if proof.covers == "all"]
    assert len(solved) > 10
    for best, proof in solved:
        assert best * (1 - 1e-9) <= proof.bound
        assert best * (1 - market_of(SETTING).gap) <= proof.value <= best * (1 + 1e-9)


@pytest.mark.slow
def test_biased_people_are_seen_through_with_a_quarter_of_their_judgments() -> None:
    """On bluebird a majority vote of all 39 answers per task is right on .759; by seed it is .70 to .85 here."""
    bluebird = read("bluebird")
    runs = [
        rehearse(
            InMemory(market_of(SETTING)),
            bluebird,
            SETTING.rule,
            habits=SETTING.habits,
            seed=seed,
            speed=SETTING.speed,
            lease_s=SETTING.lease_s,
            seconds=30.0,
            step_s=0.1,
        )
        for seed in range(1, 7)
    ]
    assert sum(run.accuracy for run in runs) / len(runs) > 0.759
    assert max(run.received for run in runs) < 10 * len(bluebird.answers)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("rte", -0.01), ("SP_amt", 0.0)])
def test_with_the_usual_practices_own_money_every_task_has_an_answer(name: str, least: float) -> None:
    """By seed the difference is -.00 to +.01 on rte and 0 to +.02 on SP_amt; it was -.02 and -.02 to -.06."""
    crowd, differences = read(name), []
    for seed in (1, 2):
        usual = UsualPractice(crowd, SETTING.habits, seed, start=0.0, speed=SETTING.speed, lease_s=SETTING.lease_s)
        usual.advance(60.0)
        allocator = InMemory(market_of(SETTING))
        figures = rehearse(
            allocator,
            crowd,
            Rule(overlap=1, max_overlap=10, confidence=0.94, budget=usual.judgments),
            habits=SETTING.habits,
            seed=seed,
            speed=SETTING.speed,
            lease_s=SETTING.lease_s,
            seconds=60.0,
            step_s=0.1,
        )
        pool = allocator.shard.pools[POOL]
        assert figures.received <= 1.005 * usual.judgments  # late answers count beyond the budget
        assert (pool.columns.tasks.records["counted"][: pool.tasks.used] > 0).all()
        differences.append(figures.accuracy - usual.accuracy)
    assert sum(differences) / len(differences) > least
