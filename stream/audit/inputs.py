"""One input record after another: is it usable, what must become of it, does an event wait for its task.

An unusable record must have its one dead letter, with the right reason, in the right round; a usable one
must have none. An event about a task that nobody has created waits and is followed right behind its
creation.
"""

from collections.abc import Callable

import msgspec

from stream.audit import attendance, limits, people
from stream.audit import task_events as tasks
from stream.audit.books import Annotator, Pool
from stream.audit.leases import later
from stream.audit.records import Record, partition_of
from stream.audit.round import Case, DeadLetter, Waiting, waiting_bytes
from stream.events import (
    ID_BYTES,
    NOT_SUPPORTED_YET,
    WAITING_BYTES,
    AnnotatorErased,
    AnnotatorOffline,
    AnnotatorOnline,
    AnnotatorPaused,
    AnnotatorResumed,
    AnnotatorSet,
    AssignmentAccepted,
    AssignmentDeclined,
    AssignmentExtended,
    Input,
    JudgmentCorrected,
    JudgmentRetracted,
    JudgmentScored,
    JudgmentSubmitted,
    PoolPaused,
    PoolResumed,
    PoolSet,
    ProjectSet,
    SettingsChanged,
    SkillSeeded,
    TaskCancelled,
    TaskCreated,
    TaskUpdated,
    TruthSet,
    WorkRequested,
    read,
)

WAITS = "waits"
FOR_PERSON = "\0" * (ID_BYTES + 1)  # before the id of whom an event waits for
FORGIVEN = ("internal",)


def follow(case: Case, record: Record) -> None:
    """Follow one input record."""
    dead = case.round.dead.pop((record.topic, record.offset), None)
    value = None if dead is not None and dead.reason == "erased" else record.value
    if dead is not None and (dead.record.key, dead.record.value) != (record.key, value):
        case.report(5, "a dead letter with another key or value", record, dead.record)
    if dead is not None and dead.reason in FORGIVEN:
        return
    event = _usable(case, record)
    reason = event if isinstance(event, str) else _apply(case, record, event)
    if reason == WAITS and not isinstance(event, str):
        _wait(case, record, event)
        if dead is not None:  # it may be about what becomes of the event once its task is there
            case.round.dead[record.topic, record.offset] = dead
        return
    _bury(case, record, reason, dead)


def _room(case: Case, record: Record, pool: str, task: str) -> str:
    """Whether one more event may wait for a task."""
    others = case.waiting_bytes.get((pool, task), 0)
    return "too_many_waiting" if others and others + waiting_bytes(record) > WAITING_BYTES else WAITS


def _wait(case: Case, record: Record, event: Input) -> None:
    task = getattr(event, "task", "")
    if task in case.pool(event.pool).tasks:
        task = FOR_PERSON + getattr(event, "annotator", "")
    until = case.round.at + case.pool(event.pool).limits.reference_wait_s
    for others in case.waiting.get((event.pool, task), [])[-1:]:
        until = max(until, others.until)  # events of one task leave in the order in which they came
    waits = Waiting(record, event, event.pool, task, until)
    case.add_waiting(waits)
    later(case, until, "wait", waits)


def _bury(case: Case, record: Record, reason: str | None, dead: DeadLetter | None) -> None:
    if reason is None:
        if dead is not None:
            case.report(5, f"a usable record is a dead letter ({dead.reason})", record, dead.record)
    elif dead is None:
        case.report(5, f"an unusable record ({reason}) has no dead letter", record, case.round.record)
    elif dead.reason != reason:
        case.report(5, f"a dead letter for the reason {dead.reason}, expected {reason}", record, dead.record)


def _usable(case: Case, record: Record) -> Input | str:
    """Return the event, or why the record is unusable whatever the state."""
    if record.key is None:
        return "wrong_key"
    if tasks.is_too_long(record.key):
        return "wrong_key"
    if partition_of(record.key, case.partitions) != record.partition:
        return "wrong_partition"
    try:
        key = record.key.decode()
    except UnicodeDecodeError:
        return "wrong_key"
    try:
        event, odd = read(record.value)
    except msgspec.ValidationError:
        return "malformed"
    if event.pool != key:
        return "wrong_key"
    if event.at > case.round.at + case.round.completed.clock_ahead_s:
        return "clock"
    if tasks.is_too_long(event.pool) or "\0" in event.pool:
        return "malformed"
    case.round.odd.update(odd)
    is_older = case.round.completed.policies is None and isinstance(event, SettingsChanged)
    if is_older or isinstance(event, NOT_SUPPORTED_YET):
        return "not_supported_yet"
    return event


