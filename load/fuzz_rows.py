"""Rows of the state with something wrong in them: refused as damaged, or another state that is whole.

A small market is played so that every kind of row exists. In each case a few rows are spoilt (lengths, versions, keys,
JSON inside) and the whole is restored. What is accepted must be a state that writes the same rows as it was restored
from and is the same when restored once more; everything else must be a `RowError`.

Numbers inside a row of the right length are not spoilt: nothing in a row tells a wrong number from a right one, and
columns trust their slots. What keeps such a row out is Kafka's checksum of each batch and the access list of the
changelogs (docs/security.md).
"""

import random

from load.fuzz_cases import TOKENS
from stream.core.batch import Range
from stream.core.partitioning import partition_of
from stream.core.rows import POSITION, VERSION, RowError
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
        self._places = list(self._rows)

    def next(self) -> Rows:
        """Return another one."""
        rng, rows = self._rng, dict(self._rows)
        for _ in range(rng.choice((1, 1, 2, 4))):
            place = rng.choice(self._places)
            value = rows.get(place)
            if value is None:
                continue
            match int(rng.random() * 4):
                case 0:
                    rows[place] = value[: int(rng.random() * len(value))]
                case 1:
                    rows[place] = value + rng.randbytes(rng.choice((1, 4, 8)))
                case 2:
                    rows[place] = bytes([rng.choice((0, VERSION + 1, 255))]) + value[1:]
                case _:
                    at = int(rng.random() * len(value))
                    if place[1][:1] in JSON_KINDS:
                        rows[place] = value[:at] + rng.choice(TOKENS) + value[at + rng.choice((0, 1, 4)) :]
                    else:
                        rows[place[0], rng.choice((b"", b"\xff", b"?", b"q")) + place[1][1:]] = rows.pop(place)
        return rows


def verdict(rows: Rows) -> str:
    """Return ``refused`` or ``accepted``.

    Raises
    ------
    AssertionError
        It was accepted, and the restored state has other rows or is another when restored again.
    Exception
        Anything but `RowError` that restoring raises.
    """
    try:
        found = rows_of(_restored(rows))
    except RowError:
        return "refused"
    # not the same bytes: JSON may be written in more than one way, and the restorer's epoch is one later
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
