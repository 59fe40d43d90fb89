"""The benches of a whole worker: the mix they send and the bars they judge by."""

from collections import Counter

import pytest

from load.bench.bench_latency import P50_BAR, P99_BAR, judge
from load.bench.bench_pipeline import PARTITIONS, PEOPLE, POOLS, answers, opening, pools
from load.system.deployment import pool_in
from stream.core.intake.partitioning import partition_of
from stream.events import AnnotatorOnline, AssignmentAccepted, AssignmentOffered, JudgmentSubmitted, TaskCreated

OFFERS = [
    AssignmentOffered(
        pool=pools()[n % 16], partition=0, round=1, assignment=f"0-1-{n}", task=f"t{n}", project="p", skill="s1",
        annotator=f"a{n % PEOPLE}", at=0.0, accept_by=1.0, lease_s=1.0,
    )
    for n in range(4000)
]  # fmt: skip


def test_pools_lie_where_they_are_wanted() -> None:
    for nth in range(3):
        for partition in range(PARTITIONS):
            name = pool_in(partition, PARTITIONS, nth)
            assert partition_of(name.encode(), PARTITIONS) == partition
    assert len(set(pools())) == POOLS * PARTITIONS


def test_the_mix_is_the_stated_one_and_every_offer_is_judged_once() -> None:
    said = [event for _, event in answers(list(OFFERS), 10.0, seed=1)]
    kinds = Counter(type(event) for event in said)
    judged = [(e.pool, e.annotator, e.task) for e in said if isinstance(e, JudgmentSubmitted)]
    assert sorted(judged) == sorted((o.pool, o.annotator, o.task) for o in OFFERS)
    assert kinds[JudgmentSubmitted] / len(said) == pytest.approx(0.40, abs=0.01)
    assert kinds[AssignmentAccepted] / len(said) == pytest.approx(0.20, abs=0.01)
    assert kinds[TaskCreated] / len(said) == pytest.approx(0.15, abs=0.01)


def test_an_acceptance_comes_before_its_judgment() -> None:
    judged = set()
    for _, event in answers(list(OFFERS), 10.0, seed=2):
        if isinstance(event, JudgmentSubmitted):
            judged.add((event.pool, event.annotator, event.task))
        if isinstance(event, AssignmentAccepted):
            assert (event.pool, event.annotator, event.task) not in judged


def test_there_is_room_for_the_outstanding_offers() -> None:
    said = [event for _, event in opening(0.0)]
    room = sum(event.capacity or 1 for event in said if isinstance(event, AnnotatorOnline))
    wanted = sum(2 for event in said if isinstance(event, TaskCreated))
    assert room >= 50_000
    assert wanted >= 50_000


@pytest.mark.parametrize(("p50", "p99", "ok"), [(2.9, 11.0, True), (3.1, 11.0, False), (2.9, 12.1, False)])
def test_both_bars_stand_on_the_floors_median(p50: float, p99: float, ok: bool) -> None:
    floor = [0.001] * 100
    events = [p50 * 0.001] * 95 + [p99 * 0.001] * 5
    verdict = judge(events, floor)
    assert (verdict.p50_bar, verdict.p99_bar) == (P50_BAR, P99_BAR)
    assert verdict.ok is ok
