"""A pool runs by a policy that is state: born with the process's defaults, changed by events alone, told in the log."""

import itertools
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream import events as wire
from stream import topics
from stream.core.saved.rows import POSITION
from stream.core.shard import RoundResult, Shard
from stream.core.state.policies import born, changed
from stream.policy import BOUNDS, Policy, SettingRefused, checked
from stream.settings import Market
from tests.core.course import POOL, Course, people, work

RULE = b"r" + POOL.encode() + b"\0"


def setting(at: float | None = None, **settings: float) -> dict[str, Any]:
    return {"type": "settings_changed", "settings": settings} | ({} if at is None else {"at": at})


def told(result: RoundResult) -> list[tuple[int, dict[str, float]]]:
    """Versions and what differs from the defaults."""
    assert result.completed.policies is not None
    plain = msgspec.structs.asdict(Policy())
    found = [(one.version, msgspec.structs.asdict(one)) for one in result.completed.policies]
    return [(version, {name: said[name] for name in plain if said[name] != plain[name]}) for version, said in found]


def outputs(course: Course, kind: type) -> list[Any]:
    return [out for topic in topics.OUTPUTS for out in course.outputs(topic) if isinstance(out, kind)]


def successor(course: Course, results: list[RoundResult], **market: Any) -> Course:
    """Another process, whose defaults may be others, goes on with what was committed."""
    other = Course(**market)
    other.shard = Shard(0, Market(**market), 1)
    for result in results:
        for table, rows in result.rows.items():
            other.shard.restore_many(table, rows)
    other.shard.restored()
    other.now = course.now
    return other


def state(shard: Shard) -> dict[bytes, bytes | None]:
    return {key: value for table in topics.TABLES for key, value in shard.rows(table) if key != POSITION}


# ---------------------------------------------------------------------- birth
def test_a_pool_is_born_with_the_defaults_of_its_process_and_the_round_says_so() -> None:
    course = Course(accept_s=7, gap=0.01)
    result = course.told(*work(1))
    assert told(result) == [(0, {"accept_s": 7.0, "gap": 0.01})]
    assert [key for key, _ in result.rows["annotators"]].count(RULE) == 1
    result = course.told(*work(1, 1))
    assert told(result) == [] and RULE not in dict(result.rows["annotators"])


def test_what_the_process_brings_is_no_matter_once_a_pool_is_born() -> None:
    course = Course(accept_s=7, lease_s=100)
    first = course.told(*work(1))
    other = successor(course, [first], accept_s=90, lease_s=500)
    result = other.told(*people(["a"]), *work(1, 1))
    assert told(result) == []
    assert {offer.accept_by - other.now for offer in other.offers} == {7.0}
    assert {offer.lease_s for offer in other.offers} == {100.0}
    assert state(other.shard)[RULE] == dict(first.rows["annotators"])[RULE]


def test_a_pool_that_dies_is_born_again_with_the_defaults_of_then() -> None:
    course = Course(reference_wait_s=10)
    assert told(course.told({"type": "task_cancelled", "task": "t"})) == [(0, {"reference_wait_s": 10.0})]
    result = course.told(after=20.0)
    assert (RULE, None) in result.rows["annotators"] and state(course.shard) == {}
    course.shard.market = Market(accept_s=5)
    assert told(course.told(*work(1))) == [(0, {"accept_s": 5.0})]


def test_no_policy_is_told_of_a_pool_that_is_not_born() -> None:
    course = Course()
    assert told(course.told({"type": "task_created", "task": "t", "project": "j"})) == []


def test_a_pool_that_a_setting_was_stated_in_does_not_die() -> None:
    course = Course()
    course.told(setting(accept_s=60))
    course.told(after=1000.0)
    assert course.shard.pools[POOL].policy.since == {"accept_s": course.now - 1000.0}


# ---------------------------------------------------------------------- changes
def test_a_change_holds_from_its_event_on_and_is_told() -> None:
    course = Course()
    course.told(*people(["a", "b", "c"]))
    result = course.told(*work(1, overlap=1), setting(accept_s=12, lease_s=40), *work(1, 1, overlap=1))
    assert told(result) == [(1, {"accept_s": 12.0, "lease_s": 40.0})]
    assert {offer.task: offer.lease_s for offer in course.offers} == {"w0": 900.0, "w1": 40.0}
    assert {offer.accept_by - course.now for offer in course.offers} == {12.0}
    assert {decision.policy for decision in outputs(course, wire.DecisionMade)} == {1}
    assert [pool.policy for pool in result.completed.pools] == [1]


def test_a_pool_that_is_born_and_changed_in_one_round_tells_both() -> None:
    course = Course(gap=0.01)
    assert told(course.told(setting(gap=0.02), setting(accept_s=1))) == [
        (0, {"gap": 0.01}), (2, {"gap": 0.02, "accept_s": 1.0}),
    ]  # fmt: skip


