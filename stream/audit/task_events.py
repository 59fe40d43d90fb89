"""What events about tasks, projects and pools must bring about.

A handler returns the reason of a dead letter, or None when the event is usable.
"""

from typing import Any

from stream.audit.books import EVERYONE, Annotator, Pool, Task
from stream.audit.checked import meet
from stream.audit.leases import later, remember_met, settle, trim, withdraw
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
    TaskUpdated,
    TruthSet,
)

OVERLAP = 3
MOST = 10  # judgments of a task that asks for a confidence or promises nothing, and says no more


def is_too_long(*names: str | bytes) -> bool:
    """Whether one of the ids has more bytes than the contract allows."""
    return any(len(name.encode() if isinstance(name, str) else name) > ID_BYTES for name in names)


def stated(value: Any) -> bool:
    """Whether a field is there at all; null is."""
    return type(value).__name__ != "UnsetType"


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
        value = value if stated(value) else getattr(defaults, name)
        return value if stated(value) else otherwise

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
        updated_at=event.at,
        ceiling=most,
        purpose=event.purpose,
        ref=event.ref or None,
        ref_at=event.at,
    )
    project.has_gold = project.has_gold or not is_work
    project.kept += 1
    _examine(task)
    case.touch(pool, task)
    _watch(case, pool, task)
    if project.state == "closed":
        settle(case, pool, task, "cancelled", "cancel", because=record)
    return None


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
    """Fields of a task change; the newest ``at`` wins."""
    if event.at < task.updated_at:
        return None
    overlap, most = task.overlap, task.max_overlap
    confidence: Any = task.confidence
    if task.is_work:
        overlap = event.overlap if isinstance(event.overlap, int) else overlap
        confidence = event.confidence if stated(event.confidence) else confidence
        asks = task.classes is not None and confidence is not None
        had_more, has_more = task.is_confident or not task.overlap, asks or not overlap
        if stated(event.max_overlap):
            most = most_of(overlap, event.max_overlap if isinstance(event.max_overlap, int) else None, asks)
            if most < overlap:
                return "invalid"
        else:
            most = max(most, overlap) if had_more and has_more else most_of(overlap, None, asks)
    for people in (event.only, event.exclude):
        if isinstance(people, tuple) and is_too_long(*people):
            return "malformed"
    remember_met(case, pool, task)
    case.round.move(pool, task, is_after=True)
    task.updated_at = event.at
    task.overlap, task.max_overlap = overlap, most
    task.confidence = confidence
    for name in ("deadline", "min_skill"):
        if stated(value := getattr(event, name)):
            setattr(task, name, value)
    if stated(event.lease_s):
        task.lease_s = event.lease_s or pool.limits.lease_s
    for name in ("requires", "only", "exclude"):
        if stated(value := getattr(event, name)):
            setattr(task, name, frozenset(value))
    task.ceiling = max(task.ceiling, task.max_overlap)
    _examine(task)
    _watch(case, pool, task)
    if task.settled is None:
        drop_unkept(case, list(task.offered.values()), record)
    trim(case, pool, task, "met_need", "override", because=record)
    return None


def amended(
    case: Case, pool: Pool, task: Task, annotator: Annotator | None, record: Record, event: TaskUpdated
) -> str | None:
    """Fields of a task change, and its reference, whose time is its own; of equal ones the last in order counts."""
    reason = updated(case, pool, task, annotator, record, event)
    if reason is None and stated(event.ref):
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
    if not task.is_work:
        return None
    case.round.move(pool, task, is_after=True)
    task.is_adjudicated = True
    meet(task)
    settle(case, pool, task, "complete", "met_need", because=record)
    return None


def project_set(case: Case, pool: Pool, _: Annotator | None, record: Record, event: ProjectSet) -> str | None:
    """A project's state, limits and defaults; the newest ``at`` wins."""
    if is_too_long(event.project):
        return "malformed"
    project = pool.projects[event.project] = pool.project(event.project)
    if event.at < project.at:
        return None
    if project.budget != event.budget:
        case.round.funded.add((pool.name, project.name))
    project.at, project.state, project.budget = event.at, event.state, event.budget
    project.max_per_annotator, project.deadline = event.max_per_annotator, event.deadline
    project.is_limited = project.is_limited or event.max_per_annotator is not None
    project.gold_rate, project.highest_rate = event.gold_rate, max(event.gold_rate, project.highest_rate)
    project.defaults = event.defaults
    case.concerned.append(project)
    case.paying[pool.name, project.name] = pool, project
    if event.state != "closed" and (event.budget is None or project.used < event.budget):
        for task in pool.tasks.values():
            if task.project is project and task.settled == "budget":
                task.settled, task.closes_at, task.announcement, task.label = None, float("inf"), None, None
                project.open[task.name] = task
                case.touch(pool, task)
    for task in list(project.open.values()):
        _watch(case, pool, task)
        if event.state == "closed":
            settle(case, pool, task, "cancelled", "cancel", because=record)
        elif event.state == "paused":
            withdraw(case, list(task.offered.values()), "pause", because=record)
        trim(case, pool, task, "met_need", because=record)
    drop_beyond_limits(case, project, record)
    return None


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
