"""The rules of docs/architecture.md once more: one event at a time, in plain Python.

`Oracle.round` takes the input of a round and the pairs that the market chose to offer, and says everything
else that the round must publish, byte for byte, and which records must be dead letters. No batch, no
column, no kernel except the skill model's, called in the same order so that floats agree. It refuses an
offer that breaks a rule.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET

from kernels import skill
from stream import events as wire
from stream import topics
from stream.core.partitioning import partition_of
from stream.settings import Market
from tests.core.book import INF, Annotator, Evidence, Pair, Project, Slots, Task

REVISITS, PROBES = 2, 16


class Rejection(Exception):
    """The record is a dead letter, for this reason."""


class Said(NamedTuple):
    """What a round publishes beside its offers: encoded outputs by topic, dead letters by record."""

    outputs: dict[str, list[bytes]]
    rejected: dict[tuple[str, int], str]


class Waiting(NamedTuple):
    topic: str
    offset: int
    event: Any
    until: float


class Book:
    """One pool."""

    def __init__(self, name: str, oracle: "Oracle") -> None:
        self.name, self.oracle, self.market = name, oracle, oracle.market
        self.evidence = Evidence()
        self.slots = Slots()
        self.tasks: dict[str, Task] = {}
        self.annotators: dict[str, Annotator] = {}
        self.projects: dict[str, Project] = {}
        self.waiting: dict[str, list[Waiting]] = {}
        self.gone: dict[str, float] = {}
        self.paused, self.changed_at = False, 0.0
        self.revisited = 0
        self.clear()

    def clear(self) -> None:
        self.assignments: list[Any] = []
        self.judgments: list[Any] = []
        self.blocked: list[Any] = []
        self.settled: list[Task] = []
        self.changed: list[Task] = []
        self.asked: list[Annotator] = []
        self.rejected: dict[tuple[str, int], str] = {}

    @property
    def now(self) -> float:
        return self.oracle.now

    def annotator(self, name: str) -> Annotator:
        if name not in self.annotators:
            if len(name.encode()) > wire.ID_BYTES:
                raise Rejection("malformed")
            self.annotators[name] = Annotator(name, len(self.annotators))
        return self.annotators[name]

    def project(self, name: str) -> Project:
        if name not in self.projects:
            if len(name.encode()) > wire.ID_BYTES:
                raise Rejection("malformed")
            self.projects[name] = Project(name)
        return self.projects[name]

    def out(self, kind: Any, **fields: Any) -> Any:
        return kind(pool=self.name, partition=self.oracle.partition, round=self.oracle.number, **fields)

    # ------------------------------------------------------------------ ends, settlements, evidence
    def end(self, task: Task, pair: Pair, state: str, outcome: str, cause: str | None = None) -> None:
        pair.state, pair.due = state, INF
        pair.annotator.live.remove((task, pair))
        task.project.live -= 1
        self.assignments.append(
            self.out(
                wire.AssignmentEnded, assignment=pair.assignment, task=task.name,
                annotator=pair.annotator.name, at=self.now, outcome=outcome, cause=cause,
            )
        )  # fmt: skip

    def withdraw(self, task: Task, cause: str, most: int | None = None) -> None:
        for pair in task.having("offered")[:most]:
            self.end(task, pair, "withdrawn", "withdrawn", cause)

    def settle(self, task: Task, outcome: str, cause: str) -> None:
        if task.state != "open":
            return
        task.state, task.outcome = "settled", outcome
        task.label = task.leader if task.counted or task.truth >= 0 else None
        task.due = self.now + self.market.settled_retention_s
        self.withdraw(task, cause)
        self.settled.append(task)

    def review(self, task: Task) -> None:
        if task.state != "open":
            return
        if task.counted >= task.need:
            outcome = "complete"
            if task.asks_confidence:
                outcome = "consensus" if task.is_sure else "exhausted"
            self.settle(task, outcome, "met_need")
            return
        self.withdraw(task, "met_need", max(0, task.counted + task.live - task.need))

    def tell(self, task: Task) -> None:
        if task not in self.changed:
            self.changed.append(task)

    def revisit(self, task: Task, at: float) -> None:
        used, done = len(self.slots.tasks), 0
        for _ in range(min(PROBES, used)):
            if done == REVISITS:
                break
            other = self.slots.tasks[self.revisited % used]
            self.revisited = self.revisited % used + 1
            if other is None or other is task or other.state != "open" or not other.counted:
                continue
            if other.model != task.model:
                continue
            done += 1
            n = self.evidence.gather(other)
            if self.evidence.call(skill.refresh, other, n, at=at) > 0.0:
                self.tell(other)
                self.review(other)

    def count(self, task: Task, pair: Pair, at: float) -> None:
        pair.counted = True
        task.project.counted += 1
        if task.model is not None:
            skill.seat(self.evidence.columns, task.model, pair.annotator.slot)
            n = self.evidence.gather(task, pair)
            self.evidence.call(skill.learn, task, n, 1, at=at)
            pair.stamp = int(self.evidence.stamps[n - 1])
            self.tell(task)
            if task.state == "open":
                self.revisit(task, at)
        self.review(task)

    # ------------------------------------------------------------------ tasks, projects, the pool
    def created(self, event: wire.TaskCreated) -> None:
        if event.task in self.tasks or event.task in self.gone:
            return
        if event.purpose != "work":
            raise Rejection("not_supported_yet")
        project = self.project(event.project)
        preset = project.set.defaults if project.set else wire.TaskDefaults()

        def pick(name: str, otherwise: Any) -> Any:
            for source in (event, preset):
                if getattr(source, name) is not UNSET:
                    return getattr(source, name)
            return otherwise

        name, classes, overlap = pick("skill", None), pick("classes", None) or 0, pick("overlap", 3)
        confidence, most = pick("confidence", None), pick("max_overlap", None)
        most = overlap if most is None or confidence is None else most
        if name is None or most < overlap or (pick("min_skill", None) is not None and not classes):
            raise Rejection("invalid")
        if len(name.encode()) > wire.ID_BYTES or len(event.task.encode()) > wire.ID_BYTES:
            raise Rejection("malformed")
        for person in (*event.only, *event.exclude):
            self.annotator(person)
        model = self.evidence.model(name, classes) if classes else None
        deadline = pick("deadline", None)
        slot = self.slots.take()
        task = self.slots.tasks[slot] = self.tasks[event.task] = Task(
            event.task, slot, project, name, model, classes, overlap, most, confidence,
            INF if deadline is None else deadline, pick("lease_s", None) or self.market.lease_s,
            frozenset(pick("requires", ())), pick("min_skill", None), frozenset(event.only),
            frozenset(event.exclude), event.at, pick("priority", 0), pick("value", 1.0),
            pick("expected_s", None) or self.market.expected_s, event.at, *_beliefs(classes),
        )  # fmt: skip
        task.due = min(task.deadline, project.deadline)
        if task.model is not None:
            self.evidence.call(skill.refresh, task, 0, at=event.at)
        if project.state == "closed":
            self.settle(task, "cancelled", "cancel")
        for waits in self.waiting.pop(event.task, []):
            self.oracle.apply(self, waits.topic, waits.offset, waits.event)

    def updated(self, task: Task, event: wire.TaskUpdated) -> None:
        if event.at < task.updated:
            return
        overlap = task.overlap if event.overlap is UNSET else event.overlap
        confidence = task.confidence if event.confidence is UNSET else event.confidence
        most = task.most if event.max_overlap is UNSET else event.max_overlap
        if most is None or confidence is None:
            most = overlap
        if most < overlap:
            if event.max_overlap is not UNSET:
                raise Rejection("invalid")
            most = overlap
        task.updated, task.overlap, task.most, task.confidence = event.at, overlap, most, confidence
        if event.deadline is not UNSET:
            task.deadline = INF if event.deadline is None else event.deadline
        if event.lease_s is not UNSET:
            task.lease_s = event.lease_s or self.market.lease_s
        if event.expected_s is not UNSET:
            task.expected_s = event.expected_s or self.market.expected_s
        for name in ("min_skill", "priority", "value"):
            if getattr(event, name) is not UNSET:
                setattr(task, name, getattr(event, name))
        for name in ("requires", "only", "exclude"):
            if getattr(event, name) is not UNSET:
                setattr(task, name, frozenset(getattr(event, name)))
                for person in getattr(event, name) if name != "requires" else ():
                    self.annotator(person)
        if task.state == "open":
            task.due = min(task.deadline, task.project.deadline)
        self.review(task)

    def truth(self, task: Task, event: wire.TruthSet) -> None:
        if event.label >= task.classes:
            raise Rejection("invalid")
        task.truth = event.label
        self.evidence.call(skill.refresh, task, self.evidence.gather(task), at=event.at)
        self.tell(task)
        self.settle(task, "complete", "met_need")

    def project_set(self, event: wire.ProjectSet) -> None:
        project = self.project(event.project)
        if event.at < project.at:
            return
        project.at, project.set = event.at, event
        project.is_limited = project.is_limited or event.max_per_annotator is not None
        for task in self.slots:
            if task.state != "open" or task.project is not project:
                continue
            task.due = min(task.deadline, project.deadline)
            if event.state == "closed":
                self.settle(task, "cancelled", "cancel")
            elif event.state == "paused":
                self.withdraw(task, "pause")

    def pool_set(self, event: wire.PoolPaused | wire.PoolResumed) -> None:
        if event.at < self.changed_at:
            return
        self.changed_at, self.paused = event.at, isinstance(event, wire.PoolPaused)
        if self.paused:
            for task in self.slots:
                self.withdraw(task, "pause")

    # ------------------------------------------------------------------ people
    def online(self, annotator: Annotator, event: wire.AnnotatorOnline) -> None:
        if event.at < annotator.presence_at:
            return
        annotator.presence_at, annotator.online, annotator.paused = event.at, True, False
        annotator.mode, annotator.capacity, annotator.gone_at = event.mode, event.capacity, INF
        annotator.expires = min(event.at + event.ttl_s, INF if event.until is None else event.until)
        self.release(annotator, "override", annotator.capacity)

    def release(self, annotator: Annotator, cause: str, keep: int = -1) -> None:
        """Withdraw the newest unaccepted offers until at most ``keep`` works are live."""
        for task, pair in reversed(list(annotator.live)):
            if len(annotator.live) > keep and pair.state == "offered":
                self.end(task, pair, "withdrawn", "withdrawn", cause)

    def leave(self, annotator: Annotator, at: float) -> None:
        annotator.online, annotator.expires = False, INF
        self.release(annotator, "absence")
        if annotator.live:
            annotator.gone_at = at

    def presence(self, annotator: Annotator, event: wire.AnnotatorPaused | wire.AnnotatorOffline) -> None:
        if event.at < annotator.presence_at:
            return
        annotator.presence_at = event.at
        if isinstance(event, wire.AnnotatorPaused):
            annotator.paused = True
            self.release(annotator, "pause")
        elif annotator.online:
            self.leave(annotator, self.now)

    def requested(self, annotator: Annotator, event: wire.WorkRequested) -> None:
        annotator.asked += event.count
        annotator.projects = event.projects
        if annotator not in self.asked:
            self.asked.append(annotator)

    def respond(self, task: Task, annotator: Annotator, event: Any) -> None:
        pair = task.pairs.get(annotator.name)
        if pair is None or pair.state not in ("offered", "leased"):
            return
        if isinstance(event, wire.AssignmentDeclined):
            self.end(task, pair, "refused", "declined")
            task.faults += event.reason in ("broken", "unclear")
            if task.faults >= self.market.block_declines and task.state == "open":
                self.blocked.append(
                    self.out(
                        wire.TaskBlocked, task=task.name, project=task.project.name, declines=task.faults
                    )
                )
                self.settle(task, "blocked", "cancel")
            return
        if isinstance(event, wire.AssignmentAccepted) and pair.state == "offered":
            pair.state, pair.accepted_at, pair.due = "leased", self.now, self.now + task.lease_s
        elif (
            isinstance(event, wire.AssignmentExtended)
            and pair.state == "leased"
            and pair.extensions < self.market.max_extensions
        ):
            pair.extensions += 1
            pair.due += task.lease_s
        else:
            return
        self.assignments.append(
            self.out(
                wire.AssignmentLeased, assignment=pair.assignment, task=task.name, annotator=annotator.name,
                at=self.now, submit_by=pair.due,
            )
        )  # fmt: skip

    # ------------------------------------------------------------------ judgments
    def judged(self, task: Task, annotator: Annotator, event: Any, topic: str, offset: int) -> None:
        pair = task.pairs.get(annotator.name)
        state = "new" if pair is None else pair.state
        if isinstance(event, wire.JudgmentRetracted):
            self.retract(task, annotator, event, topic, offset)
            return
        if (event.label is None) != (not task.classes) or (event.label or 0) >= max(task.classes, 1):
            raise Rejection("invalid")
        source = task, annotator, event, topic, offset
        if isinstance(event, wire.JudgmentCorrected) and pair is not None and state in ("judged", "voided"):
            if state == "voided":
                self.settlement(*source, "duplicate", 0, None)
                return
            self.settlement(*source, "corrected", 0, pair.accepted_at)
            if pair.counted and task.model is not None and pair.label != event.label:
                n = self.evidence.gather(task, pair)
                self.evidence.call(skill.correct, task, n, n - 1, event.label, at=event.at)
                pair.stamp = int(self.evidence.stamps[n - 1])
                self.tell(task)
            pair.label = event.label
            self.review(task)
            return
        if state in ("judged", "voided"):
            self.settlement(*source, "duplicate", 0, None)
            return
        if pair is None:
            asked = task.state == "open" and task.counted + task.live < task.need
            pair = task.pairs[annotator.name] = Pair(annotator)
            outcome, counts = ("unsolicited", 1) if asked else ("surplus", 0)
        elif state in ("offered", "leased"):
            outcome, counts = "counted", 1
            if state == "offered":
                pair.accepted_at = self.now
            self.end(task, pair, "judged", "submitted")
        else:
            wanted = task.outcome not in ("cancelled", "deadline", "blocked")
            room = task.counted + len(task.having("leased")) < task.most
            outcome, counts = "late", int(wanted and room)
        pair.state, pair.label = "judged", event.label
        self.settlement(*source, outcome, counts, pair.accepted_at)
        if counts:
            self.count(task, pair, event.at)

    def retract(self, task: Task, annotator: Annotator, event: Any, topic: str, offset: int) -> None:
        pair = task.pairs.get(annotator.name)
        outcome, counts = "retracted", 0
        if pair is not None and pair.state == "voided":
            outcome = "duplicate"
        elif pair is not None and pair.state == "judged":
            if pair.counted:
                counts = -1
                if task.model is not None:
                    n = self.evidence.gather(task, pair)
                    self.evidence.call(skill.forget, task, n, n - 1, at=event.at)
                    self.tell(task)
                pair.counted = False
                task.project.counted -= 1
            pair.state = "voided"
        self.settlement(task, annotator, event, topic, offset, outcome, counts, None)
        if counts:
            self.review(task)

    def settlement(
        self, task: Task, annotator: Annotator, event: Any, topic: str, offset: int, outcome: str, count: int,
        accepted_at: float | None,
    ) -> None:  # fmt: skip
        self.judgments.append(
            self.out(
                wire.JudgmentSettled, task=task.name, project=task.project.name, annotator=annotator.name,
                source=wire.Source(topic=topic, partition=self.oracle.partition, offset=offset),
                outcome=outcome, count=count, duration_s=getattr(event, "duration_s", None),
                accepted_at=accepted_at,
            )
        )  # fmt: skip

    # ------------------------------------------------------------------ the clock
    def advance(self, horizon: float) -> list[Task]:
        """Let everything expire that is due; return the tasks whose books close."""
        for annotator in self.annotators.values():
            for task, pair in reversed(list(annotator.live)):
                if pair.due > horizon:
                    continue
                if pair.state == "offered":
                    self.end(task, pair, "lapsed", "expired")
                    annotator.missed += 1
                    annotator.absent = annotator.absent or annotator.missed >= self.market.missed_offers
                else:
                    self.end(task, pair, "abandoned", "abandoned")
            if annotator.absent:
                self.release(annotator, "absence")
            if annotator.online and annotator.expires <= horizon:
                self.leave(annotator, annotator.expires)
            if annotator.gone_at + self.market.grace_s <= horizon:
                annotator.gone_at = INF
                for task, pair in reversed(list(annotator.live)):
                    self.end(task, pair, "abandoned", "abandoned")
        closed = []
        for task in self.slots:
            if task.due <= horizon:
                if task.state == "open":
                    self.settle(task, "deadline", "cancel")
                elif leases := task.having("leased"):
                    task.due = max(pair.due for pair in leases)
                else:
                    closed.append(task)
        for name, waiting in list(self.waiting.items()):
            for waits in waiting:
                if waits.until <= horizon:
                    self.oracle.rejected[waits.topic, waits.offset] = "unknown_task"
            self.waiting[name] = [waits for waits in waiting if waits.until > horizon]
            if not self.waiting[name]:
                del self.waiting[name]
        self.gone = {name: until for name, until in self.gone.items() if until > horizon}
        return closed

    def close(self, task: Task) -> None:
        del self.tasks[task.name]
        self.slots.release(task.slot)
        if task.project.is_limited:
            task.project.closed.update(pair.annotator.name for pair in task.pairs.values() if pair.counted)
        self.gone[task.name] = self.now + self.market.settled_retention_s

    # ------------------------------------------------------------------ consensus and offers
    def consensus(self) -> list[Any]:
        found: list[Any] = []
        for task in self.settled:
            known = task.classes and (task.counted or task.truth >= 0)
            task.label = task.leader if known else task.label
            found.append(
                self.out(
                    wire.TaskSettled, task=task.name, project=task.project.name, outcome=task.outcome,
                    label=task.leader if known else None, posterior=task.posterior if known else None,
                    judgments=task.counted,
                )
            )  # fmt: skip
        for task in self.changed:
            revised = task.state == "settled" and task not in self.settled and task.label is not None
            kind = wire.ConsensusRevised if revised and task.label != task.leader else wire.ConsensusUpdated
            if task.state == "settled" and task not in self.settled:
                task.label = task.leader
            found.append(
                self.out(
                    kind, task=task.name, skill=task.skill, label=task.leader, posterior=task.posterior,
                    judgments=task.counted,
                )
            )  # fmt: skip
        return found

    def offer(self, name: str, to: str, assignment: str) -> wire.AssignmentOffered:
        """Make an offer that the market chose, if no rule forbids it."""
        task, annotator = self.tasks[name], self.annotators[to]
        assert not (broken := self.forbids(task, annotator)), (assignment, broken)
        pair = task.pairs.pop(to, None) or Pair(annotator)
        task.pairs[to] = pair
        pair.state, pair.assignment, pair.due = "offered", assignment, self.now + self.market.accept_s
        pair.extensions, pair.accepted_at = 0, None
        annotator.live.append((task, pair))
        annotator.asked -= annotator.asked > 0
        task.project.live += 1
        return self.out(  # type: ignore[no-any-return]
            wire.AssignmentOffered, assignment=assignment, task=name, project=task.project.name,
            skill=task.skill, annotator=to, at=self.now, accept_by=pair.due, lease_s=task.lease_s,
        )  # fmt: skip

    def forbids(self, task: Task, annotator: Annotator) -> list[str]:
        """Names of the rules that forbid an offer now."""
        project, pair = task.project, task.pairs.get(annotator.name)
        profile, limits = annotator.profile, task.project.set
        skills, attributes = (
            (frozenset(), frozenset())
            if profile is None
            else map(frozenset, (profile.skills, profile.attributes))
        )
        rules = {
            "free": not annotator.is_free(self.now),
            "settled": task.state != "open",
            "need": task.counted + task.live >= task.need,
            "pool": self.paused,
            "project": project.state != "active",
            "deadline": min(task.deadline, project.deadline) <= self.now,
            "skill": not {task.skill, "*"} & skills,
            "requires": not task.requires <= attributes,
            "only": bool(task.only) and annotator.name not in task.only,
            "exclude": annotator.name in task.exclude,
            "met": pair is not None and pair.state not in ("lapsed", "withdrawn"),
            "asked": annotator.mode == "pull"
            and bool(annotator.projects)
            and project.name not in annotator.projects,
            "min_skill": not self.is_able(task, annotator),
        }
        if limits is not None and limits.budget is not None:
            rules["budget"] = project.counted + project.live >= limits.budget
        if limits is not None and limits.max_per_annotator is not None:
            rules["share"] = self.share(project, annotator) >= limits.max_per_annotator
        return [name for name, is_broken in rules.items() if is_broken]

    def share(self, project: Project, annotator: Annotator) -> int:
        pairs = (task.pairs.get(annotator.name) for task in self.tasks.values() if task.project is project)
        return project.closed[annotator.name] + sum(
            pair.counted or pair.state in ("offered", "leased") for pair in pairs if pair is not None
        )

    def is_able(self, task: Task, annotator: Annotator) -> bool:
        if task.min_skill is None or (annotator.profile and task.skill in annotator.profile.grants):
            return True
        seat = int(self.evidence.columns.seat_of[task.model, annotator.slot])
        return bool(skill.at_least(self.evidence.columns, task.model, seat, task.min_skill) >= 0.8)

    def value(self, task: Task, annotator: Annotator) -> float:
        """What the annotator's next judgment on the task is worth now, see ``kernels/valuation.py``."""
        columns, project = self.evidence.columns, task.project.set
        weight = task.value * (project.weight if project else 1.0) * 2.0**task.priority
        left = min(task.deadline, task.project.deadline) - self.now
        weight *= 2.0 - max(left, 0.0) / 3600.0 if left < 3600.0 else 1.0
        weight *= 1.0 + 0.1 * min(max(self.now - task.created, 0.0) / 3600.0, 1.0)
        weight /= 1.0 + task.live
        information, accuracy, ability = 0.0, 0.0, 0.5
        if task.model is not None:
            seat = int(columns.seat_of[task.model, annotator.slot])
            information, accuracy = skill.gain(columns, task.model, seat, task.reported)
            ability = skill.ability(columns, task.model, seat)
        covers = task.counted + task.live < task.overlap
        cost = annotator.profile.cost if annotator.profile else 0.0
        gained = weight * (information + accuracy + (0.25 * ability if covers else 0.0))
        return float(gained - self.market.judgment_cost - cost * task.expected_s / 3600.0)

    def unavailable(self) -> Iterable[Any]:
        for annotator in self.asked:
            left, annotator.asked, annotator.projects = annotator.asked, 0, ()
            if not left:
                continue
            reason = "no_matching_task"
            if not annotator.online or annotator.absent or self.now >= annotator.expires:
                reason = "not_online"
            elif annotator.paused or self.paused:
                reason = "paused"
            elif len(annotator.live) >= annotator.capacity:
                reason = "at_capacity"
            yield self.out(
                wire.WorkUnavailable, annotator=annotator.name, at=self.now, reason=reason,
                retry_after_s=self.market.accept_s,
            )  # fmt: skip


