"""Matching one pool: recall → values → auction → offers, and the figures that prove how good they are.

The auction solves the recalled market to the gap asked for. Where the market was evaluated in full, pairs that were
left out and could pay at its prices join, and the auction runs again from these. A final pass offers whatever work of
positive value a free annotator still has room for, so that nobody waits beside work they could do. What is proven of
the whole, and of which part of it, is in ``proof.py``.

Tasks of known answer go before and after the auction (``known_answers.py``). In a pool that has any, the offers
of a round are published in an order drawn from its seed, so that their places tell nothing.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels import auction, bench, buffers, candidates, completion, decisions, teaching
from kernels.candidates import EVERYBODY, Look
from kernels.completion import Passing
from kernels.lifecycle import Pool, codes, offer
from kernels.lifecycle.offers import Matches, Stage
from kernels.lifecycle.pool_columns import NOW
from kernels.rules.predicate import Fit
from kernels.skill import THETA_WIDTH
from kernels.terms import COUNT
from stream.core.market.known_answers import Taught, Teaching
from stream.core.market.proof import Proof, bound_of, every_pair
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState

FULL_PAIRS = 50_000  # up to this many (task, annotator) pairs are evaluated in full: about a millisecond
SAMPLE = 64  # annotators drawn per task in larger markets
SURPLUS = 1.5  # demand looked at in larger markets, as a multiple of what the free annotators can take
WORK_PER_ARC = 4_000  # limit on arcs read by the auction, per arc: counted, so that it doesn't depend on the machine
PRICING_ROUNDS = 3
NOBODY_RESTRICTS = np.zeros((0, 0), np.uint8)


class Matched(NamedTuple):
    """The offers of one pool and round, as columns, and the market's figures."""

    tasks: Array  # i4[n] slots
    annotators: Array  # i4[n] slots
    terms: Array  # f8[n, terms]
    price: Array  # f8[n]
    runner_up: Array  # i4[n] annotator slots or -1
    runner_up_value: Array  # f8[n]
    skill_low: Array  # f8[n]
    open_tasks: int
    free_annotators: int
    proof: Proof

    def check_numbers(self) -> None:
        """Raise when something that will be published is no number: JSON has none for it, readers would find null."""
        columns = (self.terms, self.price, self.runner_up_value, self.skill_low)
        proof = self.proof
        stated = proof.value + proof.bound + proof.gap + proof.unproven_value + proof.taught_value
        if not math.isfinite(sum(float(column.sum()) for column in columns) + stated):
            raise ArithmeticError("expected finite values, prices and bounds of a matching")


class Scratch:
    """Buffers that live from round to round; they grow and never shrink."""

    def __init__(self) -> None:
        self.openings = bench.openings(*(buffers.first_room(64) for _ in range(3)))
        self.offers = bench.offers(64)
        self.bench = bench.bench(0, 0, THETA_WIDTH)

    def open_market(self, columns: Pool) -> tuple[Array, Array, Array]:
        """Open work, open tasks of known answer and free annotators: slots, until the next call."""
        while True:
            lists = self.openings
            candidates.open_market(columns, lists)
            n, work, g, golds, m, free = lists.count.tolist()
            if n == work and g == golds and m == free:
                return lists.work[:n], lists.golds[:g], lists.free[:m]
            room = zip((work, golds, free), map(len, lists), strict=False)
            self.openings = bench.openings(*(buffers.next_room(wanted, have) for wanted, have in room))

    def reserve(self, annotators: int, free: int, classes: int) -> None:
        """Make room for so many annotators, of whom ``free`` are, in models of up to ``classes`` classes."""
        width = max(classes * classes + classes, self.bench.theta.shape[1])
        have = len(self.bench.place), len(self.bench.ability)
        if annotators > have[0] or free > have[1] or width > self.bench.theta.shape[1]:
            self.bench = bench.bench(
                have[0] if annotators <= have[0] else buffers.next_room(annotators, have[0]),
                have[1] if free <= have[1] else buffers.next_room(free, have[1]),
                width,
            )


