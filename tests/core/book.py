"""The entities of the oracle: plain records, and the evidence of one pool as the skill kernels keep it."""

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET, json

from kernels import skill
from stream import events as wire

INF = float("inf")
EVERYONE = 1000
WINDOW = 8
PERSON = "\0" * 129  # before the id of whom an event waits for


class Rejection(Exception):
    """The record is a dead letter, for this reason."""


class Waiting(NamedTuple):
    topic: str
    offset: int
    event: Any
    until: float
    size: int


@dataclass
class Law:
    """What a pool runs by."""

    values: dict[str, float]
    since: dict[str, float] = field(default_factory=dict)
    version: int = 0

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None

    def state(self, settings: dict[str, float], at: float) -> None:
        """Some settings are stated; of each the newest counts, of two equally new ones the larger."""
        for name, value in settings.items():
            if name not in BOUNDS or not BOUNDS[name](value):
                raise Rejection("invalid")
        before = dict(self.values)
        for name, value in settings.items():
            if name not in self.since or (at, value) > (self.since[name], self.values[name]):
                self.values[name], self.since[name] = value, at
        self.version += before != self.values

    def told(self) -> tuple[int, dict[str, float], dict[str, float]]:
        return self.version, dict(self.since), dict(self.values)


def _seconds(value: float) -> bool:
    return 0 < value <= 1e8


def _whole(least: int, most: int) -> Callable[[float], bool]:
    return lambda value: value in range(least, most + 1)


BOUNDS: dict[str, Callable[[float], bool]] = {
    "accept_s": _seconds, "lease_s": _seconds, "expected_s": _seconds, "grace_s": _seconds,
    "reference_wait_s": _seconds, "settled_retention_s": _seconds,
    "max_extensions": _whole(0, 100), "block_declines": _whole(1, 100), "missed_offers": _whole(1, 100),
    "candidates": _whole(1, 1024), "gap": lambda value: 0 < value < 1,
    "judgment_cost": lambda value: 0 <= value <= 1e6, "least_ability": lambda value: 0 <= value <= 1,
    "deadline_urgency": lambda value: 0 <= value <= 1000,
}  # fmt: skip


NEVER = float("-inf")


def order(value: Any) -> tuple[int, Any]:
    """The order of equally new values of a field."""
    if value is UNSET:
        return 0, 0
    if value is None or value in (INF, -INF):
        return 1, 0
    if isinstance(value, str) and value in ("active", "paused", "closed", "human", "model"):
        return 2, ("active", "paused", "closed").index(value) if value not in ("human", "model") else value == "model"
    if isinstance(value, (int, float)):
        return 2, value
    return 3, json.encode(sorted(value) if isinstance(value, (set, frozenset)) else value)


def fresh(said: dict[str, float], new: dict[str, Any], now: dict[str, Any], at: float) -> dict[str, Any]:
    """What of a statement counts; and it is noted when that was said."""
    counts = {}
    for name, value in new.items():
        before = said.get(name, NEVER)
        if at > before or (at == before and order(value) > order(now[name])):
            counts[name] = value
            said[name] = at
    return counts


@dataclass
class Pair:
    annotator: "Annotator"
    state: str = "new"
    counted: bool = False
    label: int | None = None
    stamp: int = 0
    assignment: str = ""
    due: float = INF
    extensions: int = 0
    accepted_at: float | None = None
    paid: int = 0  # of the annotator's credit, in units of 1/256
    score: tuple[int, float, float] | None = None  # rank of its source, when, how good
    said_at: float = 0.0
    answered: tuple[float, str] = (0.0, "")  # the newest answer to an offer: when, and its type
    expiries: int = 0  # offers in a row that nobody has answered
    barred_until: float = -INF


@dataclass
class Project:
    name: str
    at: float = 0.0
    set: Any = None  # a project_set that says everything
    said: dict[str, float] = field(default_factory=dict)
    live: int = 0
    counted: int = 0
    is_limited: bool = False
    short: int | None = None  # the budget of which was told that it is less than promised
    row: int = -1  # the lowest that no other had when it got its first task of known answer
    credit: dict[str, float] = field(default_factory=dict)
    closed: Counter[str] = field(default_factory=Counter)  # judgments in closed books, since it is limited

    @property
    def is_unheard_of(self) -> bool:
        return self.set is None and not self.counted and self.row < 0

    @property
    def state(self) -> str:
        return self.set.state if self.set else "active"

    @property
    def gold_rate(self) -> float:
        return self.set.gold_rate if self.set else 0.02

    @property
    def budget(self) -> int | None:
        return self.set.budget if self.set else None

    @property
    def deadline(self) -> float:
        return INF if self.set is None or self.set.deadline is None else self.set.deadline


