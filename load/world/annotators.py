"""Simulated annotators: people who come online, take offers, think, answer, leave.

A pure simulation over a heap of moments; `habits` draws what people do. One object plays thousands of them:

    away --arrive--> online --visit over--> away          every tab is a session with heartbeats of its own
                     online --rest--> on a break that is told --> online
                     online --walk off--> nobody reacts, the client beats on --> online, and says so
    offered --accept--> working --answer--> done          one work at a time, later ones queue
            --decline--> done | --ignore--> (the offer expires)
                        working --leave--> away with the work in hand (said, or in silence)

`speed` seconds of the simulated world pass in one second of the wall clock.

Deliberately knows neither Kafka nor a clock: `due` and `handle` take the time and return events. `usual`
lets the same people work for the usual practice.
"""

import heapq
import math
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from load.world.crowd import SPAMMER, Crowd
from load.world.habits import Decisions, Habits, Plan, Sessions
from stream.events import (
    AnnotatorOffline,
    AnnotatorOnline,
    AnnotatorPaused,
    AnnotatorResumed,
    AssignmentAccepted,
    AssignmentDeclined,
    AssignmentEnded,
    AssignmentOffered,
    Event,
    JudgmentSubmitted,
    Output,
)

#: What somebody does in a visit beside their work, while it lasts.
OF_A_VISIT = ("close", "open tab", "close tab", "rest", "walk off", "return")
#: Ends of an assignment that its annotator did not cause.
TAKEN_AWAY = ("expired", "withdrawn", "abandoned")


class _Person:
    __slots__ = (
        "free_at", "ignored", "is_off", "is_on_break", "online_since", "opened", "sessions", "tabs", "tasks", "visit",
    )  # fmt: skip

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.visit = 0
        self.online_since: float | None = None
        self.free_at = 0.0
        self.is_on_break = False
        self.is_off = False  # away from the screen, and nobody was told
        self.opened = 0  # tabs, ever
        self.tabs: set[str] = set()
        self.ignored: set[str] = set()
        self.tasks: dict[str, _Work] = {}


class _Work:
    __slots__ = ("begins", "ends", "plan", "state")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.state: Literal["offered", "working"] = "offered"
        self.begins = self.ends = 0.0


class Activity(msgspec.Struct, kw_only=True):
    """What the annotators have done so far; times in wall seconds."""

    online_s: float = 0.0
    busy_s: float = 0.0
    offers: int = 0
    accepted: int = 0
    declined: int = 0
    ignored: int = 0
    left_with_work: int = 0
    judgments: int = 0
    by_person: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def idle_share(self) -> float:
        """Share of the time online without work in hand."""
        return 1 - self.busy_s / self.online_s if self.online_s else 0.0


