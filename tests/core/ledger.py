"""One pool of the oracle: its entities, how work ends, how tasks settle, what becomes of judgments."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from kernels import skill
from stream import events as wire
from tests.core.book import (
    BOUNDS,
    INF,
    Annotator,
    Evidence,
    Law,
    Pair,
    Project,
    Rejection,
    Slots,
    Task,
    Waiting,
    order,
)

REVISITS, PROBES = 1, 16


class Ledger:
    """One pool."""

    def __init__(self, name: str, oracle: Any) -> None:
        self.name, self.oracle = name, oracle
        self.law = Law({setting: getattr(oracle.market, setting) for setting in BOUNDS})
        self.is_told = False  # what it runs by
        self.evidence = Evidence()
        self.slots = Slots()
        self.tasks: dict[str, Task] = {}
        self.annotators: dict[str, Annotator] = {}
        self.projects: dict[str, Project] = {}
        self.waiting: dict[str, list[Waiting]] = {}
        self.gone: dict[str, float] = {}
        self.paused, self.changed_at = False, 0.0
        self.note: tuple[float, str] | None = None
        self.revisited = 0
        self.given: set[str] = set()  # who got a task of known answer in this round
        self.bars: dict[tuple[str, str, int], float] = {}
        self.people = 0  # ever known, erased ones included
        self.clear()

    def clear(self) -> None:
        self.assignments: list[Any] = []
        self.judgments: list[Any] = []
        self.news: list[tuple[Task, Annotator | None, float]] = []  # a drift, or a block (of nobody)
        self.settled: list[Task] = []
        self.changed: list[Task] = []
        self.asked: list[Annotator] = []
        self.short: list[tuple[str, int, int]] = []
        self.ignored: list[str] = []  # types of events that change nothing
        self.rejected: dict[tuple[str, int], str] = {}
        self.began = self.law.told()

    @property
    def now(self) -> float:
        return self.oracle.now

    @property
    def is_empty(self) -> bool:
        """Does it say nothing that a pool nobody has heard of doesn't?"""
        said = self.tasks or self.waiting or self.gone or self.paused or self.changed_at or self.law.since
        if said or self.note or self.evidence.columns.used[1]:
            return False
        known = any(not one.is_unheard_of for one in self.projects.values())
        return not known and all(one.is_unknown for one in self.annotators.values())

    def forget(self) -> None:
        """What annotators have in a closed project is over when none of its tasks is left."""
        for project in self.projects.values():
            if project.state == "closed" and not any(task.project is project for task in self.tasks.values()):
                project.row, project.is_limited = -1, False
                project.credit.clear()
                project.closed.clear()

    def check(self, *names: str) -> None:
        if any(len(name.encode()) > wire.ID_BYTES for name in names):
            raise Rejection("malformed")

    def check_judgment(self, task: Task | None, event: Any) -> None:
        """Refuse a judgment or a score that can't be meant; before anybody is known by it or a sign of life is seen."""
        self.check(event.annotator, getattr(event, "session", None) or "")
        labelled = isinstance(event, (wire.JudgmentSubmitted, wire.JudgmentCorrected))
        classes = None if task is None else task.classes
        if classes is not None and labelled and (event.label is None) != (not classes):
            raise Rejection("invalid")
        if classes is not None and labelled and (event.label or 0) >= max(classes, 1):
            raise Rejection("invalid")
        if task is not None and isinstance(event, wire.JudgmentScored):
            pair = task.pairs.get(event.annotator)
            if task.classes or pair is None or pair.state not in ("judged", "voided"):
                raise Rejection("invalid")
        if isinstance(event, wire.SkillSeeded):
            self.check(event.skill)

    def annotator(self, name: str) -> Annotator:
        if name not in self.annotators:
            self.check(name)
            self.annotators[name] = Annotator(name, self.people)
            self.people += 1
        return self.annotators[name]

    def project(self, name: str) -> Project:
        if name not in self.projects:
            self.check(name)
            self.projects[name] = Project(name)
        return self.projects[name]

    def wait(self, waits: Waiting, what: str = "") -> None:
        """The event's task is not there yet, or nobody has described its person. They leave in their order."""
        task = what or waits.event.task
        if task in self.gone:
            raise Rejection("too_old")
        others = self.waiting.get(task, [])
        if others and sum(other.size for other in others) + waits.size > 65536:
            raise Rejection("too_many_waiting")
        until = max(other.until for other in [waits, *others])
        self.waiting.setdefault(task, []).append(waits._replace(until=until))

    def is_by_nobody(self, event: Any) -> bool:
        """A judgment by somebody whom nobody has described; past work may be."""
        judgment = (wire.JudgmentSubmitted, wire.JudgmentCorrected, wire.JudgmentRetracted)
        if not isinstance(event, judgment) or getattr(event, "origin", "live") == "import":
            return False
        person = self.annotators.get(event.annotator)
        return person is None or person.profile is None

    def arrived(self, what: str) -> None:
        """What events have waited for is there."""
        size = self.oracle.size
        for waits in self.waiting.pop(what, []):
            self.oracle.size = waits.size
            self.oracle.apply(self, waits.topic, waits.offset, waits.event)
        self.oracle.size = size

    def out(self, kind: Any, **fields: Any) -> Any:
        return kind(pool=self.name, partition=self.oracle.partition, round=self.oracle.number, **fields)

    def end(self, task: Task, pair: Pair, state: str, outcome: str, cause: str | None = None) -> None:
        pair.state, pair.due = state, INF
        pair.annotator.live.remove((task, pair))
        task.project.live -= 1
        if pair.paid and outcome != "submitted":
            self.add_credit(task.project, pair.annotator, pair.paid / 256.0)
            pair.paid = 0
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
        task.settled_at = self.now
        task.due = self.now + self.law.settled_retention_s
        self.withdraw(task, cause)
        self.settled.append(task)

    def review(self, task: Task) -> None:
        if task.state != "open":
            return
        if task.counted >= task.need:
            outcome = "consensus" if task.is_sure else "complete"
            if not task.is_sure and (task.asks_confidence or task.most > task.overlap):
                outcome = "exhausted"
            self.settle(task, outcome, "met_need")
            return
        self.withdraw(task, "met_need", max(0, task.counted + task.live - task.need))

    def tell(self, task: Task) -> None:
        if task.is_work and task not in self.changed:
            self.changed.append(task)

    def revisit(self, task: Task, at: float) -> None:
        used, done = len(self.slots.tasks), 0
        for _ in range(min(PROBES, used)):
            if done == REVISITS:
                break
            other = self.slots.tasks[self.revisited % used]
            self.revisited = self.revisited % used + 1
            if other is None or other is task or other.state != "open" or not other.counted or not other.is_work:
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
        self.earn(task, pair.annotator)
        if task.classes:
            columns = self.evidence.columns
            seat = int(skill.seat(columns, task.model, pair.annotator.slot))
            alarms = skill.alarms(columns, seat)
            n = self.evidence.gather(task, pair)
            self.evidence.call(skill.learn, task, n, 1, at=at)
            pair.stamp = int(self.evidence.stamps[n - 1])
            if skill.alarms(columns, seat) > alarms:
                self.news.append((task, pair.annotator, float(skill.drift(columns, seat))))
            self.tell(task)
            if task.state == "open":
                self.revisit(task, at)
        self.review(task)

    def rate(self, task: Task, annotator: Annotator) -> float:
        """The share of an annotator's work in the project that should teach about them."""
        columns, stated = self.evidence.columns, task.project.gold_rate
        seat = int(columns.seat_of[task.model, annotator.slot])
        raised = min(6.0 / skill.sample_size(columns, task.model, seat), 1.0)
        raised += min(max(2.0 * skill.drift(columns, seat) - 1.0, 0.0), 1.0) if seat >= 0 else 0.0
        return float(min(stated * (1.0 + 9.0 * raised), max(stated, 0.5), 0.95))

    def add_credit(self, project: Project, annotator: Annotator, more: float, most: float = INF) -> None:
        credit = min(project.credit.get(annotator.name, 0.0) + more, most)
        project.credit[annotator.name] = float(np.float32(credit))

    def earn(self, task: Task, annotator: Annotator) -> None:
        if task.is_work and task.project.row >= 0 and task.project.gold_rate > 0:
            rate = self.rate(task, annotator)
            self.add_credit(task.project, annotator, rate / (1.0 - rate), 1.0 + rate / (1.0 - rate))

    def judged(self, task: Task, annotator: Annotator, event: Any, topic: str, offset: int) -> None:
        pair = task.pairs.get(annotator.name)
        state = "new" if pair is None else pair.state
        if isinstance(event, wire.JudgmentRetracted):
            self.retract(task, annotator, event, topic, offset)
            return
        source = task, annotator, event, topic, offset
        if isinstance(event, wire.JudgmentCorrected) and pair is not None and state in ("judged", "voided"):
            if state == "voided":
                self.settlement(*source, "duplicate", 0, None)
                return
            at = min(event.at, self.now)
            if (at, event.label) == (pair.said_at, pair.label):
                self.settlement(*source, "duplicate", 0, None)
                return
            if at < pair.said_at or (at == pair.said_at and order(event.label) < order(pair.label)):
                self.settlement(*source, "outdated", 0, None)
                return
            pair.said_at = at
            self.settlement(*source, "corrected", 0, pair.accepted_at)
            if pair.counted and task.classes and pair.label != event.label:
                n = self.evidence.gather(task, pair)
                self.evidence.call(skill.correct, task, n, n - 1, event.label, at=event.at)
                pair.stamp = int(self.evidence.stamps[n - 1])
                self.tell(task)
            pair.label = event.label
            self.review(task)
            self.doubt(task, annotator)
            return
        if state in ("judged", "voided"):
            self.settlement(*source, "duplicate", 0, None)
            return
        reason = None
        if pair is None:
            reason = self.why_uninvited(task, annotator, event)
            pair = task.pairs[annotator.name] = Pair(annotator)
            outcome, counts = ("unsolicited", 1) if reason is None else ("surplus", 0)
        elif state in ("offered", "leased"):
            outcome, counts = "counted", 1
            if state == "offered":
                pair.accepted_at = self.now
            self.end(task, pair, "judged", "submitted")
        else:
            reason = self.why_late(task, annotator)
            outcome, counts = "late", int(reason is None)
        pair.state, pair.label, pair.said_at = "judged", event.label, min(event.at, self.now)
        if not isinstance(event, wire.JudgmentCorrected):
            pair.said_at -= 1e-6  # a correction of the same time is newer
        self.settlement(*source, outcome, counts, pair.accepted_at, reason)
        if counts:
            self.count(task, pair, event.at)
            self.doubt(task, annotator)

    def why_late(self, task: Task, annotator: Annotator) -> str | None:
        """Why an answer that was asked for once doesn't count."""
        if task.outcome in ("cancelled", "deadline", "blocked", "budget"):
            return "closed"
        if task.counted + len(task.having("leased")) >= task.most:
            return "need"
        if not self.has_money(task):
            return "budget"
        return self.why_not(task, annotator) or self.why_unfit(task, annotator)

    def why_uninvited(self, task: Task, annotator: Annotator, event: Any) -> str | None:
        """Why an answer that nobody asked for doesn't count."""
        if task.state != "open" or task.due <= self.now:
            return "closed"
        if task.counted + len(task.having("leased")) >= task.need:
            return "need"
        if not self.has_money(task):
            return "budget"
        if (reason := self.why_not(task, annotator)) or getattr(event, "origin", "live") == "import":
            return reason
        if reason := self.why_unfit(task, annotator):
            return reason
        if self.paused or task.project.state != "active" or annotator.paused:
            return "paused"
        if annotator.where == "left":
            return "presence" if annotator.sessions else None
        return "capacity" if annotator.lives and len(annotator.live) >= annotator.capacity else None

    def why_not(self, task: Task, annotator: Annotator) -> str | None:
        raise NotImplementedError

    def why_unfit(self, task: Task, annotator: Annotator) -> str | None:
        raise NotImplementedError

    def has_money(self, task: Task) -> bool:
        raise NotImplementedError

    def doubt(self, task: Task, annotator: Annotator) -> None:
        raise NotImplementedError

    def retract(self, task: Task, annotator: Annotator, event: Any, topic: str, offset: int) -> None:
        pair = task.pairs.get(annotator.name)
        outcome, counts = "retracted", 0
        if pair is not None and pair.state == "voided":
            outcome = "duplicate"
        elif pair is not None and pair.state == "judged":
            if pair.counted:
                counts = -1
                if task.classes:
                    n = self.evidence.gather(task, pair)
                    self.evidence.call(skill.forget, task, n, n - 1, at=event.at)
                    self.tell(task)
                pair.counted = False
                task.project.counted -= 1
            self.score(task, pair, None)
            pair.state = "voided"
        self.settlement(task, annotator, event, topic, offset, outcome, counts, None)
        if counts:
            self.review(task)
            self.doubt(task, annotator)

    def scored(self, task: Task, annotator: Annotator, event: wire.JudgmentScored) -> None:
        pair = task.pairs[annotator.name]
        score = ("agreement", "metric", "reviewer").index(event.source), event.at, event.score
        if pair.state == "judged" and (pair.score is None or score[:2] >= pair.score[:2]):
            self.score(task, pair, score)

    def score(self, task: Task, pair: Pair, score: tuple[int, float, float] | None) -> None:
        """Replace the score of a judgment; None takes it back."""
        for sign, given in ((-1, pair.score), (1, score)):
            if given is not None:
                seat = skill.seat(self.evidence.columns, task.model, pair.annotator.slot)
                skill.score(self.evidence.columns, seat, given[2], sign, given[1])
        pair.score = score

    def told(self) -> Iterable[Any]:
        """What was said of people and tasks in passing, in the order of its causes."""
        for task, annotator, number in self.news:
            if annotator is None:
                yield self.out(wire.TaskBlocked, task=task.name, project=task.project.name, declines=int(number))
                continue
            columns = self.evidence.columns
            seat = int(columns.seat_of[task.model, annotator.slot])
            low, high = (float(skill.quantile(columns, task.model, seat, p)) for p in (0.05, 0.95))
            yield self.out(
                wire.SkillDrifted, annotator=annotator.name, skill=task.skill,
                mean=float(skill.mean(columns, task.model, seat)), low=low, high=high,
                judgments=float(skill.sample_size(columns, task.model, seat)), score=number,
            )  # fmt: skip

    def settlement(
        self, task: Task, annotator: Annotator, event: Any, topic: str, offset: int, outcome: str, count: int,
        accepted_at: float | None, reason: str | None = None,
    ) -> None:  # fmt: skip
        self.judgments.append(
            self.out(
                wire.JudgmentSettled, task=task.name, project=task.project.name, annotator=annotator.name,
                source=wire.Source(topic=topic, partition=self.oracle.partition, offset=offset),
                outcome=outcome, count=count, duration_s=getattr(event, "duration_s", None),
                accepted_at=accepted_at, reason=reason,
            )
        )  # fmt: skip

    def consensus(self) -> list[Any]:
        found: list[Any] = []
        for task in self.settled:
            known = task.is_work and task.classes and (task.counted or task.truth >= 0)
            task.label = task.leader(self.name) if known else None
            found.append(
                self.out(
                    wire.TaskSettled, task=task.name, project=task.project.name, outcome=task.outcome,
                    label=task.label, posterior=task.posterior if known else None, judgments=task.counted,
                    tie=bool(known) and len(task.tied) > 1,
                )
            )  # fmt: skip
        for task in self.changed:
            revised = task.state == "settled" and task not in self.settled and task.label is not None
            leader = task.leader(self.name)
            kind = wire.ConsensusRevised if revised and task.label != leader else wire.ConsensusUpdated
            if task.state == "settled" and task not in self.settled:
                task.label = leader
            found.append(
                self.out(
                    kind, task=task.name, skill=task.skill, label=leader, posterior=task.posterior,
                    judgments=task.counted, tie=len(task.tied) > 1,
                )
            )  # fmt: skip
        return found
