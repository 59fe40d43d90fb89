"""Policy is followed from the log: what a pool was born with, what events state; whoever says else is found."""

import re
from collections.abc import Callable

import msgspec
import pytest

from stream import topics
from stream.audit import Audit, Record, partition_of
from stream.core.intake.handlers import dispatch
from stream.core.intake.turn import Turn
from stream.core.shard import Shard
from stream.events import SettingsChanged
from stream.settings import Market
from tests.audit.history import Fields, Step, end, event, lease, offer, policy, records
from tests.core.course import POOL, Course, people, work

PEOPLE, TASKS = topics.ANNOTATORS, topics.TASKS


def setting(at: float, **settings: float) -> Fields:
    return event("settings_changed", at, settings=settings)


def short(step: Step, name: str) -> None:
    """The offer of this name waits for twenty seconds."""
    for output in step.outputs:
        if output.get("assignment") == name:
            output.update({"accept_by": step.at + 20} if output["type"] == "assignment_offered" else {"policy": 1})


def changed() -> list[Step]:
    """A pool of other limits than the defaults; some change, some events come too late to change anything."""
    steps = [
        Step(
            1000.0,
            tasks=[event("task_created", 999, task=f"t{i}", project="j", skill="s", overlap=1) for i in range(3)],
            annotators=[
                event("annotator_set", 999, annotator="a", skills=["s"]),
                event("annotator_online", 999, annotator="a", capacity=3, ttl_s=900),
                event("assignment_accepted", 999, annotator="a", task="t9"),
            ],
            outputs=[*offer("0-1-0", "t0", "a", 1000), *offer("0-1-1", "t1", "a", 1000)],
            record={"policies": [policy(missed_offers=3, lease_s=900.0)]},
        ),
        Step(
            1010.0,
            tasks=[setting(1009, accept_s=20, lease_s=300), setting(1008, accept_s=50), setting(1009, leases=1)],
            annotators=[event("assignment_accepted", 1009, annotator="a", task="t0")],
            outputs=[lease("0-1-0", "t0", "a", 1010), *offer("0-2-0", "t2", "a", 1010)],
            dead=[(TASKS, 5, "invalid")],
            record={"policies": [policy(1, {"accept_s": 1009, "lease_s": 1009}, accept_s=20, lease_s=300,
                                        missed_offers=3)]},
        ),
        Step(
            1061.0,
            tasks=[setting(1009, accept_s=20), setting(1009, accept_s=15), setting(1060, lease_s=300)],
            outputs=[end("0-1-1", "t1", "a", 1061, "expired"), end("0-2-0", "t2", "a", 1061, "expired")],
            dead=[(PEOPLE, 2, "unknown_task")],
            record={"policies": [policy(1, {"accept_s": 1009, "lease_s": 1060}, accept_s=20, lease_s=300,
                                        missed_offers=3)]},
        ),
        Step(1081.0, outputs=[*offer("0-4-0", "t1", "a", 1081)]),  # others come first for as long as an offer waits
    ]  # fmt: skip
    short(steps[1], "0-2-0")
    short(steps[3], "0-4-0")
    for step in steps[1:]:
        step.policy = 1
    return steps


def audit(steps: list[Step]) -> list[str]:
    auditor = Audit(partition=0, partitions=1)
    auditor.feed(records(steps))
    return [str(violation) for violation in auditor.finish()]


def test_limits_are_those_that_the_log_says() -> None:
    assert audit(changed()) == []


Plant = Callable[[list[Step]], object]
FAULTS: dict[Plant, str] = {}


def fault(words: str) -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        FAULTS[plant] = words
        return plant

    return register


@fault("has changed, and the round doesn't say so")
def a_change_is_not_told(steps: list[Step]) -> None:
    steps[1].record["policies"] = []


@fault("has changed, and the round doesn't say so")
def that_a_setting_was_stated_anew_is_not_told(steps: list[Step]) -> None:
    steps[2].record["policies"] = []


@fault("no event has changed it")
def a_policy_changes_by_itself(steps: list[Step]) -> None:
    steps[3].record["policies"] = [policy(2, {"accept_s": 1009}, accept_s=20)]


@fault("no event has changed it")
def a_pool_in_which_there_is_work_begins_anew(steps: list[Step]) -> None:
    steps[3].record["policies"] = [policy(accept_s=90)]


@fault("runs by .*'?accept_s=50.*expected version 1")
def the_older_event_wins(steps: list[Step]) -> None:
    steps[1].record["policies"][0]["accept_s"] = 50


@fault("runs by .*expected version 1")
def a_change_is_not_counted(steps: list[Step]) -> None:
    steps[1].record["policies"][0]["version"] = 0


@fault("runs by .*gap=0.5.*expected")
def a_weight_changes_beside_what_was_stated(steps: list[Step]) -> None:
    steps[1].record["policies"][0]["gap"] = 0.5


@fault("begins with a policy that was changed before")
def a_pool_is_born_changed(steps: list[Step]) -> None:
    steps[0].record["policies"][0]["version"] = 4


@fault("runs by a policy that no round has told")
def a_birth_is_not_told(steps: list[Step]) -> None:
    steps[0].record["policies"] = []


@fault("is at policy 0, expected 1")
def a_pool_is_matched_by_a_former_policy(steps: list[Step]) -> None:
    steps[3].policy = 0


@fault("an offer by policy 0, the pool is at 1")
def an_offer_is_decided_by_a_former_policy(steps: list[Step]) -> None:
    steps[3].outputs[1]["policy"] = 0


