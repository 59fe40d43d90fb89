"""Matching one pool: recall → values → auction → offers, and the figures that prove how good they are.

The auction solves the recalled market to a stated gap. Where the market was evaluated in full, the bound is then
taken over every pair, recalled or not; if pairs that were left out could pay, they join and the auction runs again
from the prices it has. A final pass offers whatever work of positive value a free annotator still has room for, so
that nobody waits beside work they could do.

Tasks of known answer go before and after the auction (``stream/core/teaching.py``). In a pool that has any, the offers
of a round are published in an order drawn from its seed, so that their places tell nothing.
"""

from typing import NamedTuple

import numpy as np

from kernels import auction, candidates, teaching
from kernels.lifecycle import codes, offer
from kernels.lifecycle.layout import NOW
from kernels.skill import THETA_WIDTH
from stream.core.growth import Array
from stream.core.pools import PoolState
from stream.core.teaching import Taught, Teaching

FULL_PAIRS = 50_000  # up to this many (task, annotator) pairs are evaluated in full: about a millisecond
SAMPLE = 64  # annotators drawn per task in larger markets
SURPLUS = 1.5  # demand looked at in larger markets, as a multiple of what the free annotators can take
WORK_PER_ARC = 4_000  # limit on arcs read by the auction, per arc: counted, so that it doesn't depend on the machine
PRICING_ROUNDS = 3


class Matched(NamedTuple):
    """The offers of one pool and round, as columns, and the market's figures."""

    tasks: Array  # i4[n] slots
    annotators: Array  # i4[n] slots
    terms: Array  # f8[n, 4]
    price: Array  # f8[n]
    runner_up: Array  # i4[n] annotator slots or -1
    runner_up_value: Array  # f8[n]
    skill_low: Array  # f8[n], NaN without a model
    open_tasks: int
    free_annotators: int
    primal: float
    bound: float
    gap: float


class Scratch:
    """Buffers that live from round to round; they grow and never shrink."""

    def __init__(self) -> None:
        self.tasks = np.zeros(0, np.int32)
        self.golds = np.zeros(0, np.int32)
        self.free = np.zeros(0, np.int32)
        self.place = np.zeros(0, np.int32)
        self.theta = np.zeros((0, THETA_WIDTH))
        self.ability = np.zeros(0)
        self.standing = np.zeros(0, np.uint8)
        self.row_i = np.zeros(0, np.int32)
        self.row_v = np.zeros(0)
        self.gain = np.zeros((0, 3))
        self.out = np.zeros(4)

    def reserve(self, tasks: int, annotators: int) -> None:
        """Make room for this many slots."""
        if tasks > len(self.tasks):
            self.tasks = np.zeros(2 * tasks, np.int32)
            self.golds = np.zeros(2 * tasks, np.int32)
        if annotators > len(self.free):
            self.free = np.zeros(2 * annotators, np.int32)
            self.place = np.full(2 * annotators, -1, np.int32)

    def reserve_free(self, m: int, classes: int) -> None:
        """Make room for ``m`` free annotators in models of ``classes`` classes."""
        width = classes * classes + classes
        if m > len(self.ability) or width > self.theta.shape[1]:
            m = max(2 * m, len(self.ability))
            self.theta = np.zeros((m, width))
            self.ability = np.zeros(m)
            self.standing = np.zeros(m, np.uint8)
            self.row_i = np.zeros(m, np.int32)
            self.row_v = np.zeros(m)
            self.gain = np.zeros((m, 3))


def match(pool: PoolState, seed: int, rnd: int, first: int, scratch: Scratch) -> Matched | None:
    """Offer work in one pool; None when nobody is free or nothing is open.

    Parameters
    ----------
    seed : int
        Of the round; the pool's own is derived from it.
    rnd, first : int
        Round and index of the first offer: they name the assignments.
    """
    scratch.reserve(pool.tasks.used, pool.annotators.used)
    n, g, m = candidates.open_market(pool.columns, scratch.tasks, scratch.golds, scratch.free)
    if pool.paused or not m or not n + g:
        return None
    if not g:
        return _work(pool, seed, rnd, first, scratch, n, m)
    tasks, free = scratch.tasks[:n].copy(), scratch.free[:m].copy()
    asked = restricted(pool)
    lessons = Teaching(pool, scratch.golds[:g], tasks, seed, rnd, scratch.place, asked)
    due = lessons.give(free, first, examines=False)
    first += len(due.tasks)
    n, _, left = candidates.open_market(pool.columns, scratch.tasks, scratch.golds, scratch.free)
    work = _work(pool, seed, rnd, first, scratch, n, left) if n and left else _nothing(n)
    examined = lessons.give(free, first + len(work.tasks), examines=True)
    return _together(pool, work, [due, examined], m, seed, first - len(due.tasks))


