"""Restoring: the pools of a partition from its rows.

Rows come in any order, the newest of a key last. First they are collected, then loaded kind by kind so that what is
referred to is there (``LOADERS``), then linked: live lists, room and deadlines follow from the records. A kind that
can have a row for every task or annotator is loaded in bulk (`stream.core.saved.bulk`).
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from zlib import crc32

import msgspec
import numpy as np

from kernels.lifecycle import PROJECT, codes, relink
from kernels.lifecycle.pool_columns import ANNOTATORS_USED, AT_RISK, LAST_BAR, PAIRS_USED, REVISIT, TASKS_USED
from stream.core.saved.bulk import load_annotators, load_seats, load_tasks
from stream.core.saved.formats import current
from stream.core.saved.rows import (
    CHECK_BYTES,
    CHECKED_SINCE,
    MODEL,
    NUL,
    POOL,
    POSITION,
    RESIDUE,
    SLOT,
    UNTIL,
    VERSION,
    NewerRow,
    Position,
    RowError,
    is_whole,
)
from stream.core.saved.stored import ProjectNames, WaitingRow
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState
from stream.core.state.sessions import Session
from stream.core.state.waiting import Waiting
from stream.events import PoolPolicy, TaskDefaults
from stream.policy import Policy


class Restorer:
    """Collects the rows of a partition in any order and builds the pools from them.

    Parameters
    ----------
    policy : Policy
        What pools run by whose rows are older than policies.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.rows: dict[bytes, bytes | None] = {}
        self.position: Position | None = None

    def add(self, rows: Mapping[bytes, bytes | None] | Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take rows, newest last; None removes. The first ones are kept as they are if they come in a dict."""
        if isinstance(rows, dict) and not self.rows:
            self.rows = rows
        else:
            self.rows.update(rows)

    def pools(self) -> dict[str, PoolState]:
        """Build every pool; the collected rows are used up.

        Raises
        ------
        NewerRow
            A newer version of this software wrote a row.
        RowError
            A row is damaged.
        """
        position = self.rows.pop(POSITION, None)
        if position is not None:
            self.position = read_position(position)
        groups = self._grouped()
        kinds = {head[:1].decode() for head in groups}
        pools: dict[str, PoolState] = {}
        for kind, load in LOADERS:
            for head, (names, values) in groups.items():
                if head[:1].decode() != kind:
                    continue
                name = head[1:].decode()
                pool = pools.get(name)
                if pool is None:
                    pool = pools[name] = PoolState(name, self.policy)
                try:
                    rows = current(kind, values)
                    load(pool, names, rows if kind in BULK else [row[:-CHECK_BYTES] for row in rows])
                except RowError:
                    raise
                except (struct.error, msgspec.MsgspecError, LookupError, ValueError, RecursionError) as error:
                    raise RowError(f"rows of kind {kind!r} of pool {name!r} are damaged: {error}") from error
        unknown = kinds - {kind for kind, _ in LOADERS}
        if unknown:
            raise NewerRow(f"rows of unknown kinds {sorted(unknown)}: a newer version wrote them: upgrade this worker")
        for pool in pools.values():
            _link(pool)
        return pools

    def _grouped(self) -> dict[bytes, tuple[list[str], list[bytes]]]:
        """Ids and values by kind and pool."""
        rows, self.rows = self.rows, {}
        groups: dict[bytes, tuple[list[str], list[bytes]]] = {}
        for key, value in rows.items():
            if value is None:
                continue
            # this is `is_whole`, without its call: a million rows pass here
            if not value or (CHECKED_SINCE <= value[0] <= VERSION and crc32(value, crc32(key)) != RESIDUE):
                raise RowError(f"row {key!r} is damaged: its checksum doesn't fit")
            head, _, name = key.partition(NUL)
            group = groups.get(head)
            try:
                if group is None:
                    head.decode()
                    group = groups[head] = ([], [])
                group[0].append(name.decode())
            except UnicodeDecodeError as error:
                raise RowError(f"row {key!r} is damaged: its key is not UTF-8") from error
            group[1].append(value)
        return groups


def read_position(value: bytes) -> Position:
    """Read the row of a partition's position.

    Raises
    ------
    NewerRow
        A newer version of this software wrote it.
    RowError
        It is damaged.
    """
    if not is_whole(POSITION, value):
        raise RowError("the row of the position is damaged: its checksum doesn't fit")
    try:
        return msgspec.json.decode(current("P", [value])[0][1:-CHECK_BYTES], type=Position)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RowError(f"the row of the position is damaged: {error}") from error


def _load_pool(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    (value,) = values
    _, pool.paused, pool.changed_at, tasks, annotators, revisit = POOL.unpack(value)
    pool.paused = bool(pool.paused)
    pool.tables.reserve("tasks", tasks)
    pool.columns.counters[TASKS_USED] = tasks
    pool.reserve_annotators(annotators)
    pool.columns.counters[REVISIT] = revisit


def _load_policy(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    (value,) = values
    pool.rule_by(msgspec.json.decode(value[1:], type=PoolPolicy))
    pool.is_policy_told = True


def _load_skills(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    for name, value in zip(names, values, strict=True):
        pool.skills.put(name, SLOT.unpack(value)[1])


def _load_projects(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    for name, value in zip(names, values, strict=True):
        _load_project(pool, name, value)


def _load_project(pool: PoolState, name: str, value: bytes) -> None:
    slot = SLOT.unpack_from(value)[1]
    pool.projects.put(name, slot)
    pool.tables.reserve("projects", slot + 1)
    while len(pool.defaults) <= slot:
        pool.defaults.append(TaskDefaults())
    end = SLOT.size + PROJECT.itemsize
    pool.columns.projects.records[slot] = np.frombuffer(value[SLOT.size : end], PROJECT)[0]
    pool.defaults[slot] = msgspec.json.decode(value[end:], type=TaskDefaults)
    names = msgspec.json.decode(value[end:], type=ProjectNames)
    if names.labels:
        pool.labels[slot] = names.labels
    if names.note:
        pool.notes[slot] = names.note
    for table in ("limited", "taught"):
        pool.tables.reserve(table, int(pool.columns.projects.records[table][slot]) + 1)


def _load_models(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    """Models in the order of their slots."""
    for value in sorted(values, key=lambda row: int(MODEL.unpack_from(row)[1])):
        _, m, owner = MODEL.unpack_from(value)
        pool.models.load(m, owner, value[MODEL.size :])


def _load_sessions(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    for name, value in zip(names, values, strict=True):
        pool.sessions.put(pool.annotators.slots[name], msgspec.json.decode(value[1:], type=dict[str, Session]))


def _load_erased(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    for value in values:
        slot = SLOT.unpack(value)[1]
        pool.annotators.forget(slot)
        pool.reserve_annotators(slot + 1)
        pool.columns.annotators.records["profile"][slot] = 0


def _load_waiting(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    for name, value in zip(names, values, strict=True):
        stored = msgspec.msgpack.decode(value[1:], type=list[WaitingRow])
        pool.hold(name, [Waiting(w.topic, w.offset, w.value, w.until, w.headers) for w in stored])


def _load_gone(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    pool.gone.update(zip(names, (UNTIL.unpack(value)[1] for value in values), strict=True))


def _load_refs(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    for name, value in zip(names, values, strict=True):
        pool.refs[name] = msgspec.msgpack.decode(value[1:], type=tuple[float, str | None])
    if not pool.refs.keys() <= pool.tasks.slots.keys():
        raise RowError(f"a reference of a task that pool {pool.name!r} doesn't have")


def _load_facts(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    for name, value in zip(names, values, strict=True):
        pool.facts.others[name] = msgspec.msgpack.decode(value[1:], type=dict[str, float])
    of = {"t": pool.tasks.slots, "a": pool.annotators.slots, "j": pool.projects.slots}
    if not all(name[:1] in of and name[1:] in of[name[:1]] for name in pool.facts.others):
        raise RowError(f"times of something that pool {pool.name!r} doesn't have")


def _load_note(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    (value,) = values
    pool.note_at, pool.note = msgspec.msgpack.decode(value[1:], type=tuple[float, str])


#: Kinds whose loaders take rows with their checksums: to copy them all without would cost more than to skip it.
BULK = "aet"

#: Kinds in the order in which they must be loaded: what is referred to comes first.
LOADERS: tuple[tuple[str, Callable[[PoolState, Sequence[str], Sequence[bytes]], None]], ...] = (
    ("p", _load_pool), ("r", _load_policy), ("s", _load_skills), ("j", _load_projects), ("a", load_annotators),
    ("o", _load_sessions), ("x", _load_erased), ("m", _load_models), ("e", load_seats), ("t", load_tasks),
    ("w", _load_waiting), ("g", _load_gone), ("l", _load_refs), ("n", _load_note), ("f", _load_facts),
)  # fmt: skip


def _link(pool: PoolState) -> None:
    """Rebuild what rows leave out: live lists, room, deadlines, free slots."""
    c = pool.columns
    pool.tasks.close(int(c.counters[TASKS_USED]))
    pool.annotators.close(int(c.counters[ANNOTATORS_USED]))
    pool.projects.close()
    pool.skills.close()
    there = np.flatnonzero(c.tasks.records["state"])
    for field, tasks_of in (("project", pool.tasks_of_project), ("model", pool.tasks_of_model)):
        tasks_of.update(dict(enumerate(np.bincount(c.tasks.records[field][there]).tolist())))
    people, used = c.annotators.records, int(c.counters[ANNOTATORS_USED])
    told = (people["profile_at"][:used] > 0) | (people["profile"][:used] > 0)
    pool.undescribed = set(np.flatnonzero(~told).tolist()) & set(pool.annotators.slots.values())
    pairs = c.pairs.records[: int(c.counters[PAIRS_USED])]
    _link_live(c.annotators.records, pairs)
    while lacking := int(relink(pool.columns, pool.in_force)):
        pool.reserve_emissions(lacking)
    people = pool.columns.annotators.records[: pool.annotators.used]
    lapsed = (people["online"] == 0) & np.isfinite(people["expires"])
    pool.columns.counters[AT_RISK] = people["live"][lapsed].sum()
    pool.columns.clock[LAST_BAR] = pairs["barred_until"].max(initial=0.0)
    pool.tables.clean()
    pool.gone = dict(sorted(pool.gone.items(), key=lambda item: item[1]))
    pool.dirty = pool.is_new = False
    pool.dirty_skills.clear()


def _link_live(annotators: Array, pairs: Array) -> None:
    """The live pairs of each annotator as a list, newest first."""
    live = np.flatnonzero((pairs["state"] == codes.OFFERED) | (pairs["state"] == codes.LEASED))
    if not len(live):
        return
    live = live[np.lexsort((pairs["index"][live], pairs["round"][live], pairs["annotator"][live]))]
    whose = pairs["annotator"][live]
    same = whose[1:] == whose[:-1]  # a pair and the next newer one are of the same annotator
    older, newer = live[:-1][same], live[1:][same]
    pairs["live_next"][newer] = older
    pairs["live_previous"][older] = newer
    newest = np.append(~same, True)
    annotators["live_head"][whose[newest]] = live[newest]
