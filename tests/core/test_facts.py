"""Facts: of every field the newest statement counts, in whatever order events come; the same again changes nothing."""

import random
from typing import Any

import pytest

from stream import events as wire
from stream import topics
from stream.core.state import projects
from tests.core.course import POOL, Course, people, project, work

PROJECT: dict[str, list[Any]] = {
    "state": ["active", "paused", "closed"], "weight": [1.0, 2.0], "budget": [None, 3, 9], "gold_rate": [0.0, 0.3],
    "max_per_annotator": [None, 2, 5], "deadline": [None, 2e6], "labels": [["x", "y"], ["y", "x"], None],
    "note": ["a", "b", None], "defaults": [{"overlap": 2}, {"overlap": 3, "priority": 4}, {"priority": 1}],
}  # fmt: skip
TASK: dict[str, list[Any]] = {
    "priority": [0, 5, 10], "value": [0.5, 2.0], "deadline": [None, 2e6], "min_skill": [0.2, 0.6],
    "only": [["a", "b"], ["b", "c"], []], "exclude": [["d"], ["e", "f"]],
}  # fmt: skip
#: what max_overlap comes to follows the others where it is unstated
NEED: dict[str, list[Any]] = {"overlap": [1, 2, 3], "max_overlap": [3, 5], "confidence": [None, 0.8]}
PERSON: dict[str, list[Any]] = {
    "skills": [["s"], ["s", "r"], ["*"]], "attributes": [["x"], []], "grants": [["s"], []], "cost": [0.0, 2.0, 3.0],
    "kind": ["human", "model"],
}  # fmt: skip


