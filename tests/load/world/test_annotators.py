"""Simulated annotators, driven by the simplest allocator."""

from collections import Counter

import msgspec
import pytest

from load.world.annotators import Annotators
from load.world.crowd import SPAMMER, Crowd, Rule, events, read
from load.world.habits import Decisions, Habits
from stream.events import (
    AnnotatorOffline,
    AnnotatorOnline,
    AnnotatorPaused,
    AnnotatorResumed,
    AssignmentAccepted,
    AssignmentDeclined,
    AssignmentOffered,
    Event,
    JudgmentSubmitted,
    encode,
)
from tests.load.world.first_come import FirstCome

SPEED = 50.0
LEASE_S = 120.0
WILD = Habits(decline=0.1, ignore=0.1, leave=0.1, vanish=0.1, late=0.1)


def play(
    crowd: Crowd, habits: Habits, seed: int, seconds: float = 30.0
) -> tuple[list[Event], Annotators, list[AssignmentOffered]]:
    allocator = FirstCome()
    people = Annotators(crowd, habits, seed, pool="pool", start=0.0, speed=SPEED, lease_s=LEASE_S)
    said: list[Event] = []
    offers: list[AssignmentOffered] = []
    outputs = allocator(list(events(crowd, "pool", Rule(lease_s=LEASE_S / SPEED), 0.0)), [], 0.0)
    for step in range(1, int(seconds / 0.02)):
        now = step * 0.02
        offers += [output for output in outputs if isinstance(output, AssignmentOffered)]
        people.handle(outputs, now)
        batch = people.due(now)
        said += batch
        outputs = allocator([], batch, now)
    return said, people, offers


def test_the_same_seed_gives_the_same_events_and_another_one_others() -> None:
    crowd = read("rte").cut(40)
    first, again, other = (play(crowd, WILD, seed, 10.0)[0] for seed in (1, 1, 2))
    assert [encode(event) for event in first] == [encode(event) for event in again]
    assert first != other


def test_people_answer_with_their_recorded_label() -> None:
    crowd = read("bluebird")
    said, _, _ = play(crowd, Habits(), 3)
    answers = [event for event in said if isinstance(event, JudgmentSubmitted) and event.annotator != SPAMMER]
    assert answers
    assert all(event.label == crowd.answers[event.task][event.annotator] for event in answers)


def test_nobody_answers_or_declines_a_task_twice() -> None:
    said, _, _ = play(read("rte").cut(60), WILD, 4)
    ended = Counter(
        (event.annotator, event.task)
        for event in said
        if isinstance(event, JudgmentSubmitted | AssignmentDeclined)
    )
    assert max(ended.values()) == 1


def test_whoever_acts_was_offered_the_task() -> None:
    said, _, offers = play(read("rte").cut(60), WILD, 5)
    offered = {(offer.annotator, offer.task) for offer in offers}
    acted = {
        (event.annotator, event.task)
        for event in said
        if isinstance(event, JudgmentSubmitted | AssignmentDeclined | AssignmentAccepted)
    }
    assert acted <= offered


def test_some_leave_with_work_in_hand_said_or_in_silence() -> None:
    said, people, _ = play(read("rte").cut(100), WILD, 6)
    answered = {(event.annotator, event.task) for event in said if isinstance(event, JudgmentSubmitted)}
    accepted = {(event.annotator, event.task) for event in said if isinstance(event, AssignmentAccepted)}
    assert people.activity.left_with_work > 0
    assert accepted - answered
    assert people.activity.ignored > 0
    assert people.activity.declined > 0


def test_heartbeats_come_within_their_time_to_live_while_online() -> None:
    said, _, _ = play(read("rte").cut(30), Habits(), 7)
    last: dict[tuple[str, str | None], AnnotatorOnline] = {}
    for event in said:
        if isinstance(event, AnnotatorOnline):
            before = last.get((event.annotator, event.session))
            assert before is None or event.at < before.at + before.ttl_s
            assert (before is None) == (event.capacity == 1), "the first of a session states it"
            last[event.annotator, event.session] = event
        elif isinstance(event, AnnotatorOffline):
            del last[event.annotator, event.session]
    assert last


