"""One label set as a live market: our lane through Kafka and the usual practice beside it, on one clock."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from load.world.annotators import Annotators
from load.world.crowd import SPAMMER, Crowd, Rule, accuracy, closing, events, votes
from load.world.figures import Lane, MarketFigures, Vote
from load.world.habits import Habits
from load.world.score import Score
from load.world.usual import UsualPractice
from stream.events import Event, Output

FIXED = 5
VOTE_DRAWS = 20


class Moment(NamedTuple):
    """Both lanes at one moment."""

    now: float
    ours: Lane
    usual: Lane


class Market:
    """One label set in one pool, worked on by the same people twice.

    Parameters
    ----------
    crowd, rule, habits, seed
        What is asked, how people behave, which run of it.
    pool : str
    start : float
        Unix time at which the first annotators may arrive.
    speed : float
        Simulated seconds per wall second.
    lease_s : float
        Lease, and lock of the usual practice, in simulated seconds.
    """

    def __init__(
        self,
        crowd: Crowd,
        rule: Rule,
        habits: Habits,
        seed: int,
        *,
        pool: str,
        start: float,
        speed: float,
        lease_s: float,
    ) -> None:
        self.crowd, self.rule, self.pool, self.start = crowd, rule, pool, start
        self.people = Annotators(crowd, habits, seed, pool=pool, start=start, speed=speed, lease_s=lease_s)
        self.usual = UsualPractice(crowd, habits, seed, start=start, speed=speed, lease_s=lease_s)
        self.score = Score(crowd, pool)
        self.history: list[Moment] = []

    def opening(self, at: float) -> list[Event]:
        """Return the events that create project, profiles and tasks."""
        return list(events(self.crowd, self.pool, self.rule, at))

    def closing(self, at: float) -> Event:
        """Return the event that closes what is still open."""
        return closing(self.crowd, self.pool, self.rule, at)

    def take(self, outputs: Sequence[Output], now: float) -> None:
        """Count outputs and show them to the annotators."""
        self.score.take(outputs)
        self.people.handle(outputs, now)

    def advance(self, now: float) -> list[Event]:
        """Let time pass in both lanes; return what our lane's annotators say."""
        self.usual.advance(now)
        return self.people.due(now)

    def look(self, now: float) -> Moment:
        """Return both lanes as they are, and remember it."""
        ours, usual = self.people.observe(now), self.usual.observe(now)
        tasks = len(self.crowd.answers)
        moment = Moment(
            now,
            Lane(
                tasks=tasks,
                settled=self.score.settled,
                judgments=self.score.received,
                over=self.score.over,
                spammer=ours.by_person.get(SPAMMER, 0),
                accuracy=self.score.accuracy,
                idle_share=ours.idle_share,
            ),
            Lane(
                tasks=tasks,
                settled=self.usual.settled,
                judgments=usual.judgments,
                over=self.usual.over,
                spammer=usual.by_person.get(SPAMMER, 0),
                accuracy=self.usual.accuracy,
                idle_share=usual.idle_share,
            ),
        )
        self.history.append(moment)
        return moment

    @property
    def finished(self) -> bool:
        """Whether every task has settled."""
        return self.score.settled == len(self.crowd.answers)

    def figures(self, now: float, seed: int) -> MarketFigures:
        """Return the figures of the whole run."""
        moment, activity = self.look(now), self.people.activity
        spend = moment.usual.judgments
        before = [past.ours.accuracy for past in self.history if past.ours.judgments <= spend]
        return MarketFigures(
            name=self.crowd.name,
            pool=self.pool,
            confidence=self.rule.confidence,
            ours=moment.ours,
            usual=moment.usual,
            outcomes=dict(self.score.outcomes),
            ends=dict(self.score.ends),
            judgments=dict(self.score.judgments),
            left_with_work=activity.left_with_work,
            declined=activity.declined,
            same_spend=before[-1],
            fixed=vote(self.crowd, FIXED, seed),
            every=vote(self.crowd, max(len(given) for given in self.crowd.answers.values()), seed),
            vote=cheapest_vote(self.crowd, moment.ours.accuracy, seed),
            spammer_offers=self.score.spammer_offers,
        )


def vote(crowd: Crowd, judgments: int, seed: int) -> Vote:
    """Return the mean accuracy of majority votes of `judgments` recorded answers a task, drawn at random."""
    draw = Random(f"{seed}/vote/{judgments}")
    total = 0.0
    for _ in range(VOTE_DRAWS):
        labels = {
            task: draw.sample(list(given.values()), min(judgments, len(given)))
            for task, given in crowd.answers.items()
        }
        total += accuracy(crowd, {task: votes(given, crowd.classes) for task, given in labels.items()})
    return Vote(judgments=judgments, accuracy=total / VOTE_DRAWS)


def cheapest_vote(crowd: Crowd, target: float, seed: int) -> Vote | None:
    """Return the smallest majority vote with an accuracy of at least `target`; None when all answers fail."""
    for judgments in range(1, max(len(given) for given in crowd.answers.values()) + 1):
        found = vote(crowd, judgments, seed)
        if found.accuracy >= target:
            return found
    return None


def totals(markets: Iterable[Market]) -> tuple[int, int]:
    """Return how many tasks have settled and how many there are."""
    pairs = [(market.score.settled, len(market.crowd.answers)) for market in markets]
    return sum(settled for settled, _ in pairs), sum(tasks for _, tasks in pairs)
