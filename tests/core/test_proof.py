"""What a round says of the worth of its offers, against a linear program that knows nothing of the auction."""

from collections import defaultdict
from typing import Any, ClassVar

import pytest

from stream import events as wire
from stream import topics
from stream.core.market import matching
from stream.core.shard import RoundResult, Shard
from stream.settings import Market
from tests.core.course import Course, gold, people, project, work
from tests.core.histories import MARKET, PARTITION, PARTITIONS, Kinds, Writer
from tests.core.market import Book
from tests.core.optimum import Best, optimum
from tests.core.oracle import Oracle
from tests.core.test_oracle import offered, started

SEEDS = range(10)
TURNS = 40
ROUNDING = 1e-9


class Work(Writer):
    """Histories of work alone, with budgets that run out, or without any limit of a project."""

    budgets: tuple[int | None, ...] = (None, None, None, 0, 1, 3, 8, 40)

    def event(self) -> dict[str, Any]:
        event = super().event()
        if event["type"] == "task_created":
            event.pop("purpose", None)
            event.pop("label", None)
        if event["type"] == "project_set":
            event["budget"] = self.rng.choice(self.budgets)
            if self.budgets == (None,):
                event["max_per_annotator"] = None
        return event


class Unlimited(Work):
    """No budgets, and no policies that let the auction see few candidates of a task."""

    budgets = (None,)
    kinds: ClassVar[Kinds] = {name: kind for name, kind in Work.kinds.items() if name != "settings_changed"}


class Weighing(Oracle):
    """An oracle that knows the best that each pool's offers could be worth."""

    def __init__(self, market: Market = MARKET) -> None:
        super().__init__(PARTITION, market, PARTITIONS)
        self.best: dict[str, Best] = {}

    def before_offers(self, book: Book) -> None:
        self.best[book.name] = optimum(book)


def decided(result: RoundResult) -> dict[str, float]:
    worth: dict[str, float] = defaultdict(float)
    for _, value in result.outputs[topics.DECISIONS]:
        decision = wire.decode_result(value)
        if isinstance(decision, wire.DecisionMade):
            worth[decision.pool] += decision.value
    return worth


def played(writer: Work) -> tuple[Shard, Weighing]:
    return started(writer), Weighing()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bound_over_all_pairs_is_one_and_what_is_missed_is_within_the_gap(seed: int) -> None:
    writer = Work(seed)
    shard, oracle = played(writer)
    proven = 0
    for turn in writer.turns(TURNS):
        result = shard.round(*turn)
        writer.told(offered(result))
        oracle.round(turn.tasks, turn.annotators, turn.now, turn.complete_until, offered(result))
        for pool in result.completed.pools:
            best, pairs, required = oracle.best[pool.pool]
            assert pool.required == pool.required_bound == sum(required.values())
            assert pool.covers == "all" and pool.unproven_value == 0.0
            assert pool.pairs == pairs, "every pair was looked at"
            assert pool.bound >= best - ROUNDING, "no bound may be below what could be had"
            assert pool.value <= pool.bound + ROUNDING
            assert pool.value == pytest.approx(decided(result)[pool.pool], abs=ROUNDING)
            proven += pool.bound > 0
    assert proven


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bound_is_tight_where_projects_set_no_limits(seed: int) -> None:
    writer = Unlimited(seed)
    shard, oracle = played(writer)
    for turn in writer.turns(TURNS):
        result = shard.round(*turn)
        writer.told(offered(result))
        oracle.round(turn.tasks, turn.annotators, turn.now, turn.complete_until, offered(result))
        for pool in result.completed.pools:
            best = oracle.best[pool.pool].value
            assert best - ROUNDING <= pool.bound <= best + 2 * MARKET.gap * abs(best) + ROUNDING


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("pairs", [0, 30])
def test_a_bound_over_recalled_pairs_speaks_of_what_the_auction_sold(
    seed: int, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "FULL_PAIRS", pairs)
    monkeypatch.setattr(matching, "SAMPLE", 2)
    writer = Writer(seed)
    shard = started(writer)
    for turn in writer.turns(TURNS):
        result = shard.round(*turn)
        writer.told(offered(result))
        for pool in result.completed.pools:
            assert pool.value <= pool.bound + ROUNDING
            scale = max(abs(pool.bound), abs(pool.value))
            assert pool.gap == pytest.approx((pool.bound - pool.value) / scale if scale else 0.0)
            said = pool.value + pool.unproven_value + pool.taught_value
            assert said == pytest.approx(decided(result)[pool.pool], abs=ROUNDING)
            if pool.covers == "all":
                assert pool.unproven_value == 0.0
            if not pool.pairs:
                assert pool.value == pool.bound == 0.0


def stated(course: Course) -> wire.PoolRound:
    assert course.result is not None
    (pool,) = course.result.completed.pools
    return pool


def test_what_the_final_pass_adds_raises_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task has drawn one person, several the same: the others are found in the end."""
    monkeypatch.setattr(matching, "FULL_PAIRS", 0)
    monkeypatch.setattr(matching, "SAMPLE", 1)
    course = Course()
    names = [f"a{i}" for i in range(20)]
    course.told(*work(60, overlap=0), *people(names))
    pool = stated(course)
    assert pool.offers == len(names) and not pool.required
    assert pool.covers == "recalled" and pool.unproven_value > 0
    assert pool.value <= pool.bound
    assert pool.value + pool.unproven_value == pytest.approx(sum(d.value for d in course.outputs(topics.DECISIONS)))


def test_what_gold_is_worth_is_stated_by_itself() -> None:
    course = Course()
    course.told(project(gold_rate=0.9), *gold(20), *work(40, min_skill=0.9))
    course.told(*people(["a", "b"]))
    pool = stated(course)
    assert pool.offers == 2
    assert pool.value == pool.bound == 0.0, "nobody may do the work"
    assert pool.taught_value == pytest.approx(sum(d.value for d in course.outputs(topics.DECISIONS)))
    assert pool.taught_value > 0


def test_a_list_longer_than_the_market_is_looked_at_in_full() -> None:
    """A task names ten people, two are there: every pair means these two, whoever is drawn first."""
    course = Course()
    names = [f"a{i}" for i in range(10)]
    course.told(*people(names[8:]), *people(["else"]))
    course.told(*work(8, only=names, overlap=0))
    pool = stated(course)
    assert pool.covers == "all" and pool.pairs == 8 * 2
    assert pool.offers == 2 and pool.bound > 0.0


def test_required_work_goes_as_far_as_shares_do() -> None:
    """Who may have one task of a project covers one, whatever their capacity; what others may do is found."""
    course = Course()
    course.told(project(max_per_annotator=1), *work(6, overlap=1))
    course.told(*people(["a"], capacity=4))
    pool = stated(course)
    assert (pool.offers, pool.required, pool.required_bound) == (1, 1, 1)
    assert pool.bound == pytest.approx(pool.value, rel=1e-3)


def test_further_work_beyond_shares_shows_in_the_gap() -> None:
    """The auction may give one person what `max_per_annotator` then refuses: the bound stays, the gap shows it."""
    course = Course()
    course.told(project(max_per_annotator=1), *work(6, overlap=0))
    course.told(*people(["a"], capacity=4))
    pool = stated(course)
    assert (pool.offers, pool.required) == (1, 0)
    assert pool.bound == pytest.approx(4 * pool.value, rel=1e-3)
    assert pool.gap == pytest.approx(0.75, abs=1e-3)
