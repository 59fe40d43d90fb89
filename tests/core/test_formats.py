"""Rows of older versions are read, alone or mixed with newer ones in one log; rows of a newer version are refused."""

import hashlib
import random
from collections.abc import Callable

import numpy as np
import pytest

from kernels import skill
from kernels.lifecycle import ANNOTATOR, PAIR, PROJECT, TASK
from kernels.lifecycle.pool_columns import learned_width
from kernels.schema import SINCE, declared, layout
from stream import topics
from stream.core.saved import rows
from stream.core.saved.formats import (
    ANNOTATOR_3,
    ANNOTATOR_HEAD_1,
    LOSS_1,
    MODEL_1,
    PAIR_1,
    PROJECT_1,
    SEAT_1,
    STEPS,
    as_of_2,
    as_of_3,
    as_of_4,
    is_known,
)
from stream.core.saved.rows import (
    CHECK_BYTES,
    CHECKED_SINCE,
    POSITION,
    VERSION,
    NewerRow,
    RowError,
    sealed,
    waiting_row,
)
from stream.core.shard import Shard
from stream.core.state.pools import PoolState
from stream.core.state.tables import KINDS
from stream.core.state.waiting import Waiting
from tests.core.histories import MARKET, PARTITION, PARTITIONS, Writer
from tests.core.test_oracle import TURNS, offered, started

LAYOUTS = {4: "f83a3616b74c617c", 5: "0e397f57d1cb94e4"}

ANNOTATOR_4, PAIR_4, PROJECT_4, TASK_4 = (layout(record, 4) for record in (ANNOTATOR, PAIR, PROJECT, TASK))
SEAT_4, MODEL_4 = layout(skill.SEAT, 4), layout(skill.MODEL, 4)


def records(value: bytes, at: int, dtype: np.dtype, n: int = 1) -> np.ndarray:
    return np.frombuffer(value, dtype, n, at)


def old(found: np.ndarray, dtype: np.dtype) -> bytes:
    """The records as version 1 laid them out."""
    written = np.zeros(len(found), dtype)
    for name in dtype.names or ():
        if name in (found.dtype.names or ()):
            written[name] = found[name]
    return written.tobytes()


def known(found: np.ndarray, dtype: np.dtype) -> bytes:
    """The records with only what version 1 knew of them."""
    kept = found.copy()
    for name in kept.dtype.names or ():
        if name not in (dtype.names or ()):
            kept[name] = -1 if name == "taught" else 0
    return kept.tobytes()


def known_to_3(key: bytes, value: bytes) -> bytes:
    """The row with only what version 3 knew of a break: that there is one."""
    if key[:1] != b"a":
        return value
    at = rows.ANNOTATOR_HEAD.size
    kept = records(value, at, ANNOTATOR_4).copy()
    kept["break_at"], kept["break_until"] = np.where(kept["paused"], kept["presence_at"], 0.0), np.inf
    return value[:at] + kept.tobytes() + value[at + ANNOTATOR_4.itemsize :]


def known_to_4(key: bytes, value: bytes) -> bytes:
    """What version 4 knew of a row, as it wrote it, without its checksum."""
    return as_of_4(*sealed(key, value))[:-CHECK_BYTES]


def now(key: bytes, value: bytes) -> bytes:
    """As this version writes what a row of version 4 says."""
    return bytes([VERSION]) + STEPS[4](key[:1].decode(), value)[1:]


