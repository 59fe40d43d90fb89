"""The command `audit` against a real broker: the same findings as from memory, named by topic and offset."""

import json

import pytest
from click.testing import CliRunner
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from stream import topics
from stream.audit import Record
from stream.audit.log import TOPICS
from stream.local import LocalKafka
from stream.shell.commands.audit_command import audit
from tests.audit.history import correct, records


def command(bootstrap: str, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(audit, ["--bootstrap", bootstrap, *options])
    return result.exit_code, result.output


@pytest.mark.kafka
def test_it_looks_passes_and_names_what_is_broken(own_kafka: LocalKafka) -> None:
    bootstrap = own_kafka.bootstrap
    code, output = command(bootstrap)
    assert code == 2 and "topics check" in output  # no topics yet

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(name=topic, num_partitions=1, replication_factor=1) for topic in TOPICS])
    admin.close()
    steps = correct()
    steps[2].dead.clear()
    log = list(records(steps))
    broken = next(place for place, record in enumerate(log) if record.topic == topics.ROUNDS) + 1
    producer = KafkaProducer(bootstrap_servers=bootstrap)

    def write(some: list[Record]) -> None:
        for record in some:
            headers = list(record.headers)
            producer.send(record.topic, record.value, key=record.key, headers=headers, partition=0)
        producer.flush()

    write(log[:broken])
    code, output = command(bootstrap, "--json", "--partition", "0")
    report = json.loads(output)
    assert (code, report["rounds"], report["violations"], report["partitions"]) == (0, 1, [], [0])

    write(log[broken:])
    producer.close()
    code, output = command(bootstrap)
    line, summary = output.splitlines()
    assert code == 1
    assert line.startswith("promise 5") and f"{topics.ANNOTATORS}-0-8" in line
    assert summary.startswith("1 violations in 6 rounds of 1 partitions")
