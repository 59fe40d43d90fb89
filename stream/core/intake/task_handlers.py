"""What events about tasks do: create, change, cancel, tell the truth; and how an event waits for its task.

A task's fields are those that its event states, else the project's presets, else the contract's defaults. Simple
changes of a task are left to the kernel's run; those that need checks or lists are applied at once.
"""

from typing import Any

import numpy as np
from msgspec import UNSET

from kernels.lifecycle import TASK, codes, task_changed
from kernels.lifecycle.lessons import EVERYONE
from stream import events as wire
from stream.core.batch import Applied, Invalid, pack_event, pack_task
from stream.core.intake.turn import Turn
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState
from stream.core.state.waiting import FOR_PERSON, Waiting, check_id

NAN, INF = float("nan"), float("inf")
# plain ints pack faster
NONE, CREATED, AMENDED, OPEN = map(int, (codes.NONE, codes.CREATED, codes.AMENDED, codes.OPEN))

#: judgments that a task may get at most which asks for a confidence, or promises nothing, and says no more
MOST = 10
PURPOSES = {"work": 1, "gold": 2, "training": 3}


def wait(turn: Turn, task: str) -> None:
    """The event's task is unknown: too old, or it waits, unless too many wait for the same already.

    So does an event by somebody whom nobody has described: ``task`` is then `FOR_PERSON` and their id.

    What waits for a task is one row, written anew with each of them: it must stay small.
    """
    pool, source = turn.pool, turn.source
    if task in pool.gone:
        retention_s = pool.policy.settled_retention_s
        turn.reject("too_old", f"task {task!r} settled more than {retention_s:g} s ago: its books are closed")
        return
    until = turn.now + turn.pool.policy.reference_wait_s
    headers = tuple((name, content) for name, content in source.headers)
    waits = Waiting(source.topic, source.offset, bytes(source.value), until, headers)
    others = pool.waiting_bytes.get(task, 0)
    if others and others + waits.size > wire.WAITING_BYTES:
        what, then = awaited(task)
        message = (
            f"{len(pool.waiting[task])} events wait for {what} already, at most {wire.WAITING_BYTES} bytes may: "
            f"{then}, then send the event again"
        )
        turn.reject("too_many_waiting", message)
        return
    pool.add_waiting(task, waits)
    pool.dirty_waiting.add(task)


def awaited(name: str) -> tuple[str, str]:
    """What an event waits for, in words, and what is to be done about it."""
    if name.startswith(FOR_PERSON):
        return f"annotator {name[len(FOR_PERSON) :]!r}", "describe the annotator (annotator_set)"
    return f"task {name!r}", "create the task"


def created(turn: Turn, event: wire.TaskCreated) -> None:
    """A task exists; the first of an id counts. What waited for it is applied right behind."""
    pool, name = turn.pool, event.task
    if name in pool.tasks.slots or name in pool.gone:
        return
    pool.check_project(event.project)
    preset = pool.presets(event.project)
    pick = _pick
    skill_name = pick(event.skill, preset.skill, None)
    if skill_name is None:
        raise Invalid("Expected a skill, got none - at `$.skill`: state it, or preset it in the project's `defaults`")
    classes = pick(event.classes, preset.classes, None) or 0
    confidence = pick(event.confidence, preset.confidence, None)
    asks = bool(classes and confidence is not None)
    overlap = pick(event.overlap, preset.overlap, 1 if asks or pool.has_budget(event.project) else 3)
    most = _most(overlap, pick(event.max_overlap, preset.max_overlap, None), asks)
    _check_label(event, classes)
    if event.purpose != "work":
        overlap, most, confidence = EVERYONE, EVERYONE, None
    if most < overlap:
        raise Invalid(_below(overlap, most))
    min_skill = pick(event.min_skill, preset.min_skill, None)
    deadline = pick(event.deadline, preset.deadline, None)
    requires = frozenset(pick(event.requires, preset.requires, ()))
    check_id(name, "task")
    pool.check_skill(skill_name)
    pool.check_annotators((*event.only, *event.exclude))
    # nothing refuses it any more
    j = pool.project(event.project)
    skill_slot = pool.skill(skill_name)
    model = pool.models.of(skill_slot, classes)
    only, exclude = _slots(pool, event.only), _slots(pool, event.exclude)
    slot = pool.add_task(name, j, model)
    if event.purpose != "work" and not pool.is_taught(j):
        turn.flush()  # what was judged before earns nothing
        pool.teach(j)
    turn.packed.append(
        pack_event(CREATED, 0, NONE, NONE, slot, len(turn.created), 0, event.at, 0.0, 0.0)
    )
    turn.created.append(
        pack_task(
            OPEN, PURPOSES[event.purpose], 0, 0,
            classes, NONE if event.label is None else event.label, NONE, 0, pick(event.priority, preset.priority, 0),
            j, skill_slot, model, pool.fits.demand(skill_name, requires),
            overlap, most,
            0, 0, 0,
            NONE, 0,
            pool.lists.store(only) if only else 0, len(only), pool.lists.store(exclude) if exclude else 0, len(exclude),
            NAN if confidence is None else confidence, pick(event.value, preset.value, 1.0),
            INF if deadline is None else deadline,
            pick(event.expected_s, preset.expected_s, None) or turn.pool.policy.expected_s,
            pick(event.lease_s, preset.lease_s, None) or turn.pool.policy.lease_s,
            NAN if min_skill is None else min_skill, event.at, event.at, INF,
        )
    )  # fmt: skip
    _arrived(turn, event)