def _work(pool: PoolState, seed: int, rnd: int, first: int, scratch: Scratch, n: int, m: int) -> Matched:
    """Auction the ``n`` open tasks in ``scratch`` among its ``m`` free annotators, see ``match``."""
    columns, policy, rules = pool.columns, pool.policy, pool.rules
    scratch.reserve_free(m, pool.classes)
    tasks, free = scratch.tasks[:n].copy(), scratch.free[:m].copy()
    tasks = tasks[np.lexsort((columns.reported[tasks, 0], columns.tasks["model"][tasks]))]
    every, opened, capacity = tasks.copy(), n, _capacity(pool, free)
    full = n * m <= FULL_PAIRS
    if not full:
        tasks = _coarse(pool, tasks, free, capacity)
        n = len(tasks)
    asked = restricted(pool)
    limit = min(policy.candidates, m)
    dense = np.zeros((n, m) if full else (0, 0))
    indptr = np.zeros(n + 1, np.int64)
    indices = np.empty(n * limit, np.int32)
    values = np.empty(n * limit)
    weights = np.empty(n)
    arcs = candidates.recall(
        columns, tasks, n, free, m, scratch.place, pool.fits.meets, pool.fits.grants, asked, rules, seed, limit,
        m if full else SAMPLE, scratch.theta, scratch.ability, scratch.standing, scratch.row_i, scratch.row_v,
        scratch.gain, scratch.out, weights, indptr, indices, values, dense,
    )  # fmt: skip
    demand = _demand(pool, tasks, weights)
    indices, values = indices[:arcs], values[:arcs]
    solution = auction.solve(
        indptr, indices, values, demand, capacity, gap_tol=policy.gap, max_work=WORK_PER_ARC * max(arcs, 16),
        check=False,
    )  # fmt: skip
    primal, bound = solution.primal, solution.bound
    if full:
        best = np.empty(int(demand.max()) + 1)
        bound = min(candidates.full_bound(dense, demand, capacity, solution.price, best), dense.sum())
        for _ in range(PRICING_ROUNDS):
            if bound - primal <= policy.gap * bound or arcs == np.count_nonzero(dense):
                break
            indptr, indices, values = _price_in(dense, indptr, indices, values, demand, solution)
            arcs = len(indices)
            solution = auction.solve(
                indptr, indices, values, demand, capacity, price=solution.price, gap_tol=policy.gap / 2,
                max_work=WORK_PER_ARC * max(arcs, 16), check=False,
            )  # fmt: skip
            primal = solution.primal
            bound = min(bound, candidates.full_bound(dense, demand, capacity, solution.price, best))
    held = np.flatnonzero(solution.held)
    rows = np.searchsorted(indptr, held, side="right") - 1
    columns_held = indices[held]
    matched_t, matched_a = tasks[rows], free[columns_held]
    terms = np.empty((len(held), 4))
    candidates.explain(columns, matched_t, matched_a, rules, scratch.theta, scratch.ability, scratch.standing, terms)
    runner = np.empty(len(held), np.int32)
    runner_value = np.empty(len(held))
    candidates.runners_up(
        indptr, indices, values, solution.held, solution.price, rows, columns_held, runner, runner_value
    )
    runner = np.where(runner >= 0, free[np.maximum(runner, 0)], -1).astype(np.int32)
    rest = int(np.minimum(capacity.sum(), demand.sum())) + 1
    pool.reserve_pairs(len(held) + rest)
    columns = pool.columns
    accept_by = columns.clock[NOW] + policy.accept_s
    offered = np.zeros(len(held), np.uint8)
    made = offer(columns, matched_t, matched_a, columns.clock[NOW], accept_by, rnd, first, offered)
    late_t, late_a = np.empty(rest, np.int32), np.empty(rest, np.int32)
    late_terms = np.empty((rest, 4))
    late = candidates.complete(
        columns, every, opened, free, m, pool.fits.meets, pool.fits.grants, asked, rules, scratch.theta,
        scratch.ability, scratch.standing, scratch.out, accept_by, rnd, first + made, late_t, late_a, late_terms,
    )  # fmt: skip
    keep = offered.astype(bool)
    all_t = np.concatenate([matched_t[keep], late_t[:late]])
    all_a = np.concatenate([matched_a[keep], late_a[:late]])
    low = np.empty(made + late)
    candidates.skill_low(columns, all_t, all_a, low)
    primal = float(terms[keep].sum() + late_terms[:late].sum())
    bound = max(float(bound), primal)
    return Matched(
        tasks=all_t,
        annotators=all_a,
        terms=np.concatenate([terms[keep], late_terms[:late]]),
        price=np.concatenate([solution.price[columns_held][keep], np.zeros(late)]),
        runner_up=np.concatenate([runner[keep], np.full(late, -1, np.int32)]),
        runner_up_value=np.concatenate([runner_value[keep], np.zeros(late)]),
        skill_low=low,
        open_tasks=opened,
        free_annotators=m,
        primal=primal,
        bound=bound,
        gap=(bound - primal) / bound if bound > 0 else 0.0,
    )


