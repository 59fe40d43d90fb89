"""`allocator skills` on real changelogs: what a partition has committed, in numbers for people."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from kafka import KafkaProducer

from stream.core.intake.partitioning import partition_of
from stream.core.shard import Range, Shard
from stream.local import LocalKafka
from stream.settings import Settings
from stream.shell.commands.skills_command import skills
from stream.topics import changelog
from tests.core.histories import Record
from tests.shell.harness import make_topics, settings_for

pytestmark = pytest.mark.kafka
POOL = "acme"


@pytest.fixture
def settings(own_kafka: LocalKafka, tmp_path: Path) -> Settings:
    settings = settings_for(own_kafka.bootstrap, tmp_path)
    make_topics(settings)
    return settings


def test_what_is_known_of_an_annotator_is_printed_with_its_interval(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition = partition_of(POOL.encode(), settings.partitions)
    shard = Shard(partition, settings.market, settings.partitions)
    shard.restored()
    gold = {"type": "task_created", "project": "j", "skill": "s", "classes": 2, "purpose": "gold", "label": 1}
    events: list[dict[str, Any]] = [{"type": "annotator_set", "annotator": "ana", "skills": ["s"]}]
    events += [gold | {"task": f"g{i}"} for i in range(20)]
    events += [
        {"type": "judgment_submitted", "annotator": "ana", "task": f"g{i}", "label": int(i > 0)} for i in range(20)
    ]
    events.append({"type": "skill_seeded", "annotator": "ben", "skill": "s", "accuracy": 0.5, "weight": 34})
    records = [
        Record(i, POOL.encode(), msgspec.json.encode({"pool": POOL, "at": 1.0} | event))
        for i, event in enumerate(events)
    ]
    result = shard.round(Range(0, len(records), records), None, 2.0, 2.0, True)
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    for table, rows in result.rows.items():
        for key, value in rows:
            producer.send(changelog(settings, table), key=key, value=value, partition=partition)
    producer.close()

    monkeypatch.setenv("ALLOCATOR_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("ALLOCATOR_PARTITIONS", str(settings.partitions))
    shown = CliRunner().invoke(skills, [POOL, "--json"])
    assert shown.exit_code == 0, shown.output
    ana, ben = (json.loads(line) for line in shown.output.splitlines())
    assert (ana["annotator"], ana["skill"], ana["classes"]) == ("ana", "s", 2)
    assert (ana["gold"], ana["gold_right"], ana["counted"]) == (20, 19, 20)
    assert 0.6 < ana["low"] < ana["mean"] < ana["high"] < 1.0 and ana["judgments"] == 26.0
    assert (ben["annotator"], ben["counted"], ben["judgments"]) == ("ben", 0, 40.0)
    assert ben["mean"] == pytest.approx((4.2 + 17) / 40)
    assert ben["low"] < ben["mean"] < ben["high"]

    listed = CliRunner().invoke(skills, [POOL, "--annotator", "ana"])
    assert listed.exit_code == 0 and "19/20" in listed.output and "ben" not in listed.output
    for wrong in (["nowhere"], [POOL, "--annotator", "nobody"]):
        refused = CliRunner().invoke(skills, wrong)
        assert refused.exit_code == 1 and "there is no" in refused.output
