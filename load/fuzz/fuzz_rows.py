"""Rows of the state with something wrong in them: they must be refused as damaged, whatever is wrong.

A small market is played so that every kind of row exists. In each case a few rows are spoilt (bits, whole numbers,
lengths, versions, keys, text inside, one row's value under another's key) and the whole is restored: anything but a
`RowError` is trouble.

Rows of version 2 had no checksum. In half of the cases the whole state is of that version, and only what its readers
can tell is spoilt: not the numbers inside a row of the right length. What is accepted there must be a state that writes
the same rows as it was restored from and is the same when restored once more.
"""

import random

from load.fuzz.fuzz_cases import TOKENS
from stream.core.batch import Range
from stream.core.intake.partitioning import partition_of
from stream.core.saved.formats import as_of_2, is_known
from stream.core.saved.rows import POSITION, VERSION, RowError
from stream.core.shard import Shard
from stream.events import (
    AnnotatorOnline,
    AnnotatorSet,
    Event,
    JudgmentSubmitted,
    PoolPaused,
    ProjectSet,
    TaskCancelled,
    TaskCreated,
    TaskDefaults,
    encode,
)
from stream.settings import Market
from stream.topics import TABLES

AT = 1_800_000_000.0
POOLS = ("north", "süd")

JSON_KINDS = (b"P", b"w")  # nothing but JSON behind the version

Rows = dict[tuple[str, bytes], bytes]


class _Record:
    headers = ()

    def __init__(self, offset: int, event: Event) -> None:
        self.offset, self.key, self.value = offset, event.pool.encode(), encode(event)


def _history(pool: str) -> list[Event]:
    people = [
        AnnotatorSet(pool=pool, at=AT, annotator=f"a{n}", skills=("s",), attributes=("fr",), grants=("s",))
        for n in range(3)
    ]
    online = [AnnotatorOnline(pool=pool, at=AT, annotator=f"a{n}", capacity=2) for n in range(2)]
    tasks = [
        TaskCreated(pool=pool, at=AT, task=f"t{n}", project="j", classes=3, requires=("fr",) if n % 2 else (),
                    only=("a0", "a1") if n == 2 else (), exclude=("a2",) if n == 3 else ())
        for n in range(5)
    ]  # fmt: skip
    defaults = TaskDefaults(skill="s", overlap=2, max_overlap=3, confidence=0.9)
    return [
        ProjectSet(pool=pool, at=AT, project="j", max_per_annotator=9, budget=50, defaults=defaults),
        *people,
        *online,
        *tasks,
        *(JudgmentSubmitted(pool=pool, at=AT, task=f"t{n}", annotator=f"a{n % 3}", label=n % 3) for n in range(4)),
        JudgmentSubmitted(pool=pool, at=AT, task="später", annotator="a1", label=0),
        TaskCancelled(pool=pool, at=AT, task="t4"),
        *([PoolPaused(pool=pool, at=AT)] if pool == POOLS[1] else []),
    ]


def original() -> Rows:
    """All rows of a small market with every kind of row but that of a task that has left memory."""
    shard = Shard(0, Market(settled_retention_s=1e-3), 1)
    assert all(partition_of(pool.encode(), 1) == 0 for pool in POOLS)
    records = [_Record(n, event) for n, event in enumerate(event for pool in POOLS for event in _history(pool))]
    shard.round(Range(0, len(records), records), None, AT + 1, AT + 1, True)
    shard.round(None, None, AT + 10, AT + 10, True)
    return rows_of(shard)


def rows_of(shard: Shard) -> Rows:
    """The rows that a shard would write."""
    return {(table, key): value for table in TABLES for key, value in shard.rows(table) if value is not None}


class RowCases:
    """An endless source of spoilt states.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._rows = original()
        self._older = {
            (table, key): as_of_2(key, value) for (table, key), value in self._rows.items() if is_known(key, 2)
        }
        self._places = list(self._rows)

    def next(self) -> tuple[Rows, bool]:
        """Return another one, and whether its rows had checksums before they were spoilt."""
        rng = self._rng
        whole, spoil = rng.choice(((self._rows, self._spoil), (self._older, self._spoil_older)))
        rows = dict(whole)
        while rows == whole:
            for _ in range(rng.choice((1, 1, 2, 4))):
                place = rng.choice(self._places)
                if place in rows:
                    spoil(rows, place)
        return rows, whole is self._rows

    def _spoil(self, rows: Rows, place: tuple[str, bytes]) -> None:
        rng, value = self._rng, rows[place]
        at = int(rng.random() * len(value))
        match int(rng.random() * 5):
            case 0:
                rows[place] = value[:at] + bytes([value[at] ^ 1 << int(rng.random() * 8)]) + value[at + 1 :]
            case 1:
                number = rng.choice((0, 1, 2**31 - 1, 2**32 - 1, rng.getrandbits(32))).to_bytes(4, "little")
                rows[place] = (value[:at] + number + value[at + 4 :])[: len(value)]
            case 2:
                other = rng.choice(self._places)
                rows[place] = rows.get(other, value)
            case 3:
                rows[place] = bytes([rng.choice((0, 1, 2, VERSION, VERSION + 1, 255))]) + value[1:]
            case _:
                self._spoil_older(rows, place)

    def _spoil_older(self, rows: Rows, place: tuple[str, bytes]) -> None:
        rng, value = self._rng, rows[place]
        at = int(rng.random() * len(value))
        match int(rng.random() * 4):
            case 0:
                rows[place] = value[:at]
            case 1:
                rows[place] = value + rng.randbytes(rng.choice((1, 4, 8)))
            case 2:
                rows[place] = bytes([rng.choice((0, VERSION + 1, 255))]) + value[1:]
            case _:
                if place[1][:1] in JSON_KINDS:
                    rows[place] = value[:at] + rng.choice(TOKENS) + value[at + rng.choice((0, 1, 4)) :]
                else:
                    rows[place[0], rng.choice((b"", b"\xff", b"?", b"q")) + place[1][1:]] = rows.pop(place)


def verdict(rows: Rows, had_checksums: bool = False) -> str:
    """Return ``refused`` or ``accepted``.

    Raises
    ------
    AssertionError
        It was accepted, and its rows had checksums before they were spoilt; or the restored state has other rows or is
        another when restored again.
    Exception
        Anything but `RowError` that restoring raises.
    """
    try:
        found = rows_of(_restored(rows))
    except RowError:
        return "refused"
    assert not had_checksums, "restored though a row is not what was written"
    # not the same bytes: they are of this version now, and the restorer's epoch is one later
    assert found.keys() == rows.keys(), f"restored as something else: {sorted(found.keys() ^ rows.keys())[:3]}"
    again = rows_of(_restored(found))
    wrong = sorted(place for place in found if found[place] != again.get(place) and place[1] != POSITION)
    assert not wrong, f"not the same when restored again: {wrong[:3]}"
    return "accepted"


def _restored(rows: Rows) -> Shard:
    shard = Shard(0, Market(), 1)
    for (table, key), value in rows.items():
        shard.restore(table, key, value)
    shard.restored()
    return shard
