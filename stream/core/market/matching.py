"""Matching one pool: promises → recall → values → auction → offers, and the figures that prove how good they are.

Which required judgments get somebody is decided first, in their order (``required.py``). The auction then says who does
them, and what else is worth its price (``auctioning.py``). A final pass offers whatever work of
positive value a free annotator still has room for, so that nobody waits beside work they could do. What is proven of
the whole, and of which part of it, is in ``proof.py``.

Tasks of known answer go before and after the auction (``known_answers.py``). In a pool that has any, the offers
of a round are published in an order drawn from its seed, so that their places tell nothing.
"""

import math
from typing import NamedTuple

import numpy as np

from kernels import bench, buffers, candidates, completion, decisions, teaching
from kernels.candidates import EVERYBODY, Look
from kernels.completion import Passing
from kernels.lifecycle import Pool, codes, offer
from kernels.lifecycle.offers import Matches, Stage
from kernels.lifecycle.pool_columns import NOW
from kernels.rules.predicate import UNRESTRICTED, Fit
from kernels.skill import THETA_WIDTH
from kernels.terms import COUNT
from stream.core.market import auctioning, required
from stream.core.market.known_answers import Taught, Teaching
from stream.core.market.proof import Proof
from stream.core.market.required import Promised
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState

FULL_PAIRS = 50_000  # up to this many (task, annotator) pairs are evaluated in full: about a millisecond
SAMPLE = 64  # annotators drawn per task in larger markets


class Matched(NamedTuple):
    """The offers of one pool and round, as columns, and the market's figures."""

    tasks: Array  # i4[n] slots
    annotators: Array  # i4[n] slots
    terms: Array  # f8[n, terms]
    price: Array  # f8[n]
    runner_up: Array  # i4[n] annotator slots or -1
    runner_up_value: Array  # f8[n]
    required: Array  # bool[n]: does it fill a promise?
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
    """Offer the open ``tasks`` among the ``free`` annotators, see ``match``: what is required, and what is worth it."""
    free, fit = free.copy(), fit_of(pool)
    opened, capacity = len(tasks), _capacity(pool, free)
    promised = required.cover(pool, tasks, free, capacity, seed, fit)
    further = _by_posterior(pool, tasks[pool.columns.tasks.owes[tasks] <= 0], seed)
    stage = Stage(pool.columns.clock[NOW] + pool.policy.accept_s, rnd, first)
    parts = [_auctioned(pool, seed, scratch, stage, promised, further, free, capacity)]
    made = parts[0]
    filled, stage = int(made.required.sum()), stage._replace(first=first + len(made.tasks))
    # shares of a project, which the auction doesn't know, may have kept somebody out, or in its order let somebody in
    is_shared = bool((pool.columns.projects.records["limited"][: pool.projects.used] != codes.NONE).any())
    while filled < promised.seats or is_shared:
        rest = required.cover(pool, tasks, free, _capacity(pool, free), seed, fit)
        parts.append(_as_covered(pool, scratch, stage, rest, free, fit))
        if not len(parts[-1].tasks):
            break
        filled, stage = filled + len(parts[-1].tasks), stage._replace(first=stage.first + len(parts[-1].tasks))
    late = _complete(pool, Passing(further.copy(), free), fit, scratch, stage)
    n = len(late.tasks)
    parts.append(made._replace(
        tasks=late.tasks, annotators=late.annotators, terms=late.terms, price=np.zeros(n),
        runner_up=np.full(n, -1, np.int32), runner_up_value=np.zeros(n), required=np.zeros(n, bool),
    ))  # fmt: skip
    proof, added = made.proof, float(sum(part.terms.sum() for part in parts[1:]))
    value = proof.value
    if proof.covers == "all":  # what is left was looked at, and is worth no more than it was: the bound covers it
        value, added = value + added, 0.0
    tasks, annotators = _joined(parts, "tasks"), _joined(parts, "annotators")
    return Matched(
        tasks=tasks,
        annotators=annotators,
        terms=_joined(parts, "terms"),
        price=_joined(parts, "price"),
        runner_up=_joined(parts, "runner_up"),
        runner_up_value=_joined(parts, "runner_up_value"),
        required=_joined(parts, "required"),
        skill_low=decisions.skill_low(pool.columns, tasks, annotators),
        open_tasks=opened,
        free_annotators=len(free),
        proof=proof._replace(
            value=value, unproven_value=added, required=filled, required_bound=max(filled, promised.seats),
            waiting=promised.waiting,
        ),
    )  # fmt: skip


def _joined(parts: list[Matched], column: str) -> Array:
    return np.concatenate([getattr(part, column) for part in parts])


def _by_posterior(pool: PoolState, tasks: Array, seed: int) -> Array:
    """Equal posteriors of a model together, in an order that no class leads."""
    columns = pool.columns
    leaning = columns.tasks.reported[tasks, 0].view(np.uint32) * np.uint32((seed | 1) & 0xFFFFFFFF)
    ordered: Array = tasks[np.lexsort((leaning, columns.tasks.records["model"][tasks]))]
    return ordered


