"""The doctor finds clocks that go wrong, events that come too late, and fields that hold what they may not."""

import json
from typing import Any

import msgspec
import pytest

from stream.shell.commands.doctor_senders import Senders
from stream.shell.commands.finding import Finding

NOW = 1_700_000_000.0


def findings(*records: tuple[dict[str, Any], float]) -> list[Finding]:
    """What is found in events, each with how many seconds after its `at` its record was written."""
    senders = Senders(300.0)
    for event, late in records:
        given: dict[str, Any] = {"pool": "p", "at": NOW} | event
        senders.take(json.dumps(given).encode(), given["at"] + late)
    return list(senders.findings())


def beat(**fields: Any) -> dict[str, Any]:
    return {"type": "annotator_online", "annotator": "a"} | fields


def judged(**fields: Any) -> dict[str, Any]:
    return {"type": "judgment_submitted", "annotator": "a", "task": "t", "label": 1} | fields


def test_nothing_is_said_of_clocks_that_are_seconds_apart() -> None:
    (finding,) = findings((beat(), 1.0), (judged(), -3.0), (judged(), 40.0))
    assert (finding.verdict, finding.found) == ("fine", "3 recent events: times and fields are as they should be")
    (finding,) = findings()
    assert (finding.verdict, finding.found) == ("fine", "no recent events")


def test_a_sender_that_is_ahead_is_named_by_type() -> None:
    (finding,) = findings(*[(beat(), -180.0)] * 3, (beat(), 0.0), (judged(), 0.0))
    assert finding.verdict == "look"
    assert finding.found == (
        "annotator_online: 3 of 4 recent ones state a time 3 min after their record's (at most 3 min)"
    )
    (finding,) = findings((judged(), -400.0))
    assert finding.verdict == "wrong" and "more than 300 s ahead is a dead letter `clock`" in finding.remedy


def test_a_sender_that_is_behind_is_named_by_type_one_line_each() -> None:
    gone = {"type": "annotator_offline", "annotator": "b"}
    found = findings((judged(), 600.0), (judged(), 1200.0), (gone, 150.0), (gone, 1.0))
    assert [finding.found.partition(":")[0] for finding in found] == ["annotator_offline", "judgment_submitted"]
    assert "2 of 2 recent ones state a time 20 min before their record's (at most 20 min)" in found[1].found
    assert "find where events wait" in found[0].remedy


def test_work_that_is_brought_along_from_another_system_is_old_and_no_fault() -> None:
    (finding,) = findings((judged(), 90 * 86_400.0), ({"type": "truth_set", "task": "t", "label": 0}, 1e7))
    assert finding.verdict == "fine"


def test_a_heartbeat_that_was_over_when_it_came_had_no_effect() -> None:
    found = findings((beat(ttl_s=60), 61.0), (beat(ttl_s=60, annotator="b"), 30.0))
    (finding,) = found
    assert finding.found == (
        "annotator_online: 1 of 2 recent ones came too late to have an effect: what it says was over by then"
    )
    paused = {"type": "annotator_paused", "annotator": "a", "until": NOW + 10}
    (finding,) = findings((paused, 20.0))
    assert "annotator_paused: 1 of 1" in finding.found


def test_a_heartbeat_behind_a_later_one_had_no_effect() -> None:
    later, other = beat(at=NOW + 5), beat(annotator="b")
    (finding,) = findings((later, 0.0), (other, 5.0), (beat(), 5.0))
    assert finding.found == (
        "annotator_online: 1 of 3 recent ones came too late to have an effect: a later one of the same person had come "
        "before"
    )


@pytest.mark.parametrize(("times", "unit"), [(1e3, "milliseconds"), (1e6, "microseconds")])
def test_a_time_in_another_unit_is_wrong_and_the_unit_named(times: float, unit: str) -> None:
    senders = Senders(300.0)
    senders.take(json.dumps(judged(pool="p", at=NOW * times)).encode(), NOW)
    (finding,) = senders.findings()
    assert finding.verdict == "wrong" and "not in seconds" in finding.found
    assert finding.remedy == f"by its size it is in {unit}: divide by {times:.0f}"


def test_an_odd_field_is_shown_with_an_example_and_what_to_send() -> None:
    found = findings((judged(duration_s=-0.2), 0.0), (judged(duration_s="3 s"), 0.0), (judged(), 0.0))
    (finding,) = found
    assert (finding.check, finding.verdict) == ("odd fields", "look")
    assert finding.found == (
        "judgment_submitted.duration_s: 2 of 3 recent ones held what it may not, such as -0.2: the event counts, the "
        "field as left out"
    )
    assert finding.remedy == "send a number from 0 to 1000000000 or null as duration_s, or leave it out"


def test_what_is_no_event_is_left_to_the_dead_letters() -> None:
    senders = Senders(300.0)
    for value in (None, b"", b"{", b'{"type":"hello"}', b"\xff"):
        senders.take(value, NOW)
    (finding,) = senders.findings()
    assert finding.found == "no recent events"


def test_findings_are_json() -> None:
    found = findings((judged(duration_s=-1), -200.0))
    assert [one["check"] for one in msgspec.to_builtins(found)] == ["senders", "odd fields"]
