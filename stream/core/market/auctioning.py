"""The auction of one pool and round: its market, what is sold, and the bound that its prices prove.

A row is a task. Required ones have as many seats as could be filled (``required.py``) and values lifted above all
others, so that an auction fills every seat; others are there as far as budgets go. Where the market was evaluated in
full, pairs that were left out and could pay at the auction's prices join, and it runs again from these. What is proven
of the whole, and of which part of it, is in ``proof.py``.
"""

import itertools
from typing import NamedTuple

import numpy as np

from kernels import auction, candidates, decisions, teaching
from kernels.bench import Bench
from stream.core.market.proof import bound_of, every_pair
from stream.core.market.required import Promised
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState

SURPLUS = 1.5  # demand looked at in larger markets, as a multiple of what the free annotators can take
WORK_PER_ARC = 4_000  # limit on arcs read by the auction, per arc: counted, so that it doesn't depend on the machine
PRICING_ROUNDS = 3
LIFT = 16.0  # how many times a required pair is worth more than values can differ; raised where that isn't enough
LIFTS = 3  # how often
TINY = 1e-9


class Market(NamedTuple):
    """Rows of an auction: tasks that are required, and such that may be worth it."""

    tasks: Array  # i4[n] slots
    demand: Array  # i8[n]
    most: Array  # i8[n]: demand before it was cut to budgets
    lift: Array  # f8[n]
    capacity: Array  # i8[m]
    group: Array | None
    budget: Array | None

    @property
    def lifted(self) -> float:
        """By how much the value of all that is required is lifted."""
        return float(self.lift @ self.demand)


def market(
    pool: PoolState, promised: Promised, further: Array, capacity: Array, seed: int
) -> Market:
    """What the auction is about: seats that are filled, and demand for more as far as budgets go."""
    tasks = np.concatenate([promised.tasks, further])
    demand, left = _demand(pool, further, len(capacity), seed, promised)
    seats = promised.counts
    group, budget = _shared_budgets(pool, further, left)
    if group is not None:
        group = np.concatenate([np.full(len(seats), -1), group])
    lift = np.zeros(len(tasks))
    lift[: len(seats)] = LIFT * _reach(pool, tasks) if len(seats) else 0.0
    return Market(
        tasks, np.concatenate([seats, demand]),
        np.concatenate([seats, pool.columns.tasks.vacancies[further].astype(np.int64)]), lift, capacity, group, budget,
    )  # fmt: skip


def _reach(pool: PoolState, tasks: Array) -> float:
    """How far apart the values of two pairs of these tasks can be at most."""
    records = pool.columns.tasks.records["expected_s"][tasks]
    dearest = float(pool.columns.annotators.records["cost"][: pool.annotators.used].max(initial=0.0))
    cost = pool.policy.judgment_cost + dearest * float(records.max(initial=0.0)) / 3600.0
    return float(candidates.potential(pool.columns, tasks, pool.in_force).max(initial=0.0)) + cost + TINY