@dataclass
class Task:
    name: str
    slot: int
    project: Project
    skill: str
    model: int
    classes: int
    overlap: int
    most: int
    confidence: float | None
    deadline: float
    lease_s: float
    requires: frozenset[str]
    min_skill: float | None
    only: frozenset[str]
    exclude: frozenset[str]
    priority: int
    value: float
    expected_s: float
    created: float
    purpose: str
    truth: int
    belief: Any
    reported: Any
    pairs: dict[str, Pair] = field(default_factory=dict)  # oldest first; a pair offered again is the newest
    state: str = "open"
    outcome: str = ""
    due: float = INF
    settled_at: float = 0.0
    faults: int = 0
    label: int | None = None
    ref: str | None = None
    ref_at: float = 0.0
    said: dict[str, float] = field(default_factory=dict)

    def having(self, *states: str) -> list[Pair]:
        """Pairs in these states, newest first."""
        return [pair for pair in reversed(self.pairs.values()) if pair.state in states]

    @property
    def counted(self) -> int:
        return sum(pair.counted for pair in self.pairs.values())

    @property
    def live(self) -> int:
        return len(self.having("offered", "leased"))

    @property
    def posterior(self) -> list[float]:
        return self.reported[: self.classes].tolist()

    @property
    def tied(self) -> list[int]:
        """Classes that nothing in the posterior puts behind another."""
        return [k for k, share in enumerate(self.posterior) if all(share >= other for other in self.posterior)]

    def leader(self, pool: str) -> int | None:
        if not self.classes:
            return None
        seed = hashlib.blake2b(pool.encode() + b"\0" + self.name.encode(), digest_size=8).hexdigest()
        return self.tied[int(seed, 16) % len(self.tied)]

    @property
    def is_work(self) -> bool:
        return self.purpose == "work"

    @property
    def asks_confidence(self) -> bool:
        return self.classes > 0 and self.confidence is not None

    @property
    def is_sure(self) -> bool:
        answered = self.counted > 0 or self.truth >= 0
        return self.confidence is not None and answered and self.classes > 0 and max(self.posterior) >= self.confidence

    @property
    def need(self) -> int:
        if self.counted < self.overlap:
            return self.overlap
        return self.counted if self.counted >= self.most or self.is_sure else self.counted + 1

    @property
    def owes(self) -> int:
        """Judgments that it lacks of those promised."""
        return max(self.overlap - self.counted, 0) if self.state == "open" and self.is_work else 0


@dataclass
class Session:
    """Everything that was ever said of one session; what was said up to its end doesn't count."""

    beats: set[tuple[float, float]] = field(default_factory=set)  # when, and until when it would live (negative)
    capacities: set[tuple[float, int]] = field(default_factory=set)
    modes: set[tuple[float, bool]] = field(default_factory=set)  # is it pull?
    lapsed: set[tuple[float, float]] = field(default_factory=set)  # heartbeats behind which no other came in time
    ended_at: float = -1.0

    @property
    def beat(self) -> tuple[float, float]:
        """The heartbeat that counts, if the session wasn't ended after it."""
        return max(self.beats, default=(-1.0, 1.0))

    @property
    def is_begun(self) -> bool:
        return self.beat[0] > self.ended_at

    @property
    def is_live(self) -> bool:
        return self.is_begun and self.beat not in self.lapsed

    @property
    def expires(self) -> float:
        return -self.beat[1]

    @property
    def capacity(self) -> int:
        stated = [one for one in self.capacities if one[0] > self.ended_at]
        return max(stated)[1] if stated else 1

    @property
    def mode(self) -> tuple[float, bool]:
        stated = [one for one in self.modes if one[0] > self.ended_at]
        return max(stated) if stated else (-1.0, False)

    @property
    def newest(self) -> float:
        return max(self.beat[0], self.ended_at)


