"""The entities of a market as the auditor knows them, and the need of a task.

A pair is what one annotator and one task have had to do with each other:

    new -> offered -> leased -> judged (counted, uncounted) -> retracted
              |          |
              |          +-> closed (declined, abandoned): never offered again
              +-> returned (expired, withdrawn): may be offered again

Need of an open task: ``overlap`` while counted < overlap, then counted + 1 until the published posterior reaches the
confidence or counted = max_overlap, which equals the overlap where no confidence is asked and something is promised.
"""

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from stream.audit.newest import Said
from stream.audit.records import Record
from stream.events import TaskDefaults, TaskSettled

NEVER = float("-inf")
EVERYONE = 1000
LATE_REFUSED = ("cancelled", "deadline", "blocked", "budget")


class Bounds(NamedTuple):
    """The least and the most of a setting, whether they may be reached, and whether it must be whole."""

    least: float
    most: float
    with_least: bool = True
    with_most: bool = True
    is_whole: bool = False

    def hold(self, value: float) -> bool:
        """Whether a setting may have this value."""
        if not self.least <= value <= self.most or (self.is_whole and value != int(value)):
            return False
        return (value != self.least or self.with_least) and (value != self.most or self.with_most)


SECONDS = Bounds(0.0, 1e8, with_least=False)


def bounded(otherwise: float, bounds: Bounds) -> Any:
    """A setting that is so as long as nobody has said otherwise."""
    return field(default=otherwise, metadata={"bounds": bounds})


@dataclass(eq=False)
class Limits:
    """What a pool runs by, in seconds, counts and weights; what is not told yet is what nobody has set."""

    accept_s: float = bounded(60.0, SECONDS)
    lease_s: float = bounded(900.0, SECONDS)
    expected_s: float = bounded(60.0, SECONDS)
    grace_s: float = bounded(60.0, SECONDS)
    reference_wait_s: float = bounded(60.0, SECONDS)
    settled_retention_s: float = bounded(7 * 86400.0, SECONDS)
    max_extensions: float = bounded(3, Bounds(0, 100, is_whole=True))
    block_declines: float = bounded(3, Bounds(1, 100, is_whole=True))
    missed_offers: float = bounded(2, Bounds(1, 100, is_whole=True))
    candidates: float = bounded(64, Bounds(1, 1024, is_whole=True))
    gap: float = bounded(1e-3, Bounds(0, 1, with_least=False, with_most=False))
    judgment_cost: float = bounded(0.02, Bounds(0, 1e6))
    least_ability: float = bounded(0.45, Bounds(0, 1))
    deadline_urgency: float = bounded(0.0, Bounds(0, 1000))
    version: int = 0
    since: dict[str, float] = field(default_factory=dict)  # when events have stated a setting
    is_told: bool = False

    def values(self) -> dict[str, float]:
        """The settings by name."""
        return {name: getattr(self, name) for name in BOUNDS}


#: Of every setting by name.
BOUNDS: dict[str, Bounds] = {one.name: one.metadata["bounds"] for one in fields(Limits) if "bounds" in one.metadata}


@dataclass(slots=True, eq=False)
class Pair:
    """One annotator and one task."""

    task: "Task"
    annotator: "Annotator"
    state: str = "new"
    assignment: str = ""
    offer: str = ""
    order: tuple[int, int] = (0, 0)
    accept_by: float = 0.0
    submit_by: float = 0.0
    is_taught: bool = False
    extensions: int = 0
    said_at: float = 0.0
    answered: tuple[float, str] = (0.0, "")  # the newest answer to an offer: when, and its type
    label: int | None = None
    expiries: int = 0  # offers in a row that ran out
    barred_until: float = NEVER  # others come first until then

    @property
    def is_live(self) -> bool:
        """Offered or leased."""
        return self.state in ("offered", "leased")


