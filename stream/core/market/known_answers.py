"""Tasks of known answer in one pool and round: before the auction what is due, after it who may prove their skill.

    kernels/lifecycle/lessons.py   when an annotator is due one, and what it costs
    kernels/teaching.py            who gets which

The work beside a task of known answer is the open work of its project in the same skill model: if it asks for more
skill than somebody has proven, whoever the market leaves idle is examined.
"""

from typing import NamedTuple

import numpy as np

from kernels import bench, buffers, teaching
from kernels.lifecycle.offers import Stage
from kernels.lifecycle.pool_columns import NOW
from kernels.rules.predicate import Fit
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState


class Taught(NamedTuple):
    """Offers of tasks of known answer, as columns: i4[n], i4[n] slots and f8[n, terms]."""

    tasks: Array
    annotators: Array
    terms: Array


class Teaching:
    """The open tasks of known answer of one pool in one round.

    Parameters
    ----------
    golds, tasks : int32[:]
        Slots of open tasks of known answer, and of open work.
    place : int32[annotators]
        Scratch, -1 everywhere.
    fit : Fit
    """

    def __init__(
        self, pool: PoolState, golds: Array, tasks: Array, seed: int, rnd: int, place: Array, fit: Fit
    ) -> None:
        records = pool.columns.tasks.records
        order = np.lexsort((golds, records["model"][golds], records["project"][golds]))
        self.pool = pool
        self.golds: Array = golds[order]
        self.bars = _bars(records, self.golds, tasks)
        self.given = np.zeros(len(pool.columns.annotators.records), np.uint8)
        self.seed, self.round, self.place, self.fit = seed, rnd, place, fit

    def give(self, free: Array, first: int, *, examines: bool) -> Taught:
        """Offer what is due, or (``examines``) what helps to tell whether idle people may do the work that is there."""
        pool = self.pool
        lessons = teaching.Lessons(self.golds, self.bars, int(examines), self.given, self.place)
        wanting = bench.slots(len(free))
        while True:
            teaching.find_wanting(pool.columns, lessons, free, self.fit, wanting)
            if not buffers.is_short(wanting):
                break
            wanting = buffers.enlarged(wanting)
        slots = buffers.entries(wanting).slots
        offers = bench.offers(len(slots))
        if len(slots):
            pool.reserve_pairs(buffers.first_room(len(slots)))
            wanted = teaching.Wanted(slots, np.zeros((len(self.golds), len(slots)), np.uint8), self.seed)
            stage = Stage(pool.columns.clock[NOW] + pool.policy.accept_s, self.round, first)
            at = 0
            while True:
                at = bench.checked(
                    teaching.teach(pool.columns, lessons, wanted, self.fit, pool.in_force, stage, at, offers)
                )
                if at == len(slots):
                    break
                offers = pool.more_offers(offers)
        return Taught(*buffers.entries(offers)[:3])


def _bars(records: Array, golds: Array, tasks: Array) -> Array:
    """The least ``min_skill`` that open work of each task's project and model asks for; NaN if none does."""
    bars = np.full(len(golds), np.nan)
    asking = tasks[~np.isnan(records["min_skill"][tasks])]
    if len(asking):
        groups = records["project"].astype(np.int64) << 32 | records["model"]
        skill = records["min_skill"][asking]
        for group in np.unique(groups[golds]):
            beside = groups[asking] == group
            if beside.any():
                bars[groups[golds] == group] = skill[beside].min()
    return bars
