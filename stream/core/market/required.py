"""Required work of one round: which judgments that tasks were promised get somebody, in the order that is stated.

    priority    the higher one first
    breadth     where money or time may not suffice: a first answer to all before a second to some
    deadline    the earlier one first
    weight      of the project, times the task's value
    age         in minutes
    begun       tasks with more judgments and people at work first: answers meet early, labels come out

Of equals some are drawn. Money may not suffice where a project has promised more than its budget, time where there is
a deadline. Budgets go to what is required before anything further is bought. How seats are filled:
``kernels/seating.py``.
"""

from typing import NamedTuple

import numpy as np

from kernels import seating, teaching
from kernels.hashing import mix
from kernels.lifecycle.pool_columns import NOW
from kernels.rules.predicate import Fit
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState

AGE_STEP_S = 60.0
OWN_DRAW = 11  # another than that of the places of offers
NO_LIMIT = np.int64(1) << 40


class Promised(NamedTuple):
    """Seats that are filled, and by whom they could be."""

    tasks: Array  # i4[n] slots
    counts: Array  # i8[n]: seats of each that are filled
    held_tasks: Array  # i4[seats] slots
    holders: Array  # i4[seats]: places among the free annotators
    left: Array  # i8[projects]: what budgets allow beside
    waiting: int  # seats that only contained annotators could fill

    @property
    def seats(self) -> int:
        """How many are filled."""
        return len(self.holders)


def cover(pool: PoolState, tasks: Array, free: Array, capacity: Array, seed: int, fit: Fit) -> Promised:
    """Fill what the open ``tasks`` lack of their overlap from the ``free`` annotators of such ``capacity``."""
    columns = pool.columns
    projects = columns.projects.records[: pool.projects.used]
    left = np.where(projects["budget"] < 0, NO_LIMIT, projects["budget"] - projects["counted"] - projects["live"])
    records = columns.tasks.records[tasks]
    at_work = records["offered"] + records["leased"]
    lacking = np.maximum(columns.tasks.owes[tasks] - at_work, 0)
    lacking = np.minimum(np.minimum(lacking, columns.tasks.vacancies[tasks]), len(free))
    if not lacking.any():
        nothing = np.zeros(0, np.int32)
        return Promised(nothing, np.zeros(0, np.int64), nothing, nothing, left, 0)
    which = np.repeat(np.arange(len(tasks)), lacking)
    level = np.arange(len(which)) - np.repeat(np.cumsum(lacking) - lacking, lacking)
    level += (records["counted"] + at_work)[which]
    order = _order(pool, tasks, records, which, level, seed)
    seats = seating.seats_of(tasks[which], order, left)
    who = seating.people_of(free, capacity, len(columns.skills.models))
    seating.cover(columns, seats, who, fit, pool.in_force)
    filled = seats.holder >= 0
    held = seats.tasks[filled]
    found, counts = np.unique(held, return_counts=True)
    return Promised(
        found, counts.astype(np.int64), held, seats.holder[filled], left, int(who.count[seating.WAITING])
    )


def _order(pool: PoolState, tasks: Array, records: Array, which: Array, level: Array, seed: int) -> Array:
    """The seats (entries of ``which``) in the order in which they are to be filled."""
    projects = pool.columns.projects.records
    owner = records["project"]
    deadline = np.minimum(records["deadline"], projects["deadline"][owner])
    weight = projects["weight"][owner] * records["value"]
    minutes = np.floor((pool.columns.clock[NOW] - records["created"]) / AGE_STEP_S)
    drawn = teaching.draw_order(tasks, np.zeros(len(tasks), np.int32), int(mix(seed, OWN_DRAW)) >> 1)
    begun = records["counted"] + records["offered"] + records["leased"]
    is_short = (projects["short"][owner] > 0) | (deadline < np.inf)
    breadth = np.where(is_short[which], level, 0)
    keys = [
        level, drawn[which], -begun[which], -minutes[which], -weight[which], deadline[which], breadth,
        -records["priority"][which],
    ]  # fmt: skip
    told = [key for key in keys if (key != key[0]).any()]
    order: Array = np.lexsort(told) if told else np.arange(len(which))
    return order