def _arrived(turn: Turn, event: wire.TaskCreated) -> None:
    """The task is there: with its reference, and with what has waited for it."""
    pool = turn.pool
    if event.ref:
        pool.refer(event.task, event.at, event.ref)
    waiting = pool.release(event.task)
    if waiting:
        pool.dirty_waiting.add(event.task)
        turn.take_waiting(waiting)


def _slots(pool: PoolState, names: wire.Ids) -> list[int]:
    """Slots of the annotators in a list, each once: markets rely on it."""
    return [pool.annotator(name) for name in dict.fromkeys(names)]


def _check_label(event: wire.TaskCreated, classes: int) -> None:
    """Gold and training have a known answer if they have classes; work has none."""
    if event.purpose == "work" or not classes:
        if event.label is not None:
            why = "for work: make its purpose gold, or send truth_set" if classes else "for a task without classes"
            raise Invalid(f"Expected no label {why} - at `$.label`")
    elif event.label is None or event.label >= classes:
        got = "none" if event.label is None else event.label
        raise Invalid(f"Expected the known label, in [0, {classes}), got {got} - at `$.label`")


def _below(overlap: int, most: int) -> str:
    return f"Expected a whole number of at least {overlap} (the overlap), got {most} - at `$.max_overlap`"


def _most(overlap: int, stated: int | None, asks: bool) -> int:
    """The most judgments that a task may get, where so many are promised and ``asks`` says if it has a confidence."""
    if overlap and not asks:
        return overlap
    return max(overlap, MOST) if stated is None else stated


def _pick(stated: Any, preset: Any, default: Any) -> Any:
    """What the event states, else what the project presets, else the contract's default."""
    if stated is not UNSET:
        return stated
    return default if preset is UNSET else preset


def _amend(turn: Turn, slot: int, event: wire.TaskUpdated) -> bool:
    """Leave an update of simple fields to the kernel; False when it needs checks or lists."""
    complex_fields = (
        event.overlap, event.max_overlap, event.confidence, event.requires, event.min_skill, event.only, event.exclude,
    )  # fmt: skip
    if any(field is not UNSET for field in complex_fields):
        return False
    policy = turn.pool.policy
    stated = (event.priority, event.value, event.deadline, event.expected_s, event.lease_s)
    bits = sum(1 << i for i, field in enumerate(stated) if field is not UNSET)
    priority, value, deadline, expected_s, lease_s = (None if field is UNSET else field for field in stated)
    changed = np.zeros(1, TASK)
    changed["priority"], changed["value"] = priority or 0, value or 0.0
    changed["deadline"] = INF if deadline is None else deadline
    changed["expected_s"], changed["lease_s"] = expected_s or policy.expected_s, lease_s or policy.lease_s
    turn.packed.append(
        pack_event(AMENDED, 0, bits, NONE, slot, len(turn.created), 0, event.at, 0.0, 0.0)
    )
    turn.created.append(changed.tobytes())
    return True


def updated(turn: Turn, event: wire.TaskUpdated) -> None:
    """Fields of a task change; the newest ``at`` wins."""
    pool = turn.pool
    slot = pool.tasks.slots.get(event.task)
    if slot is None:
        wait(turn, event.task)
        return
    if not _amend(turn, slot, event):
        _change(turn, slot, event)
    if event.ref is not UNSET:
        _refer(turn, slot, event)


