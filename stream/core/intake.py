"""From bytes to applied events: decode, check, resolve ids, hand runs of events to the lifecycle kernel.

Frequent events become packed records that the kernel applies in the order of the log; rare ones (profiles,
projects, updates, pauses) need strings and sets, so they end the pool's run and are applied here. Either way one
event after another takes effect, exactly as in the log.

An event about a task nobody has created waits; it is applied right behind the ``task_created``.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
from msgspec import UNSET

from kernels.lifecycle import EVENT, TASK, Rules, advance, apply, codes, count_share
from kernels.lifecycle import pool_paused as withdraw_pool
from kernels.lifecycle import project_changed, task_changed
from kernels.lifecycle.layout import EMITTED, EVENT_FORMAT
from stream import events as wire
from stream import topics
from stream.core.partitioning import partition_of
from stream.core.pools import EVERY_SKILL, Array, IdRefused, PoolState, Profile, Waiting, longer
from stream.settings import Market

pack_event = struct.Struct(EVENT_FORMAT).pack
_FORMATS = {"u1": "B", "i2": "h", "i4": "i", "i8": "q", "f8": "d"}
pack_task = struct.Struct("<" + "".join(_FORMATS[TASK[name].str.lstrip("<|")] for name in TASK.names or ())).pack

NAN, INF = float("nan"), float("inf")
NONE, CREATED, ONLINE, OPEN = map(int, (codes.NONE, codes.CREATED, codes.ONLINE, codes.OPEN))  # plain ints pack faster
NO_TASKS = np.zeros(1, TASK)

REASONS = {"broken": 1, "unclear": 2, "not_my_skill": 3, "conflict": 4, "break": 5, "other": 6}
PURPOSES = {"work": 1, "gold": 2, "training": 3}
PROJECT_STATES = {"active": 1, "paused": 2, "closed": 3}
KINDS = {"human": 0, "model": 1}


class Record(Protocol):
    """What is needed of a Kafka record."""

    offset: int
    key: bytes | None
    value: bytes | None


class Range(NamedTuple):
    """All of one input topic's partition between two offsets: control markers are inside, not among the records."""

    start: int
    end: int
    records: Sequence[Any]


class Rejected(NamedTuple):
    """An input record that can't be used, and why."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes | None
    reason: str
    message: str


class Applied(NamedTuple):
    """One event of this round, as the results need it: the event and the record it came from."""

    event: wire.Event
    topic: str
    offset: int
    value: bytes


class Invalid(ValueError):
    """The event contradicts itself, its project or its task."""


def rules_of(market: Market) -> Rules:
    """The market's rules as the kernels take them."""
    return Rules(
        float(market.accept_s), float(market.grace_s), float(market.settled_retention_s), market.max_extensions,
        market.block_declines, market.missed_offers,
    )  # fmt: skip


class Run:
    """The events of one pool that wait to be applied by one kernel call."""

    __slots__ = ("created", "judgments", "packed")

    def __init__(self) -> None:
        self.packed: list[bytes] = []
        self.created: list[bytes] = []
        self.judgments = 0


