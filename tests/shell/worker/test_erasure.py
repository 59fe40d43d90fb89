"""Erasing a person, on a real Kafka: when the changelogs are compacted, nothing in them names the person."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from stream.core.intake.partitioning import partition_of
from stream.local import LocalKafka
from stream.settings import Settings
from stream.shell.commands import audit_command
from stream.topics import ANNOTATORS, ASSIGNMENTS, TABLES, TASKS, changelog
from tests.shell.harness import PARTITIONS, Worker, make_topics, read, send, settings_for, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

POOL, PERSON, OTHER = "captions", "erased-person-of-this-test", "kept-person-of-this-test"
AT_ONCE = {
    "segment.ms": "500", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0", "max.compaction.lag.ms": "500"
}  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with LocalKafka(tmp_path / "kafka", properties={"log.cleaner.backoff.ms": "200"}) as broker:
        settings = settings_for(broker.bootstrap, tmp_path, app_id="erasure", snapshot_s=2.0)
        make_topics(settings)
        admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, changelog(settings, table), AT_ONCE) for table in TABLES]
        )
        admin.close()
        yield settings


def tell(settings: Settings, topic: str, kind: str, **fields: object) -> None:
    event = {"type": kind, "pool": POOL, "at": time.time()} | fields
    value = msgspec.json.encode(event)
    send(settings.kafka_bootstrap, topic, partition_of(POOL.encode(), PARTITIONS), value, key=POOL.encode())


def names(settings: Settings, person: str) -> list[str]:
    """Changelogs and snapshots in which somebody is named, tombstones included."""
    found = []
    for table in TABLES:
        for record in read(settings.kafka_bootstrap, changelog(settings, table)):
            if person.encode() in record.key + b"\1" + (record.value or b""):
                found.append(table)
    files = (Path(settings.data_dir) / "state").glob("*.snapshot*")
    return found + [file.name for file in files if person.encode() in file.read_bytes()]


def test_no_compacted_topic_and_no_snapshot_names_an_erased_person(settings: Settings) -> None:
    worker = Worker(settings, "worker", "tests/shell/allocating.py").start()
    try:
        until(lambda: len(worker.owned()) == PARTITIONS, 300, "the worker runs")
        for person in (PERSON, OTHER):
            tell(settings, ANNOTATORS, "annotator_set", annotator=person, skills=["*"])
            tell(settings, ANNOTATORS, "annotator_online", annotator=person, capacity=3)
            # waits for its task
            tell(settings, ANNOTATORS, "judgment_submitted", annotator=person, task="nobody made it", label=0)
        tell(settings, TASKS, "task_created", task="t", project="j", skill="s", classes=2, overlap=2)
        for person in (PERSON, OTHER):
            tell(settings, ANNOTATORS, "judgment_submitted", annotator=person, task="t", label=1)
        tell(settings, TASKS, "task_created", task="u", project="j", skill="s", classes=2, overlap=2)

        def offered() -> bool:
            values = [record.value for record in read(settings.kafka_bootstrap, ASSIGNMENTS)]
            return any(b"_offered" in value and PERSON.encode() in value for value in values)

        until(offered, 30, "the person has work")
        until(lambda: "snapshot" in str(names(settings, PERSON)), 30, "a snapshot names the person")
        tell(settings, ANNOTATORS, "annotator_erased", annotator=PERSON)

        def is_gone() -> bool:
            # a log is cleaned up to its last segment: something must be written behind what is to go
            tell(settings, ANNOTATORS, "annotator_online", annotator=OTHER, capacity=3)
            tell(settings, TASKS, "task_created", task=f"t{time.time()}", project="j", skill="s", overlap=1)
            time.sleep(0.2)  # the load on this broker, not a wait for something
            return names(settings, PERSON) == []

        until(is_gone, 120, "nothing names the person")
        assert set(names(settings, OTHER)) > {"annotators"}, "whoever was not erased is still there"
        report = audit_command.run(settings)
        assert [str(violation) for violation in report.violations] == []
        worker.kill()
        again = Worker(settings, "successor", "tests/shell/allocating.py").start()
        worker = again
        until(lambda: len(again.owned()) == PARTITIONS, 300, "a successor reads what is left")
    finally:
        worker.kill()
