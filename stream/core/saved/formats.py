"""Formats of rows: how those of older versions become those of this one.

    version │ what changed in its rows
    ────────┼─────────────────────────────────────────────────────────────────────────────────────────
       1    │ the first
       2    │ pairs hold scores and what a task of known answer has cost; annotators hold credits; projects have
            │ a row of credits; seats know when they were seeded; models know the shares of their classes and
            │ keep one exponent of the calibration, not two
       3    │ every row ends with a checksum; events that wait are MessagePack, not JSON
       4    │ pools have a row of the policy that they run by; one without runs by the policy of the process until a
            │ round concerns it, which writes the row; a break of an annotator has a time and an end of its own
       5    │ fields declared `since` then (``kernels/schema.py``)

A deployment is upgraded worker by worker, so one changelog holds rows of two versions, and rows of entities that never
change stay old for years. They are brought up to date when they are read, one step (`STEPS`) a version, and written in
the format of this version when they next change. A newer row is refused (`NewerRow`): what it means isn't known here.

A record gets a field where it is declared, with ``since`` and the `VERSION` in ``rows.py``, which the first such field
after a release raises: everything here follows. A record keeps its fields by name; new ones begin as in a blank record.
Whatever else changes needs a step from the version before, and the old layout beside it. A new kind of row is entered
in `KINDS_SINCE`. Steps see rows without their checksum.
"""

import struct
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from kernels import skill
from kernels.lifecycle import ANNOTATOR, PAIR, PROJECT, TASK, blank
from kernels.lifecycle.pool_columns import learned_width
from kernels.schema import layout
from stream.core.saved.rows import (
    ANNOTATOR_HEAD,
    CHECK_BYTES,
    CHECKED_SINCE,
    MODEL,
    SEAT,
    SLOT,
    TASK_HEAD,
    VERSION,
    NewerRow,
    RowError,
    sealed,
)
from stream.core.saved.stored import WaitingRow
from stream.core.state.waiting import Headers

PAIR_1 = np.dtype(
    [
        ("task", "<i4"), ("annotator", "<i4"), ("next", "<i4"), ("live_next", "<i4"), ("live_previous", "<i4"),
        ("state", "u1"), ("counted", "u1"), ("extensions", "u1"), ("fault", "u1"), ("label", "<i4"),
        ("index", "<i4"), ("stamp", "<i4"), ("spare", "<i4"), ("round", "<i8"),
        ("due", "<f8"), ("accepted_at", "<f8"), ("judged_at", "<f8"),
    ]
)  # fmt: skip
ANNOTATOR_3 = np.dtype(
    [
        ("online", "u1"), ("paused", "u1"), ("absent", "u1"), ("mode", "u1"), ("missed", "<i4"),
        ("capacity", "<i4"), ("live", "<i4"), ("live_head", "<i4"), ("profile", "<i4"),
        ("asked", "<i4"), ("kind", "<i4"),
        ("cost", "<f8"), ("profile_at", "<f8"), ("presence_at", "<f8"), ("expires", "<f8"), ("gone_at", "<f8"),
    ]
)  # fmt: skip
PROJECT_1 = np.dtype(
    [
        ("state", "u1"), ("spare", "u1", 3), ("cap", "<i4"), ("limited", "<i4"), ("live", "<i4"),
        ("counted", "<i8"), ("budget", "<i8"), ("weight", "<f8"), ("gold_rate", "<f8"), ("deadline", "<f8"),
        ("at", "<f8"),
    ]
)  # fmt: skip
SEAT_1 = np.dtype(
    [
        ("offset", "<i8"), ("model", "<i4"), ("annotator", "<i4"), ("judgments", "<i8"), ("gold", "<i8"),
        ("gold_right", "<i8"), ("last_at", "<f8"), ("doubt", "<f8"), ("seeded_accuracy", "<f8"),
        ("seeded_weight", "<f8"), ("score_sum", "<f8"), ("score_weight", "<f8"), ("cusum", "<f8"), ("alarms", "<i8"),
        ("epoch", "<i4"), ("base", "<i4"), ("memory", "<i4"), ("epoch_at", "<f8"), ("epoch_judgments", "<i8"),
        ("whole", "<f8"), ("fast", "<f8"), ("slow", "<f8"), ("fast_score", "<f8"), ("slow_score", "<f8"),
    ]
)  # fmt: skip
MODEL_1 = np.dtype(
    [
        ("offset", "<i8"), ("classes", "<i4"), ("engine", "<i4"), ("judgments", "<i8"), ("gold", "<i8"),
        ("score0", "<f8"), ("score1", "<f8"), ("score2", "<f8"),
        ("chance0", "<f8"), ("chance1", "<f8"), ("chance2", "<f8"),
        ("fresh", "<i8"), ("rho", "<f8"), ("first", "<f8"),
    ]
)  # fmt: skip
#: floats behind the counts of a model with classes: its calibration record, about an exponent that is gone
LOSS_1 = 48
ANNOTATOR_HEAD_1 = struct.Struct("<BiI")


