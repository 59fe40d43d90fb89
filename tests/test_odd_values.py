"""What may be odd in an event, and what it is read as: the rules once more, as a table written by hand.

Nothing here is taken from the code: a field that becomes forgiving, or stops being so, must be written down.
"""

import json
from typing import Any, get_args

import msgspec
import pytest

from stream import contract, events

SAMPLES = contract.read_samples()
WORK = {"pool": "p", "at": 20, "annotator": "a"}
PAIR = WORK | {"task": "t"}
JUDGED = PAIR | {"type": "judgment_submitted", "label": 1}

#: values that no field of the contract may hold
NOTHING_MEANT: list[Any] = [{}, {"a": 1}, [[]], [None], True, 1e300]
#: forgiving fields by type; every other field is strict
LEFT_OUT: dict[str, dict[str, Any]] = {
    "annotator_online": {
        "session": None, "capacity": msgspec.UNSET, "mode": msgspec.UNSET, "until": None, "ttl_s": 300.0,
    },
    "annotator_paused": {"until": None},
    "annotator_resumed": {},
    "annotator_offline": {"session": None},
    "work_requested": {"count": 1, "projects": ()},
    "assignment_accepted": {"assignment": None},
    "assignment_extended": {"assignment": None},
    "assignment_declined": {"reason": "other", "assignment": None},
    "judgment_submitted": {"duration_s": None, "origin": "live"},
    "judgment_corrected": {"duration_s": None},
    "judgment_retracted": {},
    "judgment_scored": {},
    "task_created": {"ref": None},
    "task_updated": {"ref": msgspec.UNSET},
    "project_set": {"note": msgspec.UNSET},
    "pool_set": {"note": msgspec.UNSET},
}


