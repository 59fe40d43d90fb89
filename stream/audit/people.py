"""What events about annotators and their answers to offers must bring about.

A handler returns the reason of a dead letter, or None when the event is usable.
"""

from stream.audit.attendance import heard
from stream.audit.books import Annotator, Pair, Pool, Task
from stream.audit.checked import learn_import
from stream.audit.leases import end, is_met, is_withdrawn, later, lease, settle, withdraw
from stream.audit.newest import is_stated, newest
from stream.audit.records import Record
from stream.audit.round import Case
from stream.audit.settlements import judge
from stream.audit.uninvited import drop_doubted, drop_unkept
from stream.events import (
    ID_BYTES,
    AnnotatorPaused,
    AnnotatorResumed,
    AnnotatorSet,
    AssignmentAccepted,
    AssignmentDeclined,
    AssignmentExtended,
    JudgmentCorrected,
    JudgmentRetracted,
    JudgmentScored,
    JudgmentSubmitted,
    SkillSeeded,
    WorkRequested,
)

COMPLAINTS = ("broken", "unclear")
NO_TIME = float("inf")
NOBODY = ""  # no id is empty
ANSWERED = ("counted", "uncounted", "retracted")


def profile(case: Case, _: Pool, annotator: Annotator, record: Record, event: AnnotatorSet) -> None:
    """What somebody may do; of each field the newest ``at`` wins. Offers that would no longer be made are withdrawn."""
    names = "skills", "attributes", "grants", "cost", "kind"
    new = {name: getattr(event, name) for name in names if is_stated(getattr(event, name))}
    new = {name: frozenset(value) if isinstance(value, tuple) else value for name, value in new.items()}
    counts = newest(annotator.said, new, min(event.at, case.round.at))
    if not counts and annotator.is_described:
        case.round.ignored["annotator_set"] += 1
        return
    annotator.is_described = True
    for name in ("skills", "attributes", "grants"):
        if name in counts:
            setattr(annotator, name, counts[name])
    drop_unkept(case, annotator.offered(), record)


def paused(case: Case, pool: Pool, annotator: Annotator, record: Record, event: AnnotatorPaused) -> None:
    """A break: unaccepted offers are withdrawn, leases stay."""
    heard(case, annotator, record)
    begin_break(case, annotator, record, event.at, NO_TIME if event.until is None else event.until)


def begin_break(case: Case, annotator: Annotator, record: Record, at: float, until: float) -> None:
    """The newest counts, of equally new ones the longest; one that is over already was none."""
    is_longer = until > annotator.break_until or not annotator.is_paused
    if at < annotator.break_at or (at == annotator.break_at and not is_longer):
        return
    annotator.break_at, annotator.break_until = at, until
    annotator.is_paused = until > case.round.at
    if annotator.is_paused:
        if until < NO_TIME:
            later(case, until, "break", annotator)
        withdraw(case, annotator.offered(), "pause", because=record)


def resumed(case: Case, pool: Pool, annotator: Annotator, record: Record, event: AnnotatorResumed) -> None:
    """The break is over, unless one began then or later."""
    heard(case, annotator, record)
    if event.at > annotator.break_at:
        annotator.break_at, annotator.break_until, annotator.is_paused = event.at, NO_TIME, False


def erased(case: Case, pool: Pool, name: str, record: Record) -> None:
    """Live work ends; whoever has this id later is somebody new, so nothing of the books may point to it."""
    annotator = pool.annotators.pop(name, None)
    if annotator is None:
        return
    for pair in list(annotator.live.values()):
        end(case, pair, "withdrawn:erased", because=record)
    annotator.sessions.clear()
    annotator.gone_since = None
    pool.lapsed.pop(name, None)
    case.round.asked.pop((pool.name, name), None)
    for task in pool.tasks.values():
        task.pairs.pop(name, None)
        for listed in ("only", "exclude"):
            people: frozenset[str] = getattr(task, listed)
            if name in people:
                setattr(task, listed, people - {name} | {NOBODY})
    for project in pool.projects.values():
        for books in (project.used_by, project.worked, project.taught):
            books.pop(name, None)


def requested(case: Case, pool: Pool, annotator: Annotator, record: Record, event: WorkRequested) -> None:
    """Somebody asks for work."""
    at = min(event.at, case.round.at)
    if at <= annotator.asked_at:
        case.round.ignored["work_requested"] += 1
        return
    heard(case, annotator, record)
    annotator.asked_at = at
    asked = event.count, frozenset(event.projects), record
    case.round.asked.setdefault((pool.name, annotator.name), []).append(asked)


