"""Sessions, bars, and who is told to be away: each broken rule is found in what a market has published."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from stream import topics
from stream.audit import Audit, Record
from stream.core.batch import Range
from stream.core.shard import Shard
from stream.settings import Market
from tests.core.histories import Record as Sent

A = {"annotator": "a"}
Outputs = list[tuple[str, dict[str, Any]]]


def published(*rounds: tuple[float, list[dict[str, Any]]], **market: Any) -> tuple[list[Record], list[Outputs]]:
    """What a market publishes: the input records of each round, and its outputs."""
    shard = Shard(0, Market(**market), 1)
    shard.restored()
    sent, said, start = [], [], 0
    for at, events in rounds:
        records = [
            Sent(start + i, b"p", json.dumps({"pool": "p", "at": at} | event).encode())
            for i, event in enumerate(events)
        ]
        result = shard.round(Range(start, start + len(records), records), None, at, at, True)
        start += len(records)
        sent += [Record(topics.TASKS, 0, *record) for record in records]
        said.append([(topic, json.loads(value)) for topic, pairs in result.outputs.items() for _, value in pairs])
        assert not result.dead_letters
    return sent, said


def audited(sent: list[Record], said: list[Outputs]) -> list[str]:
    auditor = Audit(partition=0, partitions=1)
    auditor.feed(sent)
    ends: dict[str, int] = {}
    for outputs in said:
        offers = sum(output["type"] == "assignment_offered" for _, output in outputs)
        for topic, output in outputs:
            if output["type"] == "round_completed":
                for pool in output["pools"]:
                    pool["offers"] = offers
            key = b"0" if topic == topics.ROUNDS else b"p"
            at = ends[topic] = ends.get(topic, -1) + 1
            auditor.feed([Record(topic, 0, at, key, json.dumps(output).encode())])
    return [str(violation) for violation in auditor.finish()]


def quiet() -> tuple[list[Record], list[Outputs]]:
    """Away after two silences, back by a word; a task is barred meanwhile, a lease at risk in the end."""
    here = {"type": "annotator_online", **A, "session": "x", "ttl_s": 500, "capacity": 1}
    tasks = [
        {"type": "task_created", "task": f"t{n}", "project": "j", "skill": "s", "overlap": 1} for n in range(2)
    ]
    return published(
        (1000.0, [{"type": "annotator_set", **A, "skills": ["s"]}, here, *tasks]),
        (1060.0, []),
        (1130.0, [here | {"session": "y", "capacity": 2}]),
        (1150.0, [{"type": "annotator_resumed", **A}]),
        (1155.0, [{"type": "assignment_accepted", **A, "task": task} for task in ("t0", "t1")]),
        (1160.0, [{"type": "annotator_offline", **A, "session": "x"}]),
        (1700.0, [
            {"type": "annotator_online", "annotator": "b"},
            {"type": "annotator_set", "annotator": "b", "skills": ["s"]},
            {"type": "task_created", "task": "t9", "project": "j", "skill": "s", "overlap": 1},
        ]),
    )  # fmt: skip


def of(outputs: Outputs, kind: str) -> list[dict[str, Any]]:
    return [output for _, output in outputs if output["type"] == kind]


def without(said: list[Outputs], number: int, kind: str) -> None:
    said[number] = [(topic, output) for topic, output in said[number] if output["type"] != kind]


def test_what_is_published_breaks_no_rule_and_tells_of_all_this() -> None:
    sent, said = quiet()
    assert audited(sent, said) == []
    assert [output["missed"] for output in of(said[2], "annotator_away")] == [2]
    assert of(said[3], "annotator_back") and len(of(said[5], "assignment_ended")) == 0
    assert [pool["at_risk"] for pool in of(said[6], "round_completed")[0]["pools"]] == [1]


def nobody_is_told_that_they_are_away(said: list[Outputs]) -> None:
    without(said, 2, "annotator_away")


def nobody_is_told_that_they_are_back(said: list[Outputs]) -> None:
    without(said, 3, "annotator_back")


def away_without_a_reason(said: list[Outputs]) -> None:
    told = of(said[2], "annotator_away")[0]
    said[1].insert(0, (topics.ASSIGNMENTS, told | {"round": 2, "at": 1060.0}))


def away_twice(said: list[Outputs]) -> None:
    said[2].insert(0, (topics.ASSIGNMENTS, of(said[2], "annotator_away")[0]))


def back_by_a_heartbeat(said: list[Outputs]) -> None:
    told = of(said[3], "annotator_back")[0]
    without(said, 3, "annotator_back")
    said[2].append((topics.ASSIGNMENTS, told | {"round": 3, "at": 1130.0}))


def an_offer_within_the_bar(said: list[Outputs]) -> None:
    for output in of(said[1], "assignment_offered") + of(said[1], "decision_made"):
        output["task"] = of(said[1], "assignment_ended")[0]["task"]


def a_lease_ends_although_one_session_lives(said: list[Outputs]) -> None:
    lease = of(said[4], "assignment_leased")[0]
    ended = {"type": "assignment_ended", "outcome": "abandoned", "cause": None, "round": 6, "at": 1160.0}
    kept = ("pool", "partition", "assignment", "task", "annotator")
    said[5].append((topics.ASSIGNMENTS, {name: lease[name] for name in kept} | ended))


def leases_at_risk_that_nobody_counts(said: list[Outputs]) -> None:
    of(said[6], "round_completed")[0]["pools"][0]["at_risk"] = 0


PLANTS: list[tuple[Callable[[list[Outputs]], None], str]] = [
    (nobody_is_told_that_they_are_away, "'a' has missed 2 and is not told to be away"),
    (nobody_is_told_that_they_are_back, "'a' was away and has acted, and is not told to be back"),
    (away_without_a_reason, "'a' is told to be away, but has let too few offers go by"),
    (away_twice, "told twice that 'a' is away"),
    (back_by_a_heartbeat, "'a' is told to be back, but was not away, or has not acted"),
    (an_offer_within_the_bar, "go by 1 times: barred until 1120.0"),
    (a_lease_ends_although_one_session_lives, "ends as abandoned, but was never offered or has ended already"),
    (leases_at_risk_that_nobody_counts, "0 leases at risk in 'p', 1 found"),
]


@pytest.mark.parametrize(("plant", "words"), PLANTS, ids=lambda part: getattr(part, "__name__", ""))
def test_a_broken_rule_is_found(plant: Callable[[list[Outputs]], None], words: str) -> None:
    sent, said = quiet()
    plant(said)
    assert any(words in violation for violation in audited(sent, said)), audited(sent, said)
