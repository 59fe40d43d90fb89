"""What was promised comes first: the overlap of a task is filled whatever it is worth, in a stated order."""

import random
from collections import Counter
from typing import Any

import pytest

from stream import events as wire
from stream import topics
from tests.core.course import POOL, Course, people, project, work


def outcomes(course: Course) -> dict[str, str]:
    """How tasks settled in the last round."""
    found = course.outputs(topics.CONSENSUS)
    return {event.task: event.outcome for event in found if isinstance(event, wire.TaskSettled)}


def short(course: Course) -> list[tuple[int, int]]:
    """What the last round said of money that is short: promised, budget."""
    found = course.outputs(topics.DECISIONS)
    return [(event.promised, event.budget) for event in found if isinstance(event, wire.BudgetShort)]


def answer(annotator: str, task: str, label: int = 0) -> dict[str, Any]:
    return {"type": "judgment_submitted", "annotator": annotator, "task": task, "label": label}


def open_tasks(course: Course) -> set[str]:
    pool = course.shard.pools[POOL]
    records = pool.columns.tasks.records
    return {name for name, slot in pool.tasks.slots.items() if records["state"][slot] == 1}


@pytest.mark.parametrize(
    ("task", "profile"),
    [({"expected_s": 60.0}, {"cost": 25.0}), ({"expected_s": 7200.0}, {"cost": 100.0}), ({"priority": -10}, {}),
     ({"value": 0.0}, {}), ({"priority": -5, "value": 0.001}, {"cost": 5.0}), ({"classes": None}, {"cost": 50.0})],
)  # fmt: skip
def test_costly_or_unimportant_work_that_was_promised_is_offered_at_once(
    task: dict[str, Any], profile: dict[str, Any]
) -> None:
    course = Course()
    course.told(*work(1, **({"overlap": 1} | task)), *people(["a"], **profile))
    assert [offer.task for offer in course.offers] == ["w0"]
    (decision,) = (event for event in course.outputs(topics.DECISIONS) if isinstance(event, wire.DecisionMade))
    assert decision.required and decision.value <= 0.1
    assert course.result is not None
    (pool,) = course.result.completed.pools
    assert (pool.required, pool.required_bound, pool.gap) == (1, 1, pytest.approx(0.0, abs=1e-3))


def test_a_stated_overlap_is_filled_even_when_the_answer_is_all_but_certain() -> None:
    course = Course()
    sure = {"type": "skill_seeded", "skill": "s", "accuracy": 0.95, "weight": 100}
    course.told(*people(["x", "y"], cost=25.0), *(sure | {"annotator": name} for name in "xyz"))
    course.told(*work(1, classes=4, overlap=3))
    assert {offer.annotator for offer in course.offers} == {"x", "y"}
    course.told(answer("x", "w0", 1), answer("y", "w0", 1))
    course.told(*people(["z"], cost=25.0))
    assert [offer.annotator for offer in course.offers] == ["z"]


def test_further_judgments_are_bought_only_while_they_are_worth_their_price() -> None:
    course = Course()
    course.told(*people(["a"], cost=25.0), *work(1, overlap=1, max_overlap=3, confidence=0.999))
    course.told(answer("a", "w0"))
    course.told(*people(["b"], cost=1000.0))
    assert course.offers == [] and open_tasks(course) == {"w0"}
    course.told({"type": "annotator_set", "annotator": "b", "skills": ["*"]})
    assert [offer.annotator for offer in course.offers] == ["b"]


def test_what_comes_first_is_priority_then_deadline_then_weight_then_age() -> None:
    course = Course()
    later = course.now + 1e6
    course.told(
        project(), project(project="heavy", weight=3.0), *work(1, overlap=1), *work(1, first=1, overlap=1, value=2.0),
        *work(1, first=2, overlap=1, project="heavy"), *work(1, first=3, overlap=1, deadline=later),
        *work(1, first=4, overlap=1, priority=1, value=0.001),
    )  # fmt: skip
    course.told(*work(1, first=5, overlap=1), after=300.0)
    order = []
    for name in "abcdef":
        course.told(*people([name]))
        order += [offer.task for offer in course.offers]
    assert order == ["w4", "w3", "w2", "w1", "w0", "w5"]


def test_nobody_is_kept_from_work_that_only_they_can_do_by_work_that_others_can_do_too() -> None:
    """The first in order could go to either; it goes to the one who leaves the second to somebody."""
    course = Course()
    either, mine = work(1, overlap=1, priority=3), work(1, first=1, overlap=1, only=["a"])
    course.told(*either, *mine, *people(["a"]), *people(["b"], cost=99.0))
    assert {(offer.task, offer.annotator) for offer in course.offers} == {("w0", "b"), ("w1", "a")}


def test_where_money_suffices_answers_meet_early_and_where_it_is_short_everything_gets_one_first() -> None:
    for budget, tasks in ((None, 2), (30, 2), (20, 6)):
        course = Course()
        course.told(project(budget=budget), *work(10, overlap=3), *people([f"x{i}" for i in range(6)]))
        assert len({offer.task for offer in course.offers}) == tasks, budget


def test_a_budget_below_the_promises_is_answered_and_what_it_does_not_cover_ends_as_budget() -> None:
    course = Course()
    course.told(*work(100, overlap=3), *people(["a", "b"], capacity=100))
    assert short(course) == []
    course.told(project(budget=250))
    assert short(course) == [(300, 250)]
    course.told(project(budget=250))
    assert short(course) == []
    course.told(project(budget=400))
    assert short(course) == []
    course.told(project(budget=100))
    assert short(course) == [(300, 100)]


