"""Who is contained gets no work, finds the way back, and may help in the last hour."""

import random
from collections import Counter
from typing import Any

import pytest

from stream.core.state.skills import reports
from tests.core.course import POOL, Course, gold, people, project, truth, work

TASKS = 320


def answered(annotator: str, tasks: range, right: int) -> list[dict[str, Any]]:
    """Judgments on tasks of known answer, ``right`` of them as it is, evenly spread."""
    of = max(len(tasks), 1)
    return [
        {
            "type": "judgment_submitted", "annotator": annotator, "task": f"g{i}",
            "label": truth(f"g{i}") ^ ((n + 1) * right // of == n * right // of),
        }
        for n, i in enumerate(tasks)
    ]  # fmt: skip


def tried(right: int, of: int, **market: Any) -> Course:
    """``x`` was right in so many of so many; ``y`` and ``z``, of whom the model is made, in nine of ten."""
    course = Course(**market)
    course.told(project(), *gold(60))
    course.told(*answered("y", range(40), 36), *answered("z", range(40), 36), *answered("x", range(of), right))
    return course


def offered_to_x(course: Course, **fields: Any) -> int:
    """Of ``TASKS`` new tasks that promise nothing, to how many ``x`` alone is asked for when it can take them all."""
    course.told(*work(TASKS, **({"overlap": 0} | fields)), *people(["x"], capacity=1000))
    return len(course.offers)


def test_who_has_guessed_so_far_is_offered_one_task_in_32() -> None:
    assert TASKS / 128 < offered_to_x(tried(7, 12)) < TASKS / 12


def test_whose_guessing_is_certain_is_not_worth_even_that() -> None:
    assert offered_to_x(tried(15, 30)) == 0


def test_who_is_contained_fills_no_promise_and_the_round_says_that_work_waits_for_somebody_able() -> None:
    course = tried(7, 12)
    assert offered_to_x(course, overlap=1) == 0
    assert course.result is not None
    (pool,) = course.result.completed.pools
    assert pool.waits_for_ability == TASKS and pool.required == pool.required_bound == 0


def test_where_others_answer_too_one_task_in_32_is_a_way_back() -> None:
    assert TASKS / 128 < offered_to_x(tried(7, 12), overlap=2) < TASKS / 12


@pytest.mark.parametrize(("right", "of"), [(0, 0), (0, 3), (10, 12), (3, 30)])
def test_newcomers_the_able_and_the_contrary_are_offered_all(right: int, of: int) -> None:
    assert offered_to_x(tried(right, of)) == TASKS


def test_nobody_is_contained_where_least_ability_is_zero() -> None:
    assert offered_to_x(tried(7, 12, least_ability=0.0)) == TASKS


def test_in_the_last_hour_before_a_deadline_everybody_may_help() -> None:
    course = tried(7, 12)
    assert offered_to_x(course, deadline=course.now + 1800.0) == TASKS


def test_where_all_are_weak_nobody_is_contained() -> None:
    course = Course()
    course.told(project(), *gold(40))
    course.told(*(event for name in "xyz" for event in answered(name, range(30), 20)))
    assert offered_to_x(course) == TASKS


def test_the_report_says_who_is_contained() -> None:
    course = tried(15, 30)
    pool = course.shard.pools[POOL]
    assert {r.annotator: r.contained for r in reports(pool)} == {"x": True, "y": False, "z": False}
    course.told({"type": "settings_changed", "settings": {"least_ability": 0}})
    assert not any(r.contained for r in reports(pool))


def test_who_does_better_comes_back() -> None:
    course = tried(7, 12)
    course.told(*answered("x", range(12, 40), 28))
    assert offered_to_x(course) == TASKS


def test_a_spammer_without_gold_is_hardly_asked_after_thirty_judgments() -> None:
    course, rng = Course(), random.Random(3)
    names = [f"a{i}" for i in range(8)] + ["x"]
    right = dict.fromkeys(names, 0.85) | {"x": 0.5}
    course.told(project(), *work(600, overlap=3), *people(names))
    given: list[Counter[str]] = []
    for _ in range(240):
        course.told(*course.answers(right, rng))
        given.append(Counter(offer.annotator for offer in course.offers))
    total = sum(given, Counter())
    assert total["x"] <= 45
    assert sum(given[120:], Counter())["x"] <= 0.1 * sum(given[120:], Counter())["a0"]
    assert min(total[name] for name in names[:-1]) > 100


def test_what_others_have_begun_comes_before_what_nobody_has() -> None:
    course = Course()
    course.told(project(), *work(6, overlap=2), *people(["y"], capacity=6))
    course.told(*course.answers({"y": 1.0}, random.Random(1)))
    course.told({"type": "annotator_offline", "annotator": "y"})
    course.told(*work(12, first=100, overlap=2), *people(["x"], capacity=6))
    assert Counter(len(offer.task) == len("w1") for offer in course.offers)[True] == 6  # those that y has begun