def match(pool: PoolState, seed: int, rnd: int, first: int, scratch: Scratch) -> Matched | None:
    """Offer work in one pool; None when nobody is free or nothing is open.

    Parameters
    ----------
    seed : int
        Of the round; the pool's own is derived from it.
    rnd, first : int
        Round and index of the first offer: they name the assignments.
    """
    tasks, golds, free = scratch.open_market(pool.columns)
    if pool.paused or not len(free) or not len(tasks) + len(golds):
        return None
    scratch.reserve(pool.annotators.used, len(free), pool.classes)
    if not len(golds):
        matched = _work(pool, seed, rnd, first, scratch, tasks, free)
        pool.check_room()
        return matched
    tasks, golds, free = tasks.copy(), golds.copy(), free.copy()
    lessons = Teaching(pool, golds, tasks, seed, rnd, scratch.bench.place, fit_of(pool))
    owed = lessons.give(free, first, examines=False)
    first += len(owed.tasks)
    tasks, _, left = scratch.open_market(pool.columns)
    work = _nothing(len(tasks))
    if len(tasks) and len(left):
        work = _work(pool, seed, rnd, first, scratch, tasks, left)
    examined = lessons.give(free, first + len(work.tasks), examines=True)
    pool.check_room()
    return _together(pool, work, [owed, examined], len(free), seed, first - len(owed.tasks))


def _work(
    pool: PoolState, seed: int, rnd: int, first: int, scratch: Scratch, tasks: Array, free: Array
) -> Matched:
    """Auction the open ``tasks`` among the ``free`` annotators, see ``match``."""
    columns = pool.columns
    # equals together, in an order that no class leads
    leaning = columns.tasks.reported[tasks, 0].view(np.uint32) * np.uint32((seed | 1) & 0xFFFFFFFF)
    tasks, free = tasks[np.lexsort((leaning, columns.tasks.records["model"][tasks]))], free.copy()
    every, capacity, fit = tasks, _capacity(pool, free), fit_of(pool)
    is_full = len(tasks) * len(free) <= FULL_PAIRS
    if not is_full:
        tasks = _coarse(pool, tasks, free, capacity)
    look = Look(seed, min(pool.policy.candidates, len(free)), EVERYBODY if is_full else SAMPLE)
    recalled = candidates.recall(columns, tasks, free, fit, pool.in_force, look, scratch.bench)
    sold = _auction(pool, tasks, capacity, recalled, seed)
    rows = np.searchsorted(sold.indptr, np.flatnonzero(sold.held), side="right") - 1
    places = sold.indices[sold.held > 0]
    wanted = Matches(tasks[rows], free[places], np.zeros(len(rows), np.uint8))
    terms = decisions.explain(columns, wanted.tasks, wanted.annotators, pool.in_force, scratch.bench)
    runner, runner_value = decisions.runners_up(decisions.Sold(*sold[:5]), rows, places)
    runner = np.where(runner >= 0, free[np.maximum(runner, 0)], -1).astype(np.int32)
    stage = Stage(columns.clock[NOW] + pool.policy.accept_s, rnd, first)
    keep = _offer(pool, wanted, fit, stage)
    stage = stage._replace(first=first + int(np.count_nonzero(keep)))
    late = _complete(pool, Passing(every.copy(), free), fit, scratch, stage)
    rest = len(late.tasks)
    all_t = np.concatenate([wanted.tasks[keep], late.tasks])
    all_a = np.concatenate([wanted.annotators[keep], late.annotators])
    value, added = float(terms[keep].sum()), float(late.terms.sum())
    if is_full:  # a pair that is left was looked at, and is worth no more than it was then: the bound speaks of it too
        value, added = value + added, 0.0
    return Matched(
        tasks=all_t,
        annotators=all_a,
        terms=np.concatenate([terms[keep], late.terms]),
        price=np.concatenate([sold.price[places][keep], np.zeros(rest)]),
        runner_up=np.concatenate([runner[keep], np.full(rest, -1, np.int32)]),
        runner_up_value=np.concatenate([runner_value[keep], np.zeros(rest)]),
        skill_low=decisions.skill_low(columns, all_t, all_a),
        open_tasks=len(every),
        free_annotators=len(free),
        proof=Proof(value, sold.bound, "all" if is_full else "recalled", sold.pairs, unproven_value=added),
    )