Answer = AssignmentAccepted | AssignmentExtended | AssignmentDeclined


def _live(case: Case, pool: Pool, task: Task, annotator: Annotator, record: Record, event: Answer) -> Pair | None:
    """Return the pair if it was live when the event took effect, and the event is about its offer and new."""
    pair = _touched(case, pool, task, annotator, record)
    kind, at = str(type(event).__struct_config__.tag), min(event.at, case.round.at)
    if pair is not None:
        is_other = event.assignment is not None and event.assignment.split("-")[1:] != pair.assignment.split("-")[1:]
        if not (is_other or at < pair.answered[0] or (at, kind) == pair.answered):
            pair.answered = at, kind
            return pair
    case.round.ignored[kind] += 1
    return None


def _touched(case: Case, pool: Pool, task: Task, annotator: Annotator, record: Record) -> Pair | None:
    heard(case, annotator, record)
    pair = task.pairs.get(annotator.name)
    if pair is None or not pair.is_live:
        return None
    drop_doubted(case, pair)
    if pair.state == "offered" and is_withdrawn(case, pair, ("met_need",)) and is_met(case, pool, task):
        settle(case, pool, task, "consensus", "met_need")
    if pair.is_live:
        pair.expiries = 0
        return pair
    return None


def accepted(
    case: Case, pool: Pool, task: Task, annotator: Annotator, record: Record, event: AssignmentAccepted
) -> None:
    """An open offer becomes a lease; anything else is ignored."""
    pair = _live(case, pool, task, annotator, record, event)
    if pair is not None and pair.state == "offered":
        lease(case, pair, record)


def extended(
    case: Case, pool: Pool, task: Task, annotator: Annotator, record: Record, event: AssignmentExtended
) -> None:
    """A lease gets one more lease time, a limited number of times."""
    pair = _live(case, pool, task, annotator, record, event)
    if pair is not None and pair.state == "leased" and pair.extensions < pool.limits.max_extensions:
        lease(case, pair, record)


def declined(
    case: Case, pool: Pool, task: Task, annotator: Annotator, record: Record, event: AssignmentDeclined
) -> None:
    """A live pair ends; enough complaints block the task."""
    pair = _live(case, pool, task, annotator, record, event)
    if pair is None:
        return
    end(case, pair, "declined", because=record)
    if event.reason == "break":
        pair.state = "returned"
        begin_break(case, annotator, record, event.at, NO_TIME)
    task.complaints += event.reason in COMPLAINTS
    if task.complaints >= pool.limits.block_declines and task.settled is None:
        if is_met(case, pool, task):
            settle(case, pool, task, "consensus", "met_need")
            return
        if case.round.blocked.pop((pool.name, task.name), None) is None:
            case.report(1, f"task {task.name!r} is not reported as blocked", record)
        settle(case, pool, task, "blocked", "cancel", because=record)


def judged(
    case: Case,
    pool: Pool,
    task: Task,
    annotator: Annotator,
    record: Record,
    event: JudgmentSubmitted | JudgmentCorrected | JudgmentRetracted,
) -> str | None:
    """A judgment record, see `judgments`; its label must be one of the task's, or it is no sign of life either."""
    if is_misfit(task, event):
        return "invalid"
    heard(case, annotator, record)
    judge(case, pool, task, annotator, record, event)
    return None


def is_misfit(task: Task, event: object) -> bool:
    """Whether a judgment has a label that is none of its task's, or none where it must have one."""
    if not isinstance(event, JudgmentSubmitted | JudgmentCorrected):
        return False
    if event.label is None or task.classes is None:
        return (event.label is None) != (task.classes is None)
    return event.label >= task.classes


def scored(
    case: Case, pool: Pool, task: Task, annotator: Annotator, record: Record, event: JudgmentScored
) -> str | None:
    """Quality of a judgment, which must be there and have no label."""
    pair = task.pairs.get(annotator.name)
    return None if task.classes is None and pair is not None and pair.state in ANSWERED else "invalid"


def seeded(case: Case, pool: Pool, annotator: Annotator, record: Record, event: SkillSeeded) -> str | None:
    """Evidence from another system; posteriors show it, and offers that ask for proven skill."""
    if len(event.skill.encode()) > ID_BYTES:
        return "malformed"
    drop_unkept(case, annotator.offered(), record)
    learn_import(annotator, event.skill)
    return None