@dataclass(slots=True, eq=False)
class Project:
    """A project with what its tasks have used of its budget.

    While no share was ever limited, what an annotator judged in closed books is not remembered. ``examined`` are the
    skills in which work has asked for a ``min_skill``; once there was gold, ``worked`` counts each annotator's
    judgments of work, ``taught`` the gold and training given that examines nobody (unless it ended without an answer).
    What annotators have in a closed project is over with its last task whose books are open: ``kept`` counts these.
    """

    name: str
    said: Said = field(default_factory=dict)
    is_set: bool = False
    state: str = "active"
    budget: int | None = None
    max_per_annotator: int | None = None
    is_limited: bool = False
    deadline: float | None = None
    defaults: TaskDefaults = field(default_factory=TaskDefaults)
    used: int = 0
    used_by: dict[str, int] = field(default_factory=dict)
    open: dict[str, "Task"] = field(default_factory=dict)
    gold_rate: float = 0.02
    highest_rate: float = 0.02
    has_gold: bool = False
    examined: set[str] = field(default_factory=set)
    worked: dict[str, int] = field(default_factory=dict)
    taught: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    live: int = 0  # of `used`, work under way

    @property
    def promised(self) -> int:
        """Judgments that have counted, and what open work lacks of its overlap."""
        lacking = (max(task.overlap - task.counted, 0) for task in self.open.values() if task.is_work)
        return self.used - self.live + sum(lacking)

    def forget(self) -> None:
        """What each annotator has judged, earned and been given in it no longer counts."""
        self.is_limited = self.has_gold = False
        for books in (self.used_by, self.worked, self.taught):
            books.clear()

    def use(self, annotator: str, change: int) -> None:
        """Count judgments and live work against the budget and the annotator's share."""
        self.used += change
        self.share(annotator, change)

    def share(self, annotator: str, change: int) -> None:
        """Count against the annotator's share alone."""
        share = self.used_by.get(annotator, 0) + change
        if share:
            self.used_by[annotator] = share
        else:
            self.used_by.pop(annotator, None)


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """A task with its pairs; ``ceiling`` is the highest max_overlap it ever had."""

    name: str
    project: Project
    skill: str
    classes: int | None
    overlap: int
    max_overlap: int
    confidence: float | None
    deadline: float | None
    lease_s: float
    requires: frozenset[str]
    min_skill: float | None
    only: frozenset[str]
    exclude: frozenset[str]
    ceiling: int
    purpose: str = "work"
    counted: int = 0
    complaints: int = 0
    pairs: dict[str, Pair] = field(default_factory=dict)
    offered: dict[str, Pair] = field(default_factory=dict)
    leased: dict[str, Pair] = field(default_factory=dict)
    settled: str | None = None
    settled_at: float = 0.0
    closes_at: float = 0.0  # when its books close, unless work on it is under way
    announcement: tuple[Record, TaskSettled] | None = None
    posterior: list[float] | None = None
    label: int | None = None
    is_adjudicated: bool = False
    said: Said = field(default_factory=dict)
    watched: float | None = None  # the deadline that the clock is to look at
    ref: str | None = None
    ref_at: float = NEVER

    @property
    def is_work(self) -> bool:
        """Whether its label is asked for, and not the annotator tried."""
        return self.purpose == "work"

    @property
    def live(self) -> int:
        """Offered and leased."""
        return len(self.offered) + len(self.leased)

    @property
    def due(self) -> float | None:
        """The task's deadline or the project's, whichever is earlier."""
        times = [time for time in (self.deadline, self.project.deadline) if time is not None]
        return min(times, default=None)

    @property
    def is_confident(self) -> bool:
        """Whether a posterior decides when there is enough."""
        return self.confidence is not None and self.classes is not None

    @property
    def is_sure(self) -> bool:
        """Whether the last published posterior reaches the confidence."""
        if self.confidence is None or self.classes is None or self.is_adjudicated:
            return self.is_confident and self.is_adjudicated
        return self.counted > 0 and self.posterior is not None and max(self.posterior) >= self.confidence

    @property
    def need(self) -> int:
        """Judgments needed, given the last published posterior."""
        if self.counted < self.overlap:
            return self.overlap
        if self.is_sure or self.counted >= self.max_overlap:
            return self.counted
        return self.counted + 1