@fault("accept_by is 1130")
def an_offer_waits_as_long_as_before(steps: list[Step]) -> None:
    steps[3].outputs[0]["accept_by"] = 1130.0


@fault("lease until 1310.0, expected 1910")
def a_limit_reaches_back_to_what_was_offered(steps: list[Step]) -> None:
    steps[1].outputs[0]["submit_by"] = 1310.0


@fault("an unusable record .invalid. has no dead letter")
def a_setting_that_is_none_is_swallowed(steps: list[Step]) -> None:
    steps[1].dead.clear()


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: str(plant.__name__))
def test_a_policy_that_the_log_does_not_bear_out_is_found(plant: Plant) -> None:
    steps = changed()
    plant(steps)
    violations = audit(steps)
    assert any(re.search(FAULTS[plant], violation) for violation in violations), violations


def test_the_policy_of_a_pool_that_lies_in_another_partition_is_found() -> None:
    here = next(name for name in map("pool{}".format, range(50)) if partition_of(name.encode(), 5) == 0)
    auditor = Audit(partition=0, partitions=5)
    auditor.feed(records([Step(1000.0, record={"pools": [], "policies": [{"pool": here}, {"pool": "p"}]})]))
    (violation,) = auditor.finish()
    assert "the policy of pool 'p', which belongs to another partition" in str(violation)


OUT_OF_BOUNDS = [
    ("accept_s", 0), ("lease_s", 1.1e8), ("max_extensions", 1.5), ("max_extensions", 101), ("block_declines", 0),
    ("gap", 0), ("gap", 1), ("least_ability", 1.01), ("judgment_cost", -0.1), ("candidates", 1025), ("leases", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), OUT_OF_BOUNDS)
def test_a_setting_that_no_policy_has_must_be_a_dead_letter(name: str, value: float) -> None:
    steps = [Step(1000.0, tasks=[setting(999, **{name: value})], record={"policies": [], "pools": []})]
    (violation,) = audit(steps)
    assert "(invalid) has no dead letter" in violation
    steps[0].dead = [(TASKS, 0, "invalid")]
    assert audit(steps) == []


def test_limits_that_may_just_be_reached_are_no_dead_letters() -> None:
    edges = {"accept_s": 1e8, "max_extensions": 0, "missed_offers": 100, "judgment_cost": 0, "least_ability": 1}
    said = [policy(), policy(1, dict.fromkeys(edges, 999), **edges)]
    assert audit([Step(1000.0, tasks=[setting(999, **edges)], record={"policies": said, "pools": []})]) == []


def older(steps: list[Step]) -> list[Step]:
    for step in steps:
        step.record["policies"], step.policy = None, 0
    return steps


def test_rounds_that_are_older_than_policies_go_by_the_defaults_and_are_counted() -> None:
    steps = older(changed())
    steps[1].tasks, steps[2].tasks = [setting(1009, accept_s=20)], []
    steps[1].dead = [(TASKS, 3, "not_supported_yet")]
    steps[1].outputs, steps[2].outputs = steps[1].outputs[:1], [*steps[2].outputs[:1]]
    del steps[3:]
    auditor = Audit(partition=0, partitions=1)
    auditor.feed(records(steps))
    assert auditor.finish() == []
    assert auditor.assumed == 3


def test_a_worker_that_ignores_a_change_is_found() -> None:
    """It takes the event, lets nothing come of it, and goes on as before."""

    def ignoring(turn: Turn, event: object) -> None:
        if not isinstance(event, SettingsChanged):
            dispatch(turn, event)

    assert played(Course()) == []
    course = Course()
    course.shard = Shard(0, Market(), 1, dispatch=ignoring)
    course.shard.restored()
    found = played(course)
    assert any("has changed, and the round doesn't say so" in violation for violation in found)
    assert any("accept_by" in violation for violation in found)


def test_a_pool_of_which_little_is_left_may_change_and_one_of_which_nothing_is_left_begin_anew() -> None:
    little = [people(["a"]), [event("annotator_erased", 1e6, annotator="a")], [setting(1e6, accept_s=7)], work(1)]
    assert played(Course(), little) == []
    nothing = [[event("task_cancelled", 1e6, task="t")], *[[] for _ in range(20)], work(1)]
    course = Course(reference_wait_s=20.0)
    assert played(course, nothing) == []
    assert course.shard.pools[POOL].policy.version == 0


def played(course: Course, rounds: list[list[Fields]] | None = None) -> list[str]:
    """The violations in a market whose policy changes."""
    auditor, ends = Audit(0, 1), dict[str, int]()
    for events in rounds or [[*work(2), *people(["a", "b"], 4)], [setting(1e6, accept_s=7)], work(2, 2)]:
        at = course.now + 5.0
        start = course.shard.position[TASKS]
        stated = [msgspec.json.encode({"pool": POOL, "at": at} | one) for one in events]
        auditor.feed(Record(TASKS, 0, start + i, POOL.encode(), value) for i, value in enumerate(stated))
        result = course.told(*[one | {"at": one.get("at", at)} for one in events])
        said = [(topic, key, value, ()) for topic, pairs in result.outputs.items() for key, value in pairs]
        for topic, key, value, headers in [*said, *result.dead_letters]:
            auditor.feed([Record(topic, 0, ends.setdefault(topic, 0), key, value, headers)])
            ends[topic] += 1
    return [str(violation) for violation in auditor.finish()]
