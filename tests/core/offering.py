"""What the oracle says about offers: what forbids one, what a pair is worth, who got less than asked."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from kernels import skill
from kernels.hashing import mix
from stream import events as wire
from tests.core.book import Annotator, Pair, Project, Task
from tests.core.ledger import Ledger


class Offering(Ledger):
    """A pool that takes offers."""

    def offer(self, name: str, to: str, assignment: str) -> wire.AssignmentOffered:
        """Make an offer that the market chose, if no rule forbids it."""
        task, annotator = self.tasks[name], self.annotators[to]
        assert not (broken := self.forbids(task, annotator)), (assignment, broken)
        paid = 0
        if not task.is_work:
            self.given.add(to)
            if self.is_due(task.project, annotator):
                paid = 128 + int(mix(self.oracle.seed, annotator.slot)) % 256
                self.add_credit(task.project, annotator, -paid / 256.0)
        pair = task.pairs.pop(to, None) or Pair(annotator)
        task.pairs[to] = pair
        pair.state, pair.assignment, pair.due = "offered", assignment, self.now + self.law.accept_s
        pair.extensions, pair.accepted_at, pair.paid = 0, None, paid
        annotator.live.append((task, pair))
        annotator.asked -= annotator.asked > 0
        task.project.live += 1
        return self.out(
            wire.AssignmentOffered, assignment=assignment, task=name, project=task.project.name,
            skill=task.skill, annotator=to, at=self.now, accept_by=pair.due, lease_s=task.lease_s,
            ref=task.ref,
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
            "barred": pair is not None and pair.barred_until > self.now,
            "asked": annotator.mode == "pull"
            and bool(annotator.projects)
            and project.name not in annotator.projects,
            "min_skill": task.is_work and not self.is_able(task, annotator),
            "known": not task.is_work and not self.is_wanted(task, annotator),
        }
        if limits is not None and limits.budget is not None:
            rules["budget"] = project.counted + project.live >= limits.budget
        if limits is not None and limits.max_per_annotator is not None:
            rules["share"] = self.share(project, annotator) >= limits.max_per_annotator
        return [name for name, is_broken in rules.items() if is_broken]

    def is_contained(self, task: Task, annotator: Annotator) -> bool:
        """Is the annotator not worth asking, by the task's model?"""
        columns, m = self.evidence.columns, np.int64(task.model)
        seat = np.int64(columns.seat_of[task.model, annotator.slot])
        able, usual = skill.ability(columns, m, seat), skill.typical(columns, m)
        return bool(skill.contained(columns, m, seat, able, usual, self.law.least_ability))

    def may_cover(self, task: Task, annotator: Annotator) -> bool:
        """May the annotator fill a promise of the task, if there is money for it?"""
        if set(self.forbids(task, annotator)) - {"budget"}:
            return False
        returns = task.overlap > 1 and int(mix(task.slot, annotator.slot)) % 32 == 0
        return returns or not self.is_contained(task, annotator)

    def why_not(self, task: Task, annotator: Annotator) -> str | None:
        """Which rule of the two keeps an answer from counting that nobody asked for."""
        if (task.only and annotator.name not in task.only) or annotator.name in task.exclude:
            return "list"
        most = None if task.project.set is None else task.project.set.max_per_annotator
        return "limit" if most is not None and self.share(task.project, annotator) >= most else None

    def why_unfit(self, task: Task, annotator: Annotator) -> str | None:
        """What the person lacks for the task."""
        profile = annotator.profile
        skills, attributes = (profile.skills, profile.attributes) if profile else ((), ())
        if not {task.skill, "*"} & set(skills) or not task.requires <= set(attributes):
            return "profile"
        return None if not task.is_work or self.is_able(task, annotator) else "min_skill"

    def has_money(self, task: Task) -> bool:
        """Is there money for one more judgment, if an offer that it pushes out gives its own back?"""
        budget = task.project.budget
        used = task.project.counted + task.project.live
        pushes = task.state == "open" and bool(task.having("offered")) and task.counted + task.live >= task.need
        return budget is None or used - pushes < budget

    def is_kept(self, task: Task, annotator: Annotator) -> bool:
        """Would an offer that the two have still be made, as far as people's rules go?"""
        limits = task.project.set
        most = None if limits is None else limits.max_per_annotator
        within = most is None or self.share(task.project, annotator) <= most
        listed = (not task.only or annotator.name in task.only) and annotator.name not in task.exclude
        return within and listed and self.why_unfit(task, annotator) is None

    def drop_unkept(self, task: Task) -> None:
        """Offers of the task that would no longer be made end."""
        for pair in task.having("offered"):
            if not self.is_kept(task, pair.annotator):
                self.end(task, pair, "withdrawn", "withdrawn", "override")

    def keep_to_rules(self, annotator: Annotator) -> None:
        """Offers of the annotator that would no longer be made end."""
        for task, pair in reversed(list(annotator.live)):
            if pair.state == "offered" and not self.is_kept(task, annotator):
                self.end(task, pair, "withdrawn", "withdrawn", "override")

    def doubt(self, task: Task, annotator: Annotator) -> None:
        """What was learned may have made people unfit for what they are offered."""
        judges = [pair.annotator for pair in reversed(task.pairs.values()) if pair.counted] if task.is_work else []
        for person in (annotator, *judges):
            for other, pair in reversed(list(person.live)):
                if pair.state == "offered" and other.is_work and not self.is_able(other, person):
                    self.end(other, pair, "withdrawn", "withdrawn", "override")

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

    def asked_for(self) -> dict[tuple[str, str, int], float]:
        """The least skill that open work asks for, by project and model."""
        bars: dict[tuple[str, str, int], float] = {}
        for task in self.tasks.values():
            is_open = task.state == "open" and task.project.state == "active" and task.due > self.now
            if is_open and task.is_work and task.min_skill is not None and task.counted + task.live < task.need:
                beside = task.project.name, task.skill, task.classes
                bars[beside] = min(bars.get(beside, 1.0), task.min_skill)
        return bars

    def is_due(self, project: Project, annotator: Annotator) -> bool:
        phase = (int(mix(project.row + 1, annotator.slot)) >> 40) / 2**24
        return project.gold_rate > 0 and project.credit.get(annotator.name, 0.0) + phase >= 1.0

    def is_wanted(self, task: Task, annotator: Annotator) -> bool:
        """May this task of known answer be given: is it due, or does it examine for the work beside it?"""
        if annotator.name in self.given or task.project.gold_rate <= 0:
            return False
        if self.is_due(task.project, annotator):
            return True
        bar = self.bars.get((task.project.name, task.skill, task.classes))
        if bar is None or (annotator.profile and task.skill in annotator.profile.grants):
            return False
        columns = self.evidence.columns
        seat = int(columns.seat_of[task.model, annotator.slot])
        sure = skill.at_least(columns, task.model, seat, bar)
        few = seat < 0 or columns.seats[seat]["judgments"] < 10
        return bool(sure < 0.8 and (few or sure > 0.02))

    def value(self, task: Task, annotator: Annotator) -> float:
        """What the annotator's next judgment on the task is worth now, see ``kernels/valuation.py``."""
        columns, project = self.evidence.columns, task.project.set
        if not task.is_work:
            seat = int(columns.seat_of[task.model, annotator.slot])
            lesson = skill.lesson(columns, task.model, seat) / self.rate(task, annotator)
            return float(task.value * (project.weight if project else 1.0) * 2.0**task.priority * lesson)
        weight = task.value * (project.weight if project else 1.0) * 2.0**task.priority
        left = min(task.deadline, task.project.deadline) - self.now
        weight *= 2.0 - max(left, 0.0) / 3600.0 if left < 3600.0 else 1.0
        weight *= 1.0 + 0.1 * min(max(self.now - task.created, 0.0) / 3600.0, 1.0)
        weight /= 1.0 + task.live
        seat = int(columns.seat_of[task.model, annotator.slot])
        information, accuracy = 0.0, 0.0
        if task.classes:
            information, accuracy = skill.gain(columns, task.model, seat, task.reported)
        ability = skill.ability(columns, task.model, seat)
        weight *= self.trust(task, annotator, seat, ability)
        covers = not task.classes or task.counted + task.live < task.overlap
        cost = annotator.profile.cost if annotator.profile else 0.0
        gained = weight * (information + accuracy + (0.25 * ability if covers else 0.0))
        return float(gained - self.law.judgment_cost - cost * task.expected_s / 3600.0)

    def trust(self, task: Task, annotator: Annotator, seat: int, ability: float) -> float:
        """1; half on a task nobody has judged, for whom much is unchecked, but where there is a budget; 0 for who is
        contained, see there."""
        columns, m = self.evidence.columns, np.int64(task.model)
        least = self.law.least_ability
        if skill.contained(columns, m, np.int64(seat), ability, skill.typical(columns, m), least):
            last_hour = min(task.deadline, task.project.deadline) - self.now < 3600.0
            return 1.0 if last_hour or int(mix(task.slot, annotator.slot)) % 32 == 0 else 0.0
        limits = task.project.set
        has_budget = limits is not None and limits.budget is not None
        unchecked = skill.unchecked(columns, np.int64(seat)) > 3.0
        return 0.5 if unchecked and not has_budget and not task.counted and task.most > 1 else 1.0

    def unavailable(self) -> Iterable[Any]:
        for annotator in self.asked:
            left, annotator.asked, annotator.projects = annotator.asked, 0, ()
            if not left:
                continue
            reason = "no_matching_task"
            if not annotator.is_there(self.now):
                reason = "not_online"
            elif annotator.paused or self.paused:
                reason = "paused"
            elif len(annotator.live) >= annotator.capacity:
                reason = "at_capacity"
            yield self.out(
                wire.WorkUnavailable, annotator=annotator.name, at=self.now, reason=reason,
                retry_after_s=self.law.accept_s,
            )  # fmt: skip
