"""`allocator why` on real topics: the round is found by bisection, whatever lies around it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from kafka import KafkaProducer

from stream.events import AssignmentEnded, AssignmentOffered, DecisionMade, PoolRound, RoundCompleted, encode
from stream.local import LocalKafka
from stream.settings import Settings
from stream.shell.commands.why import UnknownAssignment, find, why
from stream.topics import ASSIGNMENTS, DECISIONS, ROUNDS
from tests.shell.harness import make_topics, settings_for

pytestmark = pytest.mark.kafka

LAST = 700
PARTITION = 2


def outputs(number: int) -> Iterator[tuple[str, bytes]]:
    """A round with one offer, and the end of the offer of two rounds before."""
    where = {"pool": "acme", "partition": PARTITION, "round": number}
    name = f"{PARTITION}-{number}-0"
    offered = AssignmentOffered(
        **where, assignment=name, task=f"t{number}", project="p", skill="s", annotator="ann", at=1.0,
        accept_by=2.0, lease_s=3.0,
    )  # fmt: skip
    decided = DecisionMade(
        **where, assignment=name, task=f"t{number}", annotator="ann", at=1.0, value=0.5, price=0.0,
        terms={"accuracy": 0.5}, runner_up=None, runner_up_value=None, skill_low=0.0, policy=0,
    )  # fmt: skip
    pool = PoolRound(pool="acme", open_tasks=number, free_annotators=1, offers=1, value=0.5, bound=0.5, gap=0.0)
    completed = RoundCompleted(
        partition=PARTITION, round=number, epoch=1, at=1.0, seed=0, offsets={}, caught_up=True, complete_until=0.0,
        events=0, dead_letters=0, pools=[pool], durations_ms={}, software="",
    )  # fmt: skip
    if number > 2:
        ended = AssignmentEnded(
            **where, assignment=f"{PARTITION}-{number - 2}-0", task=f"t{number - 2}", annotator="ann", at=4.0,
            outcome="submitted",
        )  # fmt: skip
        yield ASSIGNMENTS, encode(ended)
    yield ASSIGNMENTS, encode(offered)
    yield DECISIONS, encode(decided)
    yield ROUNDS, encode(completed)


@pytest.fixture
def settings(own_kafka: LocalKafka, tmp_path: Path) -> Settings:
    settings = settings_for(own_kafka.bootstrap, tmp_path)
    make_topics(settings)
    producer = KafkaProducer(bootstrap_servers=own_kafka.bootstrap, linger_ms=20)
    for number in range(1, LAST + 1):
        for topic, value in outputs(number):
            producer.send(topic, value=value, partition=PARTITION)
    producer.flush()
    producer.close()
    return settings


def test_an_assignment_is_found_anywhere_and_nothing_else_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2, 333, LAST - 1, LAST):
        found = find(settings, f"{PARTITION}-{number}-0")
        assert found.offered.task == found.decision.task == f"t{number}"
        assert found.pool is not None
        assert found.pool.open_tasks == number
        assert (found.ended is not None) == (number <= LAST - 2)
    for name in (f"{PARTITION}-333-1", f"{PARTITION}-{LAST + 1}-0", "1-5-0", "99-1-0"):
        with pytest.raises(UnknownAssignment, match=name):
            find(settings, name)

    monkeypatch.setenv("ALLOCATOR_KAFKA_BOOTSTRAP", settings.kafka_bootstrap)
    monkeypatch.setenv("ALLOCATOR_PARTITIONS", str(settings.partitions))
    shown = CliRunner().invoke(why, [f"{PARTITION}-333-0"])
    assert shown.exit_code == 0
    assert "ann was offered the task t333" in shown.output
    as_json = json.loads(CliRunner().invoke(why, [f"{PARTITION}-333-0", "--json"]).output)
    assert as_json["decision"]["value"] == 0.5
    assert CliRunner().invoke(why, ["1-5-0"]).exit_code == 1
