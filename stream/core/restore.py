"""Restoring: the pools of a partition from its rows.

Rows come in any order, the newest of a key last. First they are collected, then loaded kind by kind so that what is
referred to is there (``LOADERS``), then linked: live lists, room and deadlines follow from the records.
"""

import struct

import msgspec
import numpy as np

from kernels import skill
from kernels.lifecycle import ANNOTATOR, PAIR, PROJECT, TASK, Rules, codes, relink
from kernels.lifecycle.layout import ANNOTATORS_USED, PAIRS_USED, REVISIT, TASKS_USED
from stream.core.pools import PoolState, Profile, Waiting
from stream.core.rows import (
    ANNOTATOR_HEAD,
    MODEL,
    NUL,
    POOL,
    POSITION,
    SEAT,
    SHARE,
    SLOT,
    TASK_HEAD,
    UNTIL,
    VERSION,
    Position,
    RowError,
    WaitingRow,
    skill_width,
)
from stream.events import TaskDefaults


class Restorer:
    """Collects the rows of a partition in any order and builds the pools from them."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.rows: dict[str, dict[bytes, bytes]] = {}
        self.position: Position | None = None

    def add(self, row_key: bytes, value: bytes | None) -> None:
        """Take one row, newest last; None removes."""
        if row_key == POSITION:
            if value is not None:
                self.position = msgspec.json.decode(_body(value, row_key), type=Position)
            return
        kind = row_key[:1].decode()
        rows = self.rows.setdefault(kind, {})
        if value is None:
            rows.pop(row_key, None)
        else:
            _body(value, row_key)
            rows[row_key] = value

    def pools(self) -> dict[str, PoolState]:
        """Build every pool; the collected rows are used up."""
        pools: dict[str, PoolState] = {}
        for kind, load in LOADERS:
            for row_key, value in self.rows.pop(kind, {}).items():
                pool_key, _, name = row_key[1:].partition(NUL)
                pool_name = pool_key.decode()
                pool = pools.get(pool_name)
                if pool is None:
                    pool = pools[pool_name] = PoolState(pool_name)
                try:
                    load(pool, name.decode(), value)
                except (struct.error, msgspec.MsgspecError, IndexError, ValueError, KeyError) as error:
                    raise RowError(f"row {row_key!r} is damaged: {error}") from error
        if any(self.rows.values()):
            raise RowError(f"rows of unknown kinds {sorted(self.rows)}: a newer version wrote them: upgrade")
        for pool in pools.values():
            _link(pool, self.rules)
        return pools


def _body(value: bytes, row_key: bytes) -> bytes:
    if value[0] != VERSION:
        raise RowError(
            f"row {row_key!r} has version {value[0]}, this software reads up to {VERSION}: upgrade this worker"
        )
    return value[1:]


def _load_pool(pool: PoolState, name: str, value: bytes) -> None:
    _, pool.paused, pool.changed_at, tasks, annotators, revisit = POOL.unpack(value)
    pool.paused = bool(pool.paused)
    pool.reserve_tasks(tasks)
    pool.columns.counters[TASKS_USED] = tasks
    pool.reserve_annotators(annotators)
    pool.columns.counters[REVISIT] = revisit


def _load_skill(pool: PoolState, name: str, value: bytes) -> None:
    pool.skills.place(name, SLOT.unpack(value)[1])


def _load_project(pool: PoolState, name: str, value: bytes) -> None:
    slot = SLOT.unpack_from(value)[1]
    while pool.projects.used <= slot:
        pool.project(f"\0{pool.projects.used}")  # a placeholder until its own row comes
    if pool.projects.ids[slot] != name:
        del pool.projects.slots[pool.projects.ids[slot] or ""]
    pool.projects.place(name, slot)
    end = SLOT.size + PROJECT.itemsize
    pool.columns.projects[slot] = np.frombuffer(value[SLOT.size : end], PROJECT)[0]
    pool.defaults[slot] = msgspec.json.decode(value[end:], type=TaskDefaults)
    row = int(pool.columns.projects[slot]["limited"])
    if row >= 0:
        pool.limited = max(pool.limited, row + 1)


def _load_annotator(pool: PoolState, name: str, value: bytes) -> None:
    _, slot, n = ANNOTATOR_HEAD.unpack_from(value)
    pool.annotators.place(name, slot)
    pool.reserve_annotators(slot + 1)
    at = ANNOTATOR_HEAD.size
    pool.columns.annotators[slot] = np.frombuffer(value[at : at + ANNOTATOR.itemsize], ANNOTATOR)[0]
    at += ANNOTATOR.itemsize
    c = pool.columns
    if pool.limited > c.share.shape[0]:
        share = np.zeros((pool.limited, c.share.shape[1]), np.int32)
        share[: c.share.shape[0]] = c.share
        pool.columns = c = c._replace(share=share)
    for i in range(at, at + n, SHARE.size):
        project, count = SHARE.unpack_from(value, i)
        c.share[c.projects[project]["limited"], slot] = count
    text = value[at + n :]
    if text:
        skills, attributes, grants = msgspec.json.decode(text)
        profile = pool.profile(Profile(frozenset(skills), frozenset(attributes), frozenset(grants)))
    else:
        profile = 0
    c.annotators[slot : slot + 1]["profile"] = profile


def _load_models(pool: PoolState) -> None:
    """Models in the order of their slots: a model's slot is its place."""
    rows, pool.loading_models = pool.loading_models, []
    for value in sorted(rows, key=lambda row: MODEL.unpack_from(row)[1]):
        _, m, owner = MODEL.unpack_from(value)
        record = np.frombuffer(value[MODEL.size : MODEL.size + skill.MODEL.itemsize], skill.MODEL)
        classes = int(record["classes"][0])
        pool.reserve_model(classes)
        placed = int(skill.load_model(pool.columns.skills, value[MODEL.size :]))
        if placed != m:
            raise ValueError(f"model {m} is missing a predecessor")
        pool.name_model(m, owner, classes)