#: Records of rows with one, and where it begins; tasks aside, whose pairs follow.
RECORDS = {
    "a": (ANNOTATOR_HEAD.size, ANNOTATOR), "j": (SLOT.size, PROJECT), "e": (SEAT.size, skill.SEAT),
    "m": (MODEL.size, skill.MODEL),
}  # fmt: skip
#: Kinds of rows that the first version had not, and since which they are there.
KINDS_SINCE = {b"r": 4, b"l": 5, b"n": 5, b"f": 5, b"o": 5}
#: Masks of all fields that version 4 knew, of an annotator and of a project.
STATED_TO_4 = {"a": (1 << 5) - 1, "j": (1 << 20) - 1}


class WaitingRow2(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A waiting event up to version 2."""

    topic: str
    offset: int
    value: str
    until: float
    headers: Headers = ()


def current(kind: str, values: Sequence[bytes]) -> Sequence[bytes]:
    """Return rows of one kind in the format of this version.

    Parameters
    ----------
    kind : str
        First letter of their keys.
    values : sequence of bytes
        With their checksums; those of older versions get room for one, that nobody looks at.

    Raises
    ------
    NewerRow
        A newer version wrote one of them.
    RowError
        A row has a version that was never in use, or is damaged.
    """
    versions = {value[0] for value in values}
    if max(versions) > VERSION:
        raise NewerRow(
            f"the state holds rows of version {max(versions)}, this software reads up to {VERSION}: a newer version "
            f"has run on this deployment; upgrade this worker"
        )
    if min(versions) == VERSION:
        return values
    if min(versions) == 0:
        raise RowError(f"a row of kind {kind!r} has version 0, which was never in use: it is damaged")
    return [value if value[0] == VERSION else _upgraded(kind, value) for value in values]


def _upgraded(kind: str, value: bytes) -> bytes:
    try:
        if value[0] >= CHECKED_SINCE:
            value = value[:-CHECK_BYTES]
        for version in range(value[0], VERSION):
            value = bytes([version + 1]) + STEPS[version](kind, value)[1:]
        value += bytes(CHECK_BYTES)
    except (ValueError, struct.error, msgspec.MsgspecError, RecursionError) as error:
        raise RowError(f"a row of kind {kind!r} of version {value[0]} is damaged: {error}") from error
    return value


def _from_1(kind: str, value: bytes) -> bytes:
    if kind == "t":
        head = np.frombuffer(value, TASK_HEAD, 1)[0]
        classes, pairs = int(head["classes"]), int(head["pairs"])
        if pairs:
            at = TASK_HEAD.itemsize + layout(TASK, 2).itemsize + 4 * (learned_width(classes) + classes)
            return _replaced(value, at, PAIR_1, layout(PAIR, 2), pairs)
    elif kind == "j":
        return _replaced(value, SLOT.size, PROJECT_1, layout(PROJECT, 2))
    elif kind == "a":
        return ANNOTATOR_HEAD.pack(*ANNOTATOR_HEAD_1.unpack_from(value), 0) + value[ANNOTATOR_HEAD_1.size :]
    elif kind == "e":
        return _replaced(value, SEAT.size, SEAT_1, layout(skill.SEAT, 2))
    elif kind == "m":
        return _model_from_1(value)
    return value


def _model_from_1(value: bytes) -> bytes:
    """Counts stay; the shares of the classes begin alike, and the calibration begins anew."""
    model = layout(skill.MODEL, 2)
    value = _replaced(value, MODEL.size, MODEL_1, model)
    at = MODEL.size + model.itemsize
    classes = int(np.frombuffer(value, model, 1, MODEL.size)["classes"][0])
    if classes < 2:
        return value
    counts = np.frombuffer(value, np.float64, 2 * classes * (classes + 1), at)
    if len(value) != at + counts.nbytes + 8 * LOSS_1:
        raise ValueError(f"expected {at + counts.nbytes + 8 * LOSS_1} bytes, got {len(value)}")
    rest = np.zeros(int(skill.model_width(classes)) - len(counts))
    rest[:classes] = 1.0
    return value[:at] + counts.tobytes() + rest.tobytes()


def _replaced(value: bytes, at: int, old: np.dtype[np.void], new: np.dtype[np.void], n: int = 1) -> bytes:
    """The row with ``n`` records from byte ``at`` on in their new layout: fields by name, others as in a blank one."""
    if old == new or not n:
        return value
    before = np.frombuffer(value, old, n, at)
    after = blank(new, n)
    for name in set(old.names or ()) & set(new.names or ()):
        after[name] = before[name]
    return b"".join((value[:at], after.tobytes(), value[at + n * old.itemsize :]))


def _from_2(kind: str, value: bytes) -> bytes:
    if kind != "w":
        return value
    stored = [
        WaitingRow(topic=w.topic, offset=w.offset, value=w.value.encode(), until=w.until, headers=w.headers)
        for w in msgspec.json.decode(value[1:], type=list[WaitingRow2])
    ]
    return value[:1] + msgspec.msgpack.encode(stored)


def _from_3(kind: str, value: bytes) -> bytes:
    """A break began with the newest event of presence, and nobody has said until when it goes."""
    if kind != "a":
        return value
    at, record = ANNOTATOR_HEAD.size, layout(ANNOTATOR, 4)
    before = np.frombuffer(value, ANNOTATOR_3, 1, at)
    value = _replaced(value, at, ANNOTATOR_3, record)
    after = np.frombuffer(value, record, 1, at).copy()
    after["break_at"][before["paused"] > 0] = before["presence_at"][before["paused"] > 0]
    return b"".join((value[:at], after.tobytes(), value[at + record.itemsize :]))


def relaid(kind: str, value: bytes, old: int, new: int) -> bytes:
    """The row with its records as another version lays them out, to which only fields were added."""
    if kind != "t":
        at, record = RECORDS.get(kind, (0, None))
        return value if record is None else _replaced(value, at, layout(record, old), layout(record, new))
    head = np.frombuffer(value, TASK_HEAD, 1)[0]
    classes, pairs = int(head["classes"]), int(head["pairs"])
    value = _replaced(value, TASK_HEAD.itemsize, layout(TASK, old), layout(TASK, new))
    at = TASK_HEAD.itemsize + layout(TASK, new).itemsize + 4 * (learned_width(classes) + classes)
    return _replaced(value, at, layout(PAIR, old), layout(PAIR, new), pairs)


def _from_4(kind: str, value: bytes) -> bytes:
    """What was said of somebody or of a project was said of all fields at once."""
    value = relaid(kind, value, 4, 5)
    if kind not in ("a", "j"):
        return value
    at, record = RECORDS[kind]
    record = layout(record, 5)
    after = np.frombuffer(value, record, 1, at).copy()
    if after["profile_at" if kind == "a" else "at"][0] > 0:
        after["stated"] = STATED_TO_4[kind]
    return b"".join((value[:at], after.tobytes(), value[at + record.itemsize :]))


#: From each older version to the next; a step needn't care about the version byte.
STEPS: dict[int, Callable[[str, bytes], bytes]] = {1: _from_1, 2: _from_2, 3: _from_3, 4: _from_4}


def is_known(key: bytes, version: int) -> bool:
    """Whether a version has rows of this kind."""
    return KINDS_SINCE.get(key[:1], 1) <= version


def as_of_4(key: bytes, value: bytes) -> bytes:
    """The row as version 4 wrote it, for proofs of upgrades; of a kind that `is_known` to it, as with those below."""
    return sealed(key, b"\4" + relaid(key[:1].decode(), value[:-CHECK_BYTES], VERSION, 4)[1:])[1]


def as_of_3(key: bytes, value: bytes) -> bytes:
    """The row as version 3 wrote it, for proofs of upgrades. Of a break its end is lost."""
    body = as_of_4(key, value)[1:-CHECK_BYTES]
    if key[:1] == b"a":
        body = _replaced(b"\3" + body, ANNOTATOR_HEAD.size, layout(ANNOTATOR, 4), ANNOTATOR_3)[1:]
    return sealed(key, b"\3" + body)[1]


def as_of_2(key: bytes, value: bytes) -> bytes:
    """The row as version 2 wrote it, for proofs of upgrades."""
    body = as_of_3(key, value)[1:-CHECK_BYTES]
    if key[:1] == b"w":
        stored = [
            WaitingRow2(topic=w.topic, offset=w.offset, value=w.value.decode(), until=w.until, headers=w.headers)
            for w in msgspec.msgpack.decode(body, type=list[WaitingRow])
        ]
        body = msgspec.json.encode(stored)
    return b"\2" + body
