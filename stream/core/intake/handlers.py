"""One handler per kind of event: resolve ids, then pack it into the pool's turn or apply it at once.

Those of events about tasks are in ``task_handlers.py``. An event about a task nobody has created waits; it
is applied right behind the ``task_created``. A handler raises ``Invalid`` or ``IdRefused`` before it has changed
anything.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from kernels.lifecycle import annotator_changed, codes, project_changed, reschedule
from kernels.lifecycle import pool_paused as withdraw_pool
from kernels.lifecycle.pool_columns import TASKS_USED
from kernels.rules.share import count_taken
from stream import events as wire
from stream.core.batch import Applied, Invalid, misfit, misplaced, pack_event
from stream.core.intake.erasing import handle_erased
from stream.core.intake.in_session import in_session
from stream.core.intake.task_handlers import cancelled, created, truth, updated, wait
from stream.core.intake.turn import Turn
from stream.core.state.fits import Profile
from stream.core.state.policies import changed
from stream.core.state.waiting import FOR_PERSON
from stream.policy import SettingRefused

INF = float("inf")
NONE, ONLINE = int(codes.NONE), int(codes.ONLINE)  # plain ints pack faster

REASONS = {"broken": 1, "unclear": 2, "not_my_skill": 3, "conflict": 4, "break": 5, "other": 6}
PROJECT_STATES = {"active": 1, "paused": 2, "closed": 3}
KINDS = {"human": 0, "model": 1}
STATED = {UNSET: 0, "push": 1, "pull": 2}  # modes, as a heartbeat states them
SOURCES = {"agreement": 1, "metric": 2, "reviewer": 3}

Handler = Callable[[Turn, Any], None]


def _judgment(kind: int) -> Handler:
    def handle(turn: Turn, event: Any) -> None:
        pool = turn.pool
        task = pool.tasks.slots.get(event.task)
        if task is None:
            wait(turn, event.task)
            return
        annotator = pool.annotators.slots.get(event.annotator)
        is_import = kind == codes.SUBMITTED and event.origin == "import"
        if annotator is None or annotator in pool.undescribed:
            pool.check_annotators((event.annotator,))
            if kind != codes.RETRACTED:
                _check_label(turn, event, task)  # of anybody else the kernel does it
            if not is_import:
                wait(turn, FOR_PERSON + event.annotator)
                return
            annotator = pool.annotator(event.annotator)
        applied = turn.applied
        label = event.label if kind != codes.RETRACTED else None
        turn.packed.append(
            pack_event(
                kind, int(is_import), NONE if label is None else label, annotator, task, 0, len(applied), event.at,
                0.0, 0.0,
            )
        )
        applied.append(Applied(event, turn.source))
        turn.judgments += 1

    return handle


def _check_label(turn: Turn, event: Any, task: int) -> None:
    classes, label = turn.classes_of(task), event.label
    if label is None if classes else label is not None:
        raise Invalid(misfit(event.task, label, classes))
    if classes and label >= classes:
        raise Invalid(misfit(event.task, label, classes))


def _response(kind: int) -> Handler:
    def handle(turn: Turn, event: Any) -> None:
        pool = turn.pool
        task = pool.tasks.slots.get(event.task)
        if task is None:
            wait(turn, event.task)
            return
        annotator = pool.annotators.slots.get(event.annotator)
        if annotator is None:
            annotator = pool.annotator(event.annotator)
        detail = REASONS[event.reason] if kind == codes.DECLINED else 0
        turn.packed.append(pack_event(kind, detail, NONE, annotator, task, 0, 0, event.at, 0.0, 0.0))

    return handle


def _resumed(turn: Turn, event: wire.AnnotatorResumed) -> None:
    annotator = turn.pool.annotator(event.annotator)
    turn.packed.append(pack_event(codes.RESUMED, 0, NONE, annotator, NONE, 0, 0, event.at, 0.0, 0.0))


def _paused(turn: Turn, event: wire.AnnotatorPaused) -> None:
    until = INF if event.until is None else event.until
    annotator = turn.pool.annotator(event.annotator)
    turn.packed.append(pack_event(codes.PAUSED, 0, NONE, annotator, NONE, 0, 0, event.at, until, 0.0))


def _online(turn: Turn, event: wire.AnnotatorOnline) -> None:
    pool = turn.pool
    annotator = pool.annotators.slots.get(event.annotator)
    if event.session or annotator in pool.sessions:
        in_session(turn, event)
        return
    if annotator is None:
        annotator = pool.annotator(event.annotator)
    capacity, mode = event.capacity, event.mode
    turn.packed.append(
        pack_event(
            ONLINE, STATED[mode], NONE, annotator, NONE, 0 if capacity is UNSET else capacity, 0, event.at,
            event.ttl_s, INF if event.until is None else event.until,
        )
    )  # fmt: skip


def _offline(turn: Turn, event: wire.AnnotatorOffline) -> None:
    pool = turn.pool
    if event.session or pool.annotators.slots.get(event.annotator) in pool.sessions:
        in_session(turn, event)
        return
    annotator = pool.annotator(event.annotator)
    turn.packed.append(pack_event(codes.OFFLINE, 0, NONE, annotator, NONE, 0, 0, event.at, 0.0, 0.0))


def _requested(turn: Turn, event: wire.WorkRequested) -> None:
    pool = turn.pool
    annotator = pool.annotator(event.annotator)
    turn.packed.append(
        pack_event(codes.REQUESTED, 0, NONE, annotator, NONE, event.count, 0, event.at, 0.0, 0.0)
    )
    pool.asked[annotator] = pool.asked.get(annotator, 0) + event.count
    pool.asked_projects[annotator] = tuple(dict.fromkeys(event.projects))


def _scored(turn: Turn, event: wire.JudgmentScored) -> None:
    pool = turn.pool
    task = pool.tasks.slots.get(event.task)
    if task is None:
        wait(turn, event.task)
        return
    annotator = pool.annotators.slots.get(event.annotator)
    if annotator is None:
        pool.check_annotators((event.annotator,))
        raise Invalid(misplaced(event.task, turn.classes_of(task)))  # nobody has judged nothing
    index = len(turn.applied)
    turn.applied.append(Applied(event, turn.source))
    turn.packed.append(
        pack_event(codes.SCORED, SOURCES[event.source], NONE, annotator, task, 0, index, event.at, event.score, 0.0)
    )
    turn.judgments += 1


def _seeded(turn: Turn, event: wire.SkillSeeded) -> None:
    pool = turn.pool
    turn.flush()
    pool.check_skill(event.skill)
    annotator = pool.annotator(event.annotator)
    pool.models.seed(pool.skill(event.skill), annotator, event.accuracy, event.weight, event.at)
    turn.apply_now(annotator_changed, pool.fit, annotator, pool.in_force.settled_retention_s)


def _project(turn: Turn, event: wire.ProjectSet) -> None:
    pool = turn.pool
    turn.flush()
    j = pool.project(event.project)
    record = pool.columns.projects.records[j : j + 1]
    if event.at < record["at"][0]:
        return
    pool.defaults[j] = _once(event.defaults)
    if event.labels:
        pool.labels[j] = event.labels
    elif event.labels is not UNSET:
        pool.labels.pop(j, None)
    if event.note:
        pool.notes[j] = event.note
    elif event.note is not UNSET:
        pool.notes.pop(j, None)
    record["at"] = event.at
    record["state"] = PROJECT_STATES[event.state]
    if event.state == "closed":
        pool.left_projects.add(j)
    record["weight"], record["gold_rate"] = event.weight, event.gold_rate
    record["budget"] = -1 if event.budget is None else event.budget
    record["deadline"] = INF if event.deadline is None else event.deadline
    record["cap"] = -1 if event.max_per_annotator is None else event.max_per_annotator
    if event.max_per_annotator is not None and record["limited"][0] == NONE:
        row = pool.limit(j)
        count_taken(pool.columns, j, row, int(pool.columns.counters[TASKS_USED]))
    if event.max_per_annotator is None:
        record["cap"] = np.iinfo(np.int32).max
    turn.apply_now(project_changed, pool.fit, j, pool.in_force.settled_retention_s)


def _once(defaults: wire.TaskDefaults) -> wire.TaskDefaults:
    """The presets as they are stored: a required attribute that is named twice is required once."""
    if defaults.requires is UNSET:
        return defaults
    return msgspec.structs.replace(defaults, requires=tuple(dict.fromkeys(defaults.requires)))


def _annotator(turn: Turn, event: wire.AnnotatorSet) -> None:
    pool = turn.pool
    a = pool.annotator(event.annotator)
    turn.flush()  # what came before goes by what they were then
    record = pool.columns.annotators.records[a : a + 1]
    if event.at < record["profile_at"][0]:
        return
    profile = Profile(frozenset(event.skills), frozenset(event.attributes), frozenset(event.grants))
    record["profile_at"] = event.at
    record["profile"] = pool.fits.profile(profile)
    pool.undescribed.discard(a)
    record["cost"], record["kind"] = event.cost, KINDS[event.kind]
    pool.columns.dirty.annotators[a] = 1
    turn.apply_now(annotator_changed, pool.fit, a, pool.in_force.settled_retention_s)
    waiting = pool.release(FOR_PERSON + event.annotator)
    if waiting:
        pool.dirty_waiting.add(FOR_PERSON + event.annotator)
        turn.take_waiting(waiting)


def _pool(paused: bool) -> Handler:
    def handle(turn: Turn, event: Any) -> None:
        pool = turn.pool
        turn.flush()
        if event.at < pool.changed_at:
            return
        pool.changed_at, pool.paused, pool.dirty = event.at, paused, True
        if paused:
            turn.apply_now(withdraw_pool, pool.in_force.settled_retention_s)
        else:
            turn.is_resumed = True

    return handle


def _noted(turn: Turn, event: wire.PoolSet) -> None:
    pool = turn.pool
    if event.note is UNSET:
        return
    note = event.note or ""
    if pool.note_at is None or (event.at, note) > (pool.note_at, pool.note):
        pool.note_at, pool.note, pool.dirty_note = event.at, note, True


def _settings(turn: Turn, event: wire.SettingsChanged) -> None:
    pool = turn.pool
    try:
        policy = changed(pool.policy, event.settings, event.at)
    except SettingRefused as error:
        raise Invalid(str(error)) from error
    if policy is pool.policy:
        return
    turn.flush()  # what came before goes by what held then
    before = pool.in_force
    pool.rule_by(policy)
    pool.dirty_policy = True
    if (before.settled_retention_s, before.grace_s) != (pool.in_force.settled_retention_s, pool.in_force.grace_s):
        turn.apply_now(reschedule, pool.in_force)


def _not_supported(turn: Turn, event: Any) -> None:
    kind = type(event).__struct_config__.tag
    turn.reject("not_supported_yet", f"events of type {kind!r} are not supported yet")


HANDLERS: dict[type, Handler] = {
    wire.JudgmentSubmitted: _judgment(int(codes.SUBMITTED)),
    wire.JudgmentCorrected: _judgment(int(codes.CORRECTED)),
    wire.JudgmentRetracted: _judgment(int(codes.RETRACTED)),
    wire.AssignmentAccepted: _response(int(codes.ACCEPTED)),
    wire.AssignmentExtended: _response(int(codes.EXTENDED)),
    wire.AssignmentDeclined: _response(int(codes.DECLINED)),
    wire.AnnotatorOnline: _online,
    wire.AnnotatorPaused: _paused,
    wire.AnnotatorResumed: _resumed,
    wire.AnnotatorOffline: _offline,
    wire.WorkRequested: _requested,
    wire.TaskCreated: created,
    wire.TaskUpdated: updated,
    wire.TaskCancelled: cancelled,
    wire.TruthSet: truth,
    wire.JudgmentScored: _scored,
    wire.SkillSeeded: _seeded,
    wire.ProjectSet: _project,
    wire.AnnotatorSet: _annotator,
    wire.AnnotatorErased: handle_erased,
    wire.SettingsChanged: _settings,
    wire.PoolPaused: _pool(True),
    wire.PoolResumed: _pool(False),
    wire.PoolSet: _noted,
    **dict.fromkeys(wire.NOT_SUPPORTED_YET, _not_supported),
}


def dispatch(turn: Turn, event: Any) -> None:
    """Let an event take effect."""
    HANDLERS[type(event)](turn, event)