class _Sold(NamedTuple):
    """An auction's market, what is held in it at which prices, and the bound that these prices prove."""

    indptr: Array
    indices: Array
    values: Array
    held: Array
    price: Array
    bound: float
    pairs: int


def _auction(
    pool: PoolState, tasks: Array, capacity: Array, recalled: candidates.Recalled, seed: int
) -> _Sold:
    """Solve the recalled market to the gap asked for; where every pair was looked at, over every pair.

    What the auction sells is cut by each project's budget (`_demand`). The bound doesn't rely on which tasks get it.
    """
    indptr, indices, values, dense, pairs = recalled
    demand = _demand(pool, tasks, len(capacity), seed)
    limits = capacity, *_shared_budgets(pool, tasks)
    vacant = pool.columns.tasks.vacancies[tasks].astype(np.int64)
    solution = auction.solve(
        indptr, indices, values, demand, capacity, gap_tol=pool.policy.gap,
        max_work=WORK_PER_ARC * max(len(indices), 16), check=False,
    )  # fmt: skip
    if not dense.shape[0]:
        bound = bound_of((indptr, indices, values), vacant, *limits, solution.price)
        return _Sold(indptr, indices, values, solution.held, solution.price, bound, len(indices))
    every = every_pair(dense)
    bound = bound_of(every, vacant, *limits, solution.price)
    reach = np.inf
    for _ in range(PRICING_ROUNDS):
        if len(indices) == pairs or bound - solution.primal <= pool.policy.gap * bound:
            break
        reach = min(reach, bound_of(every, demand, capacity, None, None, solution.price))
        if reach - solution.primal <= pool.policy.gap * reach:  # what the budgets leave over, prices can't tell
            break
        indptr, indices, values = _price_in(dense, indptr, indices, values, demand, solution)
        solution = auction.solve(
            indptr, indices, values, demand, capacity, price=solution.price, gap_tol=pool.policy.gap / 2,
            max_work=WORK_PER_ARC * max(len(indices), 16), check=False,
        )  # fmt: skip
        bound = min(bound, bound_of(every, vacant, *limits, solution.price))
    return _Sold(indptr, indices, values, solution.held, solution.price, bound, pairs)


def _offer(pool: PoolState, wanted: Matches, fit: Fit, stage: Stage) -> Array:
    """Offer what the auction has matched; which of the pairs could be."""
    pool.reserve_pairs(buffers.first_room(len(wanted.tasks)))
    at = 0
    while (at := int(offer(pool.columns, wanted, fit, pool.columns.clock[NOW], stage, at))) < len(wanted.tasks):
        pool.reserve_pairs(1)
    offered: Array = wanted.offered.astype(bool)
    return offered


def _complete(pool: PoolState, passing: Passing, fit: Fit, scratch: Scratch, stage: Stage) -> bench.Offers:
    """The final pass over every task that still has vacancies; the offers are there until the next call."""
    scratch.offers.count[:] = 0
    at = 0
    while True:
        at = bench.checked(
            completion.complete(pool.columns, passing, fit, pool.in_force, scratch.bench, stage, at, scratch.offers)
        )
        if at == len(passing.free):
            return buffers.entries(scratch.offers)
        scratch.offers = pool.more_offers(scratch.offers)


def _nothing(opened: int) -> Matched:
    """A round in which nobody was left for the work."""
    slots, numbers = np.zeros(0, np.int32), np.zeros(0)
    proof = Proof(0.0, 0.0, "all", 0)
    return Matched(slots, slots, np.zeros((0, COUNT)), numbers, slots, numbers, numbers, opened, 0, proof)


