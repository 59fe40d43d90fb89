"""The usual practice: two judgments and a tie-break from a pull queue."""

import msgspec
import pytest

from load.world.crowd import read
from load.world.habits import Habits
from load.world.usual import UsualPractice

NO_ACCIDENTS = Habits(decline=0, ignore=0, leave=0, vanish=0, late=0)


def lane(name: str, habits: Habits, seed: int, seconds: float = 120.0) -> UsualPractice:
    made = UsualPractice(read(name), habits, seed, start=0.0, speed=50.0, lease_s=120.0)
    made.advance(seconds)
    return made


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_accidents_every_task_gets_exactly_two_judgments_or_three_when_they_differ(seed: int) -> None:
    made = lane("rte", NO_ACCIDENTS, seed)
    assert made.settled == len(made.tasks)
    assert made.over == 0
    for task in made.tasks.values():
        assert len(task.labels) == (2 if len(set(task.labels[:2])) == 1 else 3)
    assert made.judgments == sum(len(task.labels) for task in made.tasks.values())


def test_accuracy_and_cost_are_near_those_known_of_random_order() -> None:
    """Published for rte in random order: .804 at 2.37 judgments a task; here the busiest come most."""
    habits = msgspec.structs.replace(NO_ACCIDENTS, presence=0.15, present_at=500.0)
    lanes = [lane("rte", habits, seed) for seed in range(1, 6)]
    right = sum(made.accuracy for made in lanes) / len(lanes)
    cost = sum(made.judgments / len(made.tasks) for made in lanes) / len(lanes)
    assert right == pytest.approx(0.804, abs=0.04)
    assert cost == pytest.approx(2.37, abs=0.15)


def test_a_lock_that_runs_out_leads_to_judgments_beyond_need() -> None:
    made = lane("rte", Habits(late=0.2), 1, 240.0)
    assert made.over > 0
    assert made.over == sum(max(0, len(task.labels) - task.need) for task in made.tasks.values())


def test_nobody_judges_a_task_twice() -> None:
    made = lane("bluebird", Habits(late=0.1, leave=0.1), 2)
    for task, state in made.tasks.items():
        assert len(state.labels) <= len(made.crowd.answers[task]) + 1
    assert sum(made.activity.by_person.values()) == made.judgments


def test_advancing_in_small_steps_changes_nothing() -> None:
    once = lane("bluebird", Habits(), 3, 20.0)
    steps = UsualPractice(read("bluebird"), Habits(), 3, start=0.0, speed=50.0, lease_s=120.0)
    for step in range(1, 2001):
        steps.advance(step * 0.01)
    assert {name: task.labels for name, task in once.tasks.items()} == {
        name: task.labels for name, task in steps.tasks.items()
    }


def test_whoever_leaves_with_work_in_hand_blocks_the_task_until_the_lock_runs_out_only() -> None:
    made = lane("rte", Habits(leave=0.2, vanish=0.2), 1, 240.0)
    assert made.activity.left_with_work > 0
    assert made.settled > 0.98 * len(made.tasks)
