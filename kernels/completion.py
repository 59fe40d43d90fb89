"""The final pass: whatever feasible work of positive value a free annotator still has room for is offered.

The auction sees what was recalled; nobody should wait beside work that was not. So each free annotator in turn gets the
best task left, until there is none or they are no longer free. What this adds is proven by no bound but where the
auction saw every pair (`stream.core.market.matching`).
"""

from typing import NamedTuple

import numpy as np

from kernels.bench import is_wide, prepare_model
from kernels.buffers import append, has_room
from kernels.jit import entry, inner
from kernels.lifecycle.codes import NONE, ONE
from kernels.lifecycle.offers import may_offer, offer_one
from kernels.lifecycle.pool_columns import NOW
from kernels.lifecycle.presence import is_free
from kernels.lifecycle.room import has_pair
from kernels.rules import attributes
from kernels.terms import COUNT, Case, reckon
from kernels.valuation import gains, importance, trust


class Passing(NamedTuple):
    """Who and what the final pass goes through."""

    tasks: np.ndarray  # i4 slots; NONE behind those that are left
    free: np.ndarray  # i4 slots


@inner
def still_open(pool, tasks):
    """Move tasks with vacancies to the front, for most are sold; NONE after them. Returns how many there are."""
    n = 0
    for i in range(tasks.shape[0]):
        t = tasks[i]
        if t == NONE:
            break
        tasks[i] = NONE
        if pool.tasks.vacancies[t] > 0:
            tasks[n] = t
            n += 1
    return n


@inner
def best_left(pool, tasks, fit, policy, bench, a):
    """The task that is worth most to free annotator ``a``, its terms in ``bench.best``; NONE: none is worth its cost.

    ``tasks`` are open and those of one model together; ``a`` is an array of one, as `prepare_model` takes it.
    """
    now = pool.clock[NOW]
    who = np.int64(a[0])
    theta, ability, standing, out = bench.theta, bench.ability, bench.standing, bench.out
    best_t = NONE
    best = 0.0
    model = -2
    for i in range(tasks.shape[0]):
        t = tasks[i]
        if pool.tasks.vacancies[t] <= 0 or not attributes.permits(pool, fit, t, who):
            continue
        if not may_offer(pool, fit, t, who, now):
            continue
        if pool.tasks.records[t].model != model:
            model = pool.tasks.records[t].model
            prepare_model(pool, model, a, ONE, policy.least_ability, bench)
        weight = importance(pool, t, now) * trust(pool, t, who, standing[0], now)
        if weight <= 0.0:
            continue
        information, accuracy = gains(pool, t, theta[0])
        worth = reckon(pool, t, who, Case(weight, ability[0], information, accuracy), policy, out)
        if worth > best:
            best = worth
            best_t = t
            for k in range(COUNT):
                bench.best[k] = out[k]
    return best_t


@entry
def complete(pool, passing, fit, policy, bench, stage, at, offers):
    """The final pass: offer feasible pairs of positive value that are left, best task first for each annotator.

    It begins with annotator number ``at`` and returns the number of the first who is not done. It ends before its time
    where ``offers`` or the pool has no room for one more; NONE: the scratch is too small. Resumable; the tasks are
    used up.

    Parameters
    ----------
    passing : Passing
    fit : Fit
    policy : Policy
    bench : Bench
    stage : Stage
    offers : Offers
        Out.
    """
    tasks, free = passing.tasks, passing.free
    m = free.shape[0]
    if not is_wide(pool, bench, ONE):
        return NONE
    n = still_open(pool, tasks)
    room = min(offers.tasks.shape[0], offers.annotators.shape[0], offers.terms.shape[0])
    for j in range(at, m if n else at):
        a = free[j]
        while is_free(pool, a, pool.clock[NOW]):
            best_t = best_left(pool, tasks[:n], fit, policy, bench, free[j : j + 1])
            if best_t == NONE:
                break
            if not (has_room(offers.count, 0, room, 1) and has_pair(pool)):
                return j
            made = append(offers.count, 0, room)
            offer_one(pool, best_t, a, stage, made)
            offers.tasks[made] = best_t
            offers.annotators[made] = a
            for k in range(COUNT):
                offers.terms[made, k] = bench.best[k]
    return m
