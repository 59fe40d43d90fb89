"""Rows: the state as bytes, one row per entity, written once per round when it changed.

    key    = kind byte, pool id, NUL, entity id           (the position: kind byte alone)
    value  = version byte, then per kind, then a checksum (CRC-32 of key and value)

| table      | kind | value between version byte and checksum                                            |
|------------|------|------------------------------------------------------------------------------------|
| tasks      | t    | slot, counts of what follows, TASK, belief, posterior, pairs, only, exclude, requires |
| tasks      | w    | events waiting for this task (MessagePack)                                         |
| tasks      | l    | when the reference of a task was stated, and the reference (MessagePack)           |
| tasks      | f    | when fields of a task, annotator or project were stated, if not with most others   |
| tasks      | g    | until when the id of a task that left memory is remembered (f8)                    |
| annotators | a    | slot, ANNOTATOR, (limited project, count)*, (project, credit)*, profile (JSON)     |
| annotators | o    | sessions of an annotator who has named one (JSON)                                  |
| annotators | x    | slot of an erased annotator                                                        |
| annotators | j    | slot, PROJECT, task defaults and, if it has any, `labels` and `note` (JSON)        |
| annotators | n    | when the note of a pool was stated, and the note (MessagePack)                     |
| annotators | p    | pool: paused, changed_at, slots in use, place of the revisits                      |
| annotators | r    | the policy that a pool runs by (JSON), since a round has said so                   |
| annotators | P    | position: input offsets, round, epoch, now (JSON)                                  |
| skills     | s    | slot of a skill's name                                                             |
| skills     | m    | slot, skill, MODEL record, its evidence                                            |
| skills     | e    | model, annotator, SEAT record, its evidence                                        |

Slots in rows are what refers to other entities, and columns trust them: the checksum keeps out a row (of version 3 or
later) in which any bit is another, and one under another key. Links between pairs are left out: they follow from the
order. Numbers are little-endian. ``restore.py`` reads them, ``formats.py`` those of older
versions.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Any
from zlib import crc32

import msgspec
import numpy as np

from kernels import skill
from kernels.lifecycle import ANNOTATOR, PAIR
from kernels.lifecycle.pool_columns import ANNOTATORS_USED, REVISIT, TASKS_USED
from kernels.packing import pack_tasks
from stream.core.saved.stored import ProjectNames, WaitingRow
from stream.core.state.growth import Array
from stream.core.state.models import NO_SKILL
from stream.core.state.names import NOBODY
from stream.core.state.pools import PoolState

VERSION = 5
#: rows of this version and later ones end with a checksum of so many bytes
CHECKED_SINCE, CHECK_BYTES = 3, 4
NUL = b"\0"
POSITION = b"P"

Row = tuple[bytes, bytes | None]

TASK_HEAD = np.dtype(
    [
        ("version", "u1"), ("slot", "<i4"), ("pairs", "<i4"), ("only", "<i4"), ("exclude", "<i4"), ("classes", "<i4"),
        ("requires", "<i4"),
    ]
)  # fmt: skip
ANNOTATOR_HEAD = struct.Struct("<BiII")
SLOT = struct.Struct("<Bi")
POOL = struct.Struct("<BBdqqq")
MODEL = struct.Struct("<Bii")
SEAT = struct.Struct("<Bii")
UNTIL = struct.Struct("<Bd")
TAKEN = struct.Struct("<ii")
CREDIT = struct.Struct("<if")
#: amounts of annotators in projects that are looked at together
AMOUNTS = 1 << 20


class RowError(ValueError):
    """A row can't be read."""


class NewerRow(RowError):
    """A newer version of this software wrote a row: only an upgrade helps."""


