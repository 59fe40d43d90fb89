"""Away is told, and so is that somebody is back: a tool can ask "are you still there?"."""

from typing import Any

import pytest

from stream import events as wire
from stream import topics
from stream.core.shard import Shard
from stream.settings import Market
from tests.core.course import POOL, Course, people, work

A = {"annotator": "a"}
HERE = {"type": "annotator_online", **A, "ttl_s": 1e6}
OFF = {"type": "annotator_offline", **A}
ACTS: list[list[dict[str, Any]]] = [
    [{"type": "annotator_resumed", **A}],
    [{"type": "annotator_paused", **A}],
    [{"type": "work_requested", **A}],
    [{"type": "assignment_accepted", **A, "task": "w9"}],
    [{"type": "assignment_declined", **A, "task": "w9"}],
    [{"type": "judgment_submitted", **A, "task": "w9", "label": 1}],
    [{**HERE, "session": "new", "ttl_s": 999}],  # behind the end of the last one
]


def told(course: Course) -> list[tuple[str, str]]:
    """Who is away or back, and how many they have missed."""
    found = []
    for out in course.outputs(topics.ASSIGNMENTS):
        if isinstance(out, wire.AnnotatorAway):
            found.append((out.annotator, f"away {out.missed}"))
        elif isinstance(out, wire.AnnotatorBack):
            found.append((out.annotator, "back"))
    return found


def gone_quiet() -> Course:
    course = Course(accept_s=30.0, missed_offers=2)
    course.told(*people(["a"]), *work(10, overlap=1))
    course.told(after=31.0)
    assert told(course) == []
    course.told(after=31.0)
    assert told(course) == [("a", "away 2")] and course.offers == []
    return course


@pytest.mark.parametrize("act", ACTS, ids=lambda act: str(act[0]["type"]))
def test_whoever_goes_quiet_is_told_to_be_away_and_after_an_act_to_be_back(act: list[dict[str, Any]]) -> None:
    course = gone_quiet()
    for _ in range(3):
        course.told(HERE, after=31.0)
        assert told(course) == []
    if act[0]["type"] == "annotator_online":
        course.told(OFF)
        assert told(course) == []
    course.told(*act)
    assert told(course) == [("a", "back")]
    course.told(*act)
    assert told(course) == [], "once"


@pytest.mark.parametrize("sign", [
    HERE, {**HERE, "session": "another"}, {"type": "annotator_set", **A, "skills": ["*"]}, OFF,
    {"type": "judgment_submitted", **A, "task": "w1", "label": 7},
    {"type": "skill_seeded", **A, "skill": "s", "accuracy": 0.9, "weight": 3},
])  # fmt: skip
def test_what_is_no_act_brings_nobody_back(sign: dict[str, Any]) -> None:
    course = gone_quiet()
    course.told(sign)
    assert told(course) == [] and course.offers == []


def test_away_again_after_as_many_silences_as_at_first() -> None:
    course = gone_quiet()
    course.told({"type": "annotator_resumed", **A})
    assert told(course) == [("a", "back")] and len(course.offers) == 1
    course.told(after=31.0)
    assert told(course) == []
    course.told(after=31.0)
    assert told(course) == [("a", "away 2")]


def test_an_act_and_the_next_silence_in_one_round_are_both_told_in_their_order() -> None:
    course = Course(accept_s=30.0, missed_offers=1)
    course.told(*people(["a"]), *work(2, overlap=1, lease_s=50.0))
    course.told({"type": "assignment_accepted", **A, "task": "w0"}, after=5.0)
    course.told(after=1000.0)
    assert told(course) == [("a", "away 1")], "a lease without an answer is a silence too"


def test_nobody_is_told_to_be_back_who_is_erased() -> None:
    course = gone_quiet()
    course.told({"type": "annotator_erased", **A}, {"type": "annotator_resumed", **A})
    assert told(course) == []


def test_somebody_away_is_still_away_to_a_successor() -> None:
    course = gone_quiet()
    successor = Shard(0, Market(accept_s=30.0, missed_offers=2), 1)
    for table in topics.TABLES:
        successor.restore_many(table, dict(course.shard.rows(table)))
    successor.restored()
    assert successor.pools[POOL].columns.annotators.records["absent"][0] == 1
    course.shard = successor
    course.told({"type": "annotator_resumed", **A})
    assert told(course) == [("a", "back")]


# ---------------------------------------------------------------------- at risk
def test_leases_of_whoever_lapses_are_at_risk_until_something_happens_to_them() -> None:
    course = Course()
    course.told(*people(["b"]), {**people(["a"])[0]}, *work(3, overlap=1))
    course.told({"type": "annotator_online", **A, "ttl_s": 60, "capacity": 3}, *work(3, first=3, overlap=1))
    taken = [offer.task for offer in course.offers if offer.annotator == "a"][:2]
    assert len(taken) == 2
    course.told(*({"type": "assignment_accepted", **A, "task": task} for task in taken))
    assert course.result and course.result.at_risk == 0

    def at_risk(*events: dict[str, Any], after: float = 1.0) -> int:
        result = course.told(*events, after=after)
        assert all(pool.at_risk == result.at_risk for pool in result.completed.pools)
        return result.at_risk

    assert at_risk(after=70.0) == 2
    assert at_risk({"type": "judgment_submitted", **A, "task": taken[0], "label": 0}) == 1
    assert at_risk({"type": "annotator_online", **A, "ttl_s": 60}) == 0
    assert at_risk(after=70.0) == 1
    assert at_risk({"type": "annotator_offline", **A}) == 0, "ended: the grace runs"
    assert at_risk({"type": "annotator_online", **A, "ttl_s": 60}) == 0
    assert at_risk(after=70.0) == 1
    assert at_risk(after=1000.0) == 0, "abandoned by now"