def _change(turn: Turn, slot: int, event: wire.TaskUpdated) -> None:
    """Fields that need checks or lists change, and those stated beside them."""
    pool = turn.pool
    turn.flush()
    record = pool.columns.tasks.records[slot : slot + 1]
    if event.at < record["updated"][0]:
        return
    is_work = record["purpose"][0] == codes.WORK  # else it is for everybody, whatever its confidence
    overlap = int(record["overlap"][0]) if event.overlap is UNSET or not is_work else event.overlap
    confidence = float(record["confidence"][0])
    if event.confidence is not UNSET and is_work:
        confidence = NAN if event.confidence is None else event.confidence
    most = _most_of_update(record, event, overlap, confidence)
    for listed in (event.only, event.exclude):
        pool.check_annotators(listed if listed is not UNSET else ())
    only = _slots(pool, event.only) if event.only is not UNSET else None
    exclude = _slots(pool, event.exclude) if event.exclude is not UNSET else None
    record["overlap"], record["max_overlap"], record["confidence"] = overlap, most, confidence
    record["updated"] = event.at
    policy = turn.pool.policy
    for name, stated, default in (
        ("priority", event.priority, 0),
        ("value", event.value, 1.0),
        ("deadline", event.deadline, INF),
        ("expected_s", event.expected_s, policy.expected_s),
        ("lease_s", event.lease_s, policy.lease_s),
        ("min_skill", event.min_skill, NAN),
    ):
        if stated is not UNSET:
            record[name] = default if stated is None else stated
    if event.requires is not UNSET:
        skill_name = pool.skills.ids[int(record["skill"][0])] or ""
        record["demand"] = pool.fits.demand(skill_name, frozenset(event.requires))
    if only is not None:
        record["only"], record["only_n"] = pool.lists.store(only), len(only)
    if exclude is not None:
        record["exclude"], record["exclude_n"] = pool.lists.store(exclude), len(exclude)
    turn.apply_now(task_changed, pool.fit, slot, pool.in_force.settled_retention_s)


def _refer(turn: Turn, slot: int, event: wire.TaskUpdated) -> None:
    """The task's reference changes, if none is newer; of equal ones that counts which sorts last."""
    pool, ref = turn.pool, event.ref or None
    known = pool.refs.get(event.task)
    if known is None:
        turn.classes_of(slot)  # applies its creation, if that is pending
        known = float(pool.columns.tasks.records["created"][slot]), None
    if (event.at, ref or "") > (known[0], known[1] or ""):
        pool.refer(event.task, event.at, ref)


def _most_of_update(record: Array, event: wire.TaskUpdated, overlap: int, confidence: float) -> int:
    """The most judgments that an updated task may get: as before, if nothing is said and that still means something."""
    if record["purpose"][0] != codes.WORK:
        return overlap
    has_classes = bool(record["classes"][0])
    asked = has_classes and not np.isnan(record["confidence"][0])
    asks = has_classes and not np.isnan(confidence)
    before, now = asked or not record["overlap"][0], asks or not overlap  # may there be more than the overlap?
    if event.max_overlap is not UNSET:
        most = _most(overlap, event.max_overlap, asks)
        if most < overlap:
            raise Invalid(_below(overlap, most))
        return most
    return max(int(record["max_overlap"][0]), overlap) if now and before else _most(overlap, None, asks)


def cancelled(turn: Turn, event: wire.TaskCancelled) -> None:
    """Nobody needs the task any more."""
    task = turn.pool.tasks.slots.get(event.task)
    if task is None:
        wait(turn, event.task)
        return
    turn.packed.append(pack_event(codes.CANCELLED, 0, NONE, NONE, task, 0, 0, event.at, 0.0, 0.0))


def truth(turn: Turn, event: wire.TruthSet) -> None:
    """An adjudicated label."""
    task = turn.pool.tasks.slots.get(event.task)
    if task is None:
        wait(turn, event.task)
        return
    index = len(turn.applied)
    turn.applied.append(Applied(event, turn.source))
    turn.packed.append(pack_event(codes.TRUTH, 0, event.label, NONE, task, 0, index, event.at, 0.0, 0.0))
