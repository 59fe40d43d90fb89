"""An offer that ran out bars the pair for a while, a longer one each time in a row: others come first."""

from typing import Any

import pytest

from stream.core.shard import Shard
from stream.settings import Market
from stream.topics import TABLES
from tests.core.course import POOL, Course, gold, people, project, work

A = {"annotator": "a"}
HERE = {"type": "annotator_online", **A, "ttl_s": 1e6}


def silent(tasks: int = 1, **market: Any) -> Course:
    """Somebody who is offered one task for 30 seconds at a time and says nothing; silences don't make them away."""
    course = Course(accept_s=30.0, missed_offers=100, **market)
    course.told(*people(["a"]), *work(tasks, overlap=1))
    return course


def offers(course: Course) -> list[tuple[str, str]]:
    return [(offer.annotator, offer.task) for offer in course.offers]


def wakeup(course: Course) -> float:
    assert course.shard.wakeup is not None
    return course.shard.wakeup - course.now


def test_each_bar_is_longer_and_the_shard_wakes_at_its_end() -> None:
    course = silent()
    for times in (1, 2, 3):
        assert offers(course) == [("a", "w0")]
        course.told(after=30.0)
        assert offers(course) == [] and wakeup(course) == times * 30.0
        course.told(HERE, after=times * 30.0 - 1.0)
        assert offers(course) == []
        course.told(after=1.0)


def test_others_come_first_and_other_work_goes_on() -> None:
    course = silent(tasks=2)
    (first,) = offers(course)
    course.told(after=30.0)
    (second,) = offers(course)
    assert second[1] != first[1], "the other task"
    course.told(*people(["b"]))
    assert offers(course) == [("b", first[1])]


@pytest.mark.parametrize("answer", [
    {"type": "assignment_declined", **A, "task": "w0", "reason": "break"},
    {"type": "assignment_accepted", **A, "task": "w0"},
])  # fmt: skip
def test_an_answer_begins_the_row_anew(answer: dict[str, Any]) -> None:
    course = silent()
    course.told(after=30.0)
    course.told(after=30.0)
    assert offers(course) == [("a", "w0")]
    course.told(answer)
    if answer["type"] == "assignment_accepted":
        answer = {"type": "assignment_declined", **A, "task": "w0", "reason": "break"}
        course.told(answer)
    course.told({"type": "annotator_resumed", **A})
    assert offers(course) == [("a", "w0")], "an answer bars nothing"
    course.told(after=30.0)
    assert wakeup(course) == 30.0


def test_a_withdrawn_offer_is_no_silence() -> None:
    course = silent()
    for _ in range(3):
        course.told({"type": "annotator_paused", **A})
        course.told({"type": "annotator_resumed", **A})
        assert offers(course) == [("a", "w0")]
    course.told(after=30.0)
    assert wakeup(course) == 30.0


def test_the_bar_is_as_long_as_offers_wait_in_this_pool() -> None:
    course = silent()
    course.told({"type": "settings_changed", "settings": {"accept_s": 200.0}})
    course.told(after=25.0)
    assert wakeup(course) == 200.0


def test_a_successor_keeps_bars_and_wakes_at_their_ends() -> None:
    course = silent(tasks=3)
    for after in (30.0, 7.0, 23.0, 4.0):
        course.told(*people(["b"]) if after == 7.0 else (), after=after)
    successor = Shard(0, Market(accept_s=30.0, missed_offers=100), 1)
    for table in TABLES:
        successor.restore_many(table, dict(course.shard.rows(table)))
    successor.restored()
    assert successor.returns == course.shard.returns
    assert successor.wakeup == course.shard.wakeup
    for after in (10.0, 30.0, 30.0, 45.0):
        course.told(after=after)
        again = successor.round(None, None, course.now, course.now, True)
        assert course.result and again.outputs["labeling.assignments.v1"] == course.result.outputs[
            "labeling.assignments.v1"
        ]
        assert successor.returns == course.shard.returns


def test_a_task_that_leaves_memory_takes_its_bars_with_it() -> None:
    course = silent(settled_retention_s=5.0)
    course.told(after=30.0)
    assert course.shard.returns == {POOL: course.now + 30.0}
    course.told({"type": "task_cancelled", "task": "w0"})
    course.told(after=6.0)
    assert not course.shard.pools[POOL].tasks.slots and course.shard.returns == {}


def test_a_pool_wakes_at_the_end_of_a_bar_although_its_input_is_not_complete() -> None:
    """What waits in the log can't shorten a bar."""
    course = silent()
    course.told(after=30.0)
    behind = course.now
    course.now += 30.0
    course.result = course.shard.round(None, None, course.now, behind, False)
    assert [name for name in course.shard.returns] == []
    assert course.result.completed.pools[0].offers == 1


def test_gold_comes_back_no_sooner() -> None:
    course = Course(accept_s=30.0, missed_offers=100)
    course.told(project(gold_rate=0.9), *gold(1), *people(["a"]), *work(1, min_skill=0.6, overlap=1))
    assert [offer.task for offer in course.offers] == ["g0"]
    course.told(after=30.0)
    course.told(after=29.0)
    assert course.offers == []
    course.told(after=1.0)
    assert [offer.task for offer in course.offers] == ["g0"]