def statements(rng: random.Random, common: dict[str, Any], fields: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Some statements, many of them at equal times."""
    return [
        common | {"at": 1_000_000.0 + rng.randint(1, 4)} | {
            field: rng.choice(values) for field, values in fields.items() if rng.random() < 0.35
        }
        for _ in range(rng.randint(2, 7))
    ]  # fmt: skip


def told(events: list[dict[str, Any]], rng: random.Random) -> Course:
    """A course that has heard them in rounds of one to three, behind a person, a project and a task."""
    course = Course()
    early = {"at": 1_000_000.0}
    course.told(*(event | early for event in (*people(["z"]), project(state="paused"), *work(1, max_overlap=9))))
    while events:
        n = rng.randint(1, 3)
        course.told(*events[:n])
        events = events[n:]
    return course


def known(course: Course) -> dict[str, Any]:
    """All that is stated of what was spoken of."""
    pool = course.shard.pools[POOL]
    found: dict[str, Any] = {"project": projects.stated(pool, pool.projects.slots["j"])}
    task = pool.columns.tasks.records[pool.tasks.slots["w0"]]
    names = "overlap", "max_overlap", "priority", "value", "deadline", "confidence", "min_skill"
    found["task"] = {name: repr(task[name]) for name in names}
    for name in ("only", "exclude"):
        start, n = int(task[name]), int(task[f"{name}_n"])
        found[name] = {pool.annotators.ids[int(a)] for a in pool.columns.lists.members[start : start + n]}
    slot = pool.annotators.slots.get("a")
    if slot is not None:
        person = pool.columns.annotators.records[slot]
        found["person"] = repr(person["cost"]), int(person["kind"]), pool.fits.profiles[int(person["profile"])]
    return found


def in_any_order(rng: random.Random, events: list[dict[str, Any]]) -> None:
    expected = None
    for _ in range(6):
        rng.shuffle(events)
        found = known(told(events + rng.sample(events, 2), rng))
        expected = expected or found
        assert found == expected


@pytest.mark.parametrize("seed", range(40))
def test_in_whatever_order_statements_come_the_same_counts(seed: int) -> None:
    rng = random.Random(seed)
    events = [
        *statements(rng, {"type": "project_set", "project": "j"}, PROJECT),
        *statements(rng, {"type": "task_updated", "task": "w0"}, TASK),
        *statements(rng, {"type": "annotator_set", "annotator": "a"}, PERSON),
    ]
    for event in events:  # whoever closes a project cancels its tasks, which no statement brings back
        if event.get("state") == "closed":
            event["state"] = "paused"
    in_any_order(rng, events)


@pytest.mark.xfail(strict=True, reason="what a max_overlap was stated as is not kept beside what it came to")
def test_in_whatever_order_updates_of_what_a_task_needs_come_the_same_counts() -> None:
    for seed in range(40):
        rng = random.Random(seed)
        in_any_order(rng, statements(rng, {"type": "task_updated", "task": "w0"}, NEED))


def record(course: Course, task: str = "w0") -> Any:
    pool = course.shard.pools[POOL]
    return pool.columns.tasks.records[pool.tasks.slots[task]]


def test_a_field_stated_earlier_and_heard_later_counts_beside_newer_ones() -> None:
    course = Course()
    course.told(project(state="paused"), *work(1))
    now = course.now
    course.told({"type": "task_updated", "task": "w0", "priority": 7, "at": now + 4})
    course.told({"type": "task_updated", "task": "w0", "priority": 2, "value": 3.0, "at": now + 2})
    assert (int(record(course)["priority"]), float(record(course)["value"])) == (7, 3.0)


def test_a_time_ahead_of_the_round_counts_as_the_rounds() -> None:
    course = Course()
    course.told(project(state="paused"), *work(1))
    course.told({"type": "task_updated", "task": "w0", "priority": 7, "at": course.now + 200})
    course.told({"type": "task_updated", "task": "w0", "priority": 3})
    assert int(record(course)["priority"]) == 3, "a sender's clock ahead holds nothing back"


def ignored(course: Course) -> dict[str, int]:
    assert course.result is not None
    return dict(course.result.completed.ignored)


def offered(n: int = 1, **fields: Any) -> Course:
    course = Course(lease_s=100.0)
    course.told(project(), *people(["a"]), *work(n, overlap=1, **fields))
    assert len(course.offers) == 1
    return course


def test_the_same_extension_again_extends_nothing_and_is_counted() -> None:
    course = offered()
    answer = {"annotator": "a", "task": "w0"}
    course.told({"type": "assignment_accepted", **answer})
    extension = {"type": "assignment_extended", **answer, "at": course.now}
    course.told(extension)
    leased = [out for out in course.outputs(topics.ASSIGNMENTS) if isinstance(out, wire.AssignmentLeased)]
    assert len(leased) == 1 and ignored(course) == {}
    course.told(extension, extension)
    assert not list(course.outputs(topics.ASSIGNMENTS)) and ignored(course) == {"assignment_extended": 2}


def test_the_same_request_again_asks_for_nothing_more() -> None:
    course = Course()
    asks = {"type": "work_requested", "annotator": "a", "count": 1, "at": course.now + 9}
    pulls = {"type": "annotator_online", "annotator": "a", "capacity": 5, "mode": "pull"}
    course.told(project(), *people(["a"]), pulls)
    course.told(*work(5, overlap=1), asks, asks)
    assert len(course.offers) == 1 and ignored(course) == {"work_requested": 1}
    course.told(asks)
    assert not course.offers and ignored(course) == {"work_requested": 1}
    course.told(asks | {"at": course.now + 5})
    assert len(course.offers) == 1 and ignored(course) == {}


def test_an_answer_that_names_an_offer_that_has_ended_does_not_touch_the_next() -> None:
    course = offered()
    first = course.offers[0].assignment
    course.told(after=course.shard.market.accept_s + 1)
    while not course.offers:
        course.told(*people(["a"]), after=course.shard.market.accept_s + 1)
    second = course.offers[0].assignment
    assert second != first
    declined = {"type": "assignment_declined", "annotator": "a", "task": "w0", "reason": "other"}
    course.told(declined | {"assignment": first})
    assert ignored(course) == {"assignment_declined": 1} and not list(course.outputs(topics.ASSIGNMENTS))
    course.told(declined | {"assignment": second})
    ends = [out for out in course.outputs(topics.ASSIGNMENTS) if isinstance(out, wire.AssignmentEnded)]
    assert [end.assignment for end in ends] == [second]


def test_more_overlap_than_a_settled_task_had_opens_it_again() -> None:
    course = offered()
    course.told({"type": "judgment_submitted", "annotator": "a", "task": "w0", "label": 1})
    assert any(isinstance(out, wire.TaskSettled) for out in course.outputs(topics.CONSENSUS))
    course.told({"type": "task_updated", "task": "w0", "overlap": 2}, *people(["b"]))
    assert [(offer.task, offer.annotator) for offer in course.offers] == [("w0", "b")]


def test_a_correction_older_than_what_stands_is_outdated() -> None:
    course = offered()
    pair = {"annotator": "a", "task": "w0"}
    course.told({"type": "judgment_submitted", **pair, "label": 1})
    corrected = {"type": "judgment_corrected", **pair}
    outcomes = []
    now = course.now
    for label, at in ((0, now + 8), (1, now + 4)):
        course.told(corrected | {"label": label, "at": at}, after=10)
        outcomes += [out.outcome for out in course.outputs(topics.JUDGMENTS)]
    assert outcomes == ["corrected", "outdated"]
    assert int(record(course)["label"]) == 0
