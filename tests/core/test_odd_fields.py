"""An odd side field costs nobody's work: the judgment counts, the lease is kept, and the round says what was odd."""

import json
from typing import Any

import msgspec
import pytest

from stream import topics
from stream.core.batch import Range
from stream.core.shard import RoundResult, Shard
from stream.settings import Market
from tests.core.course import Course
from tests.core.histories import Record

NOW = 1_700_000_000.0


def opened(*tasks: str) -> Course:
    """Tasks that are leased to `a`."""
    course = Course()
    course.told(
        {"type": "annotator_set", "annotator": "a", "skills": ["s"]},
        {"type": "annotator_online", "annotator": "a", "capacity": 9, "ttl_s": 5000},
        *(
            {"type": "task_created", "task": task, "project": "j", "skill": "s", "classes": 2, "overlap": 1}
            for task in tasks
        ),
    )
    course.told(*({"type": "assignment_accepted", "annotator": "a", "task": task} for task in tasks))
    return course


def outcomes(course: Course) -> dict[str, Any]:
    settled = {one.task: (one.outcome, one.count, one.duration_s) for one in course.outputs(topics.JUDGMENTS)}
    ended = {one.task: one.outcome for one in course.outputs(topics.ASSIGNMENTS) if hasattr(one, "outcome")}
    return {task: (settled.get(task), ended.get(task)) for task in settled | ended}


def test_a_negative_duration_a_label_with_a_fraction_a_numeric_id_and_an_unknown_reason_cost_no_work() -> None:
    course = opened("t1", "t2", "4711", "t3")
    result = course.told(
        {"type": "judgment_submitted", "annotator": "a", "task": "t1", "label": 1, "duration_s": -0.2},
        {"type": "judgment_submitted", "annotator": "a", "task": "t2", "label": 1.0},
        {"type": "judgment_submitted", "annotator": "a", "task": 4711, "label": 1},
        {"type": "assignment_declined", "annotator": "a", "task": "t3", "reason": "too_hard"},
    )
    assert result.dead_letters == []
    counted = (("counted", 1, None), "submitted")
    assert outcomes(course) == {"t1": counted, "t2": counted, "4711": counted, "t3": (None, "declined")}
    assert result.completed.odd == {"assignment_declined.reason": 1, "judgment_submitted.duration_s": 1}


@pytest.mark.parametrize("kind", ["judgment_submitted", "judgment_corrected"])
@pytest.mark.parametrize("value", [-1, "3.2", 1e12, [], {}, True])
def test_any_odd_duration_leaves_the_judgment(kind: str, value: Any) -> None:
    course = opened("t")
    result = course.told({"type": kind, "annotator": "a", "task": "t", "label": 0, "duration_s": value})
    assert outcomes(course)["t"][0] == ("counted", 1, None)
    assert result.completed.odd == {f"{kind}.duration_s": 1}


def test_a_heartbeat_with_odd_fields_is_still_a_heartbeat() -> None:
    course = Course()
    result = course.told(
        {"type": "annotator_set", "annotator": "a", "skills": ["s"]},
        {"type": "task_created", "task": "t", "project": "j", "skill": "s", "classes": 2},
        {"type": "annotator_online", "annotator": "a", "capacity": "2", "mode": "Push", "ttl_s": None, "until": "noon"},
    )
    assert [offer.task for offer in course.offers] == ["t"]
    names = ("capacity", "mode", "ttl_s", "until")
    assert result.completed.odd == {f"annotator_online.{name}": 1 for name in names}


def test_what_defines_something_is_refused_with_a_sentence_and_counted_nowhere() -> None:
    course = Course()
    result = course.told({"type": "task_created", "task": "t", "project": "j", "skill": "s", "min_skill": 1.5})
    ((*_, headers),) = result.dead_letters
    said = dict(headers)
    assert said["reason"] == b"malformed"
    sentence = b"Expected a number from 0 to 1 or null, got 1.5 - at `$.min_skill`"
    assert said["__streams.errors.message"] == sentence
    assert result.completed.odd == {}


def test_an_event_that_waits_is_counted_once() -> None:
    course = Course()
    early = {"type": "judgment_submitted", "annotator": "a", "task": "t", "label": 0, "duration_s": -1}
    assert course.told(early).completed.odd == {"judgment_submitted.duration_s": 1}
    result = course.told({"type": "task_created", "task": "t", "project": "j", "skill": "s", "classes": 2})
    assert result.completed.odd == {}
    assert outcomes(course)["t"][0] == ("unsolicited", 1, None)


def test_an_erasure_looks_at_what_waits_without_counting_it_again() -> None:
    course = Course()
    course.told({"type": "judgment_submitted", "annotator": "a", "task": "t", "label": 0, "duration_s": -1})
    result = course.told({"type": "annotator_erased", "annotator": "a"})
    assert [dict(letter.headers)["reason"] for letter in result.dead_letters] == [b"erased"]
    assert result.completed.odd == {}


def one_round(key: bytes, value: bytes) -> RoundResult:
    shard = Shard(0, Market(), 1)
    shard.restored()
    return shard.round(Range(0, 1, [Record(0, key, value)]), None, NOW, NOW, True)


def letter(result: RoundResult) -> tuple[str, str]:
    (found,) = result.dead_letters
    headers = {name: value.decode() for name, value in found.headers}
    return headers["reason"], headers["__streams.errors.message"]


@pytest.mark.parametrize(("times", "unit"), [(1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds")])
def test_a_time_in_another_unit_is_a_clock_that_is_told_what_to_do(times: float, unit: str) -> None:
    value = json.dumps({"type": "pool_paused", "pool": "p", "at": NOW * times}).encode()
    reason, message = letter(one_round(b"p", value))
    assert reason == "clock"
    assert f"it is in {unit}: divide by {times:.0f}" in message


def test_a_clock_that_is_ahead_is_told_how_far() -> None:
    value = json.dumps({"type": "pool_paused", "pool": "p", "at": NOW + 400}).encode()
    assert letter(one_round(b"p", value)) == (
        "clock",
        "`at` is 400 s ahead of the worker's clock: check the producer's clock",
    )


def test_odd_fields_of_a_record_that_is_refused_are_not_counted() -> None:
    event = {
        "type": "judgment_submitted",
        "pool": "p",
        "at": NOW,
        "annotator": "a",
        "task": "t",
        "label": 0,
        "event_id": {},
    }
    for key, value in ((b"q", event), (b"p", event | {"at": NOW * 1e3}), (b"p", event | {"label": "x"})):
        result = one_round(key, json.dumps(value).encode())
        assert len(result.dead_letters) == 1
        assert result.completed.odd == {}
    assert one_round(b"p", json.dumps(event).encode()).completed.odd == {"judgment_submitted.event_id": 1}


def test_a_pool_whose_id_is_a_number_has_its_digits_as_key() -> None:
    value = msgspec.json.encode({"type": "pool_paused", "pool": 17, "at": NOW})
    assert one_round(b"17", value).dead_letters == []
    assert letter(one_round(b"18", value))[0] == "wrong_key"


def test_a_label_in_quotes_is_refused_because_it_may_name_another_class() -> None:
    course = Course()
    labels = ["10", "2", "1"]
    course.told({"type": "project_set", "project": "j", "labels": labels, "defaults": {"skill": "s", "classes": 3}})
    course.told({"type": "task_created", "task": "t", "project": "j"})
    result = course.told({"type": "judgment_submitted", "annotator": "a", "task": "t", "label": "1"})
    assert 'got text "1" - at `$.label`' in letter(result)[1]