def _nothing(opened: int) -> Matched:
    """A round in which nobody was left for the work."""
    slots, numbers = np.zeros(0, np.int32), np.zeros(0)
    return Matched(slots, slots, np.zeros((0, 4)), numbers, slots, numbers, numbers, opened, 0, 0.0, 0.0, 0.0)


def _together(pool: PoolState, work: Matched, taught: list[Taught], free: int, seed: int, first: int) -> Matched:
    """One list of work and of tasks of known answer, in an order that tells nothing of which is which."""
    given = sum(len(part.tasks) for part in taught)
    tasks = np.concatenate([work.tasks, *(part.tasks for part in taught)])
    annotators = np.concatenate([work.annotators, *(part.annotators for part in taught)])
    keys = np.zeros(len(tasks), np.uint64)
    teaching.draw_order(tasks, annotators, seed, keys)
    order = np.argsort(keys, kind="stable")
    tasks, annotators = tasks[order], annotators[order]
    teaching.arrange(pool.columns, tasks, annotators, first)
    low = np.empty(len(tasks))
    candidates.skill_low(pool.columns, tasks, annotators, low)
    terms = np.concatenate([work.terms, *(part.terms for part in taught)])[order]
    worth = float(sum(part.terms.sum() for part in taught))
    primal, bound = work.primal + worth, work.bound + worth
    return Matched(
        tasks=tasks,
        annotators=annotators,
        terms=terms,
        price=np.concatenate([work.price, np.zeros(given)])[order],
        runner_up=np.concatenate([work.runner_up, np.full(given, -1, np.int32)])[order],
        runner_up_value=np.concatenate([work.runner_up_value, np.zeros(given)])[order],
        skill_low=low,
        open_tasks=work.open_tasks,
        free_annotators=free,
        primal=primal,
        bound=bound,
        gap=(bound - primal) / bound if bound > 0 else 0.0,
    )


def _capacity(pool: PoolState, free: Array) -> Array:
    """How many more offers each free annotator may get now."""
    records = pool.columns.annotators[free]
    capacity: Array = (records["capacity"] - records["live"]).astype(np.int64)
    pull = records["mode"] == codes.PULL
    capacity[pull] = np.minimum(capacity[pull], records["asked"][pull])
    return capacity


def _coarse(pool: PoolState, tasks: Array, free: Array, capacity: Array) -> Array:
    """The tasks worth a closer look: of each demand those of most potential, ``SURPLUS`` times what it can get.

    Tasks that name their annotators all stay: a look at them costs little, and nobody else could replace them.
    """
    c = pool.columns
    worth = np.empty(len(tasks))
    candidates.potential(c, tasks, worth)
    records = c.tasks[tasks]
    keep = records["only_n"] > 0
    profiles = c.annotators["profile"][free]
    for demand in np.unique(records["demand"]):
        supply = int(capacity[pool.fits.meets[demand, profiles] > 0].sum())
        mine = np.flatnonzero((records["demand"] == demand) & ~keep)
        mine = mine[np.argsort(-worth[mine], kind="stable")]
        room = np.cumsum(c.room[tasks[mine]])
        keep[mine[: int(np.searchsorted(room, SURPLUS * supply)) + 1 if supply else 0]] = True
    kept: Array = tasks[keep]
    return kept


def restricted(pool: PoolState) -> Array:
    """Which projects each annotator in mode pull asked for in this round; empty when nobody restricts."""
    modes = pool.columns.annotators["mode"]
    restricted = {a: names for a, names in pool.asked_projects.items() if names and modes[a] == codes.PULL}
    if not restricted:
        return np.zeros((0, 0), np.uint8)
    asked = np.ones((pool.annotators.used, pool.projects.used), np.uint8)
    for a, names in restricted.items():
        asked[a] = 0
        asked[a, [pool.projects.slots[p] for p in names if p in pool.projects.slots]] = 1
    return asked


def _demand(pool: PoolState, tasks: Array, weights: Array) -> Array:
    """Room of each task, cut to what its project's budget still allows, most important tasks first."""
    demand: Array = pool.columns.room[tasks].astype(np.int64)
    projects = pool.columns.projects[: pool.projects.used]
    left = projects["budget"] - projects["counted"] - projects["live"]
    limited = np.flatnonzero(projects["budget"] >= 0)
    if len(limited):
        owners = pool.columns.tasks["project"][tasks]
        for j in limited:
            mine = np.flatnonzero(owners == j)
            mine = mine[np.argsort(-weights[mine], kind="stable")]
            used = np.cumsum(demand[mine])
            demand[mine] = np.clip(demand[mine] - np.maximum(used - max(int(left[j]), 0), 0), 0, None)
    return demand


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
