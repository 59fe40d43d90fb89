"""One handler per kind of event: resolve ids, then add to the pool's run or apply at once.

An event about a task nobody has created waits; it is applied right behind the ``task_created``. A handler raises
``Invalid`` or ``IdRefused`` before it has changed anything.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import UNSET

from kernels.lifecycle import TASK, codes, count_share, project_changed, task_changed
from kernels.lifecycle import pool_paused as withdraw_pool
from kernels.lifecycle.layout import NOW
from kernels.lifecycle.lessons import EVERYONE
from stream import events as wire
from stream.core.batch import Applied, Invalid, Run, pack_event, pack_task
from stream.core.erasure import handle_erased
from stream.core.pools import PoolState, Profile, Waiting

if TYPE_CHECKING:
    from stream.core.intake import Intake

NAN, INF = float("nan"), float("inf")
NONE, CREATED, ONLINE, AMENDED, OPEN = map(
    int, (codes.NONE, codes.CREATED, codes.ONLINE, codes.AMENDED, codes.OPEN)
)  # plain ints pack faster

REASONS = {"broken": 1, "unclear": 2, "not_my_skill": 3, "conflict": 4, "break": 5, "other": 6}
PURPOSES = {"work": 1, "gold": 2, "training": 3}
PROJECT_STATES = {"active": 1, "paused": 2, "closed": 3}
KINDS = {"human": 0, "model": 1}
SOURCES = {"agreement": 1, "metric": 2, "reviewer": 3}

Handler = Callable[["Intake", PoolState, Run, Any, str, int, Any], None]


def _waits(intake: "Intake", pool: PoolState, task: str, topic: str, offset: int, value: bytes) -> None:
    """The event's task is unknown: too old, or it waits."""
    if task in pool.gone:
        message = f"task {task!r} settled more than {intake.market.settled_retention_s:g} s ago: its books are closed"
        intake.reject(topic, offset, pool.key, value, "too_old", message)
        return
    until = intake.now + intake.market.reference_wait_s
    headers = tuple((name, content) for name, content in intake.current.headers)
    pool.waiting.setdefault(task, []).append(Waiting(topic, offset, bytes(value), until, headers))
    pool.dirty_waiting.add(task)


def _judgment(kind: int) -> Handler:
    def handle(
        intake: "Intake", pool: PoolState, run: Run, event: Any, topic: str, offset: int, value: bytes
    ) -> None:
        task = pool.tasks.slots.get(event.task)
        if task is None:
            _waits(intake, pool, event.task, topic, offset, value)
            return
        annotator = pool.annotators.slots.get(event.annotator)
        if annotator is None:
            annotator = pool.annotator(event.annotator)
        applied = intake.applied
        label = event.label if kind != codes.RETRACTED else None
        run.packed.append(
            pack_event(
                kind, 0, NONE if label is None else label, annotator, task, 0, len(applied), event.at, 0.0, 0.0
            )
        )
        applied.append(Applied(event, topic, offset, value))
        run.judgments += 1

    return handle


def _response(kind: int) -> Handler:
    def handle(
        intake: "Intake", pool: PoolState, run: Run, event: Any, topic: str, offset: int, value: bytes
    ) -> None:
        task = pool.tasks.slots.get(event.task)
        if task is None:
            _waits(intake, pool, event.task, topic, offset, value)
            return
        annotator = pool.annotators.slots.get(event.annotator)
        if annotator is None:
            annotator = pool.annotator(event.annotator)
        detail = REASONS[event.reason] if kind == codes.DECLINED else 0
        run.packed.append(pack_event(kind, detail, NONE, annotator, task, 0, 0, event.at, 0.0, 0.0))

    return handle


def _presence(kind: int) -> Handler:
    def handle(
        intake: "Intake", pool: PoolState, run: Run, event: Any, topic: str, offset: int, value: bytes
    ) -> None:
        annotator = pool.annotators.slots.get(event.annotator)
        if annotator is None:
            annotator = pool.annotator(event.annotator)
        run.packed.append(pack_event(kind, 0, NONE, annotator, NONE, 0, 0, event.at, 0.0, 0.0))

    return handle


def _online(
    intake: "Intake", pool: PoolState, run: Run, event: wire.AnnotatorOnline, topic: str, offset: int, value: bytes
) -> None:
    annotator = pool.annotators.slots.get(event.annotator)
    if annotator is None:
        annotator = pool.annotator(event.annotator)
    run.packed.append(
        pack_event(
            ONLINE, 1 if event.mode == "pull" else 0, NONE, annotator, NONE, event.capacity, 0, event.at,
            event.ttl_s, INF if event.until is None else event.until,
        )
    )  # fmt: skip


