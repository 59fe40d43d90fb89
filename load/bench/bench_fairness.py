"""What a flood in one pool costs the others: on the same partition, and on another partition of the same worker.

Shards alone, without Kafka, run as a worker runs them: rounds back to back, each with as much of the flood as
``round_ms`` of work allows by what the last one cost. A probe is one new task in a quiet pool with free people; it is
answered when the round that offers it is computed.

    same partition    arrives somewhere within a round, is answered by the next:  wait <= what is left of one + one
    other partition   has rounds of its own, beside a thread that computes the flood's

A round is bounded, so the wait is: at most ``ROUNDS`` times ``round_ms`` at the 99th percentile. Rounds of one
partition are measured in processor time, as the worker's budget does, so that other processes of the machine don't
count; the wait beside another partition by the clock, since what two threads cost each other is the question.

Not measured here: a flood that is faster than its partition for long. Its log is one queue, and whoever sends to that
partition waits in it; pools of other partitions don't.
"""

import gc
import itertools
import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import click

from load.system.deployment import pool_in
from stream import events as wire
from stream.core.batch import Range
from stream.core.shard import Shard
from stream.settings import Market
from stream.topics import TASKS

PARTITIONS = 2
ROUND_S = 0.1
ROUNDS = 3  # bar: the wait of a probe, in rounds of the flood
CROWD, QUIET, OPEN = 1_000, 20, 2_000
AT = 1_700_000_000.0


class Record(NamedTuple):
    """What a shard needs of a record."""

    offset: int
    key: bytes
    value: bytes
    headers: tuple[()] = ()


class Stage:
    """One shard and the next offsets of its inputs."""

    def __init__(self, partition: int) -> None:
        self.shard = Shard(partition, Market(), PARTITIONS)
        self.shard.restored()

    def round(self, events: list[wire.Event]) -> float:
        """Compute one round; returns the processor time it took."""
        start = self.shard.position[TASKS]
        records = [Record(start + i, event.pool.encode(), wire.encode(event)) for i, event in enumerate(events)]
        given = Range(start, start + len(records), records)
        begun = time.thread_time()
        self.shard.round(given, None, AT, AT, True)
        return time.thread_time() - begun

    def people(self, pool: str, count: int) -> None:
        """Let people come online in a pool."""
        for number in range(count):
            profile = wire.AnnotatorSet(pool=pool, at=AT, annotator=f"a{number}", skills=("*",))
            self.round([profile, _online(pool, number)])


def _online(pool: str, number: int) -> wire.Event:
    return wire.AnnotatorOnline(pool=pool, at=AT, annotator=f"a{number}", capacity=5, ttl_s=1e6)


def _task(pool: str, number: int) -> wire.Event:
    return wire.TaskCreated(
        pool=pool, at=AT, task=f"t{number}", project="p", skill="s", classes=2, overlap=2, max_overlap=5,
        confidence=0.95,
    )  # fmt: skip


def flood(pool: str) -> Iterator[wire.Event]:
    """Heartbeats, and tasks that come and are cancelled: `OPEN` of them are open."""
    for number in itertools.count():
        yield _task(pool, number)
        yield from (_online(pool, (3 * number + i) % CROWD) for i in range(3))
        if number >= OPEN:
            yield wire.TaskCancelled(pool=pool, at=AT, task=f"t{number - OPEN}")


def probes(pool: str) -> Iterator[list[wire.Event]]:
    """One new task, and the one before is cancelled."""
    for number in itertools.count():
        yield [_task(pool, number), *([wire.TaskCancelled(pool=pool, at=AT, task=f"t{number - 1}")] if number else [])]


class Budget:
    """As many events as a round's work allows, by what the last round cost."""

    def __init__(self) -> None:
        self.events = 500

    def spent(self, seconds: float) -> None:
        """Learn from a round; at most doubled, as the cost of larger rounds isn't known yet."""
        self.events = max(256, min(int(self.events * ROUND_S / seconds), 2 * self.events, 50_000))


def alone(count: int) -> list[float]:
    """Rounds of the quiet pool with nothing beside it."""
    stage, pool = Stage(0), pool_in(0, PARTITIONS)
    stage.people(pool, QUIET)
    return [stage.round(probe) for probe in itertools.islice(probes(pool), count)]


def same_partition(count: int, rng: random.Random) -> tuple[list[float], list[float]]:
    """Waits of probes beside a flood in their partition, and the lengths of the rounds."""
    stage, quiet, loud = Stage(0), pool_in(0, PARTITIONS), pool_in(0, PARTITIONS, 1)
    stage.people(quiet, QUIET)
    stage.people(loud, CROWD)
    events, budget, waits, rounds = flood(loud), Budget(), list[float](), list[float]()
    for probe in itertools.islice(probes(quiet), count):
        before = stage.round(list(itertools.islice(events, budget.events)))
        budget.spent(before)
        took = stage.round([*itertools.islice(events, budget.events), *probe])
        budget.spent(took)
        rounds += [before, took]
        waits.append(rng.random() * before + took)
    return waits, rounds


def other_partition(count: int) -> list[float]:
    """Rounds of the quiet pool beside a thread that computes a flood of another partition."""
    noisy, loud = Stage(1), pool_in(1, PARTITIONS)
    noisy.people(loud, CROWD)
    stage, quiet = Stage(0), pool_in(0, PARTITIONS)
    stage.people(quiet, QUIET)
    end = threading.Event()

    def run() -> None:
        events, budget = flood(loud), Budget()
        while not end.is_set():
            budget.spent(noisy.round(list(itertools.islice(events, budget.events))))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    waits = []
    for probe in itertools.islice(probes(quiet), count):
        time.sleep(0.01)
        begun = time.perf_counter()
        stage.round(probe)
        waits.append(time.perf_counter() - begun)
    end.set()
    thread.join()
    return waits


def percentile(values: list[float], p: float) -> float:
    """In milliseconds."""
    return round(1e3 * sorted(values)[min(int(p * len(values)), len(values) - 1)], 2)


@click.command()
@click.option("--probes", "count", type=click.IntRange(20), default=200, show_default=True)
def main(count: int) -> None:
    """Measure, print one JSON object, exit 1 below a bar. Example: python -m load.bench.bench_fairness --probes 100"""
    alone(20)  # compiled kernels are loaded
    # as a worker does when its kernels are loaded (`stream.shell.worker`): collections would be a part of rounds here
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    quiet = alone(count)
    waits, rounds = same_partition(count, random.Random(1))
    beside = other_partition(count)
    limit_ms = ROUNDS * ROUND_S * 1e3
    figures = {
        "alone_p50_ms": percentile(quiet, 0.5), "alone_p99_ms": percentile(quiet, 0.99),
        "round_p50_ms": percentile(rounds, 0.5), "round_p99_ms": percentile(rounds, 0.99),
        "same_partition_p50_ms": percentile(waits, 0.5), "same_partition_p99_ms": percentile(waits, 0.99),
        "other_partition_p50_ms": percentile(beside, 0.5), "other_partition_p99_ms": percentile(beside, 0.99),
        "bar_ms": limit_ms, "probes": count,
    }  # fmt: skip
    figures["ok"] = figures["same_partition_p99_ms"] <= limit_ms and figures["other_partition_p99_ms"] <= limit_ms
    print(json.dumps(figures))
    sys.exit(0 if figures["ok"] else 1)


if __name__ == "__main__":
    main()
