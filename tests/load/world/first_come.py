"""The simplest allocator that keeps the contract: the first open task for whoever is free, fixed overlap.

A fake at the edge of the simulation; leases and offers expire, nothing is learned.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from stream.core.ties import leader
from stream.events import (
    AnnotatorOffline,
    AnnotatorOnline,
    AnnotatorPaused,
    AnnotatorResumed,
    AssignmentAccepted,
    AssignmentDeclined,
    AssignmentEnded,
    AssignmentOffered,
    ConsensusUpdated,
    End,
    Event,
    JudgmentSettled,
    JudgmentSubmitted,
    Output,
    ProjectSet,
    Source,
    TaskCreated,
    TaskDefaults,
    TaskOutcome,
    TaskSettled,
)

ACCEPT_S = 1.0


class FirstCome:
    def __init__(self, overlap: int = 2) -> None:
        self.overlap = overlap
        self.received: list[Event] = []
        self._tasks: dict[str, TaskCreated] = {}
        self._labels: dict[str, dict[str, int | None]] = {}
        self._used: set[tuple[str, str]] = set()
        self._live: dict[tuple[str, str], tuple[str, float]] = {}
        self._tabs: dict[str, dict[str, float]] = {}
        self._paused: set[str] = set()
        self._settled: set[str] = set()
        self._lease_s = 0.0
        self._out: list[Output] = []

    def __call__(self, tasks: Sequence[Event], annotators: Sequence[Event], now: float) -> list[Output]:
        self._out = []
        for event in (*tasks, *annotators):
            self.received.append(event)
            self._apply(event, now)
        for (person, task), (state, until) in list(self._live.items()):
            if until <= now:
                self._end(person, task, "expired" if state == "offered" else "abandoned", now)
        self._match(now)
        return self._out

    def _fields(self, pool: str) -> dict[str, Any]:
        return {"pool": pool, "partition": 0, "round": 0}

    def _apply(self, event: Event, now: float) -> None:
        match event:
            case ProjectSet():
                assert isinstance(event.defaults, TaskDefaults)
                assert isinstance(event.defaults.lease_s, float)
                self._lease_s = event.defaults.lease_s
                if isinstance(event.deadline, float):
                    for task in self._tasks.values():
                        self._settle(task, "deadline")
            case TaskCreated():
                self._tasks[event.task] = event
                self._labels[event.task] = {}
            case AnnotatorOnline():
                self._tabs.setdefault(event.annotator, {})[event.session or ""] = event.at + event.ttl_s
            case AnnotatorResumed():
                self._paused.discard(event.annotator)
            case AnnotatorOffline() | AnnotatorPaused():
                if isinstance(event, AnnotatorPaused):
                    self._paused.add(event.annotator)
                else:
                    self._tabs.get(event.annotator, {}).pop(event.session or "", None)
                    if any(until > now for until in self._tabs.get(event.annotator, {}).values()):
                        return
                for (person, held), (state, _) in list(self._live.items()):
                    if person == event.annotator and state == "offered":
                        self._end(person, held, "withdrawn", now)
                    elif person == event.annotator and isinstance(event, AnnotatorOffline):
                        self._end(person, held, "abandoned", now)
            case AssignmentAccepted():
                if (event.annotator, event.task) in self._live:
                    self._live[event.annotator, event.task] = ("leased", now + self._lease_s)
            case AssignmentDeclined():
                self._used.add((event.annotator, event.task))
                self._live.pop((event.annotator, event.task), None)
            case JudgmentSubmitted():
                self._judge(event)

    def _judge(self, event: JudgmentSubmitted) -> None:
        task = self._tasks[event.task]
        self._used.add((event.annotator, event.task))
        self._live.pop((event.annotator, event.task), None)
        given = self._labels[event.task]
        counts = event.task not in self._settled
        if counts:
            given[event.annotator] = event.label
        self._out.append(
            JudgmentSettled(
                **self._fields(event.pool),
                task=event.task,
                project=task.project,
                annotator=event.annotator,
                source=Source(topic="labeling.annotators.v1", partition=0, offset=0),
                outcome="counted" if counts else "late",
                count=1 if counts else 0,
                duration_s=event.duration_s,
                accepted_at=None,
            )
        )
        if counts:
            share = [list(given.values()).count(label) / len(given) for label in range(2)]
            best = leader(event.pool, event.task, share)
            self._out.append(
                ConsensusUpdated(
                    **self._fields(event.pool),
                    task=event.task,
                    skill="skill",
                    label=best.label,
                    tie=best.tie,
                    posterior=share,
                    judgments=len(given),
                )
            )
            if len(given) >= self.overlap:
                self._settle(task, "complete")

    def _settle(self, task: TaskCreated, outcome: TaskOutcome) -> None:
        if task.task in self._settled:
            return
        self._settled.add(task.task)
        self._out.append(
            TaskSettled(
                **self._fields(task.pool),
                task=task.task,
                project=task.project,
                outcome=outcome,
                label=None,
                posterior=None,
                judgments=len(self._labels[task.task]),
            )
        )

    def _end(self, person: str, task: str, outcome: End, now: float) -> None:
        del self._live[person, task]
        if outcome == "abandoned":
            self._used.add((person, task))
        self._out.append(
            AssignmentEnded(
                **self._fields(self._tasks[task].pool),
                assignment=f"{person}/{task}",
                task=task,
                annotator=person,
                at=now,
                outcome=outcome,
            )
        )

    def _match(self, now: float) -> None:
        busy = {person for person, _ in self._live}
        there = {person for person, tabs in self._tabs.items() if any(until > now for until in tabs.values())}
        free = there - busy - self._paused
        live = Counter(task for _, task in self._live)
        for task in self._tasks.values():
            if task.task in self._settled or not free:
                continue
            for person in task.only:
                if len(self._labels[task.task]) + live[task.task] >= self.overlap:
                    break
                if person in free and (person, task.task) not in self._used:
                    free.remove(person)
                    live[task.task] += 1
                    self._live[person, task.task] = ("offered", now + ACCEPT_S)
                    self._out.append(
                        AssignmentOffered(
                            **self._fields(task.pool),
                            assignment=f"{person}/{task.task}",
                            task=task.task,
                            project=task.project,
                            skill="skill",
                            annotator=person,
                            at=now,
                            accept_by=now + ACCEPT_S,
                            lease_s=self._lease_s,
                        )
                    )