def _apply(case: Case, record: Record, event: Input) -> str | None:
    """Apply a usable event; return the reason of a dead letter, `WAITS`, or None."""
    pool = case.pool(event.pool)
    if isinstance(event, AnnotatorErased):
        _erase(case, pool, record, event)
        return None
    task = None
    about_task = OF_TASK.get(type(event))
    if about_task is not None:
        name = getattr(event, "task", "")
        task = pool.tasks.get(name)
        if task is None:
            return "too_old" if name in pool.gone else _room(case, record, event.pool, name)
    person = getattr(event, "annotator", None)
    if person is not None and tasks.is_too_long(person):
        return "malformed"
    annotator = None if person is None else pool.annotator(person)
    if task is not None and annotator is not None and _is_nobody(annotator, event):
        is_wrong = people.is_misfit(task, event)
        return "invalid" if is_wrong else _room(case, record, event.pool, FOR_PERSON + annotator.name)
    if about_task is not None:
        reason = about_task(case, pool, task, annotator, record, event)
    else:
        reason = OF_POOL[type(event)](case, pool, annotator, record, event)
    if annotator is not None and reason is None:
        pool.annotators[annotator.name] = annotator
    if isinstance(event, TaskCreated) and event.task in pool.tasks:
        _release(case, event.pool, event.task)
    if isinstance(event, AnnotatorSet) and annotator is not None and annotator.is_described:
        _release(case, event.pool, FOR_PERSON + annotator.name)
    return reason


def _is_nobody(annotator: Annotator, event: Input) -> bool:
    """Whether a judgment is by somebody whom nobody has described; past work may be."""
    is_judgment = isinstance(event, JudgmentSubmitted | JudgmentCorrected | JudgmentRetracted)
    return is_judgment and not annotator.is_described and getattr(event, "origin", "live") != "import"


def _release(case: Case, pool: str, what: str) -> None:
    """What events have waited for is there."""
    case.waiting_bytes.pop((pool, what), None)
    for waits in case.waiting.pop((pool, what), []):
        dead = case.round.dead.pop((waits.record.topic, waits.record.offset), None)
        if dead is not None and dead.reason in FORGIVEN:
            continue
        reason = _apply(case, waits.record, waits.event)
        if reason == WAITS:
            _wait(case, waits.record, waits.event)
            if dead is not None:
                case.round.dead[waits.record.topic, waits.record.offset] = dead
        else:
            _bury(case, waits.record, reason, dead)


def _erase(case: Case, pool: Pool, record: Record, event: AnnotatorErased) -> None:
    """A person is forgotten; events that wait and name them are dead letters."""
    for place, waiting in list(case.waiting.items()):
        for waits in [waits for waits in waiting if place[0] == pool.name and _names(waits.event, event.annotator)]:
            case.drop_waiting(waits)
            source = waits.record.topic, waits.record.offset
            _bury(case, waits.record, "erased", case.round.dead.pop(source, None))
    people.erased(case, pool, event.annotator, record)


def _names(event: Input, person: str) -> bool:
    lists = (getattr(event, field, ()) for field in ("only", "exclude", "void"))
    return getattr(event, "annotator", None) == person or any(
        person in names for names in lists if isinstance(names, tuple)
    )


OF_POOL: dict[type, Callable[..., str | None]] = {
    TaskCreated: tasks.created,
    ProjectSet: tasks.project_set,
    PoolPaused: tasks.pool_set,
    PoolResumed: tasks.pool_set,
    PoolSet: tasks.pool_noted,
    AnnotatorSet: people.profile,
    AnnotatorOnline: attendance.online,
    AnnotatorPaused: people.paused,
    AnnotatorResumed: people.resumed,
    AnnotatorOffline: attendance.offline,
    WorkRequested: people.requested,
    SkillSeeded: people.seeded,
    SettingsChanged: limits.settings_changed,
}
OF_TASK: dict[type, Callable[..., str | None]] = {
    TaskUpdated: tasks.amended,
    TaskCancelled: tasks.cancelled,
    TruthSet: tasks.truth,
    AssignmentAccepted: people.accepted,
    AssignmentExtended: people.extended,
    AssignmentDeclined: people.declined,
    JudgmentSubmitted: people.judged,
    JudgmentCorrected: people.judged,
    JudgmentRetracted: people.judged,
    JudgmentScored: people.scored,
}