class Annotators:
    """All annotators of one pool, driven by `due` (time passes) and `handle` (an output arrives).

    Parameters
    ----------
    crowd, habits, seed
        Whose answers, how they behave, which run of it.
    pool : str
    start : float
        Unix time at which the first may arrive.
    speed : float
        Simulated seconds per second of the wall clock.
    lease_s : float
        Simulated seconds of a lease: who answers late, answers after it.
    """

    def __init__(
        self,
        crowd: Crowd,
        habits: Habits,
        seed: int,
        *,
        pool: str,
        start: float,
        speed: float,
        lease_s: float,
    ) -> None:
        self.pool, self.speed, self.habits, self.lease_s = pool, speed, habits, lease_s
        self.decisions = Decisions(crowd, habits, seed)
        self.activity = Activity()
        self._people: dict[str, _Person] = {}
        self._heap: list[tuple[float, int, str, str, str, int]] = []
        self._pushed = 0
        for name in (*crowd.annotators, SPAMMER):
            sessions = self.decisions.sessions(name)
            self._people[name] = _Person(sessions)
            self._push(start + sessions.first_s / speed, "arrive", name)

    @property
    def next_due(self) -> float:
        """Unix time of the next moment at which somebody does something."""
        return self._heap[0][0] if self._heap else math.inf

    @property
    def online(self) -> int:
        """How many people are online."""
        return sum(person.online_since is not None for person in self._people.values())

    @property
    def working(self) -> int:
        """How many people have work in hand."""
        return sum(
            any(work.state == "working" for work in person.tasks.values()) for person in self._people.values()
        )

    @property
    def waiting(self) -> int:
        """How many people have an offer that they haven't answered yet."""
        return sum(
            any(work.state == "offered" for work in person.tasks.values()) for person in self._people.values()
        )

    def observe(self, now: float) -> Activity:
        """Return the activity with the time online up to `now` included."""
        for person in self._people.values():
            if person.online_since is not None:
                self.activity.online_s += max(0.0, now - person.online_since)
                person.online_since = max(now, person.online_since)
        return self.activity

    def due(self, now: float) -> list[Event]:
        """Return the events of all moments up to `now`, in the order of time."""
        said: list[Event] = []
        while self._heap and self._heap[0][0] <= now:
            at, _, kind, name, task, visit = heapq.heappop(self._heap)
            person = self._people[name]
            if kind == "arrive":
                self._arrive(said, at, name, person)
            elif kind == "beat":
                if task in person.tabs:
                    self._beat(said, at, name, person, task)
            elif kind in OF_A_VISIT:
                if person.visit == visit and person.online_since is not None:
                    self._aside(said, at, kind, name, person)
            elif task in person.tasks:
                {"react": self._react, "answer": self._answer, "leave": self._leave}[kind](
                    said, at, name, person, task
                )
        return said

    def handle(self, outputs: Iterable[Output], now: float) -> None:
        """Take note of what the allocator published at `now`."""
        for output in outputs:
            if isinstance(output, AssignmentOffered):
                self._offered(output, now)
            elif isinstance(output, AssignmentEnded) and output.outcome in TAKEN_AWAY:
                self._ended(output, now)

    def _push(self, at: float, kind: str, name: str, task: str = "", visit: int = 0) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (at, self._pushed, kind, name, task, visit))

    def _offered(self, offer: AssignmentOffered, now: float) -> None:
        person = self._people.get(offer.annotator)
        if person is None or offer.pool != self.pool:
            return
        plan = self.decisions.plan(offer.annotator, offer.task)
        self.activity.offers += 1
        person.tasks[offer.task] = _Work(plan)
        self._push(now + plan.react_s / self.speed, "react", offer.annotator, offer.task)

    def _ended(self, end: AssignmentEnded, now: float) -> None:
        person = self._people.get(end.annotator)
        work = person.tasks.get(end.task) if person and end.pool == self.pool else None
        if person is None or work is None:
            return
        if end.outcome == "abandoned" and work.plan.fate == "late":
            return  # works on, and answers although the lease is over
        del person.tasks[end.task]
        if work.state == "working" and now < work.ends:
            self.activity.busy_s += max(0.0, now - work.begins)
            person.free_at = min(person.free_at, max(now, work.begins))

    def _arrive(self, said: list[Event], at: float, name: str, person: _Person) -> None:
        person.visit += 1
        person.online_since = at
        person.free_at = max(at, person.free_at)
        if person.visit > 1:  # whoever opens the tool is there, whatever was said or not said before
            said.append(AnnotatorResumed(pool=self.pool, at=at, annotator=name))
        person.is_on_break = person.is_off = False
        visit = person.sessions.visit()
        self._push(at + visit.stay_s / self.speed, "close", name, visit=person.visit)
        if visit.tab is not None:
            opens, closes = visit.tab
            self._push(at + opens / self.speed, "open tab", name, visit=person.visit)
            self._push(at + closes / self.speed, "close tab", name, visit=person.visit)
        if visit.pause is not None:
            begins, length_s, is_told = visit.pause
            kind = "rest" if is_told else "walk off"
            self._push(at + begins / self.speed, kind, name, visit=person.visit)
            self._push(at + (begins + length_s) / self.speed, "return", name, visit=person.visit)
        self._open(said, at, name, person)

    def _aside(self, said: list[Event], at: float, kind: str, name: str, person: _Person) -> None:
        """What somebody does in a visit beside their work."""
        if kind == "close":
            self._close(said, at, name, person)
        elif kind == "open tab":
            self._open(said, at, name, person)
        elif kind == "close tab":
            tab = max(person.tabs)
            if len(person.tabs) > 1:
                self._close_tab(said, at, name, person, tab)
        elif kind == "return":
            self._return(said, at, name, person)
        elif not any(work.state == "working" for work in person.tasks.values()):  # who is at work goes on
            person.is_off = True
            if kind == "rest":
                person.is_on_break = True
                said.append(AnnotatorPaused(pool=self.pool, at=at, annotator=name))

    def _return(self, said: list[Event], at: float, name: str, person: _Person) -> None:
        """Back at the screen, where an offer may still lie."""
        if not person.is_off:
            return
        person.is_off = person.is_on_break = False
        said.append(AnnotatorResumed(pool=self.pool, at=at, annotator=name))
        for task, work in person.tasks.items():
            if work.state == "offered":
                self._push(at + work.plan.react_s / self.speed, "react", name, task)

    def _open(self, said: list[Event], at: float, name: str, person: _Person) -> None:
        """Another tab: its first heartbeat says how much it shows at once, the others needn't."""
        person.opened += 1
        tab = f"tab{person.opened:06}"
        person.tabs.add(tab)
        self._beat(said, at, name, person, tab, capacity=1, mode="push")

    def _close_tab(self, said: list[Event], at: float, name: str, person: _Person, tab: str) -> None:
        person.tabs.remove(tab)
        said.append(AnnotatorOffline(pool=self.pool, at=at, annotator=name, session=tab))

    def _beat(self, said: list[Event], at: float, name: str, person: _Person, tab: str, **states: Any) -> None:
        ttl_s = self.habits.ttl_s / self.speed
        said.append(AnnotatorOnline(pool=self.pool, at=at, annotator=name, session=tab, ttl_s=ttl_s, **states))
        self._push(at + self.habits.beat_s / self.speed, "beat", name, tab)

    def _close(self, said: list[Event], at: float, name: str, person: _Person) -> None:
        """The session is over: finish what is in hand, then go; start nothing new."""
        working = [work.ends for work in person.tasks.values() if work.state == "working"]
        if working and at < max(working):
            person.visit += 1
            person.is_on_break = True
            said.append(AnnotatorPaused(pool=self.pool, at=at, annotator=name))
            self._push(max(working) + 0.001, "close", name, visit=person.visit)
            return
        self._go(said, at, name, person, silent=False)

    def _go(self, said: list[Event], at: float, name: str, person: _Person, silent: bool) -> None:
        if person.online_since is not None:
            self.activity.online_s += max(0.0, at - person.online_since)
        person.online_since = None
        person.visit += 1
        person.tasks.clear()
        for tab in sorted(person.tabs) if not silent else ():
            self._close_tab(said, at, name, person, tab)
        person.tabs.clear()
        self._push(at + person.sessions.away_s() / self.speed, "arrive", name)

    def _react(self, said: list[Event], at: float, name: str, person: _Person, task: str) -> None:
        work = person.tasks[task]
        plan = work.plan
        if work.state != "offered" or person.online_since is None or person.is_off:
            return
        if plan.fate == "ignore" and task not in person.ignored:
            person.ignored.add(task)  # noticed when it comes again
            self.activity.ignored += 1
            return
        if plan.fate == "decline":
            self.activity.declined += 1
            del person.tasks[task]
            said.append(
                AssignmentDeclined(pool=self.pool, at=at, annotator=name, task=task, reason=plan.reason)
            )
            return
        self.activity.accepted += 1
        work.state = "working"
        work.begins = max(at, person.free_at)
        think_s = plan.think_s + (1.5 * self.lease_s if plan.fate == "late" else 0.0)
        work.ends = person.free_at = work.begins + think_s / self.speed
        if plan.accepts_first or plan.fate in ("leave", "vanish", "late"):
            said.append(AssignmentAccepted(pool=self.pool, at=at, annotator=name, task=task))
        if plan.fate in ("leave", "vanish"):
            self._push((work.begins + work.ends) / 2, "leave", name, task)
        else:
            self._push(work.ends, "answer", name, task)

    def _answer(self, said: list[Event], at: float, name: str, person: _Person, task: str) -> None:
        work = person.tasks[task]
        if work.state != "working" or at < work.ends:
            return
        del person.tasks[task]
        spent_s = work.ends - work.begins
        self.activity.busy_s += spent_s
        self.activity.judgments += 1
        self.activity.by_person[name] = self.activity.by_person.get(name, 0) + 1
        said.append(
            JudgmentSubmitted(
                pool=self.pool, at=at, annotator=name, task=task, label=work.plan.label, duration_s=spent_s
            )
        )

    def _leave(self, said: list[Event], at: float, name: str, person: _Person, task: str) -> None:
        work = person.tasks[task]
        if work.state != "working":
            return
        self.activity.left_with_work += 1
        self.activity.busy_s += max(0.0, at - work.begins)
        self._go(said, at, name, person, silent=work.plan.fate == "vanish")

