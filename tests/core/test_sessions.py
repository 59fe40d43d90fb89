"""Several sessions of one person: present while one lives, whatever the order in which facts arrive."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import events as wire
from stream import topics
from stream.core.shard import Shard
from stream.core.state.sessions import MOST, REMEMBERED_S
from stream.settings import Market
from tests.core.course import POOL, Course, work

A = {"annotator": "a"}


def beat(session: str | None = None, **fields: Any) -> dict[str, Any]:
    named = {} if session is None else {"session": session}
    return {"type": "annotator_online", **A, "ttl_s": 300, **named, **fields}


def over(session: str | None = None, **fields: Any) -> dict[str, Any]:
    named = {} if session is None else {"session": session}
    return {"type": "annotator_offline", **A, **named, **fields}


def profile(name: str = "a") -> dict[str, Any]:
    return {"type": "annotator_set", "annotator": name, "skills": ["*"]}


def ends(course: Course) -> list[tuple[str, str, str | None]]:
    found = course.outputs(topics.ASSIGNMENTS)
    return [(out.task, out.outcome, out.cause) for out in found if isinstance(out, wire.AssignmentEnded)]


def record(course: Course, name: str = "a") -> Any:
    return course.columns.annotators.records[course.shard.pools[POOL].annotators.slots[name]]


def presence(course: Course) -> tuple[bool, int, str, float]:
    """What the market goes by: is somebody there, with which capacity and mode, until when."""
    found = record(course)
    if not found["online"]:
        return False, 0, "", 0.0
    return True, int(found["capacity"]), ("push", "pull")[found["mode"]], float(found["expires"])


def has_lapsed(course: Course) -> bool:
    return not record(course)["online"] and np.isfinite(record(course)["expires"])


def holding(*beats: dict[str, Any], tasks: int = 1) -> Course:
    """Somebody with these sessions, and a lease on w0."""
    course = Course()
    course.told(profile(), *work(tasks, overlap=1), *beats)
    course.told({"type": "assignment_accepted", **A, "task": "w0"})
    return course


# ---------------------------------------------------------------------- tabs that close
@pytest.mark.parametrize("first, second", [(None, "x"), ("x", None), ("x", "y"), ("x", ""), ("", "y")])
def test_one_of_two_tabs_is_closed_and_nothing_happens(first: str | None, second: str | None) -> None:
    course = holding(beat(first), beat(second))
    course.told(over(second))
    for _ in range(10):
        course.told(beat(first), after=60.0)
        assert ends(course) == []
    assert presence(course)[0]
    course.told(*work(1, first=7, overlap=1), {"type": "judgment_submitted", **A, "task": "w0", "label": 1})
    assert [offer.task for offer in course.offers] == ["w7"]


def test_the_last_tab_is_closed_and_its_work_is_returned_after_the_grace() -> None:
    course = holding(beat("x"), beat("y"))
    course.told(over("x"))
    course.told(over("y"))
    assert ends(course) == [] and not presence(course)[0]
    course.told(after=59.0)
    assert ends(course) == []
    course.told(after=2.0)
    assert ends(course) == [("w0", "abandoned", None)]


def test_somebody_who_reloads_the_page_keeps_their_work() -> None:
    course = holding(beat("x"))
    course.told(over("x"))
    course.told(beat("reloaded"), after=20.0)
    course.told(after=100.0)
    assert ends(course) == [] and presence(course)[0]


def test_three_tabs_of_which_the_last_merely_lapses_keep_their_lease() -> None:
    course = holding(beat("x"), beat("y"), beat("z", ttl_s=400))
    course.told(over("x"))
    course.told(over("y"))
    course.told(after=500.0)
    assert ends(course) == [] and has_lapsed(course)
    assert course.result and course.result.at_risk == 1
    course.told({"type": "judgment_submitted", **A, "task": "w0", "label": 1})
    assert ends(course) == [("w0", "submitted", None)] and course.result.at_risk == 0


def test_one_lapsed_and_the_other_ended_is_gone() -> None:
    course = holding(beat("x", ttl_s=20), beat("y"))
    course.told(after=60.0)
    assert presence(course)[0]
    course.told(over("y"))
    assert not presence(course)[0]
    course.told(after=61.0)
    assert ends(course) == [("w0", "abandoned", None)]


def test_a_tab_closes_during_a_break_which_goes_on() -> None:
    course = holding(beat("x"), beat("y"))
    course.told({"type": "annotator_paused", **A})
    course.told(over("y"))
    course.told({"type": "judgment_submitted", **A, "task": "w0", "label": 1}, *work(1, first=7, overlap=1))
    course.told(beat("x"), beat("new"))
    assert course.offers == []
    course.told({"type": "annotator_resumed", **A})
    assert [offer.task for offer in course.offers] == ["w7"]


def test_an_end_of_a_session_that_nobody_has_seen_ends_nothing() -> None:
    course = holding(beat())
    course.told(over("never"))
    assert ends(course) == [] and presence(course)[0]
    course.told(beat("never", at=course.now - 1.0))
    course.told(over())
    assert not presence(course)[0], "its heartbeat was older than its end"


# ---------------------------------------------------------------------- capacity and mode
def test_capacity_is_the_largest_and_falls_when_its_session_lapses_or_ends() -> None:
    for last in (over("big"), None):
        course = Course(accept_s=1000.0)
        course.told(profile(), *work(9, overlap=1), beat("big", capacity=5, ttl_s=60), beat("small", capacity=2))
        assert len(course.offers) == 5
        if last is None:
            wakes = course.shard.wakeup
            assert wakes == course.now + 60.0
            course.told(after=60.0)
        else:
            course.told(last)
        assert [end[1:] for end in ends(course)] == [("withdrawn", "override")] * 3
        assert presence(course)[1] == 2


def test_a_heartbeat_that_omits_capacity_and_mode_changes_neither() -> None:
    for name in (None, "x"):
        course = Course()
        course.told(profile(), *work(9, overlap=1), beat(name, capacity=4, mode="pull"))
        course.told(beat(name))
        assert presence(course)[1:3] == (4, "pull")
        course.told(beat(name, capacity=2))
        assert presence(course)[1:3] == (2, "pull")
        course.told(over(name))
        course.told(beat(name))
        assert presence(course)[1:3] == (1, "push"), "another beginning"


def test_mode_is_the_newest_that_was_stated() -> None:
    course = Course()
    course.told(profile(), beat("x", mode="pull", ttl_s=40))
    course.told(beat("y"))
    assert presence(course)[2] == "pull"
    course.told(beat("y", mode="push"))
    assert presence(course)[2] == "push"
    course.told(beat("x", ttl_s=40))
    assert presence(course)[2] == "push", "nothing was stated"
    course.told(beat("x", mode="pull", ttl_s=40))
    course.told(after=45.0)
    assert presence(course)[2] == "push", "the other has lapsed"


def test_sessions_in_mode_pull_get_what_was_asked_for() -> None:
    course = Course()
    course.told(profile(), *work(5, overlap=1), beat("x", mode="pull", capacity=3), beat("y"))
    assert course.offers == []
    course.told({"type": "work_requested", **A, "count": 2})
    assert len(course.offers) == 2
    course.told(over("x"))
    assert presence(course)[2] == "push" and presence(course)[1] == 1


# ---------------------------------------------------------------------- away, erasure, bounds
def test_a_second_session_of_somebody_who_is_away_is_no_act() -> None:
    course = Course(accept_s=30.0, missed_offers=1)
    course.told(profile(), *work(9, overlap=1), beat("x"))
    course.told(after=31.0)
    course.told(beat("y"))
    assert course.offers == []
    course.told(over("x"), over("y"))
    course.told(beat("z"))
    assert len(course.offers) == 1


def test_erased_amid_their_sessions_nothing_of_them_is_kept() -> None:
    course = holding(beat("secret-x", capacity=3), beat("y", capacity=2))
    assert any(key.startswith(b"o") for key, _ in course.shard.rows("annotators"))
    course.told({"type": "annotator_erased", **A})
    assert ends(course) == [("w0", "withdrawn", "erased")]
    assert course.result
    assert (b"op\0a", None) in course.result.rows["annotators"]
    rows = list(course.shard.rows("annotators"))
    assert not any(b"secret" in (value or b"") or key.startswith(b"o") for key, value in rows)
    course.told(profile(), beat("y"))
    assert presence(course)[:3] == (True, 1, "push")
    course.told(over("y"))
    assert not presence(course)[0]


def test_a_person_has_no_more_sessions_than_can_be_kept() -> None:
    course = Course()
    course.told(profile(), *(beat(f"s{n}", at=1_000_000.0 + n / 100, capacity=n + 1) for n in range(MOST + 5)))
    assert len(course.shard.pools[POOL].sessions.of[0]) == MOST + 1  # the default one beside them
    assert presence(course)[1] == MOST + 5
    course.told(*(over(f"s{n}") for n in range(5, MOST + 5)))
    assert not presence(course)[0], "the oldest are forgotten"


def test_sessions_that_have_been_over_for_long_are_forgotten() -> None:
    course = Course()
    course.told(profile(), beat("x", ttl_s=10), beat("y", ttl_s=10))
    course.told(beat("z"), after=REMEMBERED_S)
    assert set(course.shard.pools[POOL].sessions.of[0]) == {"", "x", "y", "z"}
    course.told(beat("z"), after=20.0)
    assert set(course.shard.pools[POOL].sessions.of[0]) == {"", "z"}


def test_an_id_of_a_session_that_is_too_long_is_refused_before_anybody_is_known_by_it() -> None:
    course = Course()
    for event in (beat("ü" * 100), over("ü" * 100)):
        result = course.told(event)
        assert [dict(letter.headers)["reason"] for letter in result.dead_letters] == [b"malformed"]
        assert POOL not in course.shard.pools


# ---------------------------------------------------------------------- order and repeats
def _facts(draw: Any) -> dict[str, Any]:
    kind = draw(st.sampled_from(["beat", "beat", "beat", "over"]))
    event: dict[str, Any] = {
        "session": draw(st.sampled_from([None, "x", "y"])), "at": draw(st.integers(0, 6)),
    }  # fmt: skip
    if kind == "beat":
        event["ttl_s"] = draw(st.sampled_from([50, 300]))
        event |= draw(st.sampled_from([{}, {"capacity": 2}, {"capacity": 5}, {"mode": "pull"}, {"mode": "push"}]))
    return event | {"type": "annotator_online" if kind == "beat" else "annotator_offline", **A}


FACTS = st.lists(st.composite(_facts)(), max_size=12)


@given(FACTS, st.randoms())
def test_the_order_and_number_of_deliveries_of_sessions_never_matter(
    facts: list[dict[str, Any]], rng: random.Random
) -> None:
    """Where every session is heard of before it is over, nothing depends on the order: `at` decides."""
    begun = Course().now
    said = [fact | {"at": begun + fact["at"]} for fact in facts]
    shuffled = [event for event in said for _ in range(rng.randint(1, 3))]
    rng.shuffle(shuffled)
    found = []
    for events in (sorted(said, key=lambda event: event["at"]), shuffled):
        course = Course()
        course.told(profile())
        cut = rng.randint(0, len(events))
        course.told(*events[:cut])
        course.told(*events[cut:])
        states = [presence(course)]
        for after in (60.0, 300.0):
            course.told(after=after)
            states.append(presence(course))
        found.append(states)
    assert found[0] == found[1]


@pytest.mark.parametrize("name", [["x"], True, "x" * 200, {"id": "x"}])
def test_what_names_no_session_is_the_default_one_and_said_to_be_odd(name: Any) -> None:
    course = holding(beat(), beat("x"))
    result = course.told({"type": "annotator_offline", **A, "session": name})
    assert result.completed.odd == {"annotator_offline.session": 1} and presence(course)[0]
    course.told(over("x"))
    assert not presence(course)[0]


def test_a_session_may_be_a_number() -> None:
    course = holding(beat(), beat(17))  # type: ignore[arg-type]
    course.told(over())
    course.told(over("17"))
    assert not presence(course)[0]


def test_sessions_and_bars_outlive_a_takeover() -> None:
    course = holding(beat("x", capacity=3, ttl_s=40), beat("y", mode="pull"), over(), tasks=3)
    successor = Shard(0, Market(), 1)
    for table in topics.TABLES:
        successor.restore_many(table, dict(course.shard.rows(table)))
    successor.restored()
    assert successor.wakeup == course.shard.wakeup
    assert successor.pools[POOL].sessions.of == course.shard.pools[POOL].sessions.of
    course.told(after=60.0)
    again = successor.round(None, None, course.now, course.now, True)
    assert course.result and again.outputs[topics.ASSIGNMENTS] == course.result.outputs[topics.ASSIGNMENTS]
    assert {table: dict(successor.rows(table)).keys() for table in topics.TABLES} == {
        table: dict(course.shard.rows(table)).keys() for table in topics.TABLES
    }
    course.shard = successor
    assert presence(course)[:3] == (True, 1, "pull")


BREAKS = st.lists(
    st.tuples(
        st.sampled_from(["annotator_paused", "annotator_resumed"]), st.integers(0, 6), st.sampled_from([None, 90])
    ),
    max_size=4,
)


@settings(max_examples=60)
@given(FACTS, BREAKS, st.randoms())
def test_sessions_and_breaks_together_come_to_the_same_however_they_arrive(
    facts: list[dict[str, Any]], breaks: list[tuple[str, int, int | None]], rng: random.Random
) -> None:
    """Each event one to three times; shuffled, cut into rounds; then a clean successor looks at the rows."""
    begun = Course().now
    said = [fact | {"at": begun + fact["at"]} for fact in facts]
    said += [
        {"type": kind, **A, "at": begun + at} | ({"until": until and begun + until} if "paused" in kind else {})
        for kind, at, until in breaks
    ]
    found = []
    for times in (1, 3):
        events = [event for event in said for _ in range(rng.randint(1, times))]
        if times == 1:
            events.sort(key=lambda event: event["at"])
        else:
            rng.shuffle(events)
        course = Course()
        course.told(profile())
        cut = rng.randint(0, len(events))
        course.told(*events[:cut], after=2.5)
        course.told(*events[cut:], after=2.5)
        breaking = [int(record(course)["paused"]), float(record(course)["break_until"])]
        before = presence(course)
        course.told(after=100.0)
        found.append((breaking, before, presence(course), int(record(course)["paused"])))
    assert found[0] == found[1]
