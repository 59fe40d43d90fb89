"""Answers that nobody asked for (`unsolicited`, `surplus`) or no longer (`late`): may they count, and if not, why.

Asked in this order, each with its word: has the task ended (`closed`), does it want another (`need`), is there money
(`budget`), is the person on the right lists (`list`) and within their share (`limit`); unless it is an import, have
they the skill and attributes (`profile`, `min_skill`), is nothing paused (`paused`), have they not gone (`presence`),
are they free (`capacity`). Of a late answer the last three are not asked. What an offer that it pushes out gives back
is there.

How sure somebody's skill is no record says, so the auditor takes the core's word for `min_skill`.
"""

from collections.abc import Iterator

from stream.audit.books import LATE_REFUSED, Annotator, Pair, Pool, Project, Task
from stream.audit.leases import end, is_withdrawn
from stream.audit.records import Record
from stream.audit.round import Case

#: What withdrawals of this round that nobody can foresee may have made room for before.
UNSURE = ("budget", "limit", "capacity")


def late(case: Case, task: Task, annotator: Annotator) -> Iterator[str]:
    """Yield why a late answer doesn't count, most important first; nothing if it does."""
    if task.settled in LATE_REFUSED:
        yield "closed"
    if task.counted + len(task.leased) >= task.max_overlap:
        yield "need"
    yield from _pair(task, annotator, is_import=False)


def uninvited(case: Case, pool: Pool, task: Task, annotator: Annotator, is_import: bool) -> Iterator[str]:
    """Yield why an answer that nobody asked for doesn't count, most important first; nothing if it does."""
    at = case.round.at
    if task.settled is not None or (task.due is not None and task.due <= at):
        yield "closed"
    # an open task with enough judgments is below its confidence, whatever its posterior is within the round
    need = task.overlap if task.counted < task.overlap else task.counted + 1
    if task.counted + len(task.leased) >= need:
        yield "need"
    yield from _pair(task, annotator, is_import)
    if is_import:
        return
    if pool.is_paused or task.project.state != "active" or annotator.is_paused:
        yield "paused"
    if annotator.where == "left" and annotator.sessions:
        yield "presence"
    if annotator.living and len(annotator.live) >= annotator.capacity:
        yield "capacity"


def _pair(task: Task, annotator: Annotator, is_import: bool) -> Iterator[str]:
    project = task.project
    need = task.overlap if task.counted < task.overlap else task.counted + 1
    pushes = task.settled is None and bool(task.offered) and task.counted + task.live >= need
    if project.budget is not None and project.used - pushes >= project.budget:
        yield "budget"
    if not is_listed(task, annotator):
        yield "list"
    if project.max_per_annotator is not None and project.used_by.get(annotator.name, 0) >= project.max_per_annotator:
        yield "limit"
    if not is_import and not is_fit(task, annotator):
        yield "profile"


def is_listed(task: Task, annotator: Annotator) -> bool:
    """Whether no list of the task keeps the person out."""
    return (not task.only or annotator.name in task.only) and annotator.name not in task.exclude


def is_fit(task: Task, annotator: Annotator) -> bool:
    """Whether the profile has what the task asks for."""
    return annotator.knows(task.skill) and task.requires <= annotator.attributes


def may_be_doubted(task: Task, annotator: Annotator) -> bool:
    """Whether it may be that the person has not proven the skill that the task asks for."""
    return task.is_work and task.min_skill is not None and task.skill not in annotator.grants


def drop_unkept(case: Case, pairs: list[Pair], because: Record) -> None:
    """Follow a change of rules: offers that would no longer be made are withdrawn."""
    for pair in pairs:
        if pair.state != "offered":
            continue
        if not is_listed(pair.task, pair.annotator) or not is_fit(pair.task, pair.annotator):
            end(case, pair, "withdrawn:override", because=because)
        else:
            drop_doubted(case, pair)


def drop_doubted(case: Case, pair: Pair) -> None:
    """Follow what was learned: an offer may be withdrawn because the skill it asks for is no longer proven."""
    is_offered = pair.state == "offered" and may_be_doubted(pair.task, pair.annotator)
    if is_offered and is_withdrawn(case, pair, ("override",)):
        end(case, pair, "withdrawn:override")


def drop_all_doubted(case: Case) -> None:
    """The same of whatever this round has withdrawn and nothing else explains."""
    for record, event in list(case.round.ends.values()):
        pool = case.pools.get(event.pool)
        task = None if pool is None else pool.tasks.get(event.task)
        pair = None if task is None else task.pairs.get(event.annotator)
        if pair is not None and pair.assignment == event.assignment and record.value:
            drop_doubted(case, pair)


def drop_beyond_limits(case: Case, project: Project, because: Record) -> None:
    """Follow lower limits of a project: offers beyond them are withdrawn, as many as it takes; which, is not said."""
    offered = [pair for task in project.open.values() for pair in task.offered.values()]
    for pair in offered:
        most, used = project.max_per_annotator, project.used_by.get(pair.annotator.name, 0)
        is_over = (most is not None and used > most) or (project.budget is not None and project.used > project.budget)
        if is_over and is_withdrawn(case, pair, ("override",)):
            end(case, pair, "withdrawn:override", because=because)
    left = [pair for pair in offered if pair.state == "offered"]
    if left and project.budget is not None and project.used > project.budget:
        case.report(4, f"offers of {project.name!r} stand beyond its budget of {project.budget}", because)
    for pair in left if project.max_per_annotator is not None else ():
        if project.used_by.get(pair.annotator.name, 0) > (project.max_per_annotator or 0):
            case.report(4, f"{pair.assignment} stands beyond the share of {pair.annotator.name!r}", because)
