"""Urgency before a deadline: nothing by default; with a weight, work that still can be in time comes first."""

from typing import Any

import pytest

from stream import topics
from tests.core.course import Course, people, project, work

HOUR = 3600.0


def terms(course: Course) -> dict[str, dict[str, float]]:
    """Terms of the last round's decisions by task."""
    return {decision.task: decision.terms for decision in course.outputs(topics.DECISIONS)}


def due(course: Course, hours: float | None, **fields: Any) -> dict[str, Any]:
    deadline = None if hours is None else course.now + 5.0 + hours * HOUR
    (event,) = work(1, overlap=1, deadline=deadline, **fields)
    return event


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("hours, near", [(None, 0.0), (1000.0, 0.0), (24.0, 0.0), (18.0, 0.25), (6.0, 0.75)])
def test_it_grows_over_the_last_day_by_the_weight_of_the_pool(weight: float, hours: float | None, near: float) -> None:
    course = Course(deadline_urgency=weight)
    course.told(project(), *people(["a"]), due(course, hours))
    (found,) = terms(course).values()
    able = found["coverage"] / 0.25  # importance of the task times ability of the annotator
    assert found["deadline_urgency"] == pytest.approx(weight * able * near)


def test_a_change_of_the_weight_holds_from_the_next_round_on() -> None:
    course = Course()
    course.told(project(), *people(["a"], 2), due(course, 12.0))
    assert terms(course)["w0"]["deadline_urgency"] == 0.0
    course.told({"type": "settings_changed", "settings": {"deadline_urgency": 2.0}}, due(course, 12.0, first=1))
    found = terms(course)["w1"]
    assert found["deadline_urgency"] == pytest.approx(2.0 * found["coverage"] / 0.25 * 0.5)


@pytest.mark.parametrize("first", [0, 1])
def test_of_work_that_is_alike_otherwise_the_most_urgent_is_offered_first(first: int) -> None:
    course = Course(deadline_urgency=1.0)
    hours = [20.0, 3.0] if first == 0 else [3.0, 20.0]
    course.told(project(), *(due(course, left, first=i) for i, left in enumerate(hours)), *people(["a"]))
    assert [offer.task for offer in course.offers] == [f"w{hours.index(3.0)}"]
