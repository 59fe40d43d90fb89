"""What nothing refers to any more is forgotten, at the end of a round.

| what                                  | when                                                                     |
|---------------------------------------|--------------------------------------------------------------------------|
| a settled task with its pairs         | its retention is over; its id is remembered as long again                |
| what annotators have in a project     | it is closed, and its last task has left memory                          |
| a project                             | it has no task, and says nothing that one doesn't which nobody has named |
| a model, and a skill without models   | no task has it, and nobody has evidence in it                            |
| a pool                                | all it says is what one would that nobody has named                      |
| lists, demands, profiles              | many have come since the last look: they are of this process alone       |

All but the last are part of the state and have rows. Whether they go depends on the state alone, so that a successor
forgets the same; their rows become tombstones, their slots are used again, lowest first. What somebody has said of a
project stays, and so does what its judgments have used of a budget: a closed project must stay closed. Only what each
annotator has taken and earned in it is over: if it is opened again, that is counted anew.
"""

from collections.abc import Iterator

import numpy as np

from kernels.lifecycle import PROJECT, blank, codes
from kernels.lifecycle.pairs import free_pairs
from stream.core.saved.rows import Row, all_rows, dirty_rows, key
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState
from stream.topics import TABLES


def drop_task(pool: PoolState, slot: int, until: float) -> Row:
    """A settled task leaves memory, its id is remembered ``until`` then; returns the tombstone of its row."""
    c = pool.columns
    if pool.bars.earliest < float("inf"):
        pool.bars.forget(_bars_of(pool, slot))
    free_pairs(c, slot)
    c.tasks.wakeup[slot] = float("inf")
    c.dirty.tasks[slot] = 0
    name = pool.remove_task(slot)
    pool.remember(name, until)
    return key(b"t", pool, name), None


def _bars_of(pool: PoolState, slot: int) -> Iterator[float]:
    pairs, p = pool.columns.pairs.records, int(pool.columns.tasks.records["head"][slot])
    while p >= 0:
        yield float(pairs["barred_until"][p])
        p = int(pairs["next"][p])


def tidy(pool: PoolState) -> None:
    """Forget what nothing in the pool refers to; no event may be pending."""
    for j in sorted(pool.left_projects):
        if not pool.tasks_of_project[j]:
            if pool.is_over(j):
                _forget_amounts(pool, j)
            elif pool.is_unheard_of(j):
                _forget_project(pool, j)
    for m in sorted(pool.left_models):
        if not pool.tasks_of_model[m] and pool.models.is_unused(m):
            _forget_model(pool, m)
    pool.left_projects.clear()
    pool.left_models.clear()
    if pool.lists.is_crowded or pool.fits.is_crowded:
        c = pool.columns
        tasks = np.fromiter(pool.tasks.slots.values(), np.int64, len(pool.tasks.slots))
        pool.lists.keep(tasks)
        people = c.annotators.records["profile"][: pool.annotators.used]
        pool.fits.keep(_referred_to(c.tasks.records["demand"][tasks]), _referred_to(people))


def _referred_to(slots: Array) -> set[int]:
    return set(np.unique(slots).tolist())


def _forget_amounts(pool: PoolState, j: int) -> None:
    """What annotators have taken and earned in a project is over."""
    c = pool.columns
    for field, amounts in (("limited", c.limited.taken), ("taught", c.taught.credit)):
        row = int(c.projects.records[field][j])
        if row != codes.NONE:
            c.dirty.annotators[np.flatnonzero(amounts[row])] = 1  # their rows have it
            amounts[row] = 0
            c.projects.records[field][j] = codes.NONE
    c.dirty.projects[j] = 1


def _forget_project(pool: PoolState, j: int) -> None:
    name = pool.projects.ids[j] or ""
    pool.projects.remove(name)
    pool.facts.forget(f"j{name}")
    pool.columns.projects.records[j] = blank(PROJECT, 1)[0]
    pool.tombstones["annotators"].append(key(b"j", pool, name))


def _forget_model(pool: PoolState, m: int) -> None:
    owner, classes = pool.models.skills[m], int(pool.columns.skills.models["classes"][m])
    name = pool.skills.ids[owner] or ""
    pool.models.forget(m)
    pool.tombstones["skills"].append(key(b"m", pool, f"{name}\0{classes}"))
    if owner not in pool.models.skills:
        pool.skills.remove(name)
        pool.tombstones["skills"].append(key(b"s", pool, name))


def tombstones(pool: PoolState) -> dict[str, list[Row]]:
    """Rows that say of all that is in the pool, and of what has just left it, that it is gone."""
    rows = {table: [row for row in changed if row[1] is None] for table, changed in dirty_rows(pool).items()}
    for table in TABLES:
        rows[table] += [(row_key, None) for row_key, _ in all_rows(pool, table)]
    return rows
