"""How simulated people behave: when they are there, what they do with a task, how long they think.

Every draw comes from (seed, person) or (seed, person, task), so both lanes see the same people and no
order of offers changes anybody's mind. Think times are log-normal; all times are in seconds of the
simulated world.

Deliberately models no learning, no tiredness and no dependence between people beyond what the recorded
labels hold.
"""

import math
from collections import Counter
from random import Random
from typing import Literal, NamedTuple

import msgspec

from load.world.crowd import SPAMMER, Crowd
from stream.events import DeclineReason

Fate = Literal["answer", "decline", "ignore", "leave", "vanish", "late"]


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How people behave; times in simulated seconds, chances per offer, from `second_tab` on per visit.

    A rest is a break that is told; whoever walks off leaves their client running. Both last `pause_s` on average.
    """

    react_s: tuple[float, float] = (1.0, 4.0)
    think_s: float = 20.0
    think_sigma: float = 0.4
    spammer_think_s: float = 6.0
    decline: float = 0.02
    ignore: float = 0.01
    leave: float = 0.01
    vanish: float = 0.005
    late: float = 0.005
    skip_accept: float = 0.05
    session_s: float = 300.0
    presence: float = 0.5
    present_at: float = 800.0
    beat_s: float = 30.0
    ttl_s: float = 90.0
    second_tab: float = 0.15
    rest: float = 0.1
    walk_off: float = 0.05
    pause_s: float = 30.0


class Plan(NamedTuple):
    """What one person does with one task: drawn once, the same in every lane. Times in simulated seconds."""

    fate: Fate
    reason: DeclineReason
    react_s: float
    think_s: float
    label: int
    accepts_first: bool


class Decisions:
    """The mind of the crowd: what each person does with each task, drawn from the seed.

    Parameters
    ----------
    crowd : Crowd
    habits : Habits
    seed : int
    """

    def __init__(self, crowd: Crowd, habits: Habits, seed: int) -> None:
        self.crowd, self.habits, self.seed = crowd, habits, seed
        self._answers = Counter(person for given in crowd.answers.values() for person in given)
        self._answers[SPAMMER] = len(crowd.answers)

    def plan(self, person: str, task: str) -> Plan:
        """Return what `person` does with `task`."""
        habits = self.habits
        draw = Random(f"{self.seed}/{person}/{task}")
        react_s = draw.uniform(*habits.react_s)
        spams = person == SPAMMER
        think_s = (habits.spammer_think_s if spams else habits.think_s) * math.exp(
            draw.gauss(0.0, habits.think_sigma)
        )
        label = draw.randrange(self.crowd.classes) if spams else self.crowd.answers[task][person]
        chance = draw.random()
        fate: Fate = "answer"
        for name, share in (
            ("decline", habits.decline),
            ("ignore", habits.ignore),
            ("leave", habits.leave),
            ("vanish", habits.vanish),
            ("late", habits.late),
        ):
            if chance < share:
                fate = name  # type: ignore[assignment]  # the tuple's strings are the literal's
                break
            chance -= share
        reason = draw.choice(("break", "other", "other", "unclear", "not_my_skill"))
        return Plan(fate, reason, react_s, think_s, label, draw.random() >= habits.skip_accept)  # type: ignore[arg-type]

    def sessions(self, person: str) -> "Sessions":
        """Return when `person` comes and goes."""
        asides = Random(f"{self.seed}/{person}/asides")
        return Sessions(Random(f"{self.seed}/{person}"), asides, self.habits, self._answers[person])


class Visit(NamedTuple):
    """What one person does in one visit beside their work; times in simulated seconds from its beginning."""

    stay_s: float
    tab: tuple[float, float] | None  # from when to when a second tab is open
    pause: tuple[float, float, bool] | None  # a break: when, how long, and whether it is told


class Sessions:
    """The endless alternation of presence and absence of one person, in simulated seconds.

    Who gave many answers was there for long: the share of time online is `presence` + answers on file /
    `present_at`, at most 1.
    """

    def __init__(self, draw: Random, asides: Random, habits: Habits, answers: int) -> None:
        self._draw, self._stay_s, self._habits = draw, habits.session_s, habits
        self._asides = asides  # of its own: what people do beside their work moves no other draw
        share = min(1.0, habits.presence + answers / habits.present_at)
        self._away_s = habits.session_s * (1 - share) / share
        self.first_s = 0.0 if draw.random() < share else self.away_s()

    def stay_s(self) -> float:
        """Return the length of the next session."""
        return self._stay_s * (0.2 + 0.8 * self._draw.expovariate(1.0))

    def visit(self) -> Visit:
        """Return the next visit."""
        stay_s, draw, habits = self.stay_s(), self._asides, self._habits
        begin, end, chance, at, length = (draw.random() for _ in range(5))
        tab = (begin * stay_s, (begin + (1 - begin) * end) * stay_s) if draw.random() < habits.second_tab else None
        pause = None
        if chance < habits.rest + habits.walk_off:
            pause = at * stay_s, habits.pause_s * (0.2 + 1.6 * length), chance < habits.rest
        return Visit(stay_s, tab, pause)

    def away_s(self) -> float:
        """Return the length of the next break, at most twice its mean so that everybody returns."""
        return 1.0 + self._away_s * min(2.0, self._draw.expovariate(1.0))