class Intake:
    """Applies the input of one round to the pools of one partition."""

    def __init__(
        self, pools: dict[str, PoolState], market: Market, partition: int, partitions: int, now: float
    ) -> None:
        self.pools = pools
        self.market = market
        self.rules = rules_of(market)
        self.partition = partition
        self.partitions = partitions
        self.now = now
        self.latest = now + market.clock_ahead_s
        self.applied: list[Applied] = []
        self.rejected: list[Rejected] = []
        self.emissions: dict[str, list[Array]] = {}
        self.runs: dict[str, Run] = {}
        self.keys: dict[bytes | None, str | None] = {}
        self.events = 0

    # ------------------------------------------------------------------ the input of a topic
    def take(self, topic: str, records: Sequence[Record]) -> None:
        """Apply the records of one topic in their order."""
        decode, keys, latest = wire.decode, self.keys, self.latest
        runs = self.runs
        self.events += len(records)
        for record in records:
            key, value = record.key, record.value
            pool_id = keys.get(key)
            if pool_id is None:
                problem = self._learn_key(key)
                if problem is not None:
                    self.reject(topic, record.offset, key, value, *problem)
                    continue
                pool_id = keys[key]
            try:
                event = decode(value)  # type: ignore[arg-type]
            except (msgspec.MsgspecError, RecursionError, TypeError, ValueError) as error:
                self.reject(topic, record.offset, key, value, "malformed", f"{error}: send JSON of the contract")
                continue
            if event.pool != pool_id:
                message = f"the record's key is {pool_id!r}, the event's pool {event.pool!r}: use the pool as key"
                self.reject(topic, record.offset, key, value, "wrong_key", message)
                continue
            if event.at > latest:
                message = f"`at` is {event.at - self.now:.0f} s ahead of the worker's clock: check the producer's clock"
                self.reject(topic, record.offset, key, value, "clock", message)
                continue
            pool = self.pools.get(event.pool)
            try:
                if pool is None:
                    pool = self._new_pool(event)
            except IdRefused as error:
                self.reject(topic, record.offset, key, value, "malformed", str(error))
                continue
            run = runs.get(event.pool)
            if run is None:
                run = runs[event.pool] = Run()
            self.handle(pool, run, event, topic, record.offset, value)  # type: ignore[arg-type]

    def handle(
        self, pool: PoolState, run: Run, event: wire.Event, topic: str, offset: int, value: bytes
    ) -> None:
        """Apply one event of a known pool, or put its record among the dead letters."""
        try:
            HANDLERS[type(event)](self, pool, run, event, topic, offset, value)
        except IdRefused as error:
            self.reject(topic, offset, pool.key, value, "malformed", str(error))
        except Invalid as error:
            self.reject(topic, offset, pool.key, value, "invalid", str(error))

    def _learn_key(self, key: bytes | None) -> tuple[str, str] | None:
        if key is None:
            return "wrong_key", "the record has no key: use the pool's id in UTF-8 as key"
        home = partition_of(key, self.partitions)
        if home != self.partition:
            return (
                "wrong_partition",
                f"key {key[:64]!r} belongs to partition {home}, the record is in {self.partition}: set the producer's "
                "partitioner to murmur2 (librdkafka: partitioner=murmur2_random)",
            )
        try:
            self.keys[key] = key.decode()
        except UnicodeDecodeError:
            return "wrong_key", "the record's key is not UTF-8: use the pool's id in UTF-8 as key"
        return None

    def _new_pool(self, event: wire.Event) -> PoolState:
        if isinstance(event, wire.NOT_SUPPORTED_YET):
            return PoolState(event.pool)  # rejected by its handler; nothing of it stays
        pool = self.pools[event.pool] = PoolState(event.pool)
        return pool

    def reject(
        self, topic: str, offset: int, key: bytes | None, value: bytes | None, reason: str, message: str
    ) -> None:
        """Put a record among the dead letters."""
        self.rejected.append(Rejected(topic, offset, key, value, reason, message))

    # ------------------------------------------------------------------ kernel runs
    def flush(self, pool: PoolState, run: Run) -> None:
        """Apply the pool's pending events."""
        n = len(run.packed)
        if not n:
            return
        events = np.frombuffer(b"".join(run.packed), EVENT)
        created = np.frombuffer(b"".join(run.created), TASK) if run.created else NO_TASKS
        pool.reserve_pairs(run.judgments)
        pool.reserve_seats(run.judgments)
        pool.reserve_emissions(8 * n + pool.live + 64)
        run.packed, run.created, run.judgments = [], [], 0
        apply(pool.columns, events, created, self.now, self.rules)
        self.collect(pool)

    def collect(self, pool: PoolState) -> None:
        """Take what the last kernel call emitted."""
        counters = pool.columns.counters
        emitted = int(counters[EMITTED])
        if emitted:
            self.emissions.setdefault(pool.name, []).append(pool.columns.emissions[:emitted].copy())
            counters[EMITTED] = 0

    def finish(self, horizon: float) -> None:
        """Apply what is pending, then let the clock act on every pool that it concerns."""
        for name, run in self.runs.items():
            if name in self.pools:
                self.flush(self.pools[name], run)
        for _, pool in sorted(self.pools.items()):
            if pool.earliest <= horizon:
                self._advance(pool, horizon)

    def _advance(self, pool: PoolState, horizon: float) -> None:
        c = pool.columns
        due = int(np.count_nonzero(c.due[: pool.tasks.used] <= horizon))
        pool.reserve_emissions(2 * due + 2 * pool.live + 64)
        advance(pool.columns, self.now, horizon, self.rules)
        self.collect(pool)
        for task in sorted(task for task, waiting in pool.waiting.items() if waiting[0].until <= horizon):
            waiting = pool.waiting[task]
            late = [w for w in waiting if w.until <= horizon]
            pool.dirty_waiting.add(task)
            if len(late) == len(waiting):
                del pool.waiting[task]
            else:
                pool.waiting[task] = waiting[len(late) :]
            for w in late:
                message = (
                    f"no task {task!r} was created within {self.market.reference_wait_s:g} s: create the task, then "
                    "send the event again"
                )
                self.reject(w.topic, w.offset, pool.key, w.value, "unknown_task", message)
        for task in [task for task, until in pool.gone.items() if until <= horizon]:
            del pool.gone[task]
            pool.dirty_gone.add(task)

