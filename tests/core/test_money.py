"""What is bought while money is short: what is worth most, whatever class it leans to and whoever is asked."""

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from kernels import skill
from stream import topics
from tests.core.course import POOL, Course, people, project, truth, work


def played(tasks: int, budget: int, annotators: int, seed: int, **fields: Any) -> tuple[Course, Counter[str]]:
    """A market of newcomers, right in four of five, until the money is spent; and the judgments each task got."""
    course, rng = Course(), random.Random(seed)
    right = {f"a{i}": 0.8 for i in range(annotators)}
    asked = {"max_overlap": 10, "confidence": 0.94} | fields
    course.told(project(budget=budget), *work(tasks, **asked), *people(list(right)))
    got: Counter[str] = Counter()
    while course.offers:
        got.update(offer.task for offer in course.offers)
        course.told(*course.answers(right, rng))
    assert sum(got.values()) == budget
    return course, got


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("tasks", "budget", "annotators"), [(60, 70, 12), (60, 90, 12), (60, 90, 4), (120, 180, 30)])
def test_in_a_young_market_every_task_has_an_answer_before_money_goes_into_second_ones(
    tasks: int, budget: int, annotators: int, seed: int
) -> None:
    _, got = played(tasks, budget, annotators, seed, overlap=1)
    assert len(got) >= tasks - 1  # a question split one to one may be worth more than the last fresh one


@pytest.mark.parametrize(("budget", "share"), [(100, 1.0), (None, 0.5)])
def test_whose_answers_nobody_has_checked_is_worth_less_on_a_fresh_task_where_no_budget_can_run_out(
    budget: int | None, share: float
) -> None:
    course = Course()
    course.told(project(budget=budget), *work(6, overlap=1, max_overlap=2, confidence=0.99), *people(["y"], capacity=6))
    course.told(*course.answers({"y": 1.0}, random.Random(1)))
    course.told(*work(6, first=100, overlap=1, max_overlap=2, confidence=0.99))
    pool = course.shard.pools[POOL]
    seat = np.int64(course.seat("y"))
    assert skill.unchecked(pool.columns.skills, seat) > 3.0
    able = skill.ability(pool.columns.skills, np.int64(pool.columns.skills.seats[seat]["model"]), seat)
    assert len(course.offers) == 6 and {offer.annotator for offer in course.offers} == {"y"}
    for decision in course.outputs(topics.DECISIONS):
        assert decision.terms["coverage"] == pytest.approx(0.25 * able * share)


def leaning(tasks: int, budget: int) -> Course:
    """Tasks of which half lean to class 0 and half to class 1, all alike otherwise; money for so many more answers."""
    course = Course()
    asked = [task["task"] for task in work(tasks)]
    answers = [{"type": "judgment_submitted", "annotator": "y", "task": task, "label": truth(task)} for task in asked]
    course.told(project(), *work(tasks, overlap=1, max_overlap=3, confidence=0.9999), *answers)
    pool = course.shard.pools[POOL]
    for task in asked:
        pool.columns.tasks.reported[pool.tasks.slots[task], truth(task)] = 0.75
        pool.columns.tasks.reported[pool.tasks.slots[task], 1 - truth(task)] = 0.25
    course.told(project(budget=tasks + budget))
    return course


def classes(course: Course) -> list[int]:
    return [truth(offer.task) for offer in course.offers]


def test_the_rest_of_a_budget_goes_to_tasks_of_both_classes() -> None:
    course = leaning(40, 20)
    course.told(*people(["x0"], capacity=40))
    assert len(course.offers) == 20
    assert 4 <= sum(classes(course)) <= 16


def test_it_goes_to_both_classes_where_few_people_spend_it_little_by_little() -> None:
    course, rng, spent = leaning(40, 20), random.Random(2), list[int]()
    course.told(*people([f"x{i}" for i in range(4)]))
    while course.offers:
        spent += classes(course)
        course.told(*course.answers({f"x{i}": 1.0 for i in range(4)}, rng))
    assert len(spent) == 20 and 4 <= sum(spent) <= 16


def test_who_of_equals_gets_it_does_not_follow_from_the_order_of_arrival() -> None:
    course = Course()
    course.told(project(budget=20), *work(40, overlap=1))
    course.told(*people(["x"], capacity=40))
    first = {offer.task for offer in course.offers}
    assert len(first) == 20
    assert 4 <= len(first & {f"w{i}" for i in range(20)}) <= 16


def test_what_is_worth_more_comes_first_whatever_it_leans_to() -> None:
    course = leaning(40, 20)
    dear = [f"w{i}" for i in range(40) if i % 4 in (0, 3)]  # half of each class
    course.told(*({"type": "task_updated", "task": task, "value": 2.0} for task in dear))
    course.told(*people(["x0"], capacity=40))
    assert {offer.task for offer in course.offers} == set(dear)


def test_a_first_answer_to_many_comes_before_all_answers_to_a_few() -> None:
    course = Course()
    course.told(project(budget=10), *work(10, overlap=3), *people([f"x{i}" for i in range(30)]))
    assert len(course.offers) == len({offer.task for offer in course.offers}) == 10


def test_a_first_answer_to_all_comes_before_second_ones_to_what_is_worth_three_times_as_much() -> None:
    """Of what was promised as many tasks as possible get something; who is worth more comes first."""
    course = Course()
    course.told(
        project(budget=6), *work(10, first=2, overlap=3), *work(2, overlap=3, value=3.0),
        *people([f"x{i}" for i in range(30)]),
    )  # fmt: skip
    got = Counter(offer.task for offer in course.offers)
    assert len(got) == 6 and {"w0", "w1"} <= set(got)


def test_two_projects_that_are_short_spend_their_own_money() -> None:
    course = Course()
    course.told(
        project(budget=3), project(project="k", budget=5), project(project="l", budget=0), project(project="m"),
        *work(9), *work(9, first=20, project="k"), *work(9, first=40, project="l"), *work(9, first=60, project="m"),
        *people(["x"], capacity=100),
    )  # fmt: skip
    assert Counter(offer.project for offer in course.offers) == {"j": 3, "k": 5, "m": 9}