def test_when_the_budget_is_spent_open_tasks_end_with_what_is_known_and_a_larger_one_opens_them_again() -> None:
    course = Course()
    course.told(project(budget=3), *work(3, overlap=2), *people(["a"], capacity=3))
    assert len(course.offers) == 3 and short(course) == [(6, 3)]
    course.told(answer("a", "w0"), answer("a", "w1"))
    assert outcomes(course) == {}
    course.told(answer("a", "w2", 1))
    assert outcomes(course) == {"w0": "budget", "w1": "budget", "w2": "budget"}
    settled = (event for event in course.outputs(topics.CONSENSUS) if isinstance(event, wire.TaskSettled))
    assert {event.task: event.label for event in settled} == {"w0": 0, "w1": 0, "w2": 1}
    course.told(*work(1, first=3))
    assert outcomes(course) == {"w3": "budget"}, "nobody would ever be asked"
    course.told(project(budget=8), *people(["b"], capacity=9))
    assert {offer.task for offer in course.offers if offer.annotator == "b"} == {"w0", "w1", "w2", "w3"}
    course.told(answer("b", "w0"), answer("b", "w1"), answer("b", "w2"))
    assert outcomes(course) == {"w0": "complete", "w1": "complete", "w2": "complete"}


def test_work_in_hand_is_waited_for_before_a_spent_budget_ends_a_task() -> None:
    course = Course()
    course.told(project(budget=1), *work(2, overlap=1), *people(["a"]))
    (offer,) = course.offers
    course.told({"type": "assignment_accepted", "annotator": "a", "task": offer.task})
    assert outcomes(course) == {}
    course.told(answer("a", offer.task))
    other = ({"w0", "w1"} - {offer.task}).pop()
    assert outcomes(course) == {offer.task: "complete", other: "budget"}


@pytest.mark.parametrize(
    ("fields", "counted", "outcome"),
    [({"max_overlap": 3}, 3, "exhausted"), ({}, 10, "exhausted"), ({"confidence": 0.8}, None, "consensus"),
     ({"classes": None, "max_overlap": 2}, 2, "exhausted")],
)  # fmt: skip
def test_a_task_that_promises_nothing_is_open_until_it_has_enough(
    fields: dict[str, Any], counted: int | None, outcome: str
) -> None:
    course, rng = Course(judgment_cost=0.0), random.Random(1)
    names = [f"a{i}" for i in range(12)]
    asked = {"overlap": 0, "classes": 2} | fields
    course.told(project(), *work(1, **asked))
    assert open_tasks(course) == {"w0"} and outcomes(course) == {}
    course.told(*people(names))
    given = 0
    while "w0" in open_tasks(course):
        assert len(course.offers) == 1, "one at a time"
        given += 1
        label = None if asked["classes"] is None else 0
        course.told(*({**one, "label": label} for one in course.answers(dict.fromkeys(names, 1.0), rng)))
    assert outcomes(course) == {"w0": outcome}
    assert given == counted or counted is None


def test_a_price_that_nothing_is_worth_never_ends_a_task_that_promises_nothing() -> None:
    course = Course()
    course.told(project(), *work(2, overlap=0), *people(["a"], cost=1e6))
    course.told(after=7200.0)
    assert course.offers == [] and open_tasks(course) == {"w0", "w1"}
    course.told(project(state="closed"))
    assert outcomes(course) == {"w0": "cancelled", "w1": "cancelled"}


@pytest.mark.parametrize(
    ("set_project", "fields", "overlap", "most"),
    [({}, {}, 3, 3), ({}, {"confidence": 0.9}, 1, 10), ({"budget": 9}, {}, 1, 1), ({"budget": 9}, {"overlap": 2}, 2, 2),
     ({}, {"confidence": 0.9, "classes": None}, 3, 3), ({}, {"confidence": 0.9, "overlap": 12}, 12, 12),
     ({"defaults": {"overlap": 5}}, {"confidence": 0.9}, 5, 10), ({}, {"overlap": 0}, 0, 10),
     ({}, {"overlap": 2, "max_overlap": 7}, 2, 2)],
)  # fmt: skip
def test_what_is_promised_where_nothing_is_said(
    set_project: dict[str, Any], fields: dict[str, Any], overlap: int, most: int
) -> None:
    course = Course()
    task = {"type": "task_created", "project": "j", "skill": "s", "classes": 2, "task": "t", **fields}
    course.told(project(**set_project), task)
    record = course.columns.tasks.records[course.shard.pools[POOL].tasks.slots["t"]]
    assert (record["overlap"], record["max_overlap"]) == (overlap, most)


def test_everybody_who_can_is_at_work_however_much_is_promised() -> None:
    """Many tasks of many kinds: as many people are asked as can be, and in the stated order."""
    rng, course = random.Random(5), Course()
    skills = ["p", "q", "r"]
    tasks = [
        {**task, "skill": rng.choice(skills), "priority": rng.choice([0, 0, 1])} for task in work(60, overlap=1)
    ]
    names = [f"a{i}" for i in range(25)]
    profiles = [{**event, "skills": rng.sample(skills, 1 + rng.randrange(2))} if "skills" in event else event
                for event in people(names)]  # fmt: skip
    course.told(*tasks, *profiles)
    offered = Counter(offer.annotator for offer in course.offers)
    assert set(offered.values()) == {1} and len(offered) == len(names)
    urgent = {task["task"] for task in tasks if task["priority"] == 1}
    assert len(urgent & {offer.task for offer in course.offers}) == min(len(urgent), len(names))
