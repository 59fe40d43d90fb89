"""One handler per kind of event: resolve ids, then pack it into the pool's turn or apply it at once.

Those of events about tasks are in ``task_handlers.py``. An event about a task nobody has created waits; it
is applied right behind the ``task_created``. A handler raises ``Invalid`` or ``IdRefused`` before it has changed
anything.
"""

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from kernels.lifecycle import annotator_changed, codes, project_changed, reschedule
from kernels.lifecycle import pool_paused as withdraw_pool
from stream import events as wire
from stream.core.batch import Applied, Invalid, misfit, misplaced, pack_event
from stream.core.intake.erasing import handle_erased
from stream.core.intake.in_session import in_session
from stream.core.intake.task_handlers import cancelled, created, truth, updated, wait
from stream.core.intake.turn import Turn
from stream.core.state import projects
from stream.core.state.facts import rank
from stream.core.state.fits import Profile
from stream.core.state.policies import changed
from stream.core.state.waiting import FOR_PERSON
from stream.policy import SettingRefused

INF = float("inf")
NONE, ONLINE = int(codes.NONE), int(codes.ONLINE)  # plain ints pack faster

REASONS = {"broken": 1, "unclear": 2, "not_my_skill": 3, "conflict": 4, "break": 5, "other": 6}
KINDS = {"human": 0, "model": 1}
STATED = {UNSET: 0, "push": 1, "pull": 2}  # modes, as a heartbeat states them
SOURCES = {"agreement": 1, "metric": 2, "reviewer": 3}

NAME_DIGITS = 15  # of round and place: what 32 bits and a float hold
#: Fields of a project and of an annotator, in the order of their masks.
PROJECT_FIELDS = (
    "state", "weight", "budget", "max_per_annotator", "gold_rate", "deadline", "labels", "note",
    *projects.PRESETS,
)  # fmt: skip
ANNOTATOR_FIELDS = "skills", "attributes", "grants", "cost", "kind"

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
        rnd, index = (0, 0) if event.assignment is None else _named(event.assignment)
        turn.packed.append(pack_event(kind, detail, NONE, annotator, task, index, 0, event.at, rnd, 0.0))

    return handle


def _named(assignment: str) -> tuple[int, int]:
    """Round and, from 1 on, place of an assignment, by its name; round 0 has none."""
    _, rnd, index = [*assignment.split("-"), "", ""][:3]
    if rnd.isascii() and rnd.isdecimal() and index.isascii() and index.isdecimal() and len(rnd + index) <= NAME_DIGITS:
        return int(rnd), int(index) + 1
    return 0, 1


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
    record, at = pool.columns.annotators.records[annotator : annotator + 1], min(event.at, turn.now)
    if at <= record["asked_at"][0]:  # the same again, or overtaken by a later one
        turn.ignore(event)
        return
    record["asked_at"] = at
    pool.columns.dirty.annotators[annotator] = 1
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
    pool, at = turn.pool, min(event.at, turn.now)
    turn.flush()
    j = pool.project(event.project)
    record = pool.columns.projects.records[j : j + 1]
    said = {
        field: getattr(event, field) for field in PROJECT_FIELDS[:8] if getattr(event, field) is not UNSET
    } | _presets(event)  # fmt: skip
    now = projects.stated(pool, j)
    key, known = f"j{event.project}", (float(record["at"][0]), int(record["stated"][0]))
    plan = pool.facts.plan(
        key, PROJECT_FIELDS, known, {field: rank(value) for field, value in said.items()}, at,
        lambda field: rank(now[field]),
    )
    if not plan.fields:
        turn.ignore(event)
        if said or known[1]:
            return
    pool.facts.keep(key, plan)
    record["at"], record["stated"] = (at if not said else plan.base), plan.mask
    projects.state(pool, j, {field: said[field] for field in plan.fields})
    turn.apply_now(project_changed, pool.fit, j, pool.in_force.settled_retention_s)


def _presets(event: wire.ProjectSet) -> dict[str, Any]:
    """What the event says of presets, by field; a required attribute that is named twice is required once."""
    if event.defaults is UNSET:
        return {}
    defaults = wire.TaskDefaults() if event.defaults is None else event.defaults
    found = {field: getattr(defaults, field) for field in wire.TaskDefaults.__struct_fields__}
    if defaults.requires is not UNSET:
        found["requires"] = tuple(dict.fromkeys(defaults.requires))
    is_cleared = event.defaults is None
    return {projects.OF + field: value for field, value in found.items() if is_cleared or value is not UNSET}


def _annotator(turn: Turn, event: wire.AnnotatorSet) -> None:
    pool, at = turn.pool, min(event.at, turn.now)
    a = pool.annotator(event.annotator)
    turn.flush()  # what came before goes by what they were then
    record = pool.columns.annotators.records[a : a + 1]
    was = pool.fits.profiles[int(record["profile"][0])]
    now: dict[str, Any] = {
        "skills": was.skills, "attributes": was.attributes, "grants": was.grants, "cost": float(record["cost"][0]),
        "kind": int(record["kind"][0]),
    }  # fmt: skip
    said: dict[str, Any] = {
        field: getattr(event, field) for field in ANNOTATOR_FIELDS if getattr(event, field) is not UNSET
    }
    said = {field: frozenset(value) if field in ANNOTATOR_FIELDS[:3] else value for field, value in said.items()}
    if "kind" in said:
        said["kind"] = KINDS[said["kind"]]
    key, known = f"a{event.annotator}", (float(record["profile_at"][0]), int(record["stated"][0]))
    plan = pool.facts.plan(
        key, ANNOTATOR_FIELDS, known, {field: rank(value) for field, value in said.items()}, at,
        lambda field: rank(now[field]),
    )
    if plan.fields or a in pool.undescribed:
        now |= {field: said[field] for field in plan.fields}
        pool.facts.keep(key, plan)
        record["profile_at"], record["stated"] = plan.base if plan.fields else at, plan.mask
        record["profile"] = pool.fits.profile(Profile(now["skills"], now["attributes"], now["grants"]))
        record["cost"], record["kind"] = now["cost"], now["kind"]
        pool.undescribed.discard(a)
        pool.columns.dirty.annotators[a] = 1
        turn.apply_now(annotator_changed, pool.fit, a, pool.in_force.settled_retention_s)
    else:
        turn.ignore(event)
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
