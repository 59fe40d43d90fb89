"""Counting outputs, measuring latency, printing."""

import io

import msgspec
import pytest

from load.replay.demo_report import report
from load.replay.latency import event_to_assignment, quantile
from load.replay.live import View
from load.system.wire import Sent
from load.world.crowd import SPAMMER, Crowd, Rule
from load.world.figures import Lane, Latency, Rounds, RunFigures, Vote
from load.world.habits import Habits
from load.world.live_market import Market, Moment, cheapest_vote, vote
from load.world.score import Score
from stream.events import (
    AssignmentEnded,
    AssignmentOffered,
    ConsensusUpdated,
    JudgmentSettled,
    RoundCompleted,
    Source,
    TaskSettled,
)

CROWD = Crowd(
    name="two",
    classes=2,
    answers={"a": {"p": 1, "q": 1, "r": 0}, "b": {"p": 0, "q": 1, "r": 0}},
    truth={"a": 1, "b": 0},
)
ROUND = {"pool": "pool", "partition": 0, "round": 1}


def settled(task: str, annotator: str, outcome: str, count: int) -> JudgmentSettled:
    return JudgmentSettled(
        **ROUND,
        task=task,
        project="two",
        annotator=annotator,
        source=Source(topic="t", partition=0, offset=0),
        outcome=outcome,
        count=count,
        duration_s=1.0,
        accepted_at=None,
    )


def consensus(task: str, posterior: list[float]) -> ConsensusUpdated:
    return ConsensusUpdated(
        **ROUND, task=task, skill="two", label=0, posterior=posterior, judgments=1
    )


def offered(annotator: str, number: int, round_: int = 1) -> AssignmentOffered:
    return AssignmentOffered(
        pool="pool",
        partition=0,
        round=round_,
        assignment=f"0-{round_}-{number}",
        task="a",
        project="two",
        skill="two",
        annotator=annotator,
        at=0.0,
        accept_by=1.0,
        lease_s=1.0,
    )


def completed(round_: int, tasks: tuple[int, int]) -> RoundCompleted:
    return RoundCompleted(
        partition=0,
        round=round_,
        epoch=1,
        at=0.0,
        seed=0,
        offsets={"labeling.tasks.v1": tasks, "labeling.annotators.v1": (0, 0)},
        caught_up=True,
        complete_until=0.0,
        events=0,
        dead_letters=0,
        pools=[],
        durations_ms={},
        software="test",
    )


def test_late_surplus_and_duplicate_judgments_are_too_many_and_corrections_are_no_judgments() -> None:
    score = Score(CROWD, "pool")
    score.take(
        [
            settled("a", "p", "counted", 1),
            settled("a", "q", "late", 1),
            settled("a", "r", "late", 0),
            settled("b", "p", "surplus", 0),
            settled("b", "p", "duplicate", 0),
            settled("a", "p", "corrected", 0),
        ]
    )
    assert (score.received, score.over) == (5, 3)


def test_accuracy_follows_the_newest_posterior_and_other_pools_are_skipped() -> None:
    score = Score(CROWD, "pool")
    score.take([consensus("a", [0.9, 0.1]), consensus("a", [0.2, 0.8])])
    assert score.accuracy == pytest.approx(0.75)
    score.take([msgspec.structs.replace(consensus("a", [1.0, 0.0]), pool="another")])
    assert score.accuracy == pytest.approx(0.75)
    end = {"task": "b", "project": "two", "outcome": "complete", "label": 0, "judgments": 2}
    score.take([TaskSettled(**ROUND, **end, posterior=[0.7, 0.3])])
    assert (score.accuracy, score.settled, score.outcomes["complete"]) == (1.0, 1, 1)


def test_the_spammers_offers_are_known_by_their_place() -> None:
    score = Score(CROWD, "pool")
    score.take([offered("p", 0), offered(SPAMMER, 1), offered("q", 2)])
    end = {"assignment": "x", "task": "a", "annotator": "p", "at": 0.0}
    score.take([AssignmentEnded(**ROUND, **end, outcome="withdrawn", cause="pause")])
    assert score.spammer_offers == [2]
    assert score.ends == {"withdrawn (pause)": 1}