def _together(pool: PoolState, work: Matched, taught: list[Taught], free: int, seed: int, first: int) -> Matched:
    """One list of work and of tasks of known answer, in an order that tells nothing of which is which."""
    given = sum(len(part.tasks) for part in taught)
    tasks = np.concatenate([work.tasks, *(part.tasks for part in taught)])
    annotators = np.concatenate([work.annotators, *(part.annotators for part in taught)])
    order = np.argsort(teaching.draw_order(tasks, annotators, seed), kind="stable")
    tasks, annotators = tasks[order], annotators[order]
    teaching.arrange(pool.columns, tasks, annotators, first)
    terms = np.concatenate([work.terms, *(part.terms for part in taught)])[order]
    taught_value = float(sum(part.terms.sum() for part in taught))
    return Matched(
        tasks=tasks,
        annotators=annotators,
        terms=terms,
        price=np.concatenate([work.price, np.zeros(given)])[order],
        runner_up=np.concatenate([work.runner_up, np.full(given, -1, np.int32)])[order],
        runner_up_value=np.concatenate([work.runner_up_value, np.zeros(given)])[order],
        skill_low=decisions.skill_low(pool.columns, tasks, annotators),
        open_tasks=work.open_tasks,
        free_annotators=free,
        proof=work.proof._replace(taught_value=taught_value),
    )


def _capacity(pool: PoolState, free: Array) -> Array:
    """How many more offers each free annotator may get now."""
    records = pool.columns.annotators.records
    capacity: Array = records["capacity"][free].astype(np.int64) - records["live"][free]
    pull = records["mode"][free] == codes.PULL
    if pull.any():
        capacity[pull] = np.minimum(capacity[pull], records["asked"][free[pull]])
    return capacity


def _coarse(pool: PoolState, tasks: Array, free: Array, capacity: Array) -> Array:
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


def fit_of(pool: PoolState) -> Fit:
    """Who is fit for what in this round."""
    return Fit(pool.fits.meets, pool.fits.grants, _restricted(pool))


def _restricted(pool: PoolState) -> Array:
    """Which projects each annotator in mode pull asked for in this round; empty when nobody restricts."""
    if not pool.asked_projects:
        return NOBODY_RESTRICTS
    modes = pool.columns.annotators.records["mode"]
    restricted = {a: names for a, names in pool.asked_projects.items() if names and modes[a] == codes.PULL}
    if not restricted:
        return NOBODY_RESTRICTS
    asked = np.ones((pool.annotators.used, pool.projects.used), np.uint8)
    for a, names in restricted.items():
        asked[a] = 0
        asked[a, [pool.projects.slots[p] for p in names if p in pool.projects.slots]] = 1
    return asked


def _demand(pool: PoolState, tasks: Array, free: int, seed: int) -> Array:
    """Vacancies of each task, cut to what its project's budget still allows: the slots of most potential stay.

    The first of a task's slots counts as much as the task, each further one as if those before were under way. Which of
    equals stay is drawn.
    """
    c = pool.columns
    demand: Array = c.tasks.vacancies[tasks].astype(np.int64)
    projects = c.projects.records[: pool.projects.used]
    left = np.maximum(projects["budget"] - projects["counted"] - projects["live"], 0)
    owners = c.tasks.records["project"][tasks]
    asked = np.bincount(owners, demand, minlength=len(projects))
    short = ((projects["budget"] >= 0) & (asked > left))[owners]
    if not short.any():
        return demand
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
    return demand


def _shared_budgets(pool: PoolState, tasks: Array) -> tuple[Array | None, Array | None]:
    """Which limited project each task belongs to (-1: none), and what each may still spend; None, None without."""
    projects = pool.columns.projects.records[: pool.projects.used]
    if projects["budget"].max() < 0:
        return None, None
    owners = pool.columns.tasks.records["project"][tasks].astype(np.int64)
    left = projects["budget"] - projects["counted"] - projects["live"]
    return np.where(projects["budget"][owners] >= 0, owners, -1), left


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