def from_2(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A row as version 2 would have written it, and as this version writes what version 2 knew."""
    return as_of_2(*sealed(key, value)), now(key, known_to_3(key, known_to_4(key, value)))


def from_3(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A row as version 3 would have written it, and as this version writes what version 3 knew."""
    return as_of_3(*sealed(key, value))[:-CHECK_BYTES], now(key, known_to_3(key, known_to_4(key, value)))


def from_4(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A row as version 4 would have written it, and as this version writes what version 4 knew."""
    return known_to_4(key, value), now(key, known_to_4(key, value))


def from_1(key: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A row as version 1 would have written it, and as this version writes what version 1 knew."""
    older, known = as_of_1(key, known_to_4(key, value), as_of_2(*sealed(key, value))[1:])
    return older, now(key, known)


def as_of_1(key: bytes, value: bytes, body: bytes) -> tuple[bytes, bytes]:
    """A row of version 4 (and its body as version 2 wrote it) as of version 1, and what of it version 1 knew."""
    kind = key[:1]
    if kind == b"t":
        head = np.frombuffer(value, rows.TASK_HEAD, 1)[0]
        n, classes = int(head["pairs"]), int(head["classes"])
        at = rows.TASK_HEAD.itemsize + TASK_4.itemsize + 4 * (learned_width(classes) + classes)
        pairs, rest = records(value, at, PAIR_4, n), value[at + n * PAIR_4.itemsize :]
        return b"\1" + value[1:at] + old(pairs, PAIR_1) + rest, value[:at] + known(pairs, PAIR_1) + rest
    if kind == b"j":
        at = rows.SLOT.size
        project, rest = records(value, at, PROJECT_4), value[at + PROJECT_4.itemsize :]
        return b"\1" + value[1:at] + old(project, PROJECT_1) + rest, value[:at] + known(project, PROJECT_1) + rest
    if kind == b"e":
        at = rows.SEAT.size
        seat, rest = records(value, at, SEAT_4), value[at + SEAT_4.itemsize :]
        return b"\1" + value[1:at] + old(seat, SEAT_1) + rest, value[:at] + known(seat, SEAT_1) + rest
    if kind == b"m":
        at, end = rows.MODEL.size, rows.MODEL.size + MODEL_4.itemsize
        model = records(value, at, MODEL_4)
        classes = int(model["classes"][0])
        if classes < 2:
            return b"\1" + value[1:at] + old(model, MODEL_1), value
        counts = records(value, end, np.dtype("f8"), 2 * classes * (classes + 1)).tobytes()
        begun = np.zeros(int(skill.model_width(classes)) - len(counts) // 8)
        begun[:classes] = 1.0
        return (
            b"\1" + value[1:at] + old(model, MODEL_1) + counts + np.ones(LOSS_1).tobytes(),
            value[:end] + counts + begun.tobytes(),
        )
    if kind == b"a":
        _, slot, shares, credits = rows.ANNOTATOR_HEAD.unpack_from(value)
        value = known_to_3(key, value)
        at = rows.ANNOTATOR_HEAD.size + ANNOTATOR_4.itemsize
        record = value[rows.ANNOTATOR_HEAD.size : at]
        before = old(records(record, 0, ANNOTATOR_4), ANNOTATOR_3)
        rest = value[at : at + shares] + value[at + shares + credits :]
        return (
            ANNOTATOR_HEAD_1.pack(1, slot, shares) + before + rest,
            rows.ANNOTATOR_HEAD.pack(value[0], slot, shares, 0) + record + rest,
        )
    return b"\1" + body, value


@pytest.fixture(scope="module", params=range(3))
def written(request: pytest.FixtureRequest) -> dict[bytes, bytes]:
    """Rows of all kinds, of a random history."""
    writer = Writer(request.param)
    shard = started(writer)
    for turn in writer.turns(TURNS):
        writer.told(offered(shard.round(*turn)))
    return bodies(shard)


def bodies(shard: Shard) -> dict[bytes, bytes]:
    """Rows without their checksums."""
    tables = ("tasks", "annotators", "skills")
    return {key: (value or b"")[:-CHECK_BYTES] for table in tables for key, value in shard.rows(table)}


def restore(shard: Shard, key: bytes, body: bytes) -> None:
    """Restore a row whose version may have had no checksum."""
    shard.restore("", key, body if 0 < body[0] < CHECKED_SINCE else sealed(key, body)[1])


@pytest.mark.parametrize("share", [1, 2, 3])
@pytest.mark.parametrize("before", [from_1, from_2, from_3, from_4])
def test_rows_of_older_versions_are_read_alone_and_beside_newer_ones(
    written: dict[bytes, bytes], before: Callable[[bytes, bytes], tuple[bytes, bytes]], share: int
) -> None:
    successor = Shard(PARTITION, MARKET, PARTITIONS)
    expected = {}
    for number, (key, value) in enumerate(written.items()):
        # a project that annotators have credits in has been written by version 2
        if is_known(key, 3) and number % share == 0 and (share == 1 or key[:1] != b"j"):
            older, expected[key] = before(key, value)
            restore(successor, key, older)
        else:
            expected[key] = value
            restore(successor, key, value)
    successor.restored()
    found = bodies(successor)
    assert found.keys() == expected.keys()
    for key in found.keys() - {POSITION}:
        assert found[key] == expected[key], key
    assert {key[:1] for key in found} >= {b"t", b"a", b"j", b"e", b"m", b"s", b"p", b"r", b"P"}


def test_events_that_waited_in_a_row_of_version_2_still_wait() -> None:
    waiting = Waiting(topics.TASKS, 7, '{"wörds": "\\""}'.encode(), 1e9, (("trace", b"\xff"), ("none", None)))
    pool = PoolState("pool")
    pool.hold("task", [waiting, waiting._replace(offset=8)])
    key, value = waiting_row(pool, "task")
    assert value is not None
    successor = Shard(PARTITION, MARKET, PARTITIONS)
    successor.restore("", key, as_of_2(key, value))
    successor.restored()
    assert successor.pools["pool"].waiting == pool.waiting


def test_a_row_in_which_one_bit_is_wrong_is_refused(written: dict[bytes, bytes]) -> None:
    """Wrong slots inside a row of the right length would end the process otherwise."""
    rng = random.Random(1)
    for kind in sorted({key[:1] for key in written}):
        key = max((key for key in written if key[:1] == kind), key=lambda key: len(written[key]))
        whole = sealed(key, written[key])[1]
        version = [(0, bit) for bit in range(8)]  # another version than it is
        for at, bit in version + [(rng.randrange(len(whole)), rng.randrange(8)) for _ in range(20)]:
            spoilt = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
            successor = Shard(PARTITION, MARKET, PARTITIONS)
            for other, value in written.items():
                successor.restore("", other, spoilt if other == key else sealed(other, value)[1])
            with pytest.raises(RowError, match="checksum" if at else "damaged|newer"):
                successor.restored()


def test_a_row_under_the_key_of_another_is_refused(written: dict[bytes, bytes]) -> None:
    first, second = [key for key in written if key[:1] in (b"t", b"a")][:2]
    successor = Shard(PARTITION, MARKET, PARTITIONS)
    for key, value in written.items():
        successor.restore("", key, sealed(first, written[first])[1] if key == second else sealed(key, value)[1])
    with pytest.raises(RowError, match="checksum"):
        successor.restored()


def test_a_row_of_a_newer_version_is_refused_in_words(written: dict[bytes, bytes]) -> None:
    for kind in sorted({key[:1] for key in written}):
        newer = next(key for key in written if key[:1] == kind)
        successor = Shard(PARTITION, MARKET, PARTITIONS)
        for key, value in written.items():
            restore(successor, key, bytes([VERSION + 1]) + value[1:] if key == newer else value)
        with pytest.raises(NewerRow, match=rf"version {VERSION + 1}, this software reads up to {VERSION}.*upgrade"):
            successor.restored()


def test_a_kind_of_row_that_is_unknown_here_is_refused(written: dict[bytes, bytes]) -> None:
    successor = Shard(PARTITION, MARKET, PARTITIONS)
    for key, value in written.items():
        restore(successor, key, value)
    restore(successor, b"?pool\0name", bytes([VERSION]))
    with pytest.raises(NewerRow, match="unknown kinds"):
        successor.restored()


@pytest.mark.parametrize("version", [0, *STEPS, VERSION])
def test_a_row_that_is_cut_is_refused_whatever_its_version(written: dict[bytes, bytes], version: int) -> None:
    for kind in (b"t", b"a", b"e", b"j", b"m"):
        key = max((key for key in written if key[:1] == kind), key=lambda key: len(written[key]))
        value = from_1(key, written[key])[0] if version == 1 else bytes([version]) + written[key][1:]
        successor = Shard(PARTITION, MARKET, PARTITIONS)
        for other, kept in written.items():
            restore(successor, other, value[:20] if other == key else kept)
        with pytest.raises(RowError, match="damaged"):
            successor.restored()


@pytest.mark.parametrize("version", LAYOUTS)
def test_a_layout_never_changes_within_a_version(version: int) -> None:
    """When this fails for a released version: declare the field `since` the next one (stream/core/saved/formats.py)."""
    stored = [column for kind in KINDS.values() for column in declared(kind.schema).values() if column.is_stored]
    layouts = [column.dtype for column in stored if getattr(column.dtype, "names", None)] + [rows.TASK_HEAD]
    heads = [rows.ANNOTATOR_HEAD, rows.SLOT, rows.POOL, rows.MODEL, rows.SEAT, rows.UNTIL, rows.TAKEN, rows.CREDIT]
    text = repr([layout(one, version).descr for one in layouts]) + repr([head.format for head in heads])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == LAYOUTS[version]


def test_the_last_version_is_that_of_the_newest_field() -> None:
    assert max(LAYOUTS) == VERSION >= max(SINCE.values())
    assert sorted(STEPS) == list(range(1, VERSION))