def _requested(
    intake: "Intake", pool: PoolState, run: Run, event: wire.WorkRequested, topic: str, offset: int, value: bytes
) -> None:
    annotator = pool.annotator(event.annotator)
    run.packed.append(
        pack_event(codes.REQUESTED, 0, NONE, annotator, NONE, event.count, 0, event.at, 0.0, 0.0)
    )
    pool.asked[annotator] = pool.asked.get(annotator, 0) + event.count
    pool.asked_projects[annotator] = event.projects


def _created(
    intake: "Intake", pool: PoolState, run: Run, event: wire.TaskCreated, topic: str, offset: int, value: bytes
) -> None:
    name = event.task
    if name in pool.tasks.slots or name in pool.gone:
        return
    j = pool.project(event.project)
    preset = pool.defaults[j]
    pick = _pick
    skill_name = pick(event.skill, preset.skill, None)
    if skill_name is None:
        raise Invalid("Expected a skill, got none - at `$.skill`: state it, or preset it in the project's `defaults`")
    classes = pick(event.classes, preset.classes, None) or 0
    overlap = pick(event.overlap, preset.overlap, 3)
    confidence = pick(event.confidence, preset.confidence, None)
    most = pick(event.max_overlap, preset.max_overlap, None)
    most = overlap if most is None or confidence is None else most
    _check_label(event, classes)
    if event.purpose != "work":
        overlap, most, confidence = EVERYONE, EVERYONE, None
    if most < overlap:
        raise Invalid(f"Expected `int` >= {overlap} (the overlap), got {most} - at `$.max_overlap`")
    min_skill = pick(event.min_skill, preset.min_skill, None)
    deadline = pick(event.deadline, preset.deadline, None)
    requires = frozenset(pick(event.requires, preset.requires, ()))
    skill_slot = pool.skill(skill_name)
    model = pool.model(skill_slot, classes)
    only = [pool.annotator(a) for a in event.only]
    exclude = [pool.annotator(a) for a in event.exclude]
    # stored before the task has a slot: an id that is too long leaves nothing half made
    slot = pool.add_task(name)
    if event.purpose != "work" and not pool.is_taught(j):
        intake.flush(pool, run)  # what was judged before earns nothing
        pool.teach(j)
    run.packed.append(
        pack_event(CREATED, 0, NONE, NONE, slot, len(run.created), 0, event.at, 0.0, 0.0)
    )
    run.created.append(
        pack_task(
            OPEN, PURPOSES[event.purpose], 0, 0,
            classes, NONE if event.label is None else event.label, NONE, 0, pick(event.priority, preset.priority, 0),
            j, skill_slot, model, pool.demand(skill_name, requires),
            overlap, most,
            0, 0, 0,
            NONE, 0,
            pool.store_list(only) if only else 0, len(only), pool.store_list(exclude) if exclude else 0, len(exclude),
            NAN if confidence is None else confidence, pick(event.value, preset.value, 1.0),
            INF if deadline is None else deadline,
            pick(event.expected_s, preset.expected_s, None) or intake.market.expected_s,
            pick(event.lease_s, preset.lease_s, None) or intake.market.lease_s,
            NAN if min_skill is None else min_skill, event.at, event.at, INF,
        )
    )  # fmt: skip
    waiting = pool.waiting.pop(name, None)
    if waiting is not None:
        pool.dirty_waiting.add(name)
        for w in waiting:
            intake.waited[w.topic, w.offset] = w.headers
            intake.handle(pool, run, wire.decode(w.value), w.topic, w.offset, w.value)


def _check_label(event: wire.TaskCreated, classes: int) -> None:
    """Gold and training have a known answer if they have classes; work has none."""
    if event.purpose == "work" or not classes:
        if event.label is not None:
            why = "for work: make its purpose gold, or send truth_set" if classes else "for a task without classes"
            raise Invalid(f"Expected no label {why} - at `$.label`")
    elif event.label is None or event.label >= classes:
        raise Invalid(f"Expected the known label, in [0, {classes}), got {event.label} - at `$.label`")


def _pick(stated: Any, preset: Any, default: Any) -> Any:
    """What the event states, else what the project presets, else the contract's default."""
    if stated is not UNSET:
        return stated
    return default if preset is UNSET else preset