def test_the_same_event_again_changes_nothing() -> None:
    course = Course()
    event = setting(course.now, accept_s=12, lease_s=40)
    course.told(event)
    before = state(course.shard)
    result = course.told(event, event)
    assert told(result) == [] and state(course.shard) == before
    assert [key for rows in result.rows.values() for key, _ in rows] == [POSITION]


def test_a_setting_that_is_stated_anew_as_it_was_is_no_change_but_outlasts_older_ones() -> None:
    course = Course()
    course.told(setting(course.now, accept_s=12))
    later = course.told(setting(course.now + 5, accept_s=12))
    assert told(later) == [(1, {"accept_s": 12.0})]
    assert told(course.told(setting(course.now - 2, accept_s=50))) == []


def test_of_equally_new_values_the_larger_holds() -> None:
    course = Course()
    course.told(setting(course.now, gap=0.1))
    course.told(setting(course.now - 5, gap=0.05))
    course.told(setting(course.now - 10, gap=0.2, accept_s=9))
    assert course.shard.pools[POOL].policy.gap == 0.2


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 2.0, 3.0]),
        st.dictionaries(st.sampled_from(["gap", "accept_s", "missed_offers"]), st.sampled_from([0.5, 0.25, 1, 2])),
    ),
    max_size=5,
)


@given(EVENTS, st.randoms())
def test_the_order_of_events_never_matters(events: list[tuple[float, dict[str, float]]], rng: Any) -> None:
    events = [
        (at, {name: value for name, value in settings.items() if BOUNDS[name].hold(value)}) for at, settings in events
    ]
    shuffled = [*events, *rng.sample(events, len(events))]
    rng.shuffle(shuffled)
    ends = []
    for order in (events, shuffled):
        policy = born("p", Policy())
        for at, settings in order:
            policy = changed(policy, settings, at)
        ends.append(msgspec.structs.replace(policy, version=0))
    assert ends[0] == ends[1]
    assert wire.encode(ends[0]) == wire.encode(ends[1])


@pytest.mark.parametrize("name", BOUNDS)
def test_every_setting_is_refused_beyond_its_bounds_and_taken_within(name: str) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(Policy)}
    for value in (-1.0, 0.0, 1e-9, 0.5, 1.0, 1.5, 2.0, 100.0, 101.0, 1024.0, 1025.0, 1e6, 1e7, 1e8, 1.1e8):
        try:
            expected = msgspec.convert(int(value) if value.is_integer() else value, fields[name].type)
        except msgspec.ValidationError:
            with pytest.raises(SettingRefused):
                checked({name: value})
        else:
            assert checked({name: value}) == {name: expected}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"acept_s": 5}, "got 'acept_s' - at `$.settings`: did you mean accept_s, a number in (0, 100000000]?"),
        ({"lease_s": 5, "max_extension": 1}, "did you mean max_extensions, a whole number in [0, 100]?"),
        ({"gap": 1}, "Expected a number in (0, 1), got 1 - at `$.settings.gap`"),
        ({"block_declines": 2.5}, "Expected a whole number in [1, 100], got 2.5 - at `$.settings.block_declines`"),
        ({"version": 3}, "Expected a setting, got 'version'"),
        ({"pool": 3}, "Expected a setting, got 'pool'"),
    ],
)
def test_a_setting_that_is_none_is_refused_in_words_and_nothing_of_its_event_counts(
    settings: dict[str, float], words: str
) -> None:
    course = Course()
    course.told(*work(1))
    result = course.told(setting(**settings))
    (letter,) = result.dead_letters
    headers = dict(letter.headers)
    assert headers["reason"] == b"invalid" and words in headers["__streams.errors.message"].decode()
    assert told(result) == [] and course.shard.pools[POOL].policy.version == 0


# ---------------------------------------------------------------------- what is under way
def drops(course: Course) -> Iterator[float]:
    """When tasks leave memory, seconds from now."""
    start, known = course.now, set(course.shard.pools[POOL].tasks.slots)
    for _ in itertools.repeat(None, 60):
        course.told(after=5.0)
        now = set(course.shard.pools[POOL].tasks.slots)
        yield from (course.now - start for _ in known - now)
        known = now


def test_offers_and_leases_keep_their_deadlines() -> None:
    course = Course(accept_s=100, lease_s=300)
    course.told(*people(["a", "b"]), *work(2, overlap=1))
    (offer,) = [offer for offer in course.offers if offer.annotator == "a"]
    course.told({"type": "assignment_accepted", "annotator": "a", "task": offer.task})
    leased_at = course.now
    course.told(setting(accept_s=10, lease_s=10))
    assert course.told(after=60.0) and not outputs(course, wire.AssignmentEnded)
    course.told(after=50.0)
    assert [end.outcome for end in outputs(course, wire.AssignmentEnded)] == ["expired"]
    course.told(after=leased_at + 301.0 - course.now)
    assert "abandoned" in [end.outcome for end in outputs(course, wire.AssignmentEnded)]


