"""Breaks, lapsed sessions, people who are away: what somebody has accepted is theirs, and no chair gets offers."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import events as wire
from stream import topics
from tests.core.course import POOL, Course, people, work

A = {"annotator": "a"}
ONLINE: dict[str, Any] = {"type": "annotator_online", **A, "ttl_s": 300}


def ends(course: Course) -> list[tuple[str, str]]:
    found = course.outputs(topics.ASSIGNMENTS)
    return [(out.task, out.outcome) for out in found if isinstance(out, wire.AssignmentEnded)]


def settled(course: Course) -> list[tuple[str, int]]:
    found = course.outputs(topics.JUDGMENTS)
    return [(out.outcome, out.count) for out in found if isinstance(out, wire.JudgmentSettled)]


def offers(course: Course) -> list[tuple[str, str]]:
    return [(offer.annotator, offer.task) for offer in course.offers]


def answer(task: str, label: int = 1) -> dict[str, Any]:
    return {"type": "judgment_submitted", **A, "task": task, "label": label}


def accepted(capacity: int = 1, tasks: int = 1) -> Course:
    """Somebody with a session of five minutes, and a lease on w0."""
    course = Course()
    course.told(*people(["a"]), *work(tasks, overlap=1), {**ONLINE, "capacity": capacity})
    course.told({"type": "assignment_accepted", **A, "task": "w0"})
    return course


@pytest.mark.parametrize("beats", [False, True])
def test_accepted_work_outlives_a_break_and_a_session_that_lapses(beats: bool) -> None:
    course = accepted()
    course.told({"type": "annotator_paused", **A})
    for _ in range(11):
        course.told(*([ONLINE] if beats else []), after=60.0)
        assert ends(course) == [] and offers(course) == []
    course.told(answer("w0"))
    assert settled(course) == [("counted", 1)]


def test_a_lease_ends_at_its_time_when_a_session_lapses_and_after_the_grace_when_it_is_ended() -> None:
    course = accepted()
    for _ in range(14):
        course.told(after=60.0)
        assert ends(course) == []
    course.told(after=60.0)
    assert ends(course) == [("w0", "abandoned")]
    course = accepted()
    course.told(after=400.0)  # lapsed
    course.told({"type": "annotator_offline", **A})
    assert ends(course) == []
    course.told(after=61.0)
    assert ends(course) == [("w0", "abandoned")]


def test_unaccepted_offers_are_withdrawn_when_a_break_begins_or_a_session_lapses() -> None:
    course = accepted(capacity=3, tasks=2)
    course.told({"type": "annotator_paused", **A})
    assert ends(course) == [("w1", "withdrawn")]
    course = Course(accept_s=1000.0)
    course.told(*people(["a"]), *work(1, overlap=1), ONLINE)
    course.told(after=301.0)
    assert ends(course) == [("w0", "withdrawn")]


@pytest.mark.parametrize("beat", [ONLINE, {**ONLINE, "capacity": 2}, {"type": "annotator_set", **A, "skills": ["*"]}])
def test_no_heartbeat_ends_a_break_and_its_end_is_said(beat: dict[str, Any]) -> None:
    course = accepted(tasks=3)
    course.told(answer("w0"), {"type": "annotator_paused", **A})
    course.told(beat)
    assert offers(course) == []
    course.told({"type": "annotator_resumed", **A})
    assert offers(course)[:1] == [("a", "w1")]


def test_a_break_ends_by_its_time_at_which_the_shard_wakes_up() -> None:
    course = Course()
    course.told(*people(["a"]), {"type": "annotator_paused", **A, "until": course.now + 205.0})
    course.told(*work(1, overlap=1), after=100.0)
    assert offers(course) == []
    until = course.now + 100.0
    assert course.shard.wakeup == until
    course.told(after=100.0)
    assert offers(course) == [("a", "w0")]


def test_a_break_that_was_over_when_it_came_is_none() -> None:
    course = Course()
    course.told(*people(["a"]), *work(1, overlap=1), {"type": "annotator_paused", **A, "until": course.now - 5.0})
    assert offers(course) == [("a", "w0")]


def test_declining_for_a_break_returns_the_task_which_may_come_back_and_pauses() -> None:
    course = accepted(capacity=2, tasks=2)
    course.told({"type": "assignment_declined", **A, "task": "w0", "reason": "break"})
    assert ends(course) == [("w0", "declined"), ("w1", "withdrawn")] and offers(course) == []
    course.told(ONLINE)
    assert offers(course) == []
    course.told({"type": "annotator_resumed", **A}, {**ONLINE, "capacity": 2})
    assert sorted(offers(course)) == [("a", "w0"), ("a", "w1")]


KINDS = st.sampled_from(["annotator_paused", "annotator_resumed"])
BREAKS = st.lists(st.tuples(KINDS, st.integers(0, 3), st.sampled_from([None, 5, 90])), max_size=6)


@given(BREAKS, st.randoms())
def test_the_order_and_number_of_deliveries_of_breaks_never_matter(
    facts: list[tuple[str, int, int | None]], rng: random.Random
) -> None:
    begun = Course().now
    said: list[dict[str, Any]] = [
        {"type": kind, **A, "at": begun + at}
        | ({"until": until and begun + until} if kind == "annotator_paused" else {})
        for kind, at, until in facts
    ]
    shuffled = [*said, *rng.sample(said, len(said))]
    rng.shuffle(shuffled)
    records = []
    for events in (said, shuffled):
        course = Course()
        course.told(*people(["a"]), *events)
        records.append(course.columns.annotators.records[0])
    assert records[0].tobytes() == records[1].tobytes()


# ---------------------------------------------------------------------- away
def test_offers_that_run_out_together_are_one_silence() -> None:
    course = Course(accept_s=30.0, missed_offers=2)
    course.told(*people(["a"], 5), *work(20, overlap=1))
    assert len(course.offers) == 5
    course.told(after=31.0)
    assert len(course.offers) == 5, "silent once"
    course.told(after=31.0)
    assert course.offers == []


@pytest.mark.parametrize("act", [
    {"type": "annotator_resumed", **A}, {"type": "work_requested", **A}, answer("w9"),
    {"type": "annotator_offline", **A},
])  # fmt: skip
def test_whoever_is_away_comes_back_by_an_act_and_not_by_a_heartbeat(act: dict[str, Any]) -> None:
    course = Course(accept_s=30.0, missed_offers=2)
    course.told(*people(["a"]), *work(10, overlap=1), {**ONLINE, "ttl_s": 1e6})
    for _ in range(5):
        course.told({**ONLINE, "ttl_s": 1e6}, after=31.0)
    assert course.offers == []
    course.told(act)
    course.told({**ONLINE, "ttl_s": 1e6})
    assert course.columns.annotators.records["live"][course.shard.pools[POOL].annotators.slots["a"]] == 1


def test_a_lease_that_is_never_answered_counts_as_a_silence() -> None:
    course = Course(missed_offers=1)
    course.told(*people(["a"]), *work(1, overlap=1, lease_s=20.0))
    course.told({"type": "assignment_accepted", **A, "task": "w0"})
    course.told(*work(1, first=1, overlap=1), after=60.0)
    course.told({**ONLINE, "ttl_s": 1e6})
    assert course.offers == [] and course.columns.annotators.records["absent"][0]


def test_an_empty_chair_gets_few_offers_and_the_person_beside_it_the_work() -> None:
    """The client of who has gone sends heartbeats on; they are known to be better."""
    course = Course()
    beats = [{"type": "annotator_online", "annotator": name, "ttl_s": 90} for name in ("away", "here")]
    known = [
        {"type": "skill_seeded", "annotator": name, "skill": "s", "accuracy": right, "weight": 50}
        for name, right in (("away", 0.95), ("here", 0.7))
    ]
    course.told(*people(["away", "here"]), *known, *beats)
    got: list[str] = []
    task = work(1, overlap=1)
    for _ in range(40):
        course.told(*task, *beats, after=30.0)
        task = []
        got += [offer.annotator for offer in course.offers]
        for offer in course.offers:
            if offer.annotator == "here":
                course.told({"type": "judgment_submitted", "annotator": "here", "task": offer.task, "label": 0})
                assert settled(course) == [("counted", 1)]
    assert got.count("away") <= 2 and got.count("here") == 1
    assert np.count_nonzero(course.columns.annotators.records["absent"]) <= 1