def _load_model(pool: PoolState, name: str, value: bytes) -> None:
    pool.loading_models.append(value)


def _load_seat(pool: PoolState, name: str, value: bytes) -> None:
    _load_models(pool)
    _, m, a = SEAT.unpack_from(value)
    pool.reserve_seats(1)
    skill.load_seat(pool.columns.skills, m, a, value[SEAT.size :])


def _load_task(pool: PoolState, name: str, value: bytes) -> None:
    _load_models(pool)
    head = np.frombuffer(value[: TASK_HEAD.itemsize], TASK_HEAD)[0].item()
    _, slot, pairs, n_only, n_exclude, classes, tail = head
    width = skill_width(classes)
    pool.tasks.place(name, slot)
    pool.reserve_tasks(slot + 1)
    pool.reserve_classes(classes)
    at = TASK_HEAD.itemsize
    c = pool.columns
    c.tasks[slot] = np.frombuffer(value[at : at + TASK.itemsize], TASK)[0]
    at += TASK.itemsize
    c.belief[slot, :width] = np.frombuffer(value, np.float32, width, at)
    at += 4 * width
    c.reported[slot, :classes] = np.frombuffer(value, np.float32, classes, at)
    at += 4 * classes
    pool.reserve_pairs(pairs)
    c = pool.columns
    first = int(c.counters[PAIRS_USED])
    c.counters[PAIRS_USED] = first + pairs
    c.pairs[first : first + pairs] = np.frombuffer(value, PAIR, pairs, at)
    at += pairs * PAIR.itemsize
    chain = np.arange(first, first + pairs, dtype=np.int32)
    if pairs:
        c.pairs["next"][first : first + pairs] = np.append(chain[1:], -1)
        c.tasks[slot : slot + 1]["head"] = first
    record = c.tasks[slot : slot + 1]
    for field, n in (("only", n_only), ("exclude", n_exclude)):
        record[field] = pool.store_list(np.frombuffer(value, np.int32, n, at).tolist()) if n else 0
        at += 4 * n
    requires = frozenset(msgspec.json.decode(value[at : at + tail], type=list[str])) if tail else frozenset()
    record["demand"] = pool.demand(pool.skills.ids[int(record["skill"][0])] or "", requires)


def _load_waiting(pool: PoolState, name: str, value: bytes) -> None:
    stored = msgspec.json.decode(value[1:], type=list[WaitingRow])
    pool.waiting[name] = [Waiting(w.topic, w.offset, w.value.encode(), w.until) for w in stored]


def _load_gone(pool: PoolState, name: str, value: bytes) -> None:
    pool.gone[name] = UNTIL.unpack(value)[1]


#: Kinds in the order in which they must be loaded: what is referred to comes first.
LOADERS = (
    ("p", _load_pool), ("s", _load_skill), ("j", _load_project), ("a", _load_annotator), ("m", _load_model),
    ("e", _load_seat), ("t", _load_task), ("w", _load_waiting), ("g", _load_gone),
)  # fmt: skip


def _link(pool: PoolState, rules: Rules) -> None:
    """Rebuild what rows leave out: live lists, room, deadlines, free slots."""
    _load_models(pool)
    c = pool.columns
    pool.tasks.close(int(c.counters[TASKS_USED]))
    pool.annotators.close(int(c.counters[ANNOTATORS_USED]))
    pairs = c.pairs[: int(c.counters[PAIRS_USED])]
    live = np.flatnonzero((pairs["state"] == codes.OFFERED) | (pairs["state"] == codes.LEASED))
    for p in live[np.lexsort((pairs["index"][live], pairs["round"][live]))].tolist():
        a = int(pairs[p]["annotator"])
        head = int(c.annotators[a]["live_head"])
        pairs[p : p + 1]["live_next"] = head
        if head >= 0:
            pairs[head : head + 1]["live_previous"] = p
        c.annotators[a : a + 1]["live_head"] = p
    relink(c, rules)
    for marks in (c.dirty_tasks, c.dirty_annotators, c.dirty_projects, c.dirty_seats, c.dirty_models):
        marks[:] = 0
    pool.gone = dict(sorted(pool.gone.items(), key=lambda item: item[1]))
    pool.dirty = False
    pool.dirty_skills.clear()