Handler = Callable[[Intake, PoolState, Run, Any, str, int, Any], None]


def _waits(intake: Intake, pool: PoolState, task: str, topic: str, offset: int, value: bytes) -> None:
    """The event's task is unknown: too old, or it waits."""
    if task in pool.gone:
        message = f"task {task!r} settled more than {intake.market.settled_retention_s:g} s ago: its books are closed"
        intake.reject(topic, offset, pool.key, value, "too_old", message)
        return
    until = intake.now + intake.market.reference_wait_s
    pool.waiting.setdefault(task, []).append(Waiting(topic, offset, bytes(value), until))
    pool.dirty_waiting.add(task)


def _judgment(kind: int) -> Handler:
    def handle(
        intake: Intake, pool: PoolState, run: Run, event: Any, topic: str, offset: int, value: bytes
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
        intake: Intake, pool: PoolState, run: Run, event: Any, topic: str, offset: int, value: bytes
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
        intake: Intake, pool: PoolState, run: Run, event: Any, topic: str, offset: int, value: bytes
    ) -> None:
        annotator = pool.annotators.slots.get(event.annotator)
        if annotator is None:
            annotator = pool.annotator(event.annotator)
        run.packed.append(pack_event(kind, 0, NONE, annotator, NONE, 0, 0, event.at, 0.0, 0.0))

    return handle


def _online(
    intake: Intake, pool: PoolState, run: Run, event: wire.AnnotatorOnline, topic: str, offset: int, value: bytes
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
    intake: Intake, pool: PoolState, run: Run, event: wire.WorkRequested, topic: str, offset: int, value: bytes
) -> None:
    annotator = pool.annotator(event.annotator)
    run.packed.append(
        pack_event(codes.REQUESTED, 0, NONE, annotator, NONE, event.count, 0, event.at, 0.0, 0.0)
    )
    pool.asked[annotator] = pool.asked.get(annotator, 0) + event.count
    pool.asked_projects[annotator] = event.projects


