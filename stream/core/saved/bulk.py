"""Rows into columns, in bulk: the tasks, annotators and evidence of one pool at a time.

The rows of a pool lie one behind the other in one buffer. Their heads say how long each part of a row is; from the
lengths follow the places of all parts, and each part of all rows is copied to its column in one pass:

    row   = head | record | part ...                 head: slot and counts
    place = slot * width of the column               (pairs and lists: the next free place)

What a row names by content and not by slot (a task's required attributes, an annotator's profile) is decoded once per
distinct content. A row whose lengths don't add up is damaged: nothing of its pool is loaded.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from kernels import skill
from kernels.lifecycle import ANNOTATOR, PAIR
from kernels.lifecycle.pool_columns import PAIRS_USED
from kernels.packing import scatter
from stream.core.saved.rows import ANNOTATOR_HEAD, CHECK_BYTES, CREDIT, SEAT, TAKEN, TASK_HEAD
from stream.core.state.fits import Profile
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState

_ANNOTATOR_HEAD = np.dtype([("version", "u1"), ("slot", "<i4"), ("shares", "<u4"), ("credits", "<u4")])
_SEAT_HEAD = np.dtype([("version", "u1"), ("model", "<i4"), ("annotator", "<i4")])
assert _ANNOTATOR_HEAD.itemsize == ANNOTATOR_HEAD.size
assert _SEAT_HEAD.itemsize == SEAT.size

#: Rows of tasks that are loaded together: enough to make a pass cheap, few enough to stay in the cache.
CHUNK = 1 << 16


class _Parts:
    """Many rows one behind the other, each with its checksum, and how far each of them has been read."""

    def __init__(self, names: Sequence[str], values: Sequence[bytes]) -> None:
        self.names = names
        self.data = np.frombuffer(b"".join(values), np.uint8)
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        ends = np.cumsum(lengths)
        self.at, self.ends = ends - lengths, ends - CHECK_BYTES

    def head(self, dtype: np.dtype[np.void]) -> Array:
        """The heads of all rows."""
        self.check(np.full(len(self.at), dtype.itemsize), exactly=False)
        heads = np.empty(len(self.at), dtype)
        self.scatter(dtype.itemsize, heads, np.arange(len(heads)) * dtype.itemsize)
        return heads

    def scatter(self, lengths: Array | int, column: Array, places: Array) -> None:
        """Copy the next ``lengths`` bytes of every row to the byte ``places`` of a column."""
        lengths = np.broadcast_to(np.asarray(lengths, np.int64), self.at.shape).copy()
        scatter(self.data, self.at, lengths, _flat(column), np.ascontiguousarray(places, np.int64))
        self.at = self.at + lengths

    def check(self, lengths: Array, exactly: bool) -> None:
        """Raise ValueError when a row has fewer bytes left than ``lengths``, or more if it must be exact."""
        left = self.ends - self.at
        wrong = np.flatnonzero(left != lengths if exactly else left < lengths)
        if len(wrong):
            i = int(wrong[0])
            raise ValueError(
                f"row of {self.names[i]!r}: expected {'' if exactly else 'at least '}{int(lengths[i])} more bytes, "
                f"got {int(left[i])}"
            )

    def rest(self, i: int) -> bytes:
        """What is left of row ``i``."""
        return self.data[int(self.at[i]) : int(self.ends[i])].tobytes()


def _flat(column: Array) -> Array:
    return column.view(np.uint8).reshape(-1)


def _before(lengths: Array) -> Array:
    """Where each of many lengths begins when they follow one another."""
    return np.cumsum(lengths) - lengths


def _check_slots(slots: Array, names: Sequence[str]) -> None:
    if int(slots.min()) >= 0:
        taken = np.zeros(int(slots.max()) + 1, np.bool_)
        taken[slots] = True
        if np.count_nonzero(taken) == len(slots):
            return
    raise ValueError(f"slots of {names[0]!r} and others are negative or taken twice")


def load_tasks(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    """Load rows of tasks; models, projects, skills and annotators are there already.

    Parameters
    ----------
    pool : PoolState
    names : sequence of str
        Ids of the tasks.
    values : sequence of bytes
        Their rows, in the layout of this version.

    Raises
    ------
    ValueError
        A row is damaged.
    """
    for start in range(0, len(names), CHUNK):
        _load_tasks(pool, names[start : start + CHUNK], values[start : start + CHUNK])


def _load_tasks(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    rows = _Parts(names, values)
    head = rows.head(TASK_HEAD)
    slots, pairs, classes = (head[field].astype(np.int64) for field in ("slot", "pairs", "classes"))
    only, exclude, tail = (head[field].astype(np.int64) for field in ("only", "exclude", "requires"))
    _check_slots(slots, names)
    if min(int(counts.min()) for counts in (pairs, only, exclude, classes, tail)) < 0 or (
        int(classes.max()) > skill.MAX_CLASSES
    ):
        raise ValueError(f"counts of {names[0]!r} or others are out of bounds")
    table = pool.tables["tasks"]
    lengths = table.lengths(classes)
    rows.check(sum(lengths.values()) + pairs * PAIR.itemsize + 4 * (only + exclude) + tail, exactly=True)

    pool.tasks.put_all(names, slots.tolist())
    pool.tables.reserve("tasks", int(slots.max()) + 1)
    pool.tables.widen("classes", int(classes.max()))
    pool.reserve_pairs(int(pairs.sum()))
    lists_at = pool.lists.take(int(only.sum() + exclude.sum())) + _before(only + exclude)
    c = pool.columns
    first = int(c.counters[PAIRS_USED])
    pairs_at = first + _before(pairs)
    for name, length in lengths.items():
        rows.scatter(length, table[name], slots * table[name].strides[0])
    rows.scatter(pairs * PAIR.itemsize, c.pairs.records, pairs_at * PAIR.itemsize)
    rows.scatter(4 * (only + exclude), c.lists.members, 4 * lists_at)

    total = int(pairs.sum())
    c.counters[PAIRS_USED] = first + total
    following = np.arange(first + 1, first + total + 1, dtype=np.int32)
    following[pairs_at[pairs > 0] - first + pairs[pairs > 0] - 1] = -1
    c.pairs.records["next"][first : first + total] = following
    c.tasks.records["head"][slots] = np.where(pairs > 0, pairs_at, -1)
    c.tasks.records["only"][slots] = np.where(only > 0, lists_at, 0)
    c.tasks.records["exclude"][slots] = np.where(exclude > 0, lists_at + only, 0)
    c.tasks.records["demand"][slots] = _demands(pool, rows, c.tasks.records["skill"][slots], tail)
    _drop_repeats(c.tasks.records, c.lists.members, slots[only > 1], "only")
    _drop_repeats(c.tasks.records, c.lists.members, slots[exclude > 1], "exclude")


def _drop_repeats(tasks: Array, lists: Array, slots: Array, kind: str) -> None:
    """Nobody is twice in a list: rows written before repeats left the lists on entry may say otherwise."""
    starts, counts = tasks[kind][slots].astype(np.int64), tasks[f"{kind}_n"][slots].astype(np.int64)
    places = np.repeat(starts - _before(counts), counts) + np.arange(int(counts.sum()))
    named = np.sort(np.repeat(np.arange(len(slots)), counts) << 32 | lists[places])
    if (named[1:] != named[:-1]).all():
        return
    for slot, start, count in zip(slots.tolist(), starts.tolist(), counts.tolist(), strict=True):
        once = list(dict.fromkeys(lists[start : start + count].tolist()))
        lists[start : start + len(once)] = once
        tasks[f"{kind}_n"][slot] = len(once)


def _demands(pool: PoolState, rows: _Parts, skills: Array, tail: Array) -> Array:
    """Numbers of the demands of tasks: (skill, required attributes)."""
    texts: dict[bytes, int] = {b"": 0}
    text_of = np.zeros(len(skills), np.int64)
    for i in np.flatnonzero(tail).tolist():
        text_of[i] = texts.setdefault(rows.rest(i), len(texts))
    requires = [frozenset(msgspec.json.decode(text, type=list[str])) if text else frozenset() for text in texts]
    distinct, demand_of = np.unique(skills.astype(np.int64) * len(texts) + text_of, return_inverse=True)
    asked = [divmod(both, len(texts)) for both in distinct.tolist()]
    numbers = [pool.fits.demand(pool.skills.ids[s] or "", requires[t]) for s, t in asked]
    return np.array(numbers, np.int32)[demand_of]


def load_annotators(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    """Load rows of annotators; projects are there already. Parameters and errors as in `load_tasks`."""
    rows = _Parts(names, values)
    head = rows.head(_ANNOTATOR_HEAD)
    slots, shares = head["slot"].astype(np.int64), head["shares"].astype(np.int64)
    _check_slots(slots, names)
    credits = head["credits"].astype(np.int64)
    rows.check(ANNOTATOR.itemsize + shares + credits, exactly=False)
    pool.annotators.put_all(names, slots.tolist())
    pool.reserve_annotators(int(slots.max()) + 1)
    c = pool.columns
    rows.scatter(ANNOTATOR.itemsize, c.annotators.records, slots * ANNOTATOR.itemsize)
    profiles: dict[bytes, int] = {b"": 0}
    profile_of = np.zeros(len(slots), np.int32)
    for i, (n, more) in enumerate(zip(shares.tolist(), credits.tolist(), strict=True)):
        text = rows.rest(i)
        if n:
            for project, count in TAKEN.iter_unpack(text[:n]):
                c.limited.taken[c.projects.records[project]["limited"], slots[i]] = count
            text = text[n:]
        if more:
            for project, credit in CREDIT.iter_unpack(text[:more]):
                c.taught.credit[c.projects.records[project]["taught"], slots[i]] = credit
            text = text[more:]
        number = profiles.get(text)
        if number is None:
            brings = msgspec.json.decode(text, type=tuple[frozenset[str], frozenset[str], frozenset[str]])
            number = profiles[text] = pool.fits.profile(Profile(*brings))
        profile_of[i] = number
    c.annotators.records["profile"][slots] = profile_of


def load_seats(pool: PoolState, names: Sequence[str], values: Sequence[bytes]) -> None:
    """Load evidence of annotators; models are there already. Parameters and errors as in `load_tasks`."""
    rows = _Parts(names, values)
    head = rows.head(_SEAT_HEAD)
    models, annotators = head["model"].astype(np.int64), head["annotator"].astype(np.int64)
    known = len(pool.models.skills)
    there = set(pool.models.slots.values())
    if not there.issuperset(np.unique(models).tolist()) or int(annotators.min()) < 0:
        raise ValueError(f"row of {names[0]!r} or others names a model or an annotator that isn't there")
    classes = pool.columns.skills.models["classes"][:known].tolist()
    widths = np.array([int(skill.evidence_width(k)) for k in classes], np.int64)[models]
    rows.check(skill.SEAT.itemsize + 8 * widths, exactly=True)
    pool.reserve_annotators(int(annotators.max()) + 1)
    pool.models.reserve_evidence(len(names), int(widths.sum()))
    s = pool.columns.skills
    first, start = int(s.used[1]), int(s.used[2])
    seats = first + np.arange(len(names))
    offsets = start + _before(widths)
    s.seat_of[models, annotators] = seats
    rows.scatter(skill.SEAT.itemsize, s.seats, seats * skill.SEAT.itemsize)
    rows.scatter(8 * widths, s.evidence, 8 * offsets)
    s.seats["offset"][seats], s.seats["model"][seats], s.seats["annotator"][seats] = offsets, models, annotators
    s.used[1], s.used[2] = first + len(names), start + int(widths.sum())