def test_some_open_a_second_tab_take_a_break_or_walk_off_and_come_back() -> None:
    said, _, _ = play(read("rte").cut(30), Habits(rest=0.3, walk_off=0.4, leave=0, vanish=0), 7)
    opened: dict[str, set[str | None]] = {}
    most = 0
    for event in said:
        if isinstance(event, AnnotatorOnline):
            opened.setdefault(event.annotator, set()).add(event.session)
            most = max(most, len(opened[event.annotator]))
        elif isinstance(event, AnnotatorOffline):
            opened[event.annotator].remove(event.session)
    assert most == 2
    rests = sum(isinstance(event, AnnotatorPaused) for event in said)
    returns = sum(isinstance(event, AnnotatorResumed) for event in said)
    assert 0 < rests < returns


def test_events_come_in_the_order_of_time_and_never_from_the_future() -> None:
    said, _, _ = play(read("rte").cut(30), WILD, 8)
    times = [event.at for event in said]
    assert times == sorted(times)
    assert times[-1] <= 30.0


def test_an_offer_noticed_too_late_is_taken_when_it_comes_again() -> None:
    crowd = read("rte").cut(1)
    habits = Habits(decline=0, ignore=1.0, leave=0, vanish=0, late=0, presence=1.0)
    said, people, offers = play(crowd, habits, 9, 10.0)
    assert people.activity.ignored >= 1
    assert max(Counter((offer.annotator, offer.task) for offer in offers).values()) == 2
    assert len([event for event in said if isinstance(event, JudgmentSubmitted)]) == 2


def test_who_gave_many_answers_is_online_for_longer() -> None:
    crowd = read("rte")
    people = Annotators(crowd, Habits(), 1, pool="pool", start=0.0, speed=SPEED, lease_s=LEASE_S)
    beats = Counter(event.annotator for event in people.due(60.0) if isinstance(event, AnnotatorOnline))
    answers = Counter(person for given in crowd.answers.values() for person in given)
    few = [beats[person] for person, count in answers.items() if count <= 20]
    many = [beats[person] for person, count in answers.items() if count >= 400]
    assert min(many) > 1.4 * sum(few) / len(few)


def test_the_spammer_answers_at_random() -> None:
    crowd = read("rte")
    mind = Decisions(crowd, Habits(), 1)
    right = sum(mind.plan(SPAMMER, task).label == label for task, label in crowd.truth.items())
    assert abs(right - 400) < 4 * (800 * 0.25) ** 0.5


def test_busy_time_never_exceeds_time_online() -> None:
    _, people, _ = play(read("bluebird"), WILD, 2)
    activity = people.observe(30.0)
    assert 0 < activity.busy_s < activity.online_s


def test_thousands_of_people_take_seconds() -> None:
    answers = {f"t{task}": {f"p{task * 2}": 0, f"p{task * 2 + 1}": 1} for task in range(2000)}
    crowd = Crowd(name="many", classes=2, answers=answers, truth={})
    people = Annotators(crowd, Habits(presence=1.0), 1, pool="pool", start=0.0, speed=SPEED, lease_s=LEASE_S)
    said = people.due(6.0)
    assert people.online > 3800
    assert len({getattr(event, "annotator", "") for event in said}) == 4001


@pytest.mark.parametrize("seed", [1, 2])
def test_all_work_gets_done_although_people_come_go_and_fail(seed: int) -> None:
    crowd = read("rte").cut(50)
    said, _, _ = play(crowd, msgspec.structs.replace(WILD, presence=1.0), seed, 30.0)
    done = Counter(event.task for event in said if isinstance(event, JudgmentSubmitted))
    assert all(done[task] >= 2 for task in crowd.answers)
