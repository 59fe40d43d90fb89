"""A run without Kafka: the same annotators against an allocator in memory, on a clock that is computed.

For finding settings and for tests: what takes a minute of the wall clock through Kafka takes seconds here.
The allocator is anything that turns a batch of input events into outputs; time advances round by round.

Deliberately measures no latency and makes no failures: the demo does, on a real broker.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from load.world.annotators import Annotators
from load.world.crowd import SPAMMER, Crowd, Rule, closing, events
from load.world.habits import Habits
from load.world.score import Score
from stream.events import Event, Output

POOL = "rehearsal"
START = 1_700_000_000.0


class Allocator(Protocol):
    """What is rehearsed with."""

    def __call__(self, tasks: Sequence[Event], annotators: Sequence[Event], now: float) -> Iterable[Output]:
        """Apply the events of both input topics at `now` and return what is published."""


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one rehearsal; seconds are of the wall clock that it would have taken."""

    accuracy: float
    received: int
    settled: int
    tasks: int
    outcomes: dict[str, int]
    spammer: int
    idle_share: float
    seconds: float


def rehearse(
    allocator: Allocator,
    crowd: Crowd,
    rule: Rule,
    *,
    habits: Habits,
    seed: int,
    speed: float,
    lease_s: float,
    seconds: float,
    step_s: float = 0.02,
) -> Rehearsal:
    """Run one market to its end or for `seconds`, a round every `step_s` seconds of the wall clock.

    Parameters
    ----------
    lease_s : float
        Lease in simulated seconds; the rule gets it in wall seconds.
    """
    rule = msgspec.structs.replace(rule, lease_s=lease_s / speed)
    people = Annotators(crowd, habits, seed, pool=POOL, start=START, speed=speed, lease_s=lease_s)
    score = Score(crowd, POOL)
    now = START
    opening: list[Event] = list(events(crowd, POOL, rule, START))
    outputs = list(allocator(opening, [], now))
    last_activity = now
    while now < START + seconds and score.settled < len(crowd.answers):
        score.take(outputs)
        people.handle(outputs, now)
        now += step_s
        said = people.due(now)
        outputs = list(allocator([], said, now))
        if people.working or people.waiting:
            last_activity = now
        if now - last_activity > 2 * habits.session_s / speed:
            break  # nobody who is left can or should judge what is open
    ended = now
    outputs += allocator([closing(crowd, POOL, rule, now)], [], now + step_s)
    score.take(outputs)
    activity = people.observe(ended)
    return Rehearsal(
        accuracy=score.accuracy,
        received=activity.judgments,
        settled=score.settled,
        tasks=len(crowd.answers),
        outcomes=dict(score.outcomes),
        spammer=activity.by_person.get(SPAMMER, 0),
        idle_share=activity.idle_share,
        seconds=ended - START,
    )