def test_events_that_wait_keep_their_deadlines_and_their_order() -> None:
    course = Course(reference_wait_s=100)
    course.told({"type": "task_cancelled", "task": "t"})
    course.told(setting(reference_wait_s=1))
    course.told({"type": "task_cancelled", "task": "t"}, {"type": "task_cancelled", "task": "u"})
    assert len(course.told(after=5.0).dead_letters) == 1  # of u; those of t leave in the order in which they came
    assert len(course.told(after=84.0).dead_letters) == 0
    assert len(course.told(after=2.0).dead_letters) == 2


@pytest.mark.parametrize(("before", "after"), [(200.0, 30.0), (30.0, 200.0)])
def test_retention_counts_anew_from_when_the_task_settled(before: float, after: float) -> None:
    course = Course(settled_retention_s=before)
    results = [course.told(*work(1)), course.told({"type": "task_cancelled", "task": "w0"})]
    settled_at = course.now
    results.append(course.told(setting(settled_retention_s=after)))
    assert course.shard.wakeup == settled_at + after
    assert successor(course, results).shard.wakeup == settled_at + after
    waited = course.now - settled_at
    assert [waited + seconds for seconds in drops(course)] == [after]


def test_ids_are_forgotten_in_the_order_in_which_their_tasks_left() -> None:
    course = Course(settled_retention_s=100)
    results = [course.told(*work(2)), course.told({"type": "task_cancelled", "task": "w0"}), course.told(after=100.0)]
    first = course.now + 100
    results.append(course.told({"type": "task_cancelled", "task": "w1"}, setting(settled_retention_s=10)))
    results.append(course.told(after=10.0))
    pool = course.shard.pools[POOL]
    assert pool.gone == {"w0": first, "w1": first}
    assert successor(course, results).shard.pools[POOL].gone == pool.gone
    course.told(after=first - course.now)
    assert pool.gone == {}


@pytest.mark.parametrize(("before", "after"), [(100.0, 20.0), (20.0, 100.0)])
def test_grace_counts_anew_from_when_somebody_went(before: float, after: float) -> None:
    course = Course(grace_s=before)
    results = [course.told(*people(["a"]), *work(1, overlap=1))]
    results.append(course.told({"type": "assignment_accepted", "annotator": "a", "task": "w0"}))
    results.append(course.told({"type": "annotator_offline", "annotator": "a"}))
    went_at = course.now
    results.append(course.told(setting(grace_s=after)))
    assert course.shard.wakeup == went_at + after
    assert successor(course, results).shard.wakeup == went_at + after
    assert course.told(after=went_at + after - course.now - 1.0) and not outputs(course, wire.AssignmentEnded)
    course.told(after=1.0)
    assert [end.outcome for end in outputs(course, wire.AssignmentEnded)] == ["abandoned"]


def test_whoever_was_absent_by_the_former_limit_stays_so_until_heard_of() -> None:
    course = Course(accept_s=5, missed_offers=1)
    course.told(*people(["a"]), *work(1, overlap=1))
    course.told(after=6.0)
    assert not course.offers
    course.told(setting(missed_offers=3), after=6.0)
    assert not course.offers
    course.told({"type": "annotator_resumed", "annotator": "a"})
    assert course.offers


# ---------------------------------------------------------------------- rows from before policies
def without_policy(results: list[RoundResult]) -> list[RoundResult]:
    """What a version would have committed that knew of no policies."""
    return [
        result._replace(rows={table: [row for row in rows if row[0] != RULE] for table, rows in result.rows.items()})
        for result in results
    ]


def test_a_pool_of_older_rows_is_told_in_the_round_that_first_concerns_it_and_not_before() -> None:
    course = Course()
    results = without_policy([course.told(*work(2), *people(["a"])), course.told()])
    first = successor(course, results, accept_s=20)
    assert RULE not in state(first.shard), "a copy must not say what the log doesn't"
    assert not any(key == RULE for rows in first.shard.portions(100) for key, _ in rows)
    results += without_policy([first.told()])  # nothing concerns it: another owner may bring other defaults
    second = successor(first, results, accept_s=30)
    result = second.told(*people(["b"]))
    assert told(result) == [(0, {"accept_s": 30.0})]
    assert {offer.accept_by - second.now for offer in second.offers} == {30.0}
    third = successor(second, [*results, result], accept_s=40)
    assert told(third.told(*people(["c"]))) == []
    assert third.shard.pools[POOL].policy.accept_s == 30.0


def test_the_clock_alone_makes_an_older_pool_tell_its_policy() -> None:
    course = Course()
    results = without_policy([course.told(*work(1), *people(["a"]))])
    other = successor(course, results, accept_s=20)
    assert told(other.told(after=61.0)) == [(0, {"accept_s": 20.0})]