@dataclass(slots=True, eq=False)
class Session:
    """One of a person's sessions: of each fact the newest, with its time; what is as old as its end is over."""

    seen_at: float = NEVER
    until: float = NEVER
    ended_at: float = NEVER
    capacity: tuple[float, int] = (NEVER, 1)
    mode: tuple[float, str] = (NEVER, "push")
    has_lapsed: bool = False

    @property
    def is_begun(self) -> bool:
        """Whether a heartbeat has come behind its last end."""
        return self.seen_at > self.ended_at

    @property
    def is_live(self) -> bool:
        """Whether it is neither ended nor lapsed."""
        return self.is_begun and not self.has_lapsed

    @property
    def touched_at(self) -> float:
        """Its newest fact."""
        return max(self.seen_at, self.ended_at)


@dataclass(slots=True, eq=False)
class Annotator:
    """An annotator: profile, presence, live work.

    ``met`` names, for each skill and number of classes in which others' answers or a truth have been there to compare
    with, the one task of it, or none where there were several; ``imported`` are the skills of which an import spoke.
    """

    name: str
    pool: "Pool"
    said: Said = field(default_factory=dict)
    is_described: bool = False
    asked_at: float = 0.0
    skills: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    grants: frozenset[str] = frozenset()
    sessions: dict[str, Session] = field(default_factory=dict)
    where: str = "left"  # or here, or lapsed: no heartbeat came, and no session was ended
    is_paused: bool = False
    break_at: float = NEVER
    break_until: float = float("inf")
    gone_since: float | None = None
    watched: float = float("inf")  # when the clock next looks at the presence
    missed: int = 0
    is_absent: bool = False  # has missed too many offers
    live: dict[str, Pair] = field(default_factory=dict)
    met: dict[tuple[str, int], str] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)

    @property
    def living(self) -> list[Session]:
        """The sessions that live."""
        return [session for session in self.sessions.values() if session.is_live]

    @property
    def capacity(self) -> int:
        """The largest of their living sessions."""
        return max((session.capacity[1] for session in self.living), default=0)

    @property
    def mode(self) -> str:
        """What a living session has stated last; of two at once it is pull."""
        stated = sorted((-session.mode[0], session.mode[1]) for session in self.living)
        return stated[0][1] if stated else "push"

    def offered(self) -> list[Pair]:
        """Unaccepted offers, oldest first."""
        found = [pair for pair in self.live.values() if pair.state == "offered"]
        return sorted(found, key=lambda pair: pair.order)

    def knows(self, skill: str) -> bool:
        """Whether the profile lists the skill."""
        return skill in self.skills or "*" in self.skills


@dataclass(slots=True, eq=False)
class Pool:
    """One market."""

    name: str
    state_at: float = NEVER
    is_paused: bool = False
    tasks: dict[str, Task] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    annotators: dict[str, Annotator] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)
    gone_until: float = NEVER  # the latest of them
    limits: Limits = field(default_factory=Limits)
    lapsed: dict[str, Annotator] = field(default_factory=dict)  # whose work in hand is at risk

    @property
    def at_risk(self) -> int:
        """Leases of people of whom no heartbeat comes any more."""
        return sum(len(annotator.live) for annotator in self.lapsed.values())

    def annotator(self, name: str) -> Annotator:
        """Return the annotator, with an empty profile when new; nobody knows them before an event of theirs counts."""
        return self.annotators.get(name) or Annotator(name, self)

    def project(self, name: str) -> Project:
        """Return the project, active and without limits when new; nobody knows it before an event of it counts."""
        return self.projects.get(name) or Project(name)