def test_latency_is_from_the_sent_record_to_the_first_offer_of_its_round() -> None:
    sent = [Sent("labeling.tasks.v1", 0, offset, float(offset)) for offset in range(6)]
    rounds = [completed(1, (0, 2)), completed(2, (2, 4)), completed(3, (4, 6))]
    seen = {(0, 1): 3.0, (0, 3): 5.5}
    latency = event_to_assignment(sent, rounds, seen)
    assert latency == Latency(samples=4, p50_ms=1500.0, p99_ms=3000.0)


def test_events_sent_during_an_outage_are_left_out_of_the_latency() -> None:
    sent = [Sent("labeling.tasks.v1", 0, offset, float(offset)) for offset in range(2)]
    latency = event_to_assignment(sent, [completed(1, (0, 2))], {(0, 1): 3.0}, [(0.5, 2.0)])
    assert latency == Latency(samples=1, p50_ms=3000.0, p99_ms=3000.0)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 1.0])
def test_a_quantile_is_the_smallest_value_not_exceeded_by_its_share(share: float) -> None:
    values = [float(value) for value in range(1, 101)]
    found = quantile(values[::-1], share)
    assert sum(value <= found for value in values) >= share * 100
    assert sum(value < found for value in values) < share * 100


def test_the_cheapest_vote_is_the_first_that_reaches_the_target() -> None:
    assert cheapest_vote(CROWD, 1.1, 1) is None
    found = cheapest_vote(CROWD, 0.99, 1)
    assert found == Vote(judgments=3, accuracy=1.0)
    assert vote(CROWD, 1, 1).accuracy < 1.0


def market() -> Market:
    return Market(CROWD, Rule(), Habits(), 1, pool="pool", start=0.0, speed=50.0, lease_s=120.0)


def test_accuracy_at_the_same_spend_is_taken_before_our_lane_exceeds_the_usual_one() -> None:
    made = market()
    made.usual.advance(1000.0)
    made.look(0.0)
    for number in range(20):
        made.take([settled("a", f"p{number}", "counted", 1), consensus("a", [0.1, 0.9])], 1.0)
        made.look(float(number))
    figures = made.figures(30.0, 1)
    assert figures.usual.judgments < figures.ours.judgments == 20
    past = [moment.ours for moment in made.history if moment.ours.judgments <= figures.usual.judgments]
    assert figures.same_spend == past[-1].accuracy


def test_the_report_tells_every_figure_it_is_made_of() -> None:
    made = market()
    made.look(0.0)
    made.take([settled("a", "p", "counted", 1), consensus("a", [0.1, 0.9]), offered(SPAMMER, 1)], 1.0)
    figures = RunFigures(
        seed=1,
        markets=[made.figures(2.0, 1)],
        ready_s=1.5,
        replay_s=40.25,
        total_s=50.0,
        killed_at_s=15.0,
        outage_s=8.5,
        latency=Latency(samples=1234, p50_ms=12.0, p99_ms=45.0),
        rounds=Rounds(rounds=99, with_offers=77, gap_median=0.0001, gap_max=0.0009, unproven=0.0),
        violations=0,
        audit="",
        why="because\nof value",
    )
    text = report(figures)
    told = ("0 violations", "p50 12 ms", "p99 45 ms", "0.09%", "8.5 s later", "of value", "0.750", "Spammer")
    for words in told:
        assert words in text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LANE = Lane(tasks=2, settled=1, judgments=3, over=1, spammer=0, accuracy=0.5, idle_share=0.25)
MOMENT = Moment(0.0, LANE, LANE)


def test_on_a_terminal_the_view_is_written_in_place() -> None:
    out = Terminal()
    view = View(out, ["two"])
    view.show(0.0, [MOMENT], "news")
    height = out.getvalue().count("\n")
    view.show(0.5, [MOMENT], "news")
    assert f"\x1b[{height}F" in out.getvalue()
    assert "3.00" in out.getvalue()


def test_elsewhere_the_view_is_a_line_every_five_seconds() -> None:
    out = io.StringIO()
    view = View(out, ["two"])
    for tick in range(21):
        view.show(tick / 2, [MOMENT], "news")
    assert out.getvalue().count("\n") == 3
    assert "\x1b" not in out.getvalue()