def _amend(intake: "Intake", run: Run, slot: int, event: wire.TaskUpdated) -> bool:
    """Leave an update of simple fields to the kernel; False when it needs checks or lists."""
    complex_fields = (
        event.overlap, event.max_overlap, event.confidence, event.requires, event.min_skill, event.only, event.exclude,
    )  # fmt: skip
    if any(field is not UNSET for field in complex_fields):
        return False
    market = intake.market
    stated = (event.priority, event.value, event.deadline, event.expected_s, event.lease_s)
    bits = sum(1 << i for i, field in enumerate(stated) if field is not UNSET)
    priority, value, deadline, expected_s, lease_s = (None if field is UNSET else field for field in stated)
    changed = np.zeros(1, TASK)
    changed["priority"], changed["value"] = priority or 0, value or 0.0
    changed["deadline"] = INF if deadline is None else deadline
    changed["expected_s"], changed["lease_s"] = expected_s or market.expected_s, lease_s or market.lease_s
    run.packed.append(
        pack_event(AMENDED, 0, bits, NONE, slot, len(run.created), 0, event.at, 0.0, 0.0)
    )
    run.created.append(changed.tobytes())
    return True


def _updated(
    intake: "Intake", pool: PoolState, run: Run, event: wire.TaskUpdated, topic: str, offset: int, value: bytes
) -> None:
    slot = pool.tasks.slots.get(event.task)
    if slot is None:
        _waits(intake, pool, event.task, topic, offset, value)
        return
    if _amend(intake, run, slot, event):
        return
    intake.flush(pool, run)
    record = pool.columns.tasks[slot : slot + 1]
    if event.at < record["updated"][0]:
        return
    is_work = record["purpose"][0] == codes.WORK  # else it is for everybody, whatever its confidence
    overlap = int(record["overlap"][0]) if event.overlap is UNSET or not is_work else event.overlap
    confidence = float(record["confidence"][0])
    if event.confidence is not UNSET and is_work:
        confidence = NAN if event.confidence is None else event.confidence
    most: int | None = int(record["max_overlap"][0]) if event.max_overlap is UNSET else event.max_overlap
    if most is None or np.isnan(confidence):
        most = overlap
    if most < overlap:
        if event.max_overlap is UNSET or not is_work:
            most = overlap
        else:
            raise Invalid(f"Expected `int` >= {overlap} (the overlap), got {most} - at `$.max_overlap`")
    only = [pool.annotator(a) for a in event.only] if event.only is not UNSET else None
    exclude = [pool.annotator(a) for a in event.exclude] if event.exclude is not UNSET else None
    record["overlap"], record["max_overlap"], record["confidence"] = overlap, most, confidence
    record["updated"] = event.at
    market = intake.market
    for name, stated, default in (
        ("priority", event.priority, 0),
        ("value", event.value, 1.0),
        ("deadline", event.deadline, INF),
        ("expected_s", event.expected_s, market.expected_s),
        ("lease_s", event.lease_s, market.lease_s),
        ("min_skill", event.min_skill, NAN),
    ):
        if stated is not UNSET:
            record[name] = default if stated is None else stated
    if event.requires is not UNSET:
        skill_name = pool.skills.ids[int(record["skill"][0])] or ""
        record["demand"] = pool.demand(skill_name, frozenset(event.requires))
    if only is not None:
        record["only"], record["only_n"] = pool.store_list(only), len(only)
    if exclude is not None:
        record["exclude"], record["exclude_n"] = pool.store_list(exclude), len(exclude)
    pool.reserve_emissions(2 * pool.live + 64)
    pool.columns.clock[NOW] = intake.now
    task_changed(pool.columns, slot, intake.rules.retention_s)
    intake.collect(pool)


def _cancelled(
    intake: "Intake", pool: PoolState, run: Run, event: wire.TaskCancelled, topic: str, offset: int, value: bytes
) -> None:
    task = pool.tasks.slots.get(event.task)
    if task is None:
        _waits(intake, pool, event.task, topic, offset, value)
        return
    run.packed.append(pack_event(codes.CANCELLED, 0, NONE, NONE, task, 0, 0, event.at, 0.0, 0.0))


def _truth(
    intake: "Intake", pool: PoolState, run: Run, event: wire.TruthSet, topic: str, offset: int, value: bytes
) -> None:
    task = pool.tasks.slots.get(event.task)
    if task is None:
        _waits(intake, pool, event.task, topic, offset, value)
        return
    index = len(intake.applied)
    intake.applied.append(Applied(event, topic, offset, value))
    run.packed.append(pack_event(codes.TRUTH, 0, event.label, NONE, task, 0, index, event.at, 0.0, 0.0))


def _scored(
    intake: "Intake", pool: PoolState, run: Run, event: wire.JudgmentScored, topic: str, offset: int, value: bytes
) -> None:
    task = pool.tasks.slots.get(event.task)
    if task is None:
        _waits(intake, pool, event.task, topic, offset, value)
        return
    annotator = pool.annotator(event.annotator)
    index = len(intake.applied)
    intake.applied.append(Applied(event, topic, offset, value))
    run.packed.append(
        pack_event(codes.SCORED, SOURCES[event.source], NONE, annotator, task, 0, index, event.at, event.score, 0.0)
    )
    run.judgments += 1


