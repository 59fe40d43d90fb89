"""What events about tasks, projects and pools must bring about.

A handler returns the reason of a dead letter, or None when the event is usable.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from stream.audit.books import EVERYONE, Annotator, Pool, Project, Task
from stream.audit.checked import meet
from stream.audit.leases import later, remember_met, settle, trim, withdraw
from stream.audit.newest import is_stated, newest
from stream.audit.records import Record
from stream.audit.round import Case
from stream.audit.uninvited import drop_beyond_limits, drop_unkept
from stream.events import (
    ID_BYTES,
    PoolPaused,
    PoolResumed,
    PoolSet,
    ProjectSet,
    TaskCancelled,
    TaskCreated,
    TaskDefaults,
    TaskUpdated,
    TruthSet,
)

OVERLAP = 3
CREATED_BEFORE = 1e-6  # seconds: an update of the same time is newer
FIELDS = (
    "overlap", "max_overlap", "confidence", "priority", "value", "deadline", "expected_s", "lease_s", "requires",
    "min_skill", "only", "exclude",
)  # fmt: skip
OF_PROJECT = "state", "weight", "budget", "max_per_annotator", "gold_rate", "deadline", "labels", "note"
MOST = 10  # judgments of a task that asks for a confidence or promises nothing, and says no more


def is_too_long(*names: str | bytes) -> bool:
    """Whether one of the ids has more bytes than the contract allows."""
    return any(len(name.encode() if isinstance(name, str) else name) > ID_BYTES for name in names)


def created(case: Case, pool: Pool, _: Annotator | None, record: Record, event: TaskCreated) -> str | None:
    """A task exists; the first of an id counts."""
    if event.task in pool.tasks or event.task in pool.gone:
        return None
    if is_too_long(event.project):
        return "malformed"
    project = pool.project(event.project)  # it exists when the task does
    defaults = project.defaults

    def field(name: str, otherwise: Any) -> Any:
        value = getattr(event, name)
        value = value if is_stated(value) else getattr(defaults, name)
        return value if is_stated(value) else otherwise

    skill, classes, confidence = field("skill", None), field("classes", None), field("confidence", None)
    asks = classes is not None and confidence is not None
    overlap = field("overlap", 1 if asks or project.budget is not None else OVERLAP)
    most = most_of(overlap, field("max_overlap", None), asks)
    is_work = event.purpose == "work"
    knows = not is_work and classes is not None
    if (event.label is None) == knows or (classes is not None and (event.label or 0) >= classes):
        return "invalid"
    if not is_work:
        overlap, most, confidence = EVERYONE, EVERYONE, None
    if skill is None or most < overlap:
        return "invalid"
    if is_too_long(skill, event.task, *event.only, *event.exclude):
        return "malformed"
    pool.projects[event.project] = project
    for person in (*event.only, *event.exclude):
        pool.annotators[person] = pool.annotator(person)
    task = pool.tasks[event.task] = project.open[event.task] = Task(
        name=event.task,
        project=project,
        skill=skill,
        classes=classes,
        overlap=overlap,
        max_overlap=most,
        confidence=confidence,
        deadline=field("deadline", None),
        lease_s=field("lease_s", None) or pool.limits.lease_s,
        requires=frozenset(field("requires", ())),
        min_skill=field("min_skill", None),
        only=frozenset(event.only),
        exclude=frozenset(event.exclude),
        ceiling=most,
        purpose=event.purpose,
        ref=event.ref or None,
        ref_at=event.at,
    )
    _date(task, event, field, pool.limits.expected_s)
    project.has_gold = project.has_gold or not is_work
    project.kept += 1
    _examine(task)
    case.touch(pool, task)
    _watch(case, pool, task)
    if project.state == "closed":
        settle(case, pool, task, "cancelled", "cancel", because=record)
    return None


def _date(task: Task, event: TaskCreated, field: Callable[[str, Any], Any], expected_s: float) -> None:
    """Everything was said when the task was created, but the truth."""
    task.said = {name: (event.at - CREATED_BEFORE, _of(task, name, field, expected_s)) for name in FIELDS}
    if event.label is not None:
        task.said["truth"] = -1.0, event.label


def _of(task: Task, name: str, field: Callable[[str, Any], Any], expected_s: float) -> Any:
    """What a task has been created with."""
    if name in ("priority", "value", "expected_s"):
        return field(name, {"priority": 0, "value": 1.0, "expected_s": None}[name]) or (
            expected_s if name == "expected_s" else 0
        )
    return getattr(task, name)


def most_of(overlap: int, said: int | None, asks: bool) -> int:
    """The most judgments that a task may get, by what is said of it."""
    if overlap and not asks:
        return overlap
    return max(overlap, MOST) if said is None else said


def _examine(task: Task) -> None:
    if task.is_work and task.min_skill is not None:
        task.project.examined.add(task.skill)


def _watch(case: Case, pool: Pool, task: Task) -> None:
    if task.due is not None and task.settled is None and task.watched != task.due:
        task.watched = task.due
        later(case, task.due, "task", (pool, task))


def updated(
    case: Case, pool: Pool, task: Task, _: Annotator | None, record: Record, event: TaskUpdated
) -> str | None:
    """Fields of a task change, of each the newest ``at`` wins; who wants more of a settled one opens it again."""
    new = {name: getattr(event, name) for name in FIELDS if is_stated(getattr(event, name))}
    new = {name: frozenset(value) if isinstance(value, tuple) else value for name, value in new.items()}
    for name, otherwise in (("lease_s", pool.limits.lease_s), ("expected_s", pool.limits.expected_s)):
        if name in new:
            new[name] = new[name] or otherwise
    before = dict(task.said)
    counts = newest(task.said, new, min(event.at, case.round.at))
    if not counts:
        case.round.ignored["task_updated"] += bool(new)
        return None
    reason = _change(case, pool, task, record, counts)
    if reason is not None:
        task.said = before
    return reason


def _change(case: Case, pool: Pool, task: Task, record: Record, new: dict[str, Any]) -> str | None:
    overlap, most = task.overlap, task.max_overlap
    confidence: Any = task.confidence
    if task.is_work:
        overlap, confidence = new.get("overlap", overlap), new.get("confidence", confidence)
        asks = task.classes is not None and confidence is not None
        had_more, has_more = task.is_confident or not task.overlap, asks or not overlap
        if "max_overlap" in new:
            most = most_of(overlap, new["max_overlap"], asks)
            if most < overlap:
                return "invalid"
        elif "overlap" in new or "confidence" in new:
            most = max(most, overlap) if had_more and has_more else most_of(overlap, None, asks)
    if is_too_long(*new.get("only", ()), *new.get("exclude", ())):
        return "malformed"
    remember_met(case, pool, task)
    case.round.move(pool, task, is_after=True)
    wants_more = (overlap, most, confidence) != (task.overlap, task.max_overlap, task.confidence)
    task.overlap, task.max_overlap, task.confidence = overlap, most, confidence
    for name in ("overlap", "max_overlap", "confidence"):  # what came of it is what others are compared with
        task.said[name] = task.said[name][0], getattr(task, name)
    for name in ("deadline", "min_skill", "lease_s", "requires", "only", "exclude"):
        if name in new:
            setattr(task, name, new[name])
    had_enough = task.settled in ("consensus", "complete", "exhausted", "budget")
    told = case.round.consensus.get((pool.name, task.name))
    before = task.posterior
    if told is not None:  # what is published at the end of the round is nearer than what was before it
        task.posterior = told[1].posterior
    needed, task.posterior = task.need, before
    if wants_more and had_enough and task.project.state != "closed" and task.counted < needed:
        reopen(case, pool, task)
    task.ceiling = max(task.ceiling, task.max_overlap)
    _examine(task)
    _watch(case, pool, task)
    if task.settled is None:
        drop_unkept(case, list(task.offered.values()), record)
    trim(case, pool, task, "met_need", "override", because=record)
    return None


def reopen(case: Case, pool: Pool, task: Task) -> None:
    """A settled task goes on."""
    key = pool.name, task.name
    if task.announcement is not None:  # of this round: it is about a later end
        case.round.settled[key] = task.announcement
    case.round.untold.pop(key, None)
    task.settled, task.closes_at, task.announcement, task.label = None, float("inf"), None, None
    task.project.open[task.name] = task
    task.watched = None
    _watch(case, pool, task)
    case.touch(pool, task)


def amended(
    case: Case, pool: Pool, task: Task, annotator: Annotator | None, record: Record, event: TaskUpdated
) -> str | None:
    """Fields of a task change, and its reference, whose time is its own; of equal ones the last in order counts."""
    reason = updated(case, pool, task, annotator, record, event)
    if reason is None and is_stated(event.ref):
        given = str(event.ref or "")
        if (task.ref_at, task.ref or "") < (event.at, given):
            task.ref_at, task.ref = event.at, given or None
    return reason


def cancelled(
    case: Case, pool: Pool, task: Task, _: Annotator | None, record: Record, event: TaskCancelled
) -> None:
    """Nobody needs the task any more."""
    settle(case, pool, task, "cancelled", "cancel", because=record)


def truth(
    case: Case, pool: Pool, task: Task, _: Annotator | None, record: Record, event: TruthSet
) -> str | None:
    """An adjudicated label completes work; a task of known answer goes on."""
    if task.classes is None or event.label >= task.classes:
        return "invalid"
    if not newest(task.said, {"truth": event.label}, min(event.at, case.round.at)):
        case.round.ignored["truth_set"] += 1
        return None
    if not task.is_work:
        return None
    case.round.move(pool, task, is_after=True)
    task.is_adjudicated = True
    meet(task)
    settle(case, pool, task, "complete", "met_need", because=record)
    return None


def project_set(case: Case, pool: Pool, _: Annotator | None, record: Record, event: ProjectSet) -> str | None:
    """What is said of a project; of each field the newest ``at`` wins."""
    if is_too_long(event.project):
        return "malformed"
    project = pool.projects[event.project] = pool.project(event.project)
    new: dict[Any, Any] = {name: getattr(event, name) for name in OF_PROJECT if is_stated(getattr(event, name))}
    new = {name: value or None if name in ("labels", "note") else value for name, value in new.items()}
    if is_stated(event.defaults):
        given: Any = event.defaults or TaskDefaults()
        presets = {name: getattr(given, name) for name in TaskDefaults.__struct_fields__}
        if is_stated(given.requires):
            presets["requires"] = tuple(dict.fromkeys(given.requires))
        new |= {(name,): value for name, value in presets.items() if event.defaults is None or is_stated(value)}
    counts = newest(project.said, new, min(event.at, case.round.at))
    if not counts:
        case.round.ignored["project_set"] += 1
        if new or project.said:
            return None
    presets = {name[0]: value for name, value in counts.items() if isinstance(name, tuple)}
    project.defaults = msgspec.structs.replace(project.defaults, **presets)
    if counts.get("budget", project.budget) != project.budget:
        case.round.funded.add((pool.name, project.name))
    for name in ("state", "budget", "max_per_annotator", "deadline", "gold_rate"):
        if name in counts:
            setattr(project, name, counts[name])
    project.is_limited = project.is_limited or counts.get("max_per_annotator") is not None
    project.highest_rate = max(project.gold_rate, project.highest_rate)
    project.is_set = True
    _follow(case, pool, project, record)
    return None


def _follow(case: Case, pool: Pool, project: Project, record: Record) -> None:
    """A project's tasks follow what is said of it."""
    case.concerned.append(project)
    case.paying[pool.name, project.name] = pool, project
    if project.state != "closed" and (project.budget is None or project.used < project.budget):
        for task in pool.tasks.values():
            if task.project is project and task.settled == "budget":
                reopen(case, pool, task)
    for task in list(project.open.values()):
        _watch(case, pool, task)
        if project.state == "closed":
            settle(case, pool, task, "cancelled", "cancel", because=record)
        elif project.state == "paused":
            withdraw(case, list(task.offered.values()), "pause", because=record)
        trim(case, pool, task, "met_need", because=record)
    drop_beyond_limits(case, project, record)


def pool_noted(case: Case, pool: Pool, _: Annotator | None, record: Record, event: PoolSet) -> None:
    """What people should know of a pool; nothing that is published depends on it."""


def pool_set(
    case: Case, pool: Pool, _: Annotator | None, record: Record, event: PoolPaused | PoolResumed
) -> None:
    """A pool pauses or goes on; the newest ``at`` wins."""
    if event.at < pool.state_at:
        return
    pool.state_at, pool.is_paused = event.at, isinstance(event, PoolPaused)
    if pool.is_paused:
        for annotator in pool.annotators.values():
            withdraw(case, list(annotator.live.values()), "pause", because=record)