@dataclass
class Annotator:
    name: str
    slot: int
    profile: Any = None  # an annotator_set that says everything
    said: dict[str, float] = field(default_factory=dict)
    asked_at: float = 0.0
    sessions: dict[str, Session] = field(default_factory=dict)
    where: str = "left"  # or here, or lapsed: not ended, but no heartbeat came
    paused: bool = False
    break_at: float = 0.0
    break_until: float = INF
    absent: bool = False
    missed: int = 0
    gone_at: float = INF
    asked: int = 0
    projects: tuple[str, ...] = ()
    live: list[tuple[Task, Pair]] = field(default_factory=list)  # oldest first

    @property
    def is_unknown(self) -> bool:
        return replace(self, asked_at=0.0) == Annotator(self.name, self.slot)

    @property
    def lives(self) -> list[Session]:
        return [session for session in self.sessions.values() if session.is_live]

    @property
    def capacity(self) -> int:
        return max((session.capacity for session in self.lives), default=1)

    @property
    def mode(self) -> str:
        newest = max((session.mode for session in self.lives), default=(-1.0, False))
        return "pull" if newest[1] else "push"

    def is_there(self, now: float) -> bool:
        return not self.absent and any(session.expires > now for session in self.lives)

    def is_free(self, now: float) -> bool:
        if self.paused or not self.is_there(now):
            return False
        return len(self.live) < self.capacity and (self.mode == "push" or self.asked > 0)


class Evidence:
    """What a pool knows about skills: the kernels' columns, large enough for a test."""

    def __init__(self) -> None:
        self.columns = skill.empty(models=32, annotators=128, seats=1024, evidence=200_000)
        self.models: dict[tuple[str, int], int] = {}
        self.seeds: dict[tuple[str, int], wire.SkillSeeded] = {}
        self.seats, self.labels, self.stamps = (np.zeros(1024, np.int32) for _ in range(3))

    def model(self, name: str, classes: int) -> int:
        if (name, classes) not in self.models:
            self.models[name, classes] = int(skill.open_model(self.columns, classes))
            for (of, slot), event in self.seeds.items():
                if of == name:
                    self.plant(self.models[name, classes], slot, event)
        return self.models[name, classes]

    def plant(self, model: int, slot: int, event: wire.SkillSeeded) -> None:
        seat = skill.seat(self.columns, model, slot)
        skill.seed(self.columns, seat, event.accuracy, event.weight)

    def seed(self, slot: int, event: wire.SkillSeeded) -> None:
        before = self.seeds.get((event.skill, slot))
        if before is None or event.at >= before.at:
            self.seeds[event.skill, slot] = event
            for (name, _), model in self.models.items():
                if name == event.skill:
                    self.plant(model, slot, event)

    def gather(self, task: Task, last: Pair | None = None) -> int:
        """Copy the counted judgments, oldest pair first, ``last`` behind them; return their number.

        Of a task of known answer only the newest few.
        """
        pairs = [pair for pair in task.pairs.values() if pair.counted and pair is not last]
        if not task.is_work:
            most = task.counted % WINDOW + (last is None)
            pairs = pairs[len(pairs) - min(most, len(pairs)) :]
        pairs += [] if last is None else [last]
        for i, pair in enumerate(pairs):
            self.seats[i] = skill.seat(self.columns, task.model, pair.annotator.slot)
            assert pair.label is not None
            self.labels[i], self.stamps[i] = pair.label, pair.stamp
        return len(pairs)

    def alone(self, task: Task, pair: Pair) -> None:
        """Copy one judgment."""
        self.seats[0] = skill.seat(self.columns, task.model, pair.annotator.slot)
        assert pair.label is not None
        self.labels[0], self.stamps[0] = pair.label, pair.stamp

    def call(self, kernel: Any, task: Task, n: int, *rest: Any, at: float) -> float:
        """Call a kernel of the skill model on a task whose judgments are gathered."""
        return float(
            kernel(
                self.columns, task.model, self.seats, self.labels, self.stamps, n, *rest, task.truth,
                task.belief, task.reported, at,
            )
        )  # fmt: skip


class Slots:
    """Slots of tasks: the lowest free one is taken first."""

    def __init__(self) -> None:
        self.tasks: list[Task | None] = []
        self.free: list[int] = []

    def take(self) -> int:
        if self.free:
            return heapq.heappop(self.free)
        self.tasks.append(None)
        return len(self.tasks) - 1

    def release(self, slot: int) -> None:
        self.tasks[slot] = None
        heapq.heappush(self.free, slot)

    def __iter__(self) -> Any:
        return (task for task in list(self.tasks) if task is not None)
