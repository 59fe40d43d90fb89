"""Rows and a snapshot that older versions wrote, as they wrote them: they are read, and work goes on.

`recorded/rows-VERSION.N.msgpack.gz` is written by `python -m tests.core.recording`.
"""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.core.batch import Range
from stream.core.saved.formats import as_of_3, as_of_4, is_known
from stream.core.saved.rows import CHECK_BYTES, POSITION, VERSION
from stream.core.shard import RoundResult, Shard
from stream.settings import Market
from stream.shell.snapshots.snapshot import Writer, read
from stream.topics import TABLES
from tests.core.histories import PARTITION, PARTITIONS, Record, Turn

FOLDER = Path(__file__).parent / "recorded"
RECORDED = sorted(FOLDER.glob("rows-*.msgpack.gz"))
AS_OF: dict[int, Callable[[bytes, bytes], bytes]] = {3: as_of_3, 4: as_of_4}
MARKET = Market(accept_s=33, reference_wait_s=7)


class Recorded(msgspec.Struct):
    rows: dict[str, list[tuple[bytes, bytes]]]
    turns: list[tuple[Any, Any, float, float, bool]]


def recorded(path: Path) -> Recorded:
    return msgspec.msgpack.decode(gzip.decompress(path.read_bytes()), type=Recorded)


def turns(found: Recorded) -> list[Turn]:
    def given(part: Any) -> Range | None:
        return None if part is None else Range(part[0], part[1], [Record(*record) for record in part[2]])

    return [Turn(given(turn[0]), given(turn[1]), *turn[2:]) for turn in found.turns]


def restored(*rows: Any, market: Market = MARKET) -> Shard:
    shard = Shard(PARTITION, market, PARTITIONS)
    for some in rows:
        shard.restore_many("", some)
    shard.restored()
    return shard


def bodies(shard: Shard) -> dict[bytes, bytes]:
    """What rows say, whatever their version."""
    rows = (row for table in TABLES for row in shard.rows(table))
    return {key: (value or b"")[1:-CHECK_BYTES] for key, value in rows if key != POSITION}


def version_of(path: Path) -> int:
    return int(path.name[len("rows-")])


def as_recorded(shard: Shard, version: int) -> dict[bytes, bytes]:
    """What rows say as far as a version could."""
    rows = (row for table in TABLES for row in shard.rows(table) if row[0] != POSITION and is_known(row[0], version))
    return {key: AS_OF[version](key, value or b"")[1:-CHECK_BYTES] for key, value in rows}


def flat(result: RoundResult) -> list[tuple[bytes, bytes | None]]:
    return [row for rows in result.rows.values() for row in rows]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: str(path.name))
def test_recorded_rows_mean_what_they_meant(path: Path) -> None:
    found, version = recorded(path), version_of(path)
    rows = [row for table in found.rows.values() for row in table]
    assert {value[0] for _, value in rows} == {version} != {VERSION}
    expected = {key: value[1:-CHECK_BYTES] for key, value in rows if key != POSITION}
    assert as_recorded(restored(rows), version) == expected


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: str(path.name))
def test_work_goes_on_with_recorded_rows(path: Path) -> None:
    """Each pool says what it runs by in the first round that concerns it; rows of both versions are the state."""
    found = recorded(path)
    log: list[Any] = [row for table in found.rows.values() for row in table]
    shard = restored(log)
    pools, told = set(shard.pools), dict[str, int]()
    assert pools
    for number, turn in enumerate(turns(found)):
        result = shard.round(*turn)
        log += flat(result)
        assert result.completed.policies is not None
        for policy in result.completed.policies:
            told[policy.pool] = told.get(policy.pool, 0) + 1
            if version_of(path) == 3:
                assert (policy.version, policy.accept_s, policy.reference_wait_s) == (0, 33.0, 7.0)
        if number % 5 == 0:
            # to whoever takes over it is no matter what its own defaults are once a pool has told
            other = restored(log, market=Market(accept_s=99))
            assert bodies(other) == bodies(shard)
    if version_of(path) == 3:  # it knew no policies
        assert {pool.policy.accept_s for pool in shard.pools.values()} == {33.0}
        assert told == dict.fromkeys(pools, 1)


def test_a_recorded_snapshot_is_read_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    path.write_bytes(gzip.decompress((FOLDER / "rows-3.snapshot.gz").read_bytes()))
    header, rows = read(path)
    assert header.rows == 3
    shard = restored(rows)
    assert as_recorded(shard, 3) == {key: value[1:-CHECK_BYTES] for key, value in rows.items() if key != POSITION}
    writer = Writer(path, msgspec.structs.replace(header, rows=VERSION))
    for table in TABLES:
        writer.write(list(shard.rows(table)))
    writer.finish()
    assert bodies(restored(read(path)[1])) == bodies(shard)


@pytest.mark.parametrize("version", AS_OF)
def test_the_recorded_rows_of_a_version_are_of_all_its_kinds(version: int) -> None:
    found = [recorded(path).rows for path in RECORDED if version_of(path) == version]
    kinds = {b"P", b"a", b"e", b"g", b"j", b"m", b"p", b"r", b"s", b"t", b"w", b"x"}
    told = {key[:1] for rows in found for table in rows.values() for key, _ in table}
    assert told == {kind for kind in kinds if is_known(kind, version)}