def with_holders(
    pool: PoolState, recalled: candidates.Recalled, market: Market, promised: Promised, free: Array, bench: Bench
) -> candidates.Recalled:
    """The market with every pair by which required work was covered: else the auction might not find them all."""
    m = len(free)
    rows = np.repeat(np.arange(len(market.tasks)), np.diff(recalled.indptr))
    row_of = dict(zip(market.tasks.tolist(), range(len(promised.tasks)), strict=False))
    theirs = np.array([row_of[t] for t in promised.held_tasks.tolist()], np.int64)
    more = theirs * m + promised.holders
    new = ~np.isin(more, rows * m + recalled.indices)
    if not new.any():
        return recalled
    terms = decisions.explain(
        pool.columns, promised.held_tasks[new], free[promised.holders[new]], pool.in_force, bench
    )
    values = np.concatenate([recalled.values, terms.sum(axis=1) + market.lift[theirs[new]]])
    places = np.concatenate([rows * m + recalled.indices, more[new]])
    order = np.argsort(places, kind="stable")
    counts = np.bincount(places // m, minlength=len(market.tasks))
    return recalled._replace(
        indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        indices=(places[order] % m).astype(np.int32),
        values=values[order],
        pairs=recalled.pairs if recalled.dense.shape[0] else recalled.pairs + int(np.count_nonzero(new)),
    )


def is_within_shares(pool: PoolState, tasks: Array, annotators: Array) -> bool:
    """Whether nobody would get more of a project than ``max_per_annotator`` allows, which no auction knows."""
    projects = pool.columns.projects.records
    owners = pool.columns.tasks.records["project"][tasks]
    limited = projects["limited"][owners] >= 0
    if not limited.any():
        return True
    pairs, counts = np.unique(np.stack([owners[limited], annotators[limited]]), axis=1, return_counts=True)
    taken = pool.columns.limited.taken[projects["limited"][pairs[0]], pairs[1]]
    return bool((taken + counts <= projects["cap"][pairs[0]]).all())


def with_covered(rows: Array, places: Array, promised: Promised, tasks: Array) -> tuple[Array, Array]:
    """What was sold (rows and places among the free), but required work as it was covered, and that first."""
    order = np.argsort(tasks[: len(promised.tasks)])
    theirs = order[np.searchsorted(tasks[: len(promised.tasks)], promised.held_tasks, sorter=order)]
    further = rows >= len(promised.tasks)
    return np.concatenate([theirs, rows[further]]), np.concatenate([promised.holders, places[further]])


class Sold(NamedTuple):
    """An auction's market, what is held in it at which prices, and the bound that these prices prove."""

    indptr: Array
    indices: Array
    values: Array  # lifted
    held: Array
    price: Array
    bound: float
    pairs: int
    lift: Array


def sell(pool: PoolState, market: Market, recalled: candidates.Recalled) -> Sold:
    """Solve the recalled market to the gap asked for; where every pair was looked at, over every pair.

    What the auction sells is cut by each project's budget (`_demand`). The bound doesn't rely on which tasks get it.
    Where the lift of required work was not enough for an auction to fill every seat, it is raised.
    """
    for attempt in itertools.count():
        sold, is_filled = _solved(pool, market, recalled)
        if is_filled or attempt == LIFTS:
            break
        more = market.lift * (LIFT - 1)
        market = market._replace(lift=market.lift + more)
        rows = np.repeat(more, np.diff(recalled.indptr))
        dense = recalled.dense
        if len(dense):
            dense = np.where(dense > 0, dense + more[:, None], 0.0)
        recalled = recalled._replace(values=recalled.values + rows, dense=dense)
    return sold


def _solved(pool: PoolState, market: Market, recalled: candidates.Recalled) -> tuple[Sold, bool]:
    """The auction's result, and whether it fills every required seat."""
    indptr, indices, values, dense, pairs = recalled
    demand, lifted, gap = market.demand, market.lifted, pool.policy.gap
    limits = market.most, market.capacity, market.group, market.budget
    price: Array | None = None
    bound = np.inf
    every = every_pair(dense) if dense.shape[0] else (indptr, indices, values)
    near = gap * _worth(indptr, values, market)
    for attempt in range(1 + PRICING_ROUNDS):
        solution = auction.solve(
            indptr, indices, values, demand, market.capacity, price=price, gap_tol=0.0 if lifted else gap,
            abs_tol=near, max_work=WORK_PER_ARC * max(len(indices), 16), check=False,
        )  # fmt: skip
        bound = min(bound, bound_of(every, *limits, solution.price, lifted))
        reach = bound_of(every, demand, market.capacity, None, None, solution.price, lifted)
        found = solution.primal - lifted
        # what the budgets leave over, prices can't tell
        if min(bound, reach) - found <= gap * abs(found) or attempt == PRICING_ROUNDS:
            break
        price, near = solution.price, min(near, gap * max(abs(found), TINY)) / 2
        if dense.shape[0] and len(indices) < pairs:
            indptr, indices, values = _price_in(dense, indptr, indices, values, demand, solution)
        elif not lifted:
            break
    held = np.bincount(
        np.searchsorted(indptr, np.flatnonzero(solution.held), side="right") - 1, minlength=len(demand)
    )
    is_filled = bool((held[market.lift > 0] == demand[market.lift > 0]).all())
    return Sold(indptr, indices, values, solution.held, solution.price, bound, pairs, market.lift), is_filled


def _worth(indptr: Array, values: Array, market: Market) -> float:
    """About what the market is worth, lifts aside: the best pair of each row, whoever else wants the same."""
    if not market.lifted:
        return 0.0
    starts = indptr[:-1][np.diff(indptr) > 0]
    best = np.maximum.reduceat(values, starts) - market.lift[np.diff(indptr) > 0]
    return float(np.abs(best).sum()) + TINY


def coarse(pool: PoolState, tasks: Array, free: Array, capacity: Array) -> Array:
    """The tasks worth a closer look: of each demand those of most potential, ``SURPLUS`` times what it can get.

    Tasks that name their annotators all stay: a look at them costs little, and nobody else could replace them.
    """
    c = pool.columns
    worth = candidates.potential(c, tasks, pool.in_force)
    records = c.tasks.records[tasks]
    keep = records["only_n"] > 0
    profiles = c.annotators.records["profile"][free]
    for demand in np.unique(records["demand"]):
        supply = int(capacity[pool.fits.meets[demand, profiles] > 0].sum())
        mine = np.flatnonzero((records["demand"] == demand) & ~keep)
        mine = mine[np.argsort(-worth[mine], kind="stable")]
        vacant = np.cumsum(c.tasks.vacancies[tasks[mine]])
        keep[mine[: int(np.searchsorted(vacant, SURPLUS * supply)) + 1 if supply else 0]] = True
    kept: Array = tasks[keep]
    return kept


def _demand(
    pool: PoolState, tasks: Array, free: int, seed: int, promised: Promised
) -> tuple[Array, Array]:
    """Vacancies of each task, cut to what its project's budget allows beside promises; and what that is, by project.

    The slots of most potential stay.

    The first of a task's slots counts as much as the task, each further one as if those before were under way. Which of
    equals stay is drawn.
    """
    c = pool.columns
    demand: Array = c.tasks.vacancies[tasks].astype(np.int64)
    projects = c.projects.records[: pool.projects.used]
    left = np.maximum(promised.left, 0)
    owners = c.tasks.records["project"][tasks]
    asked = np.bincount(owners, demand, minlength=len(projects))
    short = ((projects["budget"] >= 0) & (asked > left))[owners]
    if not short.any():
        return demand, left
    demand[short & (left[owners] == 0)] = 0
    rows = np.flatnonzero(short & (demand > 0))
    worth = candidates.potential(c, tasks[rows], pool.in_force)
    drawn = teaching.draw_order(tasks[rows], np.zeros(len(rows), np.int32), seed)
    room = np.minimum(demand[rows], free)  # nobody is asked twice
    slots = np.repeat(np.arange(len(rows)), room)
    before = np.arange(len(slots)) - np.repeat(np.cumsum(room) - room, room)
    under_way = (c.tasks.records["offered"] + c.tasks.records["leased"])[tasks[rows]][slots] + 1.0
    # single precision: equal classes the other way round make equal sums
    each = (worth[slots] * (under_way / (under_way + before))).astype(np.float32)
    owner = owners[rows][slots]
    order = np.lexsort((drawn[slots], -each, owner))
    rank = np.arange(len(order)) - np.searchsorted(owner[order], owner[order])
    kept = slots[order[rank < left[owner[order]]]]
    demand[rows] = np.bincount(kept, minlength=len(rows))
    return demand, left


def _shared_budgets(pool: PoolState, tasks: Array, left: Array) -> tuple[Array | None, Array | None]:
    """Which limited project each task belongs to (-1: none), and what each may still spend; None, None without."""
    budgets = pool.columns.projects.records["budget"][: pool.projects.used]
    if budgets.max() < 0:
        return None, None
    owners = pool.columns.tasks.records["project"][tasks].astype(np.int64)
    return np.where(budgets[owners] >= 0, owners, -1), left


def _price_in(
    dense: Array, indptr: Array, indices: Array, values: Array, demand: Array, solution: auction.Solution
) -> tuple[Array, Array, Array]:
    """The market with every left-out pair that would pay more at these prices than what its task now holds."""
    rows = np.repeat(np.arange(len(dense)), np.diff(indptr))
    held = np.flatnonzero(solution.held)
    least = np.full(len(dense), np.inf)
    np.minimum.at(least, rows[held], values[held] - solution.price[indices[held]])
    least[np.bincount(rows[held], minlength=len(dense)) < demand] = 0.0
    wanted = dense - solution.price[None, :] > np.maximum(least, 0.0)[:, None]
    wanted[rows, indices] = True
    wanted &= dense > 0
    at = np.flatnonzero(wanted.ravel())
    start = np.concatenate([[0], np.cumsum(wanted.sum(axis=1))]).astype(np.int64)
    return start, (at % dense.shape[1]).astype(np.int32), dense.ravel()[at]