def _auctioned(
    pool: PoolState, seed: int, scratch: Scratch, stage: Stage, promised: Promised, further: Array, free: Array,
    capacity: Array,
) -> Matched:  # fmt: skip
    """What the auction sells, offered."""
    columns, fit = pool.columns, fit_of(pool)
    if promised.seats == int(capacity.sum()):
        further = further[:0]
    is_full = (len(promised.tasks) + len(further)) * len(free) <= FULL_PAIRS
    if not is_full:
        further = auctioning.coarse(pool, further, free, capacity)
    market = auctioning.market(pool, promised, further, capacity, seed)
    look = Look(seed, min(pool.policy.candidates, len(free)), EVERYBODY if is_full else SAMPLE)
    recalled = candidates.recall(columns, market.tasks, free, fit, pool.in_force, look, scratch.bench, market.lift)
    if promised.seats and not (is_full and look.limit >= len(free)):
        recalled = auctioning.with_holders(pool, recalled, market, promised, free, scratch.bench)
    sold = auctioning.sell(pool, market, recalled)
    rows = np.searchsorted(sold.indptr, np.flatnonzero(sold.held), side="right") - 1
    places = sold.indices[sold.held > 0]
    if not auctioning.is_within_shares(pool, market.tasks[rows], free[places]):
        rows, places = auctioning.with_covered(rows, places, promised, market.tasks)
    wanted = Matches(market.tasks[rows], free[places], np.zeros(len(rows), np.uint8))
    terms = decisions.explain(columns, wanted.tasks, wanted.annotators, pool.in_force, scratch.bench)
    runner, runner_value = decisions.runners_up(decisions.Sold(*sold[:5]), rows, places)
    runner_value = np.where(runner >= 0, runner_value - sold.lift[rows], 0.0)
    runner = np.where(runner >= 0, free[np.maximum(runner, 0)], -1).astype(np.int32)
    keep = _offer(pool, wanted, fit, stage)
    value = float(terms[keep].sum())
    return Matched(
        tasks=wanted.tasks[keep],
        annotators=wanted.annotators[keep],
        terms=terms[keep],
        price=_unlifted(sold.price[places][keep], float(sold.lift.max(initial=0.0))),
        runner_up=runner[keep],
        runner_up_value=runner_value[keep],
        required=rows[keep] < len(promised.tasks),
        skill_low=np.zeros(0),
        open_tasks=0,
        free_annotators=len(free),
        proof=Proof(value, max(sold.bound, value), "all" if is_full else "recalled", sold.pairs),
    )


def _unlifted(price: Array, lift: float) -> Array:
    """Prices without what they say of promises alone: where people are short, they rise by a lift."""
    return np.maximum(price - lift * np.floor(price / lift + 0.5), 0.0) if lift else price


def _as_covered(
    pool: PoolState, scratch: Scratch, stage: Stage, promised: Promised, free: Array, fit: Fit
) -> Matched:
    """The seats as they were covered, offered."""
    wanted = Matches(promised.held_tasks, free[promised.holders], np.zeros(len(promised.holders), np.uint8))
    terms = decisions.explain(pool.columns, wanted.tasks, wanted.annotators, pool.in_force, scratch.bench)
    keep = _offer(pool, wanted, fit, stage)
    n = int(np.count_nonzero(keep))
    nothing = _nothing(0)
    return nothing._replace(
        tasks=wanted.tasks[keep], annotators=wanted.annotators[keep], terms=terms[keep], price=np.zeros(n),
        runner_up=np.full(n, -1, np.int32), runner_up_value=np.zeros(n), required=np.ones(n, bool),
    )  # fmt: skip


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
    return Matched(slots, slots, np.zeros((0, COUNT)), numbers, slots, numbers, numbers > 0, numbers, opened, 0, proof)


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
        required=np.concatenate([work.required, np.zeros(given, bool)])[order],
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


def fit_of(pool: PoolState) -> Fit:
    """Who is fit for what in this round."""
    return Fit(pool.fits.meets, pool.fits.grants, _restricted(pool))


def _restricted(pool: PoolState) -> Array:
    """Which projects each annotator in mode pull asked for in this round; empty when nobody restricts."""
    if not pool.asked_projects:
        return UNRESTRICTED
    modes = pool.columns.annotators.records["mode"]
    restricted = {a: names for a, names in pool.asked_projects.items() if names and modes[a] == codes.PULL}
    if not restricted:
        return UNRESTRICTED
    asked = np.ones((pool.annotators.used, pool.projects.used), np.uint8)
    for a, names in restricted.items():
        asked[a] = 0
        asked[a, [pool.projects.slots[p] for p in names if p in pool.projects.slots]] = 1
    return asked
