"""The rows of a partition in small portions, for whoever copies them while rounds go on.

    portion, round, portion, portion, round, …, portion

A portion is made between two rounds and holds rows as they are then, so the portions together show no single moment.
That is enough for a copy that is used with the log: rows are whole, the last of a key wins, and whatever changed while
the portions were made was written to the log after the first of them. The copy, followed by the log from where it
stood at the first portion, gives the state at the end of the log.

Entities created behind the place that has been reached are left out, and so are those that are gone when their turn
comes (of a pool that is gone, an empty one stands there): the log holds the row, or the tombstone, of both.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np

from stream.core.saved.rows import (
    Row,
    annotator_rows,
    facts_row,
    gone_row,
    model_rows,
    note_rows,
    policy_rows,
    pool_row,
    project_rows,
    ref_row,
    seat_rows,
    session_rows,
    skill_rows,
    task_rows,
    waiting_row,
)
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState

T = TypeVar("T")


def portions(pools: Mapping[str, PoolState], size: int) -> Iterator[list[Row]]:
    """Yield the rows of all pools, at most about ``size`` at a time; the pools may change between two portions."""
    for name in list(pools):
        # looked up anew each time: after an error of the core a pool is another object (with the same slots)
        yield from _portions(partial(_find, pools, name), size)


def _find(pools: Mapping[str, PoolState], name: str) -> PoolState:
    return pools.get(name) or PoolState(name)


def _portions(find: Callable[[], PoolState], size: int) -> Iterator[list[Row]]:
    yield [pool_row(find()), *policy_rows(find()), *note_rows(find())]
    yield from _by_slot(find, lambda pool: len(pool.skills.ids), skill_rows, size)
    yield from _by_slot(find, lambda pool: pool.projects.used, project_rows, size)
    yield from _by_slot(find, lambda pool: pool.annotators.used, annotator_rows, size)
    for slots in _cut(sorted(find().sessions.of), size):
        pool = find()
        yield session_rows(pool, [slot for slot in slots if slot in pool.sessions])
    yield from _by_slot(find, lambda pool: len(pool.models.skills), model_rows, 1)
    for m in range(len(find().models.skills)):
        # by annotator: seats have no slots of their own in the rows
        for annotators in _cut(np.flatnonzero(find().columns.skills.seat_of[m] >= 0).tolist(), size):
            pool = find()
            seats = pool.columns.skills.seat_of[m, annotators]
            yield seat_rows(pool, seats[seats >= 0])
    yield from _by_slot(find, lambda pool: pool.tasks.used, task_rows, size)
    for names in _cut(list(find().waiting), size):
        yield [waiting_row(find(), name) for name in names]
    for names in _cut(list(find().gone), size):
        yield [gone_row(find(), name) for name in names]
    for names in _cut(list(find().refs), size):
        yield [ref_row(find(), name) for name in names]
    for names in _cut(list(find().facts.others), size):
        yield [facts_row(find(), name) for name in names]


def _by_slot(
    find: Callable[[], PoolState],
    used: Callable[[PoolState], int],
    rows: Callable[[PoolState, Array], list[Row]],
    size: int,
) -> Iterator[list[Row]]:
    for start in range(0, used(find()), size):
        pool = find()
        yield rows(pool, np.arange(start, min(start + size, used(pool))))


def _cut(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    left = iter(items)
    while part := list(islice(left, size)):
        yield part
