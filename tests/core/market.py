"""What events about tasks, projects, pools and people bring about in the oracle, and what time does."""

from typing import Any

import numpy as np
from msgspec import UNSET

from kernels import skill
from stream import events as wire
from tests.core.book import EVERYONE, INF, PERSON, Annotator, Rejection, Session, Task
from tests.core.offering import Offering


class Book(Offering):
    """A pool: events and the clock."""

    def created(self, event: wire.TaskCreated) -> None:
        if event.task in self.tasks or event.task in self.gone:
            return
        self.check(event.project)
        found = self.projects.get(event.project)
        preset = found.set.defaults if found and found.set else wire.TaskDefaults()

        def pick(name: str, otherwise: Any) -> Any:
            for source in (event, preset):
                if getattr(source, name) is not UNSET:
                    return getattr(source, name)
            return otherwise

        name, classes, confidence = pick("skill", None), pick("classes", None) or 0, pick("confidence", None)
        asks = bool(classes) and confidence is not None
        overlap = pick("overlap", 1 if asks or (found and found.budget is not None) else 3)
        most = most_of(overlap, pick("max_overlap", None), asks)
        is_known = event.purpose != "work" and classes
        if (event.label is not None) != bool(is_known) or (is_known and (event.label or 0) >= classes):
            raise Rejection("invalid")
        if event.purpose != "work":
            overlap, most, confidence = EVERYONE, EVERYONE, None
        if name is None or most < overlap:
            raise Rejection("invalid")
        self.check(name, event.task, *event.only, *event.exclude)
        project = self.project(event.project)
        for person in (*event.only, *event.exclude):
            self.annotator(person)
        model = self.evidence.model(name, classes)
        deadline = pick("deadline", None)
        slot = self.slots.take()
        task = self.slots.tasks[slot] = self.tasks[event.task] = Task(
            event.task, slot, project, name, model, classes, overlap, most, confidence,
            INF if deadline is None else deadline, pick("lease_s", None) or self.law.lease_s,
            frozenset(pick("requires", ())), pick("min_skill", None), frozenset(event.only),
            frozenset(event.exclude), event.at, pick("priority", 0), pick("value", 1.0),
            pick("expected_s", None) or self.law.expected_s, event.at, event.purpose,
            -1 if event.label is None else event.label, *_beliefs(classes),
        )  # fmt: skip
        task.ref, task.ref_at = event.ref or None, event.at
        if not task.is_work and project.row < 0:
            rows = {other.row for other in self.projects.values()}
            project.row = min(set(range(len(rows) + 1)) - rows)
        task.due = min(task.deadline, project.deadline)
        if classes:
            self.evidence.call(skill.refresh, task, 0, at=event.at)
        if project.state == "closed":
            self.settle(task, "cancelled", "cancel")
        self.arrived(event.task)

    def updated(self, task: Task, event: wire.TaskUpdated) -> None:
        if event.at < task.updated:
            return
        overlap, confidence = task.overlap, task.confidence
        most = task.most
        if task.is_work:
            overlap = overlap if event.overlap is UNSET else event.overlap
            confidence = confidence if event.confidence is UNSET else event.confidence
            asks = task.classes > 0 and confidence is not None
            is_open_ended = asks or overlap == 0
            if event.max_overlap is not UNSET:
                most = most_of(overlap, event.max_overlap, asks)
                if most < overlap:
                    raise Rejection("invalid")
            elif is_open_ended and (task.asks_confidence or task.overlap == 0):
                most = max(most, overlap)
            else:
                most = most_of(overlap, None, asks)
        for listed in (event.only, event.exclude):
            self.check(*(listed if listed is not UNSET else ()))
        task.updated, task.overlap, task.most, task.confidence = event.at, overlap, most, confidence
        if event.deadline is not UNSET:
            task.deadline = INF if event.deadline is None else event.deadline
        if event.lease_s is not UNSET:
            task.lease_s = event.lease_s or self.law.lease_s
        if event.expected_s is not UNSET:
            task.expected_s = event.expected_s or self.law.expected_s
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
            self.drop_unkept(task)
        self.review(task)

    def referred(self, task: Task, event: wire.TaskUpdated) -> None:
        if event.ref is not UNSET and (event.at, event.ref or "") > (task.ref_at, task.ref or ""):
            task.ref, task.ref_at = event.ref or None, event.at

    def truth(self, task: Task, event: wire.TruthSet) -> None:
        if event.label >= task.classes:
            raise Rejection("invalid")
        if not task.is_work:
            self.relearn(task, event)
            return
        task.truth = event.label
        self.evidence.call(skill.refresh, task, self.evidence.gather(task), at=event.at)
        self.tell(task)
        self.settle(task, "complete", "met_need")

    def relearn(self, task: Task, event: wire.TruthSet) -> None:
        before = task.truth
        for pair in reversed(task.pairs.values()):
            if pair.counted:
                task.truth = before
                self.evidence.call(skill.refresh, task, 0, at=event.at)
                task.truth = event.label
                self.evidence.alone(task, pair)
                self.evidence.call(skill.refresh, task, 1, at=event.at)
        task.truth = event.label
        self.evidence.call(skill.refresh, task, 0, at=event.at)

    def seeded(self, annotator: Annotator, event: wire.SkillSeeded) -> None:
        self.evidence.seed(annotator.slot, event)
        self.keep_to_rules(annotator)

    def described(self, annotator: Annotator, event: wire.AnnotatorSet) -> None:
        if event.at >= annotator.profile_at:
            annotator.profile, annotator.profile_at = event, event.at
            self.keep_to_rules(annotator)
            self.arrived(PERSON + annotator.name)

    def project_set(self, event: wire.ProjectSet) -> None:
        project = self.project(event.project)
        if event.at < project.at:
            return
        project.at, project.set = event.at, event
        project.is_limited = project.is_limited or event.max_per_annotator is not None
        for task in self.slots:
            if task.project is project and task.outcome == "budget" and event.state != "closed" and (
                event.budget is None or project.counted + project.live < event.budget
            ):
                task.state, task.outcome, task.label, task.settled_at = "open", "", None, INF
            if task.state != "open" or task.project is not project:
                continue
            task.due = min(task.deadline, project.deadline)
            if event.state == "closed":
                self.settle(task, "cancelled", "cancel")
                continue
            if event.state == "paused":
                self.withdraw(task, "pause")
            self.drop_unkept(task)
            self.review(task)
        if event.budget is not None:
            for task in reversed(list(self.slots)):
                offered = len(task.having("offered")) if task.project is project else 0
                over = project.counted + project.live - event.budget
                self.withdraw(task, "override", max(min(offered, over), 0))

    def settings_changed(self, event: wire.SettingsChanged) -> None:
        before = self.law.settled_retention_s, self.law.grace_s
        self.law.state(event.settings, event.at)
        if before == (self.law.settled_retention_s, self.law.grace_s):
            return
        for task in self.slots:  # counted anew from when they settled
            if task.state == "settled":
                task.due = task.settled_at + self.law.settled_retention_s

    def policies(self) -> list[tuple[str, int, dict[str, float], dict[str, float]]]:
        """What a round must say of the pool's policy: how it was born, then what it has become."""
        said = [] if self.is_told else [(self.name, *self.began)]
        self.is_told = True
        return said if self.law.told() == self.began else [*said, (self.name, *self.law.told())]

    def noted(self, event: wire.PoolSet) -> None:
        if event.note is not UNSET:
            said = event.at, event.note or ""
            self.note = said if self.note is None else max(self.note, said)

    def pool_set(self, event: wire.PoolPaused | wire.PoolResumed) -> None:
        if event.at < self.changed_at:
            return
        self.changed_at, self.paused = event.at, isinstance(event, wire.PoolPaused)
        if self.paused:
            for task in self.slots:
                self.withdraw(task, "pause")

    def session(self, annotator: Annotator, name: str) -> Session:
        """A session of theirs; named ones that have been over for an hour are forgotten first."""
        for other, session in list(annotator.sessions.items()):
            last = max(session.newest, session.expires)
            if other and not session.is_live and last + 3600.0 <= self.now:
                del annotator.sessions[other]
        return annotator.sessions.setdefault(name, Session())

    def online(self, annotator: Annotator, event: wire.AnnotatorOnline) -> None:
        session = self.session(annotator, event.session or "")
        if event.at > session.ended_at:
            until = min(event.at + event.ttl_s, INF if event.until is None else event.until)
            session.beats.add((event.at, -until))
            if event.capacity is not UNSET:
                session.capacities.add((event.at, event.capacity))
            if event.mode is not UNSET:
                session.modes.add((event.at, event.mode == "pull"))
        self.drop_oldest(annotator)
        self.settle_presence(annotator)

    def drop_oldest(self, annotator: Annotator) -> None:
        """More than twenty named ones are too many: one goes, rather one that is over."""
        named = [(one.is_live, one.newest, name) for name, one in annotator.sessions.items() if name]
        if len(named) > 20:
            del annotator.sessions[min(named)[2]]

    def settle_presence(self, annotator: Annotator) -> None:
        """Sessions have changed, and perhaps somebody is here."""
        if annotator.lives:
            if annotator.where == "left":
                self.heard(annotator)
            annotator.where, annotator.gone_at = "here", INF
            self.release(annotator, "override", annotator.capacity)

    def heard(self, annotator: Annotator) -> None:
        """An act of theirs."""
        if annotator.absent:
            self.assignments.append(self.out(wire.AnnotatorBack, annotator=annotator.name, at=self.now))
        annotator.missed, annotator.absent = 0, False

    def release(self, annotator: Annotator, cause: str, keep: int = -1) -> None:
        """Withdraw the newest unaccepted offers until at most ``keep`` works are live."""
        for task, pair in reversed(list(annotator.live)):
            if len(annotator.live) > keep and pair.state == "offered":
                self.end(task, pair, "withdrawn", "withdrawn", cause)

    def offline(self, annotator: Annotator, event: wire.AnnotatorOffline) -> None:
        session = self.session(annotator, event.session or "")
        was_begun = session.is_begun
        session.ended_at = max(event.at, session.ended_at)
        self.drop_oldest(annotator)
        self.settle_presence(annotator)
        if was_begun and not session.is_begun and not annotator.lives and annotator.where != "left":
            self.release(annotator, "absence")
            annotator.where = "left"
            if annotator.live:
                annotator.gone_at = self.now

    def pause(self, annotator: Annotator, at: float, until: float) -> None:
        is_longer = not annotator.paused or until > annotator.break_until
        if at > annotator.break_at or (at == annotator.break_at and is_longer):
            annotator.break_at, annotator.break_until, annotator.paused = at, until, until > self.now
            if annotator.paused:
                self.release(annotator, "pause")

    def resume(self, annotator: Annotator, at: float) -> None:
        if at > annotator.break_at:
            annotator.break_at, annotator.break_until, annotator.paused = at, INF, False

    def erased(self, name: str) -> None:
        for task_name, waiting in list(self.waiting.items()):
            gone = [waits for waits in waiting if name in named(waits.event)]
            self.oracle.rejected.update({(waits.topic, waits.offset): "erased" for waits in gone})
            self.waiting[task_name] = [waits for waits in waiting if waits not in gone]
            if not self.waiting[task_name]:
                del self.waiting[task_name]
        annotator = self.annotators.pop(name, None)
        if annotator is None:
            return
        for task, pair in reversed(list(annotator.live)):
            self.end(task, pair, "withdrawn", "withdrawn", "erased")
            self.review(task)
        if annotator in self.asked:
            self.asked.remove(annotator)
        nobody = f"\0{annotator.slot}"  # no id has so few letters and a NUL in these histories

        def renamed(people: frozenset[str]) -> frozenset[str]:
            return frozenset(nobody if person == name else person for person in people)

        for task in self.tasks.values():
            task.pairs = {nobody if who == name else who: pair for who, pair in task.pairs.items()}
            task.only, task.exclude = renamed(task.only), renamed(task.exclude)
        for project in self.projects.values():
            project.closed.pop(name, None)
            project.credit.pop(name, None)

    def requested(self, annotator: Annotator, event: wire.WorkRequested) -> None:
        annotator.asked += event.count
        annotator.projects = event.projects
        if annotator not in self.asked:
            self.asked.append(annotator)

    def respond(self, task: Task, annotator: Annotator, event: Any) -> None:
        pair = task.pairs.get(annotator.name)
        if pair is None or pair.state not in ("offered", "leased"):
            return
        pair.expiries = 0
        if isinstance(event, wire.AssignmentDeclined):
            is_break = event.reason == "break"
            self.end(task, pair, "withdrawn" if is_break else "refused", "declined")
            if is_break:
                self.pause(annotator, event.at, INF)
            task.faults += event.reason in ("broken", "unclear")
            if task.faults >= self.law.block_declines and task.state == "open":
                self.news.append((task, None, task.faults))
                self.settle(task, "blocked", "cancel")
            return
        if isinstance(event, wire.AssignmentAccepted) and pair.state == "offered":
            pair.state, pair.accepted_at, pair.due = "leased", self.now, self.now + task.lease_s
        elif (
            isinstance(event, wire.AssignmentExtended)
            and pair.state == "leased"
            and pair.extensions < self.law.max_extensions
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

    def advance(self, horizon: float) -> list[Task]:
        """Let everything expire that is due; return the tasks whose books close."""
        fewer = []
        for annotator in self.annotators.values():
            over = [(task, pair) for task, pair in reversed(annotator.live) if pair.due <= horizon]
            for task, pair in over:
                if pair.state == "offered":
                    self.end(task, pair, "lapsed", "expired")
                    pair.expiries += 1
                    pair.barred_until = self.now + pair.expiries * self.law.accept_s
                elif pair.state == "leased":
                    self.end(task, pair, "abandoned", "abandoned")
            if over:
                annotator.missed += 1
                if annotator.missed >= self.law.missed_offers and not annotator.absent:
                    annotator.absent = True
                    away = self.out(wire.AnnotatorAway, annotator=annotator.name, at=self.now, missed=annotator.missed)
                    self.assignments.append(away)
            if annotator.absent:
                self.release(annotator, "absence")
            if annotator.paused and annotator.break_until <= horizon:
                annotator.paused, annotator.break_until = False, INF
            late = [session for session in annotator.lives if session.expires <= horizon]
            for session in late:
                session.lapsed.add(session.beat)
            if late and annotator.lives:
                fewer.append(annotator)
            elif late:
                annotator.where = "lapsed"
                self.release(annotator, "absence")
            if annotator.gone_at + self.law.grace_s <= horizon:
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
        for annotator in fewer:
            self.release(annotator, "override", annotator.capacity)
        for name, waiting in list(self.waiting.items()):
            for waits in waiting:
                if waits.until <= horizon:
                    reason = "unknown_annotator" if name.startswith(PERSON) else "unknown_task"
                    self.oracle.rejected[waits.topic, waits.offset] = reason
            self.waiting[name] = [waits for waits in waiting if waits.until > horizon]
            if not self.waiting[name]:
                del self.waiting[name]
        self.gone = {name: until for name, until in self.gone.items() if until > horizon}
        return closed

    def look_at_budgets(self) -> None:
        """Projects whose budget is less than what they have promised say so; where it is spent, tasks end."""
        for project in self.projects.values():
            if project.budget is None:
                project.short = None
                continue
            tasks = [task for task in self.slots if task.project is project]
            promised = project.counted + sum(task.owes for task in tasks)
            if promised <= project.budget:
                project.short = None
            elif project.short != project.budget:
                project.short = project.budget
                self.short.append((project.name, promised, project.budget))
            if project.counted >= project.budget and not project.live:
                for task in tasks:
                    if task.is_work:
                        self.settle(task, "budget", "met_need")
                if project.counted <= project.budget and promised > project.counted:
                    project.short = None

    def close(self, task: Task) -> None:
        del self.tasks[task.name]
        self.slots.release(task.slot)
        if task.project.is_limited:
            task.project.closed.update(name for name, pair in task.pairs.items() if pair.counted)
        # ids are forgotten in the order in which their tasks left
        self.gone[task.name] = max([self.now + self.law.settled_retention_s, *self.gone.values()])


def most_of(overlap: int, stated: int | None, asks: bool) -> int:
    """The most judgments a task may get."""
    if overlap > 0 and not asks:
        return overlap
    return max(overlap, 10) if stated is None else stated


def named(event: Any) -> set[str]:
    """Annotators that an event speaks of."""
    lists = (getattr(event, field, ()) for field in ("only", "exclude", "void"))
    listed = {name for names in lists if names is not UNSET for name in names}
    return listed | {getattr(event, "annotator", "")}


def _beliefs(classes: int) -> tuple[Any, Any]:
    return np.zeros(int(skill.belief_width(classes)), np.float32), np.zeros(max(classes, 2), np.float32)
