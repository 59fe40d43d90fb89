"""Workers of different settings in one deployment: each pool runs by one policy, which stands in the log."""

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream import events as wire
from stream.core.intake.partitioning import partition_of
from stream.settings import Settings
from stream.topics import ANNOTATORS, ASSIGNMENTS, TASKS
from tests.shell.harness import (
    PARTITIONS,
    ROOT,
    Worker,
    is_applied,
    make_topics,
    read,
    rounds,
    send,
    settings_for,
    until,
)

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

HERE, THERE = 30.0, 90.0


def pools(word: str) -> list[str]:
    """A pool for each partition."""
    names = [f"{word}{number}" for number in range(100)]
    homes = [partition_of(name.encode(), PARTITIONS) for name in names]
    return [names[homes.index(partition)] for partition in range(PARTITIONS)]


OLD, NEW = pools("old"), pools("new")


@pytest.fixture
def settings(kafka: str, tmp_path: Path) -> Iterator[Settings]:
    settings = settings_for(kafka, tmp_path, app_id="policies")
    make_topics(settings)
    yield settings


class Scene:
    """Who sends events to all pools, and reads what comes of them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.at = 1_700_000_000.0
        self.sent = 0

    def send(self, topic: str, pool: str, **event: Any) -> None:
        self.at += 1.0
        value = msgspec.json.encode({"pool": pool, "at": self.at} | event)
        wire.decode(value)
        key = pool.encode()
        send(self.settings.kafka_bootstrap, topic, partition_of(key, PARTITIONS), value, key=key)

    def work(self, names: list[str]) -> None:
        """Somebody new and something for them to do in each of the pools."""
        self.sent += 1
        who = f"a{self.sent}"
        for pool in names:
            self.send(TASKS, pool, type="task_created", task=f"t{self.sent}", project="j", skill="s", overlap=1)
            self.send(ANNOTATORS, pool, type="annotator_set", annotator=who, skills=["s"])
            self.send(ANNOTATORS, pool, type="annotator_online", annotator=who, ttl_s=9e8)
        until(lambda: is_applied(self.settings), 60, "all is applied")

    def offers(self) -> dict[str, list[wire.AssignmentOffered]]:
        found = defaultdict(list)
        for record in read(self.settings.kafka_bootstrap, ASSIGNMENTS):
            one = wire.decode_result(record.value)
            if isinstance(one, wire.AssignmentOffered):
                found[one.pool].append(one)
        return found

    def policies(self) -> dict[str, list[wire.PoolPolicy]]:
        found = defaultdict(list)
        for published in rounds(self.settings.kafka_bootstrap).values():
            for one in (one for completed in published for one in completed.policies or ()):
                found[one.pool].append(one)
        return found


def worker(settings: Settings, name: str, accept_s: float) -> Worker:
    return Worker(settings, name, "tests/shell/allocating.py", ALLOCATOR_MARKET_ACCEPT_S=str(accept_s)).start()


def test_two_workers_of_different_settings_run_each_pool_by_one_policy(settings: Settings) -> None:
    scene = Scene(settings)
    first = worker(settings, "first", HERE)
    second = None
    try:
        until(lambda: len(first.owned()) == PARTITIONS, 300, "the first worker runs")  # it may have to compile
        scene.work(OLD)
        scene.send(TASKS, OLD[0], type="settings_changed", settings={"accept_s": 45, "lease_s": 600})
        scene.send(TASKS, OLD[0], type="settings_changed", settings={"accept_s": 45, "leases": 600})
        scene.work(OLD)
        second = worker(settings, "second", THERE)
        halves = {PARTITIONS // 2}
        until(lambda: {len(first.owned()), len(second.owned())} == halves, 300, "both share the partitions")
        owned = second.owned()
        scene.work([*OLD, *NEW])
        first.kill()
        until(lambda: len(second.owned()) == PARTITIONS, 60, "the second worker has all")
        scene.send(ANNOTATORS, NEW[owned[0]], type="settings_changed", settings={"accept_s": 12})
        scene.work([*OLD, *NEW])
    finally:
        first.kill()
        if second is not None:
            second.kill()

    offers = scene.offers()
    waits = {pool: list(dict.fromkeys(round(one.accept_by - one.at, 6) for one in offers[pool])) for pool in offers}
    expected = {pool: [HERE] for pool in OLD} | {OLD[0]: [HERE, 45.0]}
    expected |= {pool: [THERE] if partition in owned else [HERE] for partition, pool in enumerate(NEW)}
    assert waits == expected | {NEW[owned[0]]: [THERE, 12.0]}
    assert {pool: {one.task for one in offers[pool]} for pool in offers} == {
        pool: {"t1", "t2", "t3", "t4"} if pool in OLD else {"t3", "t4"} for pool in (*OLD, *NEW)
    }
    told = scene.policies()
    assert {pool: [one.version for one in found] for pool, found in told.items()} == {
        pool: [0, 1] if pool in (OLD[0], NEW[owned[0]]) else [0] for pool in (*OLD, *NEW)
    }
    assert told[OLD[0]][1].since.keys() == {"accept_s", "lease_s"}
    said = subprocess.run(
        [sys.executable, "-c", "from stream.shell.commands.cli import main; main()", "audit", "--json"],
        env={"PATH": os.environ["PATH"], "ALLOCATOR_KAFKA_BOOTSTRAP": settings.kafka_bootstrap},
        cwd=ROOT, capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    report = msgspec.json.decode(said.stdout)
    assert (said.returncode, report["violations"], report["assumed"]) == (0, [], 0), said.stderr
    assert report["rounds"] > 0 and report["partitions"] == list(range(PARTITIONS))
