"""What events about tasks, projects, pools and people bring about in the oracle, and what time does."""

from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from kernels import skill
from stream import events as wire
from tests.core.book import EVERYONE, INF, PERSON, Annotator, Project, Rejection, Session, Task, fresh
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
            frozenset(event.exclude), pick("priority", 0), pick("value", 1.0),
            pick("expected_s", None) or self.law.expected_s, event.at, event.purpose,
            -1 if event.label is None else event.label, *_beliefs(classes),
        )  # fmt: skip
        task.ref, task.ref_at = event.ref or None, event.at
        if not task.is_work and project.row < 0:
            rows = {other.row for other in self.projects.values()}
            project.row = min(set(range(len(rows) + 1)) - rows)
        task.due = min(task.deadline, project.deadline)
        task.said = dict.fromkeys(
            ("overlap", "max_overlap", "confidence", "priority", "value", "deadline", "expected_s", "lease_s",
             "requires", "min_skill", "only", "exclude"),
            event.at - 1e-6,
        )  # fmt: skip
        if classes:
            self.evidence.call(skill.refresh, task, 0, at=event.at)
        if project.state == "closed":
            self.settle(task, "cancelled", "cancel")
        self.arrived(event.task)

    def updated(self, task: Task, event: wire.TaskUpdated) -> None:
        at = min(event.at, self.now)
        names = (
            "overlap", "max_overlap", "confidence", "priority", "value", "deadline", "expected_s", "lease_s",
            "requires", "min_skill", "only", "exclude",
        )  # fmt: skip
        new: dict[str, Any] = {name: getattr(event, name) for name in names if getattr(event, name) is not UNSET}
        new = {name: frozenset(value) if isinstance(value, tuple) else value for name, value in new.items()}
        now = {name: task.most if name == "max_overlap" else getattr(task, name) for name in names}
        before = dict(task.said)
        counts = fresh(task.said, new, now, at)
        if not counts:
            self.ignored += ["task_updated"] if new else []
            return
        try:
            self.change(task, counts)
        except Rejection:
            task.said = before
            raise

    def change(self, task: Task, new: dict[str, Any]) -> None:
        overlap, confidence = task.overlap, task.confidence
        most, before = task.most, (task.overlap, task.most, task.confidence)
        if task.is_work:
            overlap, confidence = new.get("overlap", overlap), new.get("confidence", confidence)
            asks = task.classes > 0 and confidence is not None
            is_open_ended = asks or overlap == 0
            if "max_overlap" in new:
                most = most_of(overlap, new["max_overlap"], asks)
                if most < overlap:
                    raise Rejection("invalid")
            elif {"overlap", "confidence"}.isdisjoint(new):
                pass
            elif is_open_ended and (task.asks_confidence or task.overlap == 0):
                most = max(most, overlap)
            else:
                most = most_of(overlap, None, asks)
        for name in ("only", "exclude"):
            self.check(*new.get(name, ()))
        task.overlap, task.most, task.confidence = overlap, most, confidence
        if "deadline" in new:
            task.deadline = INF if new["deadline"] is None else new["deadline"]
        if "lease_s" in new:
            task.lease_s = new["lease_s"] or self.law.lease_s
        if "expected_s" in new:
            task.expected_s = new["expected_s"] or self.law.expected_s
        for name in ("min_skill", "priority", "value", "requires", "only", "exclude"):
            if name in new:
                setattr(task, name, new[name])
        for person in (*new.get("only", ()), *new.get("exclude", ())):
            self.annotator(person)
        had_enough = task.outcome in ("consensus", "complete", "exhausted", "budget")
        wants_more = before != (overlap, most, confidence) and task.project.state != "closed"
        if wants_more and had_enough and task.counted < task.need:
            self.reopen(task)
        if task.state == "open":
            task.due = min(task.deadline, task.project.deadline)
            self.drop_unkept(task)
        self.review(task)

    def reopen(self, task: Task) -> None:
        if task in self.settled:
            self.settled.remove(task)
        task.state, task.outcome, task.label, task.settled_at = "open", "", None, INF
        task.due = min(task.deadline, task.project.deadline)

    def referred(self, task: Task, event: wire.TaskUpdated) -> None:
        if event.ref is not UNSET and (event.at, event.ref or "") > (task.ref_at, task.ref or ""):
            task.ref, task.ref_at = event.ref or None, event.at

    def truth(self, task: Task, event: wire.TruthSet) -> None:
        if event.label >= task.classes:
            raise Rejection("invalid")
        if not fresh(task.said, {"truth": event.label}, {"truth": task.truth}, min(event.at, self.now)):
            self.ignored.append("truth_set")
            return
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
        names = "skills", "attributes", "grants", "cost", "kind"
        known = annotator.profile or wire.AnnotatorSet(
            pool=self.name, at=0, annotator=annotator.name, skills=(), attributes=(), grants=(), cost=0.0, kind="human"
        )
        new: dict[str, Any] = {name: getattr(event, name) for name in names if getattr(event, name) is not UNSET}
        sets: dict[str, Any] = {name: frozenset(v) if isinstance(v, tuple) else v for name, v in new.items()}
        now: dict[str, Any] = {name: getattr(known, name) for name in names}
        now = {name: frozenset(v) if isinstance(v, tuple) else v for name, v in now.items()}
        counts = fresh(annotator.said, sets, now, min(event.at, self.now))
        if counts or annotator.profile is None:
            annotator.profile = msgspec.structs.replace(known, **{name: new[name] for name in counts})
            self.keep_to_rules(annotator)
        else:
            self.ignored.append("annotator_set")
        self.arrived(PERSON + annotator.name)

    def project_set(self, event: wire.ProjectSet) -> None:
        project = self.project(event.project)
        plain = "state", "weight", "budget", "max_per_annotator", "gold_rate", "deadline", "labels", "note"
        presets = wire.TaskDefaults.__struct_fields__
        known: Any = project.set or wire.ProjectSet(
            pool=self.name, at=0, project=project.name, state="active", weight=1.0, budget=None, max_per_annotator=None,
            gold_rate=0.02, deadline=None, defaults=wire.TaskDefaults(), labels=None, note=None,
        )  # fmt: skip
        new: dict[str, Any] = {name: getattr(event, name) for name in plain if getattr(event, name) is not UNSET}
        new = {name: value or None if name in ("labels", "note") else value for name, value in new.items()}
        if event.defaults is not UNSET:
            given = event.defaults or wire.TaskDefaults()
            stated = {name: getattr(given, name) for name in presets}
            if given.requires is not UNSET:
                stated["requires"] = tuple(dict.fromkeys(given.requires))
            new |= {f"of {name}": v for name, v in stated.items() if v is not UNSET or event.defaults is None}
        now = {name: getattr(known, name) for name in plain}
        now |= {f"of {name}": getattr(known.defaults, name) for name in presets}
        counts = fresh(project.said, new, now, min(event.at, self.now))
        if not counts:
            self.ignored.append("project_set")
            if new or project.said:
                return
        changed = {name: counts[f"of {name}"] for name in presets if f"of {name}" in counts}
        defaults = msgspec.structs.replace(known.defaults, **changed)
        rest = {name: counts[name] for name in plain if name in counts}
        project.set = msgspec.structs.replace(known, defaults=defaults, **rest)
        self.follow(project, counts)

    def follow(self, project: Project, counts: dict[str, Any]) -> None:
        """A project's tasks follow what is said of it."""
        now = project.set
        project.is_limited = project.is_limited or counts.get("max_per_annotator") is not None
        for task in self.slots:
            if task.project is project and task.outcome == "budget" and now.state != "closed" and (
                now.budget is None or project.counted + project.live < now.budget
            ):
                self.reopen(task)
            if task.state != "open" or task.project is not project:
                continue
            task.due = min(task.deadline, project.deadline)
            if now.state == "closed":
                self.settle(task, "cancelled", "cancel")
                continue
            if now.state == "paused":
                self.withdraw(task, "pause")
            self.drop_unkept(task)
            self.review(task)
        if now.budget is not None:
            for task in reversed(list(self.slots)):
                offered = len(task.having("offered")) if task.project is project else 0
                over = project.counted + project.live - now.budget
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
        at = min(event.at, self.now)
        if at <= annotator.asked_at:
            self.ignored.append("work_requested")
            return
        annotator.asked_at = at
        annotator.asked += event.count
        annotator.projects = event.projects
        if annotator not in self.asked:
            self.asked.append(annotator)

    def respond(self, task: Task, annotator: Annotator, event: Any) -> None:
        pair, kind = task.pairs.get(annotator.name), str(type(event).__struct_config__.tag)
        if pair is None or pair.state not in ("offered", "leased"):
            self.ignored.append(kind)
            return
        at = min(event.at, self.now)
        is_other = event.assignment is not None and event.assignment.split("-")[1:] != pair.assignment.split("-")[1:]
        if is_other or at < pair.answered[0] or (at, kind) == pair.answered:
            self.ignored.append(kind)
            return
        pair.answered = at, kind
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