def text(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()


def stated(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SAMPLES[name])
    return found


@pytest.mark.parametrize("kind", [contract.tag(event) for event in get_args(events.Input)])
def test_in_every_field_of_every_type_a_senseless_value_is_left_out_or_refused_as_the_table_says(kind: str) -> None:
    forgiving = LEFT_OUT.get(kind, {}) | {"event_id": None}
    for field in stated(kind).keys() - {"type"}:
        for value in NOTHING_MEANT:
            if field in ("defaults", "settings") and isinstance(value, dict):
                continue  # an object is meant there
            given = text(stated(kind) | {field: value})
            if field in forgiving:
                event, odd = events.read(given)
                assert odd == (f"{kind}.{field}",), (field, value)
                assert getattr(event, field) == forgiving[field]
                rest = stated(kind)
                del rest[field]
                assert event == events.decode(text(rest)), "nothing else has changed"
            else:
                with pytest.raises(msgspec.ValidationError, match=rf"^Expected .* at `\$\.{field}"):
                    events.read(given)


@pytest.mark.parametrize(
    ("given", "field", "is_read_as"),
    [
        (JUDGED | {"duration_s": -0.2}, "duration_s", None),
        (JUDGED | {"duration_s": 1e10}, "duration_s", None),
        (JUDGED | {"duration_s": "12.5"}, "duration_s", None),
        (JUDGED | {"duration_s": False}, "duration_s", None),
        (JUDGED | {"event_id": ""}, "event_id", None),
        (JUDGED | {"event_id": "x" * 129}, "event_id", None),
        (JUDGED | {"event_id": 1.5}, "event_id", None),
        (PAIR | {"type": "assignment_declined", "reason": "too_hard"}, "reason", "other"),
        (PAIR | {"type": "assignment_declined", "reason": None}, "reason", "other"),
        (PAIR | {"type": "assignment_declined", "reason": ["broken"]}, "reason", "other"),
        (WORK | {"type": "annotator_online", "capacity": 0}, "capacity", msgspec.UNSET),
        (WORK | {"type": "annotator_online", "capacity": 2.5}, "capacity", msgspec.UNSET),
        (WORK | {"type": "annotator_online", "capacity": 1001}, "capacity", msgspec.UNSET),
        (WORK | {"type": "annotator_online", "mode": "PULL"}, "mode", msgspec.UNSET),
        (WORK | {"type": "annotator_online", "ttl_s": 0}, "ttl_s", 300.0),
        (WORK | {"type": "annotator_online", "until": "2026-01-01T12:00:00Z"}, "until", None),
        (WORK | {"type": "annotator_paused", "until": 1.7e12}, "until", None),
        (WORK | {"type": "work_requested", "count": -1}, "count", 1),
        (WORK | {"type": "work_requested", "projects": "j"}, "projects", ()),
        (WORK | {"type": "work_requested", "projects": ["j", ""]}, "projects", ()),
        (stated("task_created") | {"ref": "é" * 257}, "ref", None),
        (stated("task_created") | {"ref": "x" * 513}, "ref", None),
        (stated("task_updated") | {"ref": 17}, "ref", msgspec.UNSET),
        (stated("pool_set") | {"note": "ü" * 1001}, "note", msgspec.UNSET),
        (stated("project_set") | {"note": ["x"]}, "note", msgspec.UNSET),
    ],
)
def test_what_a_side_field_may_not_hold_is_left_out_and_named(
    given: dict[str, Any], field: str, is_read_as: Any
) -> None:
    event, odd = events.read(text(given))
    assert odd == (f"{given['type']}.{field}",)
    assert getattr(event, field) == is_read_as


@pytest.mark.parametrize(
    ("given", "field", "is_read_as"),
    [
        (JUDGED | {"label": 1.0}, "label", 1),
        (JUDGED | {"label": -0.0}, "label", 0),
        (JUDGED | {"label": None}, "label", None),
        (JUDGED | {"task": 4711}, "task", "4711"),
        (JUDGED | {"task": 17.0}, "task", "17"),
        (JUDGED | {"task": -5}, "task", "-5"),
        (JUDGED | {"task": 2**70}, "task", str(2**70)),
        (JUDGED | {"annotator": 7}, "annotator", "7"),
        (JUDGED | {"pool": 12}, "pool", "12"),
        (JUDGED | {"event_id": 3}, "event_id", "3"),
        (JUDGED | {"duration_s": 0}, "duration_s", 0.0),
        (JUDGED | {"at": 1_700_000_000_000}, "at", 1.7e12),
        (WORK | {"type": "work_requested", "count": 2.0, "projects": [1, 2.0, "j"]}, "projects", ("1", "2", "j")),
        (stated("task_created") | {"overlap": 3.0}, "overlap", 3),
        (stated("task_created") | {"only": [17, "b"]}, "only", ("17", "b")),
        (stated("task_created") | {"ref": "é" * 256}, "ref", "é" * 256),
        (stated("project_set") | {"labels": [1, 2, 3]}, "labels", ("1", "2", "3")),
        (stated("project_set") | {"budget": 10.0}, "budget", 10),
        (stated("annotator_set") | {"skills": [5]}, "skills", ("5",)),
    ],
)
def test_another_spelling_of_the_same_is_no_fault(given: dict[str, Any], field: str, is_read_as: Any) -> None:
    event, odd = events.read(text(given))
    assert odd == ()
    found = getattr(event, field)
    assert (found, type(found)) == (is_read_as, type(is_read_as))


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "1"},
        {"label": "cat"},
        {"label": True},
        {"label": 1.5},
        {"label": -1},
        {"label": 20},
        {"label": [1]},
        {"task": True},
        {"task": 17.5},
        {"task": 1e300},
        {"task": ""},
        {"task": None},
        {"task": ["t"]},
        {"annotator": {}},
        {"annotator": "x" * 129},
        {"pool": None},
        {"at": "1700000000"},
        {"at": None},
        {"at": -1},
        {"at": True},
        {"at": "2026-01-01T00:00:00Z"},
        {"type": "judgement_submitted"},
        {"type": None},
        {"type": ["judgment_submitted"]},
    ],
)
def test_who_what_and_when_stay_strict_in_peoples_work(changed: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        events.read(text(JUDGED | changed))


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("task_created", {"min_skill": 1.5}),
        ("task_created", {"overlap": -1}),
        ("task_created", {"purpose": "golden"}),
        ("task_created", {"deadline": 1.7e12}),
        ("task_created", {"only": "ana"}),
        ("task_created", {"label": "1"}),
        ("project_set", {"state": "open"}),
        ("project_set", {"budget": -1}),
        ("project_set", {"defaults": {"overlap": -1}}),
        ("project_set", {"labels": "a,b"}),
        ("annotator_set", {"cost": -1}),
        ("annotator_set", {"kind": "robot"}),
        ("task_updated", {"priority": 11}),
        ("settings_changed", {"settings": {"lease_s": "60"}}),
        ("truth_set", {"label": 1.5}),
        ("skill_seeded", {"weight": None}),
    ],
)
def test_definitions_and_commands_are_strict_in_what_they_define(kind: str, changed: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        events.read(text(stated(kind) | changed))


PLAIN = b'{"type":"judgment_submitted","pool":"p","at":20,"annotator":"a","task":"t","label":1%b}'


@pytest.mark.parametrize(
    ("more", "odd"),
    [
        (b',"duration_s":NaN', ["duration_s"]),
        (b',"duration_s":-Infinity', ["duration_s"]),
        (b',"duration_s":1e999', ["duration_s"]),
        (b',"duration_s":' + b"9" * 5000, ["duration_s"]),
        (b',"event_id":"\\ud83d"', ["event_id"]),
        (b',"event_id":"caf\xe9"', ["event_id"]),
        (b',"comment":NaN', []),
        (b',"comment":"\\ud83d"', []),
        (b',"comment":"caf\xe9"', []),
        (b',"size":1e999', []),
        (b',"duration_s":-1,"duration_s":2', []),
        (b',"label":"x","label":1', []),
        (b',"event_id":{},"event_id":"e"', []),
        (b',"duration_s":2,"duration_s":-1', ["duration_s"]),
    ],
)
def test_what_is_hardly_json_costs_no_work_where_no_needed_field_has_it(more: bytes, odd: list[str]) -> None:
    event, found = events.read(PLAIN % more)
    assert found == tuple(f"judgment_submitted.{name}" for name in odd)
    assert (event.task, event.label) == ("t", 1)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "more", [b',"label":NaN', b',"task":"\\ud83d"', b',"annotator":"caf\xe9"', b',"at":Infinity', b',"at":1e999', b","]
)
def test_what_is_hardly_json_is_refused_in_a_needed_field(more: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        events.read(PLAIN % more)


def test_a_byte_order_mark_is_skipped_and_another_encoding_is_not_guessed() -> None:
    assert events.read(b"\xef\xbb\xbf" + PLAIN % b"") == (events.decode(PLAIN % b""), ())
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        with pytest.raises(msgspec.ValidationError, match="in JSON, in UTF-8"):
            events.read((PLAIN % b"").decode().encode(encoding))


@pytest.mark.parametrize("kind", [contract.tag(event) for event in get_args(events.Input)])
def test_the_slow_reading_agrees_with_the_fast_one_on_every_sample(kind: str) -> None:
    assert events.reread(SAMPLES[kind]) == (events.exact(SAMPLES[kind]), ())
