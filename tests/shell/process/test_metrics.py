"""Figures of a round, as Prometheus reads them."""

from types import SimpleNamespace
from typing import get_args

from prometheus_client import generate_latest

from stream.core.batch import Reason
from stream.core.shard import DeadLetter, RoundResult
from stream.events import PoolRound, RoundCompleted
from stream.shell.process.metrics import SAMPLES, Metrics
from stream.topics import INPUTS, TASKS, dead_letters


def result(events: int, letters: int = 0) -> RoundResult:
    pool = PoolRound(pool="p", open_tasks=4, free_annotators=2, offers=2, value=1.0, bound=1.1, gap=0.01,
                     covers="recalled", pairs=3, unproven_value=0.25, taught_value=0.5,
                     waits_for_ability=3)  # fmt: skip
    completed = RoundCompleted(
        partition=1, round=1, epoch=1, at=0.0, seed=0, offsets={}, caught_up=True, complete_until=0.0,
        events=events, dead_letters=letters, pools=[pool, pool], durations_ms={}, software="",
    )  # fmt: skip
    unusable = [DeadLetter(dead_letters(TASKS), b"k", b"v", [("reason", b"clock")])] * letters
    return RoundResult(
        rows={}, outputs={}, dead_letters=unusable, wakeup=None, completed=completed, open_tasks=9, free_annotators=0
    )


def text(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_a_round_is_counted_by_topic_reason_and_pool() -> None:
    metrics = Metrics()
    records = [SimpleNamespace(timestamp=1000)] * 5
    metrics.committed(1, result(5, letters=2), {TASKS: records}, at=1.5, records=9)
    shown = text(metrics)
    for line in ('allocator_events_total{topic="labeling.tasks.v1"} 5.0', "allocator_rounds_total 1.0",
                 'allocator_dead_letters_total{reason="clock",topic="labeling.tasks.v1-dlt"} 2.0',
                 "allocator_offers_total 4.0", "allocator_records_total 9.0", 'allocator_gap{partition="1"} 0.01',
                 'allocator_open_tasks{partition="1"} 9.0', 'allocator_free_annotators{partition="1"} 0.0',
                 'allocator_unproven_share{partition="1"} 0.2',
                 'allocator_waits_for_ability{partition="1"} 6.0'):  # fmt: skip
        assert line in shown


def test_the_latency_counts_every_event_however_few_are_sampled() -> None:
    metrics = Metrics()
    many = [SimpleNamespace(timestamp=1000) for _ in range(10 * SAMPLES + 7)]
    metrics.committed(1, result(len(many)), {TASKS: many}, at=1.2, records=0)
    shown = text(metrics)
    assert f"allocator_event_to_commit_seconds_count {len(many)}.0" in shown
    assert 'allocator_event_to_commit_seconds_bucket{le="0.1"} 0.0' in shown
    assert f'allocator_event_to_commit_seconds_bucket{{le="0.25"}} {len(many)}.0' in shown


def test_series_of_a_partition_that_was_lost_disappear() -> None:
    metrics = Metrics()
    metrics.committed(1, result(0), {}, at=0.0, records=0)
    metrics.forget(1)
    assert 'partition="1"' not in text(metrics)
    metrics.forget(2)


def test_every_series_that_may_count_something_is_there_at_0() -> None:
    """The first incident is an increase only for whoever has seen the 0 before it."""
    shown = text(Metrics())
    for topic in INPUTS:
        assert f'allocator_events_total{{topic="{topic}"}} 0.0' in shown
        for reason in get_args(Reason):
            assert f'allocator_dead_letters_total{{reason="{reason}",topic="{dead_letters(topic)}"}} 0.0' in shown