def _created(
    intake: Intake, pool: PoolState, run: Run, event: wire.TaskCreated, topic: str, offset: int, value: bytes
) -> None:
    name = event.task
    if name in pool.tasks.slots or name in pool.gone:
        return
    if event.purpose != "work":
        intake.reject(
            topic, offset, pool.key, value, "not_supported_yet", f"purpose {event.purpose!r} is not supported yet"
        )
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
    if most < overlap:
        raise Invalid(f"Expected `int` >= {overlap} (the overlap), got {most} - at `$.max_overlap`")
    min_skill = pick(event.min_skill, preset.min_skill, None)
    if min_skill is not None and not classes:
        raise Invalid("Expected no min_skill for a task without classes - at `$.min_skill`")
    deadline = pick(event.deadline, preset.deadline, None)
    requires = frozenset(pick(event.requires, preset.requires, ()))
    skill_slot = pool.skill(skill_name)
    model = pool.model(skill_slot, classes) if classes else NONE
    only = [pool.annotator(a) for a in event.only]
    exclude = [pool.annotator(a) for a in event.exclude]
    # stored before the task has a slot: an id that is too long leaves nothing half made
    slot = pool.add_task(name)
    run.packed.append(
        pack_event(CREATED, 0, NONE, NONE, slot, len(run.created), 0, event.at, 0.0, 0.0)
    )
    run.created.append(
        pack_task(
            OPEN, PURPOSES[event.purpose], 0, 0,
            classes, NONE, NONE, 0, pick(event.priority, preset.priority, 0),
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
            intake.handle(pool, run, wire.decode(w.value), w.topic, w.offset, w.value)


def _pick(stated: Any, preset: Any, default: Any) -> Any:
    """What the event states, else what the project presets, else the contract's default."""
    if stated is not UNSET:
        return stated
    return default if preset is UNSET else preset


def _updated(
    intake: Intake, pool: PoolState, run: Run, event: wire.TaskUpdated, topic: str, offset: int, value: bytes
) -> None:
    slot = pool.tasks.slots.get(event.task)
    if slot is None:
        _waits(intake, pool, event.task, topic, offset, value)
        return
    intake.flush(pool, run)
    record = pool.columns.tasks[slot : slot + 1]
    if event.at < record["updated"][0]:
        return
    overlap = int(record["overlap"][0]) if event.overlap is UNSET else event.overlap
    confidence = float(record["confidence"][0])
    if event.confidence is not UNSET:
        confidence = NAN if event.confidence is None else event.confidence
    most: int | None = int(record["max_overlap"][0]) if event.max_overlap is UNSET else event.max_overlap
    if most is None or confidence != confidence:
        most = overlap
    if most < overlap:
        if event.max_overlap is UNSET:
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
    pool.columns.clock[1] = intake.now
    task_changed(pool.columns, slot, intake.rules.retention_s)
    intake.collect(pool)


def _cancelled(
    intake: Intake, pool: PoolState, run: Run, event: wire.TaskCancelled, topic: str, offset: int, value: bytes
) -> None:
    task = pool.tasks.slots.get(event.task)
    if task is None:
        _waits(intake, pool, event.task, topic, offset, value)
        return
    run.packed.append(pack_event(codes.CANCELLED, 0, NONE, NONE, task, 0, 0, event.at, 0.0, 0.0))


def _truth(
    intake: Intake, pool: PoolState, run: Run, event: wire.TruthSet, topic: str, offset: int, value: bytes
) -> None:
    task = pool.tasks.slots.get(event.task)
    if task is None:
        _waits(intake, pool, event.task, topic, offset, value)
        return
    index = len(intake.applied)
    intake.applied.append(Applied(event, topic, offset, value))
    run.packed.append(pack_event(codes.TRUTH, 0, event.label, NONE, task, 0, index, event.at, 0.0, 0.0))


def _project(
    intake: Intake, pool: PoolState, run: Run, event: wire.ProjectSet, topic: str, offset: int, value: bytes
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
    pool.columns.clock[1] = intake.now
    project_changed(pool.columns, j, intake.rules.retention_s)
    intake.collect(pool)


def _annotator(
    intake: Intake, pool: PoolState, run: Run, event: wire.AnnotatorSet, topic: str, offset: int, value: bytes
) -> None:
    intake.flush(pool, run)
    a = pool.annotator(event.annotator)
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
        intake: Intake, pool: PoolState, run: Run, event: Any, topic: str, offset: int, value: bytes
    ) -> None:
        intake.flush(pool, run)
        if event.at < pool.changed_at:
            return
        pool.changed_at, pool.paused, pool.dirty = event.at, paused, True
        if paused:
            pool.reserve_emissions(pool.live + 64)
            pool.columns.clock[1] = intake.now
            withdraw_pool(pool.columns, intake.rules.retention_s)
            intake.collect(pool)

    return handle


def _not_supported(
    intake: Intake, pool: PoolState, run: Run, event: Any, topic: str, offset: int, value: bytes
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
    wire.ProjectSet: _project,
    wire.AnnotatorSet: _annotator,
    wire.PoolPaused: _pool(True),
    wire.PoolResumed: _pool(False),
    **dict.fromkeys(wire.NOT_SUPPORTED_YET, _not_supported),
}
