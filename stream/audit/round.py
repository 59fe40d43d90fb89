"""One round as its records tell it: what was read, what was published, indexed for the state machine.

Every index is emptied while the round is followed; what is left at the end was published without a reason.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from stream.audit.books import Annotator, Pool, Project, Task
from stream.audit.records import Record, partition_of
from stream.events import (
    WAITING_EVENT_BYTES,
    WAITING_HEADER_BYTES,
    AnnotatorAway,
    AnnotatorBack,
    AssignmentEnded,
    AssignmentLeased,
    AssignmentOffered,
    BudgetShort,
    ConsensusRevised,
    ConsensusUpdated,
    DecisionMade,
    Input,
    JudgmentSettled,
    Output,
    PoolPolicy,
    RoundCompleted,
    SkillDrifted,
    TaskBlocked,
    TaskSettled,
    WorkUnavailable,
    decode_result,
)

HEADER = "__streams.errors."
Report = Callable[..., None]


class DeadLetter(NamedTuple):
    """A dead letter and the record it is about."""

    record: Record
    reason: str
    round: int
    source: tuple[str, int]


class Waiting(NamedTuple):
    """An event that came before its task."""

    record: Record
    event: Input
    pool: str
    task: str
    until: float

    @property
    def size(self) -> int:
        """Bytes that count towards what may wait for one task."""
        return waiting_bytes(self.record)


def waiting_bytes(record: Record) -> int:
    """Bytes of an event that count towards what may wait for one task."""
    headers = sum(WAITING_HEADER_BYTES + len(name.encode()) + len(text or b"") for name, text in record.headers)
    return WAITING_EVENT_BYTES + len(record.value or b"") + headers


def dead_letter(record: Record) -> DeadLetter:
    """Read the headers of a dead letter; ValueError or KeyError when one is missing or no text or number."""
    headers = {name: value.decode() for name, value in record.headers}
    source = headers[f"{HEADER}topic"], int(headers[f"{HEADER}offset"])
    if int(headers[f"{HEADER}partition"]) != record.partition:
        raise ValueError("a dead letter of another partition")
    return DeadLetter(record, headers["reason"], int(headers["round"]), source)


@dataclass(slots=True)
class Round:
    """The records of one round, by what they are about."""

    record: Record
    completed: RoundCompleted
    ends: dict[str, tuple[Record, AssignmentEnded]] = field(default_factory=dict)
    leases: dict[str, list[tuple[Record, AssignmentLeased]]] = field(default_factory=dict)
    offers: list[tuple[Record, AssignmentOffered]] = field(default_factory=list)
    unavailable: dict[tuple[str, str], list[Record]] = field(default_factory=dict)
    decisions: dict[str, tuple[Record, DecisionMade]] = field(default_factory=dict)
    settlements: dict[tuple[str, int], tuple[Record, JudgmentSettled]] = field(default_factory=dict)
    consensus: dict[tuple[str, str], tuple[Record, ConsensusUpdated | ConsensusRevised]] = field(
        default_factory=dict
    )
    settled: dict[tuple[str, str], tuple[Record, TaskSettled]] = field(default_factory=dict)
    blocked: dict[tuple[str, str], Record] = field(default_factory=dict)
    dead: dict[tuple[str, int], DeadLetter] = field(default_factory=dict)
    drifts: list[tuple[Record, SkillDrifted]] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)  # pools whose policy it tells first
    policies: dict[str, list[PoolPolicy]] = field(default_factory=dict)  # and of others
    ruled: set[str] = field(default_factory=set)  # pools whose policy events have changed
    away: dict[tuple[str, str], Record] = field(default_factory=dict)  # told of pool and annotator
    back: dict[tuple[str, str], Record] = field(default_factory=dict)
    learned: set[tuple[str, str, str]] = field(default_factory=set)
    letters: int = 0
    untold: dict[tuple[str, str], tuple[str, Record]] = field(default_factory=dict)  # tasks that must settle, by now
    ignored: Counter[str] = field(default_factory=Counter)  # by type: events that change nothing
    odd: Counter[str] = field(default_factory=Counter)  # what its events stated and was taken as left out
    moved: dict[tuple[str, str], bool] = field(default_factory=dict)
    met: set[tuple[str, str]] = field(default_factory=set)
    counted: set[tuple[str, str]] = field(default_factory=set)
    asked: dict[tuple[str, str], list[tuple[int, frozenset[str], Record]]] = field(default_factory=dict)
    worth: dict[str, float] = field(default_factory=dict)  # by pool: the values of its decisions
    required: Counter[str] = field(default_factory=Counter)  # by pool: offers that fill promises
    short: dict[tuple[str, str], tuple[Record, BudgetShort]] = field(default_factory=dict)
    funded: set[tuple[str, str]] = field(default_factory=set)  # projects whose budgets were set

    @property
    def at(self) -> float:
        """The round's ``now``."""
        return self.completed.at

    @property
    def horizon(self) -> float:
        """The time up to which absence of input means something."""
        return min(self.completed.at, self.completed.complete_until)

    def move(self, pool: Pool, task: Task, is_after: bool) -> None:
        """Note that a posterior changes; ``is_after``: perhaps after the task settled in this very round."""
        key = pool.name, task.name
        self.moved[key] = self.moved.get(key, False) or is_after

    def add(self, record: Record, report: Report, partitions: int) -> None:
        """Index one output record of this round."""
        try:
            event = decode_result(record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            report(0, f"an output that nobody can read: {error}", record)
            return
        if not isinstance(event, Output):
            report(0, "a round record among the outputs", record)
            return
        key = event.pool.encode()
        if record.key != key or partition_of(key, partitions) != record.partition:
            report(0, f"an output of pool {event.pool!r} in the wrong partition or under another key", record)
        if event.partition != record.partition:
            report(0, f"an output that claims partition {event.partition}", record)
        self._index(record, event, report)

    def _index(self, record: Record, event: Output, report: Report) -> None:
        at = getattr(event, "at", self.at)
        if at != self.at:
            report(0, f"an output of {at} in a round of {self.at}", record, self.record)
        match event:
            case AssignmentEnded():
                if event.assignment in self.ends:
                    report(5, f"{event.assignment} ends twice", self.ends[event.assignment][0], record)
                self.ends[event.assignment] = record, event
                if (event.outcome == "withdrawn") != (event.cause is not None):
                    report(
                        5, f"{event.assignment} ends as {event.outcome} with the cause {event.cause}", record
                    )
            case AssignmentLeased():
                self.leases.setdefault(event.assignment, []).append((record, event))
            case AssignmentOffered():
                self.offers.append((record, event))
            case AnnotatorAway() | AnnotatorBack():
                told, who = self.away if isinstance(event, AnnotatorAway) else self.back, (event.pool, event.annotator)
                if who in told:
                    report(5, f"it is told twice that {event.annotator!r} is away or back", told[who], record)
                told[who] = record
            case WorkUnavailable():
                self.unavailable.setdefault((event.pool, event.annotator), []).append(record)
            case DecisionMade():
                if event.assignment in self.decisions:
                    report(
                        4, f"{event.assignment} is decided twice", self.decisions[event.assignment][0], record
                    )
                self.decisions[event.assignment] = record, event
                self.worth[event.pool] = self.worth.get(event.pool, 0.0) + event.value
            case BudgetShort():
                self.short[event.pool, event.project] = record, event
            case JudgmentSettled():
                source = event.source.topic, event.source.offset
                if source in self.settlements or event.source.partition != record.partition:
                    report(5, f"a judgment record settles twice: {source}", record)
                self.settlements[source] = record, event
            case ConsensusUpdated() | ConsensusRevised():
                if (event.pool, event.task) in self.consensus:
                    report(1, f"two posteriors of task {event.task!r} in one round", record)
                self.consensus[event.pool, event.task] = record, event
            case TaskSettled():
                if (event.pool, event.task) in self.settled:
                    report(
                        1,
                        f"task {event.task!r} settles twice",
                        self.settled[event.pool, event.task][0],
                        record,
                    )
                self.settled[event.pool, event.task] = record, event
            case TaskBlocked():
                self.blocked[event.pool, event.task] = record
            case SkillDrifted():
                self.drifts.append((record, event))

    def left(self) -> Iterable[tuple[int, Record, str]]:
        """Yield the promise, the record and the words for what was published and never explained."""
        for record, end in self.ends.values():
            yield (
                5,
                record,
                f"{end.assignment} ends as {end.outcome}, but was never offered or has ended already",
            )
        for leases in self.leases.values():
            for record, lease in leases:
                yield 5, record, f"{lease.assignment} is leased, but nobody accepted it"
        for record, judgment in self.settlements.values():
            source = f"{judgment.source.topic}-{judgment.source.partition}-{judgment.source.offset}"
            yield 5, record, f"{source} settles, but is no judgment, settled before, or is a dead letter"
        for record, settled in self.settled.values():
            yield (
                1,
                record,
                f"{settled.task!r} settles as {settled.outcome}, but has settled or does not exist",
            )
        for record, short in self.short.values():
            yield 1, record, f"project {short.project!r} is said to be short of money, and nothing of it has changed"
        for record in self.blocked.values():
            yield 1, record, "a blocked task without enough complaints"
        for (_, name), record in self.away.items():
            yield 5, record, f"{name!r} is told to be away, but has let too few offers go by, or was away already"
        for (_, name), record in self.back.items():
            yield 5, record, f"{name!r} is told to be back, but was not away, or has not acted"
        for letter in self.dead.values():
            yield 5, letter.record, f"a dead letter ({letter.reason}) about no unusable record of this round"


@dataclass(slots=True)
class Case:
    """All that the state machine works on: the pools, what waits, what is due, the round at hand."""

    partition: int
    partitions: int
    report: Report
    round: Round
    pools: dict[str, Pool] = field(default_factory=dict)
    waiting: dict[tuple[str, str], list[Waiting]] = field(default_factory=dict)
    waiting_bytes: dict[tuple[str, str], int] = field(default_factory=dict)
    due: list[tuple[float, int, str, object]] = field(default_factory=list)
    numbered: int = 0
    sweep_at: int = 64  # entries of `due` at which those that no longer hold are thrown away
    touched: dict[tuple[str, str], tuple[Pool, Task]] = field(default_factory=dict)
    closing: list[object] = field(default_factory=list)
    concerned: list[Project] = field(default_factory=list)  # projects that were set or lost a task in this round
    paying: dict[tuple[str, str], tuple[Pool, Project]] = field(default_factory=dict)  # may have less money or work now
    terms: frozenset[str] = frozenset()
    assumed: int = 0  # rounds whose records are older than policies

    def pool(self, name: str) -> Pool:
        """Return the pool, empty when new."""
        found = self.pools.get(name)
        if found is None:
            found = self.pools[name] = Pool(name)
        return found

    def add_waiting(self, waits: Waiting) -> None:
        """One more event waits for its task."""
        place = waits.pool, waits.task
        self.waiting.setdefault(place, []).append(waits)
        self.waiting_bytes[place] = self.waiting_bytes.get(place, 0) + waits.size

    def drop_waiting(self, waits: Waiting) -> None:
        """One of the events that wait does so no more."""
        place = waits.pool, waits.task
        self.waiting[place] = [other for other in self.waiting[place] if other is not waits]
        self.waiting_bytes[place] -= waits.size
        if not self.waiting[place]:
            del self.waiting[place], self.waiting_bytes[place]

    def touch(self, pool: Pool, task: Task) -> None:
        """Remember that a task changed in this round."""
        self.touched[pool.name, task.name] = pool, task
        self.paying[pool.name, task.project.name] = pool, task.project


def is_present(annotator: Annotator, at: float) -> bool:
    """Whether somebody may be offered work at this time."""
    is_here = not annotator.is_paused and not annotator.is_absent
    return is_here and any(session.until > at for session in annotator.living)