def _seeded(
    intake: "Intake", pool: PoolState, run: Run, event: wire.SkillSeeded, topic: str, offset: int, value: bytes
) -> None:
    intake.flush(pool, run)
    annotator = pool.annotator(event.annotator)
    pool.seed(pool.skill(event.skill), annotator, event.accuracy, event.weight, event.at)


def _project(
    intake: "Intake", pool: PoolState, run: Run, event: wire.ProjectSet, topic: str, offset: int, value: bytes
) -> None:
    intake.flush(pool, run)
    j = pool.project(event.project)
    record = pool.columns.projects[j : j + 1]
    if event.at < record["at"][0]:
        return
    pool.defaults[j] = event.defaults
    record["at"] = event.at
    record["state"] = PROJECT_STATES[event.state]
    record["weight"], record["gold_rate"] = event.weight, event.gold_rate
    record["budget"] = -1 if event.budget is None else event.budget
    record["deadline"] = INF if event.deadline is None else event.deadline
    record["cap"] = -1 if event.max_per_annotator is None else event.max_per_annotator
    if event.max_per_annotator is not None and record["limited"][0] == NONE:
        row = pool.limit(j)
        count_share(pool.columns, j, row)
    if event.max_per_annotator is None:
        record["cap"] = np.iinfo(np.int32).max
    open_tasks = int(np.count_nonzero(pool.columns.tasks["project"][: pool.tasks.used] == j))
    pool.reserve_emissions(open_tasks + pool.live + 64)
    pool.columns.clock[NOW] = intake.now
    project_changed(pool.columns, j, intake.rules.retention_s)
    intake.collect(pool)


def _annotator(
    intake: "Intake", pool: PoolState, run: Run, event: wire.AnnotatorSet, topic: str, offset: int, value: bytes
) -> None:
    a = pool.annotator(event.annotator)  # the kernel reads no profile, so its run may go on
    record = pool.columns.annotators[a : a + 1]
    if event.at < record["profile_at"][0]:
        return
    profile = Profile(frozenset(event.skills), frozenset(event.attributes), frozenset(event.grants))
    record["profile_at"] = event.at
    record["profile"] = pool.profile(profile)
    record["cost"], record["kind"] = event.cost, KINDS[event.kind]
    pool.columns.dirty_annotators[a] = 1


def _pool(paused: bool) -> Handler:
    def handle(
        intake: "Intake", pool: PoolState, run: Run, event: Any, topic: str, offset: int, value: bytes
    ) -> None:
        intake.flush(pool, run)
        if event.at < pool.changed_at:
            return
        pool.changed_at, pool.paused, pool.dirty = event.at, paused, True
        if not paused:
            intake.resumed.add(pool.name)
        if paused:
            pool.reserve_emissions(pool.live + 64)
            pool.columns.clock[NOW] = intake.now
            withdraw_pool(pool.columns, intake.rules.retention_s)
            intake.collect(pool)

    return handle


def _not_supported(
    intake: "Intake", pool: PoolState, run: Run, event: Any, topic: str, offset: int, value: bytes
) -> None:
    kind = type(event).__struct_config__.tag
    intake.reject(topic, offset, pool.key, value, "not_supported_yet", f"events of type {kind!r} are not supported yet")


HANDLERS: dict[type, Handler] = {
    wire.JudgmentSubmitted: _judgment(int(codes.SUBMITTED)),
    wire.JudgmentCorrected: _judgment(int(codes.CORRECTED)),
    wire.JudgmentRetracted: _judgment(int(codes.RETRACTED)),
    wire.AssignmentAccepted: _response(int(codes.ACCEPTED)),
    wire.AssignmentExtended: _response(int(codes.EXTENDED)),
    wire.AssignmentDeclined: _response(int(codes.DECLINED)),
    wire.AnnotatorOnline: _online,
    wire.AnnotatorPaused: _presence(int(codes.PAUSED)),
    wire.AnnotatorOffline: _presence(int(codes.OFFLINE)),
    wire.WorkRequested: _requested,
    wire.TaskCreated: _created,
    wire.TaskUpdated: _updated,
    wire.TaskCancelled: _cancelled,
    wire.TruthSet: _truth,
    wire.JudgmentScored: _scored,
    wire.SkillSeeded: _seeded,
    wire.ProjectSet: _project,
    wire.AnnotatorSet: _annotator,
    wire.AnnotatorErased: handle_erased,
    wire.PoolPaused: _pool(True),
    wire.PoolResumed: _pool(False),
    **dict.fromkeys(wire.NOT_SUPPORTED_YET, _not_supported),
}
