"""`allocator why` on real topics: the round is found by bisection, whatever lies around it."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from kafka import KafkaProducer

from stream.events import (
    AssignmentEnded,
    AssignmentOffered,
    ConsensusUpdated,
    DecisionMade,
    JudgmentCorrected,
    JudgmentRetracted,
    JudgmentSettled,
    JudgmentSubmitted,
    PoolRound,
    RoundCompleted,
    Source,
    TaskSettled,
    encode,
)
from stream.local import LocalKafka
from stream.settings import Settings
from stream.shell.commands.why import UnknownAssignment, find, why
from stream.topics import ANNOTATORS, ASSIGNMENTS, CONSENSUS, DECISIONS, JUDGMENTS, ROUNDS
from tests.shell.harness import make_topics, settings_for

pytestmark = pytest.mark.kafka

LAST = 700
PARTITION = 2


def outputs(number: int, offsets: Iterator[int]) -> Iterator[tuple[str, bytes]]:
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
    pool = PoolRound(pool="acme", open_tasks=number, free_annotators=1, offers=1, value=0.5, bound=0.5, gap=0.0,
                     covers="all", pairs=1, unproven_value=0.0, taught_value=0.0)  # fmt: skip
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
        yield from answered(number, f"t{number - 2}", number % 3, offsets)
    yield ASSIGNMENTS, encode(offered)
    yield DECISIONS, encode(decided)
    yield ROUNDS, encode(completed)


def answered(number: int, task: str, kind: int, offsets: Iterator[int]) -> Iterator[tuple[str, bytes]]:
    """A task is answered with 1; this is corrected (kind 1, 2) and retracted (kind 2). What is published of it."""
    where = {"pool": "acme", "partition": PARTITION, "round": number}
    about = {"task": task, "annotator": "ann"}
    said = {"pool": "acme", "at": 1.0, **about}
    events = [JudgmentSubmitted(**said, label=1), JudgmentCorrected(**said, label=0), JudgmentRetracted(**said)]
    became = [("counted", 1), ("corrected", 0), ("retracted", -1)]
    for event, (outcome, change) in list(zip(events, became, strict=True))[: kind + 1]:
        source = Source(topic=ANNOTATORS, partition=PARTITION, offset=next(offsets))
        yield ANNOTATORS, encode(event)
        settled = JudgmentSettled(
            **where, **about, project="p", source=source, outcome=outcome, count=change, duration_s=None,
            accepted_at=None,
        )  # fmt: skip
        yield JUDGMENTS, encode(settled)
    told = ConsensusUpdated(**where, task=task, skill="s", label=1, posterior=[0.25, 0.75], judgments=1)
    end = TaskSettled(
        **where, task=task, project="p", outcome="complete", label=0, posterior=[0.75, 0.25], judgments=1
    )
    yield CONSENSUS, encode(told)
    if kind == 1:
        yield CONSENSUS, encode(end)


@pytest.fixture
def settings(own_kafka: LocalKafka, tmp_path: Path) -> Settings:
    settings = settings_for(own_kafka.bootstrap, tmp_path)
    make_topics(settings)
    offsets = count()
    producer = KafkaProducer(bootstrap_servers=own_kafka.bootstrap, linger_ms=20)
    for number in range(1, LAST + 1):
        for topic, value in outputs(number, offsets):
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
    kept, corrected, retracted, open_ = (find(settings, f"{PARTITION}-{n}-0").label for n in (331, 332, 333, LAST))
    assert kept is not None
    assert (kept.answer, kept.told.label, kept.told.round) == (1, 1, 333)
    assert corrected is not None
    assert (corrected.answer, corrected.told.label) == (0, 0)
    assert retracted is None
    assert open_ is None
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