def _beliefs(classes: int) -> tuple[Any, Any]:
    return np.zeros(int(skill.belief_width(classes)), np.float32), np.zeros(max(classes, 2), np.float32)


class Oracle:
    """One partition."""

    def __init__(self, partition: int, market: Market, partitions: int) -> None:
        self.partition, self.market, self.partitions = partition, market, partitions
        self.books: dict[str, Book] = {}
        self.now, self.number = 0.0, 0
        self.rejected: dict[tuple[str, int], str] = {}

    def round(
        self,
        tasks: Any,
        annotators: Any,
        now: float,
        complete_until: float,
        offered: list[tuple[str, str, str]],
    ) -> Said:
        """Follow a round in which the market offered these (pool, task, annotator), in order."""
        self.now, self.number, self.rejected = max(now, self.now), self.number + 1, {}
        for topic, given in ((topics.TASKS, tasks), (topics.ANNOTATORS, annotators)):
            for record in given.records if given else ():
                self.take(topic, record)
        horizon = min(self.now, complete_until)
        outputs: dict[str, list[Any]] = defaultdict(list)
        index = 0
        for name, book in sorted(self.books.items()):
            closed = book.advance(horizon)
            outputs[topics.ASSIGNMENTS] += book.assignments
            outputs[topics.JUDGMENTS] += book.judgments
            outputs[topics.CONSENSUS] += book.blocked + book.consensus()
            for task in closed:
                book.close(task)
            for pool, task_name, to in offered:
                if pool == name:
                    assignment = f"{self.partition}-{self.number}-{index}"
                    outputs[topics.ASSIGNMENTS].append(book.offer(task_name, to, assignment))
                    index += 1
            outputs[topics.ASSIGNMENTS] += book.unavailable()
            book.clear()
        return Said({topic: list(map(wire.encode, found)) for topic, found in outputs.items()}, self.rejected)

    def take(self, topic: str, record: Any) -> None:
        try:
            event = self.usable(record)
            book = self.books.setdefault(event.pool, Book(event.pool, self))
            self.apply(book, topic, record.offset, event)
        except Rejection as reason:
            self.rejected[topic, record.offset] = str(reason)

    def usable(self, record: Any) -> Any:
        if record.key is None:
            raise Rejection("wrong_key")
        if partition_of(record.key, self.partitions) != self.partition:
            raise Rejection("wrong_partition")
        try:
            event = wire.decode(record.value or b"")
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise Rejection("malformed") from None
        if event.pool.encode() != record.key:
            raise Rejection("wrong_key")
        if event.at > self.now + self.market.clock_ahead_s:
            raise Rejection("clock")
        if len(event.pool.encode()) > wire.ID_BYTES or "\0" in event.pool:
            raise Rejection("malformed")
        if isinstance(event, wire.NOT_SUPPORTED_YET):
            raise Rejection("not_supported_yet")
        return event

    def apply(self, book: Book, topic: str, offset: int, event: Any) -> None:
        """Apply one event; a `Rejection` of it is noted, never raised for an event that waited."""
        try:
            self._apply(book, topic, offset, event)
        except Rejection as reason:
            self.rejected[topic, offset] = str(reason)

    def _apply(self, book: Book, topic: str, offset: int, event: Any) -> None:
        task = None
        if hasattr(event, "task") and not isinstance(event, wire.TaskCreated):
            task = book.tasks.get(event.task)
            if task is None:
                if event.task in book.gone:
                    raise Rejection("too_old")
                until = self.now + self.market.reference_wait_s
                book.waiting.setdefault(event.task, []).append(Waiting(topic, offset, event, until))
                return
        annotator = book.annotator(event.annotator) if hasattr(event, "annotator") else None
        quiet = (wire.AnnotatorSet, wire.AnnotatorPaused, wire.AnnotatorOffline)
        if annotator is not None and not isinstance(event, quiet):
            annotator.missed, annotator.absent = 0, False
        match event, task, annotator:
            case (wire.TaskCreated(), _, _):
                book.created(event)
            case (wire.ProjectSet(), _, _):
                book.project_set(event)
            case (wire.PoolPaused() | wire.PoolResumed(), _, _):
                book.pool_set(event)
            case (wire.TaskUpdated(), Task(), _):
                book.updated(task, event)
            case (wire.TaskCancelled(), Task(), _):
                book.settle(task, "cancelled", "cancel")
            case (wire.TruthSet(), Task(), _):
                book.truth(task, event)
            case (wire.AnnotatorSet(), _, Annotator()):
                if event.at >= annotator.profile_at:
                    annotator.profile, annotator.profile_at = event, event.at
            case (wire.AnnotatorOnline(), _, Annotator()):
                book.online(annotator, event)
            case (wire.AnnotatorPaused() | wire.AnnotatorOffline(), _, Annotator()):
                book.presence(annotator, event)
            case (wire.WorkRequested(), _, Annotator()):
                book.requested(annotator, event)
            case (_, Task(), Annotator()) if "judgment" in type(event).__struct_config__.tag:
                book.judged(task, annotator, event, topic, offset)
            case (_, Task(), Annotator()):
                book.respond(task, annotator, event)
