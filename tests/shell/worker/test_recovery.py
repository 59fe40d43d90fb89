"""Restarts against a real Kafka: what a snapshot may do, and what a worker refuses to start on."""

import asyncio
import json
import resource
import signal
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from stream.core.saved.rows import VERSION
from stream.local import LocalKafka
from stream.settings import Settings
from stream.shell.process.metrics import Metrics
from stream.shell.snapshots.snapshot import Header, Writer, read
from stream.shell.worker.partitions import Partitions
from stream.topics import ANNOTATORS, TASKS, changelog
from tests.shell.counting import make_shard
from tests.shell.harness import (
    PARTITIONS,
    Load,
    Worker,
    account,
    is_applied,
    make_topics,
    rounds,
    send,
    settings_for,
    until,
)

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    # the load's client leaves a socket open when the broker dies under it; the collector finds it later
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def settings(broker: LocalKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    settings = settings_for(broker.bootstrap, tmp_path, app_id=request.node.name[:60])
    make_topics(settings)
    return settings


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    workers: list[Worker] = []
    yield workers
    for worker in workers:
        worker.kill()


@pytest.fixture
def load(settings: Settings) -> Iterator[Load]:
    load = Load(settings.kafka_bootstrap)
    yield load
    if load.is_alive():
        load.stop()


def start(workers: list[Worker], settings: Settings) -> Worker:
    """Start one more worker."""
    workers.append(Worker(settings, f"worker-{len(workers)}"))
    return workers[-1].start()


def wait_until_all_run(worker: Worker) -> None:
    until(lambda: worker.owned() == list(range(PARTITIONS)), 40, "all partitions run")


def taken_over(worker: Worker) -> dict[int, dict[str, int]]:
    """The figures of a worker's takeovers by partition, from its log."""
    lines = [line for line in worker.text().splitlines() if "partition_taken_over" in line]
    found = [
        {name: int(value) for name, _, value in (word.partition("=") for word in line.split()) if value.isdigit()}
        for line in lines
    ]
    return {figures["partition"]: figures for figures in found}


def file_of(settings: Settings, partition: int) -> Path:
    return Path(settings.data_dir) / "state" / f"{settings.app_id}-{partition}.snapshot"


def rewritten(path: Path, **changes: object) -> None:
    """The same snapshot with another header."""
    header, rows = read(path)
    writer = Writer(path, msgspec.structs.replace(header, **changes))
    writer.write(rows.items())
    writer.finish()


def test_a_restart_after_sigterm_reads_its_snapshot_and_goes_on_exactly(
    settings: Settings, load: Load, workers: list[Worker]
) -> None:
    first = start(workers, settings)
    load.start()
    wait_until_all_run(first)
    until(lambda: load.sent > 2000, 20, "load runs")
    first.signal(signal.SIGTERM)
    assert first.wait(settings.drain_deadline_s) == 0
    load.stop()
    second = start(workers, settings)
    wait_until_all_run(second)
    until(lambda: is_applied(settings), 30, "all input is applied")
    for figures in taken_over(second).values():
        assert figures["from_snapshot"] > 0
        assert figures["rows"] == figures["from_snapshot"]  # nothing was left to read
    assert account(settings.kafka_bootstrap) == load.sent


def test_a_snapshot_written_under_load_serves_a_successor_of_a_killed_worker(
    settings: Settings, load: Load, workers: list[Worker]
) -> None:
    settings = msgspec.structs.replace(settings, snapshot_s=0.5)
    first = start(workers, settings)
    load.start()
    wait_until_all_run(first)
    until(lambda: all(file_of(settings, p).exists() for p in range(PARTITIONS)), 30, "all snapshots are written")
    sent = load.sent
    until(lambda: load.sent > sent + 1500, 20, "load goes on")
    first.kill()
    second = start(workers, settings)
    wait_until_all_run(second)
    load.stop()
    until(lambda: is_applied(settings), 30, "all input is applied")
    assert all(figures["rows"] > figures["from_snapshot"] > 0 for figures in taken_over(second).values())
    assert account(settings.kafka_bootstrap) == load.sent


def test_a_damaged_foreign_old_or_newer_snapshot_is_ignored_with_a_warning(
    settings: Settings, load: Load, workers: list[Worker]
) -> None:
    first = start(workers, settings)
    load.start()
    wait_until_all_run(first)
    until(lambda: load.sent > 1000, 20, "load runs")
    first.signal(signal.SIGTERM)
    assert first.wait(settings.drain_deadline_s) == 0
    load.stop()
    damaged = file_of(settings, 0)
    damaged.write_bytes(damaged.read_bytes()[:-40] + bytes(40))
    header: Header = read(file_of(settings, 1))[0]
    rewritten(file_of(settings, 1), identity=msgspec.structs.replace(header.identity, cluster="another"))
    rewritten(file_of(settings, 2), begun=time.time() - 86400.0)
    rewritten(file_of(settings, 3), rows=200)
    second = start(workers, settings)
    wait_until_all_run(second)
    until(lambda: is_applied(settings), 30, "all input is applied")
    ignored = [line for line in second.text().splitlines() if "snapshot_ignored" in line]
    for partition, reason in enumerate(("damaged", "foreign", "too_old", "newer")):
        assert any(f"partition={partition} " in line and f"reason={reason} " in line for line in ignored), reason
        assert f'allocator_snapshots_ignored_total{{reason="{reason}"}} 1.0' in second.get("/metrics")[1]
    assert all(figures["from_snapshot"] == 0 for figures in taken_over(second).values())
    assert account(settings.kafka_bootstrap) == load.sent


def test_a_full_disk_stops_snapshots_and_nothing_else(settings: Settings, workers: list[Worker]) -> None:
    settings = msgspec.structs.replace(settings, snapshot_s=0.5)
    worker = start(workers, settings)
    wait_until_all_run(worker)
    assert worker.process is not None
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    for number in range(8):
        send(settings.kafka_bootstrap, TASKS, 1, b"x", key=b"%d" % number + bytes(20_000))
    until(lambda: "allocator_snapshot_failures_total 0.0" not in worker.get("/metrics")[1], 20, "a snapshot fails")
    send(settings.kafka_bootstrap, TASKS, 1, b"x", b"x")
    until(lambda: is_applied(settings), 20, "rounds go on")
    assert "snapshot_failed" in worker.text()
    if file_of(settings, 1).exists():  # from before the limit was reached, and still whole
        read(file_of(settings, 1))
    worker.signal(signal.SIGTERM)
    assert worker.wait(settings.drain_deadline_s) == 0
    assert not list(Path(settings.data_dir, "state").glob("*.tmp"))


def test_a_partition_that_is_revoked_leaves_memory(settings: Settings) -> None:
    async def scenario() -> None:
        partitions = Partitions(settings, Metrics(), make_shard)
        await partitions.assign({0, 1})
        shards = {partition.number: weakref.ref(partition.shard) for partition in partitions.running()}
        await partitions.assign({0})
        assert shards[0]() is not None
        assert shards[1]() is None
        await partitions.close()

    asyncio.run(scenario())


def test_a_position_that_retention_has_removed_needs_a_person(settings: Settings, workers: list[Worker]) -> None:
    first = start(workers, settings)
    wait_until_all_run(first)
    send(settings.kafka_bootstrap, TASKS, 2, b"x", b"x")
    until(lambda: is_applied(settings), 20, "input is applied")
    first.kill()
    send(settings.kafka_bootstrap, TASKS, 2, b"x", b"x", b"x")
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    admin.delete_records({TopicPartition(TASKS, 2): 4})
    admin.close()
    second = start(workers, settings)
    assert second.wait(40) == 2
    assert "retention has removed offsets 2 to 3" in second.text()
    assert f"allocator position accept-loss --topic {TASKS} --partition 2 --to 4" in second.text()


def test_topics_made_anew_are_refused(settings: Settings, workers: list[Worker]) -> None:
    first = start(workers, settings)
    wait_until_all_run(first)
    send(settings.kafka_bootstrap, ANNOTATORS, 0, b"x", b"x", b"x")
    until(lambda: is_applied(settings), 20, "input is applied")
    first.signal(signal.SIGTERM)
    assert first.wait(settings.drain_deadline_s) == 0
    make_anew(settings, ANNOTATORS, PARTITIONS * 2)
    second = start(workers, settings)
    assert second.wait(30) == 2
    assert f"{ANNOTATORS} has {PARTITIONS * 2} partitions, not {PARTITIONS}" in second.text()
    # with the right number, but without what was in them
    make_anew(settings, ANNOTATORS, PARTITIONS)
    third = start(workers, settings)
    assert third.wait(40) == 2
    assert "ends at 0, but 3 offsets of it have been applied" in third.text()
    # the state is what can't be replaced: a changelog with another number of partitions
    make_anew(settings, changelog(settings, "skills"), 1)
    fourth = start(workers, settings)
    assert fourth.wait(30) == 2
    assert f"{changelog(settings, 'skills')} has 1 partitions, not {PARTITIONS}" in fourth.text()


def make_anew(settings: Settings, name: str, partitions: int) -> None:
    """Delete a topic and create it with another number of partitions."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    admin.delete_topics([name])
    until(lambda: name not in admin.list_topics(), 20, "the topic is gone")
    admin.create_topics([NewTopic(name, partitions, 1)])
    until(
        lambda: [len(row["partitions"]) for row in admin.describe_topics([name])] == [partitions], 20, "it is there"
    )
    admin.close()


def test_rapid_restarts_of_the_broker_lose_nothing(
    settings: Settings, load: Load, workers: list[Worker], broker: LocalKafka
) -> None:
    start(workers, settings)
    load.start()
    wait_until_all_run(workers[-1])
    for _ in range(4):
        broker.kill()
        broker.start()

    def runs() -> bool:
        code = workers[-1].code
        if code is not None:
            assert code == 70, workers[-1].text()[-2000:]
            start(workers, settings)  # as an orchestrator would
        return workers[-1].owned() == list(range(PARTITIONS))

    until(runs, 90, "all partitions run again")
    load.stop()
    until(lambda: runs() and is_applied(settings), 60, "all input is applied")
    # the broker may have kept a record that it had no time to acknowledge and that was sent again
    assert account(settings.kafka_bootstrap) >= load.sent
    assert json.dumps(sorted(rounds(settings.kafka_bootstrap))) == "[0, 1, 2, 3]"


def test_rows_of_a_newer_version_are_refused_at_the_takeover(settings: Settings, workers: list[Worker]) -> None:
    """What an older version does when it is put back behind a newer one: exit code 2, in words, nothing changed."""
    worker = start(workers, settings)
    wait_until_all_run(worker)
    send(settings.kafka_bootstrap, TASKS, 1, b"newer", b"x")
    until(lambda: is_applied(settings), 20, "input is applied")
    worker.kill()
    before = rounds(settings.kafka_bootstrap)
    older = start(workers, settings)
    assert older.wait(40) == 2
    assert f"rows of version {VERSION + 1}" in older.text()
    assert rounds(settings.kafka_bootstrap) == before