class Position(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a partition stands: the row that makes a round's input count once.

    ``lost`` maps an input topic to the offsets [start, end) that an operator has given up; the next round says so.
    """

    offsets: dict[str, int]
    round: int
    epoch: int
    now: float
    lost: dict[str, tuple[int, int]] = {}


_encode = msgspec.json.encode
_check = struct.Struct("<I").pack
#: CRC-32 of anything that its own CRC-32 follows
RESIDUE = crc32(bytes(CHECK_BYTES))


def sealed(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """The row with its checksum behind it."""
    return key, value + _check(crc32(key + value))


def is_whole(key: bytes, value: bytes) -> bool:
    """Whether the checksum of a row fits, or its version had none."""
    return value != b"" and (not CHECKED_SINCE <= value[0] <= VERSION or crc32(value, crc32(key)) == RESIDUE)


def position_row(position: Position) -> Row:
    """The row of a partition's position."""
    return sealed(POSITION, bytes([VERSION]) + _encode(position))


def key(kind: bytes, pool: PoolState, name: str) -> bytes:
    """Key of an entity's row."""
    return b"%b%b\0%b" % (kind, pool.key, name.encode())


def dirty_rows(pool: PoolState) -> dict[str, list[Row]]:
    """Rows that changed since the last call, by table; clears the marks."""
    tables = pool.tables
    tasks = tables["tasks"].take_marked()
    rows: dict[str, list[Row]] = {"tasks": task_rows(pool, tasks), "annotators": [], "skills": []}
    for name in sorted(pool.dirty_waiting):
        rows["tasks"].append(waiting_row(pool, name))
    for name in sorted(pool.dirty_gone):
        rows["tasks"].append(gone_row(pool, name))
    rows["tasks"] += [ref_row(pool, name) for name in sorted(pool.dirty_refs)]
    rows["tasks"] += [facts_row(pool, name) for name in sorted(pool.facts.dirty)]
    for table, forgotten in pool.tombstones.items():  # before what may have got the same ids
        rows[table] += [(gone, None) for gone in forgotten]
        forgotten.clear()
    for slot, name in pool.erased.items():  # before rows of annotators: the same id may be somebody new already
        rows["annotators"].append((key(b"a", pool, name), None))
        if slot in pool.sessions.gone:
            rows["annotators"].append((key(b"o", pool, name), None))
        pool.annotators.forget(slot)
    pool.erased.clear()
    rows["annotators"] += annotator_rows(pool, tables["annotators"].take_marked())
    rows["annotators"] += session_rows(pool, sorted(pool.sessions.dirty))
    rows["annotators"] += project_rows(pool, tables["projects"].take_marked())
    if pool.dirty or len(tasks):
        rows["annotators"].append(pool_row(pool))
    if pool.dirty_policy or not pool.is_policy_told:  # whoever writes a pool's rows tells its policy too
        pool.is_policy_told = True
        rows["annotators"] += policy_rows(pool)
    if pool.dirty_note:
        rows["annotators"] += note_rows(pool)
    rows["skills"] += skill_rows(pool, np.array(pool.dirty_skills, np.int64))
    rows["skills"] += model_rows(pool, tables["models"].take_marked())
    rows["skills"] += seat_rows(pool, tables["seats"].take_marked())
    pool.dirty_waiting.clear()
    pool.dirty_gone.clear()
    pool.dirty_refs.clear()
    pool.facts.dirty.clear()
    pool.dirty_skills.clear()
    pool.sessions.dirty.clear()
    pool.sessions.gone.clear()
    pool.dirty = pool.dirty_policy = pool.dirty_note = pool.is_new = False
    return rows


def all_rows(pool: PoolState, table: str) -> Iterator[Row]:
    """Every row of one table as it would be written now."""
    c = pool.columns
    if table == "tasks":
        yield from task_rows(pool, np.flatnonzero(c.tasks.records["state"][: pool.tasks.used]))
        yield from (waiting_row(pool, name) for name in sorted(pool.waiting))
        yield from (gone_row(pool, name) for name in sorted(pool.gone))
        yield from (ref_row(pool, name) for name in sorted(pool.refs))
        yield from (facts_row(pool, name) for name in sorted(pool.facts.others))
    elif table == "annotators":
        yield from annotator_rows(pool, np.arange(pool.annotators.used))
        yield from session_rows(pool, sorted(pool.sessions.of))
        yield from project_rows(pool, np.arange(pool.projects.used))
        yield pool_row(pool)
        yield from policy_rows(pool)
        yield from note_rows(pool)
    else:
        yield from skill_rows(pool, np.arange(len(pool.skills.ids)))
        yield from model_rows(pool, np.arange(len(pool.models.skills)))
        yield from seat_rows(pool, np.arange(int(c.skills.used[1])))


def waiting_row(pool: PoolState, name: str) -> Row:
    """The row of the events that wait for a task; a tombstone if none does."""
    waiting = pool.waiting.get(name)
    if waiting is None:
        return key(b"w", pool, name), None
    stored = [
        WaitingRow(topic=w.topic, offset=w.offset, value=w.value, until=w.until, headers=w.headers) for w in waiting
    ]
    return sealed(key(b"w", pool, name), bytes([VERSION]) + msgspec.msgpack.encode(stored))


def gone_row(pool: PoolState, name: str) -> Row:
    """The row of a task that has left memory; a tombstone if its id is forgotten."""
    until = pool.gone.get(name)
    gone = key(b"g", pool, name)
    return (gone, None) if until is None else sealed(gone, UNTIL.pack(VERSION, until))


def ref_row(pool: PoolState, name: str) -> Row:
    """The row of a task's reference; a tombstone if the task has gone."""
    return _packed(b"l", pool, name, pool.refs.get(name))


def facts_row(pool: PoolState, name: str) -> Row:
    """The row of when fields of an entity were stated that weren't with most others; a tombstone if there are none."""
    return _packed(b"f", pool, name, pool.facts.others.get(name))


def _packed(kind: bytes, pool: PoolState, name: str, value: Any) -> Row:
    row_key = key(kind, pool, name)
    return (row_key, None) if value is None else sealed(row_key, bytes([VERSION]) + msgspec.msgpack.encode(value))


def note_rows(pool: PoolState) -> list[Row]:
    """The row of a pool's note; none where nobody has ever stated one."""
    if pool.note_at is None:
        return []
    return [sealed(key(b"n", pool, ""), bytes([VERSION]) + msgspec.msgpack.encode((pool.note_at, pool.note)))]


def skill_rows(pool: PoolState, slots: Array) -> list[Row]:
    """Rows of the names of skills."""
    named = ((slot, pool.skills.ids[slot]) for slot in slots.tolist())
    return [sealed(key(b"s", pool, name), SLOT.pack(VERSION, slot)) for slot, name in named if name is not None]


def task_rows(pool: PoolState, slots: Array) -> list[Row]:
    """Rows of tasks with their pairs; a slot without a task gives nothing (its tombstone is written when it goes)."""
    c, table = pool.columns, pool.tables["tasks"]
    slots = slots[c.tasks.records["state"][slots] != 0]
    n = len(slots)
    if not n:
        return []
    parts, demands = table.saved(slots), c.tasks.records["demand"][slots].tolist()
    records = parts["records"]
    asked = {d: pool.fits.demands[d].requires for d in set(demands)}
    requires = {d: _encode(sorted(attributes)) for d, attributes in asked.items() if attributes}
    head = np.empty(n, TASK_HEAD)
    head["version"], head["slot"], head["pairs"] = VERSION, slots, records["pairs"]
    head["only"], head["exclude"], head["classes"] = records["only_n"], records["exclude_n"], records["classes"]
    head["requires"] = [len(requires.get(d, b"")) for d in demands] if requires else 0
    octets = tuple(map(_octets, (head, *parts.values())))
    lengths = np.array([np.full(n, TASK_HEAD.itemsize), *table.lengths(records["classes"]).values()])
    lists = int(records["only_n"].sum() + records["exclude_n"].sum())
    data, ends = pack_tasks(
        c, slots, octets, lengths, _octets(c.pairs.records), _octets(c.lists.members),
        int(lengths.sum()) + int(records["pairs"].sum()) * PAIR.itemsize + 4 * lists,
    )  # fmt: skip
    ids: list[Any] = pool.tasks.ids
    prefix = b"t%b\0" % pool.key
    rows: list[Row] = []
    start = 0
    for slot, end, demand in zip(slots.tolist(), ends.tolist(), demands, strict=True):
        value = data[start:end]
        rows.append(sealed(prefix + ids[slot].encode(), value + requires[demand] if demand in requires else value))
        start = end
    return rows


def _octets(column: Array) -> Array:
    """A column as rows of bytes."""
    return column.view(np.uint8).reshape(len(column), -1)


def annotator_rows(pool: PoolState, slots: Array) -> list[Row]:
    """Rows of annotators."""
    stored = pool.tables["annotators"].saved(slots)["records"]
    data, size = stored.tobytes(), ANNOTATOR.itemsize
    shares = _amounts(pool, "limited", pool.columns.limited.taken, TAKEN, slots)
    credits = _amounts(pool, "taught", pool.columns.taught.credit, CREDIT, slots)
    profiles = pool.columns.annotators.records["profile"][slots].tolist()
    rows: list[Row] = []
    for i, (slot, profile, share, credit) in enumerate(zip(slots.tolist(), profiles, shares, credits, strict=True)):
        name = pool.annotators.ids[slot]
        if name == NOBODY:
            rows.append(sealed(key(b"x", pool, str(slot)), SLOT.pack(VERSION, slot)))
            continue
        text = _encode([sorted(part) for part in pool.fits.profiles[profile]]) if profile else b""
        rows.append(
            sealed(
                b"a%b\0%b" % (pool.key, (name or "").encode()),
                ANNOTATOR_HEAD.pack(VERSION, slot, len(share), len(credit))
                + data[i * size : i * size + size] + share + credit + text,
            )
        )
    return rows


def session_rows(pool: PoolState, slots: Iterable[int]) -> list[Row]:
    """Rows of the sessions of annotators who have named one."""
    mine = pool.sessions.of
    named = ((pool.annotators.ids[slot] or "", mine[slot]) for slot in slots)
    return [sealed(key(b"o", pool, name), bytes([VERSION]) + _encode(sessions)) for name, sessions in named]


def _amounts(pool: PoolState, field: str, column: Array, pair: struct.Struct, slots: Array) -> Iterator[bytes]:
    """For each annotator the projects in which the column has an amount of theirs, and the amounts.

    ``field`` of a project says which row of the column is its own.
    """
    owners = pool.columns.projects.records[field][: pool.projects.used]
    projects = np.flatnonzero(owners >= 0)
    if not len(projects):
        yield from (b"" for _ in slots)
        return
    entry = np.dtype([("project", "<i4"), ("amount", column.dtype)])
    at_once = max(1, AMOUNTS // len(projects))
    for start in range(0, len(slots), at_once):
        some = slots[start : start + at_once]
        amounts = column[np.ix_(owners[projects], some)]
        whose, which = np.nonzero(amounts.T)
        found = np.empty(len(whose), entry)
        found["project"], found["amount"] = projects[which], amounts[which, whose]
        data = found.tobytes()
        ends = np.cumsum(np.bincount(whose, minlength=len(some))) * pair.size
        yield from (data[a:b] for a, b in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))


def project_rows(pool: PoolState, slots: Array) -> list[Row]:
    """Rows of projects."""
    named = ((j, pool.projects.ids[j]) for j in slots.tolist())
    return [
        sealed(
            key(b"j", pool, name),
            SLOT.pack(VERSION, j) + pool.columns.projects.records[j : j + 1].tobytes() + _presets(pool, j),
        )
        for j, name in named
        if name is not None
    ]


def _presets(pool: PoolState, j: int) -> bytes:
    names = msgspec.to_builtins(ProjectNames(labels=pool.labels.get(j, ()), note=pool.notes.get(j, "")))
    return _encode(msgspec.to_builtins(pool.defaults[j]) | names if names else pool.defaults[j])


def pool_row(pool: PoolState) -> Row:
    """The row of a pool."""
    counters = pool.columns.counters
    value = POOL.pack(
        VERSION, pool.paused, pool.changed_at, int(counters[TASKS_USED]), int(counters[ANNOTATORS_USED]),
        int(counters[REVISIT]),
    )  # fmt: skip
    return sealed(key(b"p", pool, ""), value)


def policy_rows(pool: PoolState) -> list[Row]:
    """The row of a pool's policy; none before a round has told it, so that no two workers read different ones."""
    if not pool.is_policy_told:
        return []
    return [sealed(key(b"r", pool, ""), bytes([VERSION]) + _encode(pool.policy))]


def model_rows(pool: PoolState, slots: Array) -> list[Row]:
    """Rows of models."""
    skills = pool.columns.skills
    records = pool.tables["models"].saved(slots)["models"]
    rows: list[Row] = []
    for i, m in enumerate(slots.tolist()):
        if pool.models.skills[m] == NO_SKILL:
            continue
        classes, start = int(records["classes"][i]), int(skills.models["offset"][m])
        evidence = skills.evidence[start : start + int(skill.model_width(classes))]
        owner = pool.models.skills[m]
        value = MODEL.pack(VERSION, m, owner) + records[i : i + 1].tobytes() + evidence.tobytes()
        rows.append(sealed(key(b"m", pool, f"{pool.skills.ids[owner]}\0{classes}"), value))
    return rows


def seat_rows(pool: PoolState, slots: Array) -> list[Row]:
    """Rows of evidence: one annotator in one model."""
    skills = pool.columns.skills
    records = pool.tables["seats"].saved(slots)["seats"]
    starts = skills.seats["offset"][slots].tolist()
    widths = [int(skill.evidence_width(int(k))) for k in skills.models["classes"][: len(pool.models.skills)]]
    data, size, evidence = records.tobytes(), records.dtype.itemsize, skills.evidence
    return [
        sealed(
            b"e%b\0%d\0%d" % (pool.key, m, a),
            SEAT.pack(VERSION, m, a) + data[i * size : i * size + size] + evidence[start : start + widths[m]].tobytes(),
        )
        for i, (m, a, start) in enumerate(
            zip(records["model"].tolist(), records["annotator"].tolist(), starts, strict=True)
        )
    ]
