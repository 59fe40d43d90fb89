"""Candidates: which annotators a task could get now, and what each pair is worth.

``recall`` fills the CSR market that the auction solves: per open task its feasible free annotators of positive
value, at most ``limit`` of them. Half of those kept are the best; the other half are drawn at random, for if
every task named the same best people, all but a few would be left without.

Small markets are evaluated in full and the values kept, so that the bound can be proven over every pair; of larger
ones each task draws a sample of the free annotators. What is left after the auction is for the final pass over
everything (`kernels.completion`).

Randomness is a hash of (seed, task, annotator): the same seed gives the same market whatever the order.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from kernels.bench import OF_FREE, OF_GOLDS, OF_WORK, Arcs, Bench, checked, is_wide, prepare_model
from kernels.buffers import COUNTS, USED, WANTED, append, enlarged, first_room, is_short
from kernels.hashing import mix
from kernels.jit import entry, inner
from kernels.lifecycle.codes import NONE, WORK, ZERO
from kernels.lifecycle.pool_columns import ANNOTATORS_USED, NOW, TASKS_USED, Policy
from kernels.lifecycle.presence import is_free
from kernels.rules.predicate import Fit, permitted
from kernels.terms import Case, coverage, deadline_urgency, reckon
from kernels.valuation import gains, importance, may_fill, trust

EVERYBODY = int(np.iinfo(np.int64).max)  # a sample that leaves nobody out


class Look(NamedTuple):
    """How closely a market is looked at."""

    seed: int
    limit: int  # most candidates of a task
    sample: int  # annotators drawn per task; EVERYBODY: every pair is looked at, and its value kept in ``dense``


class Rows(NamedTuple):
    """What `recall_kernel` writes, and what it adds to the values of each row.

    A row with a ``lift`` is required work (`kernels.seating`): whoever may do it is a candidate, whatever it is worth.
    """

    indptr: np.ndarray  # i8[n + 1]
    arcs: Arcs
    dense: np.ndarray  # f8[n, m] or [0, 0]
    lift: np.ndarray  # f8[n]: 0, or more than any value


@entry
def open_market(pool, market):
    """List the open tasks with vacancies whose deadline is to come and the free annotators; repeatable.

    Without a task nobody is looked for.
    """
    count = market.count
    for k in range(count.shape[0]):
        count[k] = 0
    for t in range(pool.counters[TASKS_USED]):
        if pool.tasks.vacancies[t] > 0 and pool.tasks.wakeup[t] > pool.clock[NOW]:
            if pool.tasks.records[t].purpose == WORK:
                k = append(count, OF_WORK, market.work.shape[0])
                if k != NONE:
                    market.work[k] = t
            else:
                k = append(count, OF_GOLDS, market.golds.shape[0])
                if k != NONE:
                    market.golds[k] = t
    if count[OF_WORK + WANTED] + count[OF_GOLDS + WANTED] > 0:
        for a in range(pool.counters[ANNOTATORS_USED]):
            if is_free(pool, a, pool.clock[NOW]):
                k = append(count, OF_FREE, market.free.shape[0])
                if k != NONE:
                    market.free[k] = a


@entry
def potential_kernel(pool, tasks, policy, out):
    """Fill ``out`` float64[n], see `potential`."""
    for i in range(tasks.shape[0]):
        t = tasks[i]
        task = pool.tasks.records[t]
        unknown = 0.0
        top = 0.0
        for k in range(task.classes):
            q = np.float64(pool.tasks.reported[t, k])
            top = max(top, q)
            if q > 0.0:
                unknown -= q * math.log(q)
        if task.classes:
            unknown += 1.0 - top
        if coverage.is_lacking(pool, t):
            unknown += coverage.WEIGHT
        unknown += policy.deadline_urgency * deadline_urgency.nearness(pool, t)
        out[i] = importance(pool, t, pool.clock[NOW]) * unknown


def potential(pool: Any, tasks: np.ndarray, policy: Policy) -> np.ndarray:
    """What the best annotator could add to each task, at most: importance times what is not known of it yet."""
    out = np.empty(len(tasks))
    potential_kernel(pool, tasks, policy, out)
    return out


@inner
def keep(row_i, row_v, n, limit, start, arcs):
    """Append at most ``limit`` of the row's ``n`` arcs.

    Half of those kept are the best; the others are every k-th of the rest, from a place that ``start`` (a hash)
    chooses.
    """
    count, indices, values = arcs.count, arcs.indices, arcs.values
    kept = min(n, limit)
    at = count[WANTED]
    count[WANTED] = at + kept
    if at + kept > min(indices.shape[0], values.shape[0]):
        return
    count[USED] = at + kept
    if n > limit:
        best = limit // 2
        for i in range(best):  # selection: rows and limits are short
            top = i
            for j in range(i + 1, n):
                if row_v[j] > row_v[top]:
                    top = j
            row_i[i], row_i[top] = row_i[top], row_i[i]
            row_v[i], row_v[top] = row_v[top], row_v[i]
        rest = n - best
        first = np.int64(start % np.uint64(rest))
        for k in range(limit - best):
            j = best + (first + k * rest // (limit - best)) % rest
            indices[at + best + k] = row_i[j]
            values[at + best + k] = row_v[j]
        n = best
    for i in range(n):
        indices[at + i] = row_i[i]
        values[at + i] = row_v[i]


@inner
def same_posterior(pool, t, u):
    """Have two tasks of one model the same calibrated posterior?"""
    for k in range(pool.tasks.records[t].classes):  # noqa: SIM110 - generators don't compile
        if pool.tasks.reported[t, k] != pool.tasks.reported[u, k]:
            return False
    return True


class Recalled(NamedTuple):
    """The market in compressed rows, and what else was found on the way; columns are places among the free."""

    indptr: np.ndarray  # i8[n + 1]
    indices: np.ndarray  # i4
    values: np.ndarray  # f8, lifted
    dense: np.ndarray  # f8[n, m]: lifted value of every feasible pair, 0: none; or [0, 0]
    pairs: int  # that were looked at and are required or worth their cost


@entry
def recall_kernel(pool, tasks, free, fit, policy, look, bench, rows):
    """Fill the market, see `recall`; repeatable. Returns how many pairs are required or worth their cost.

    NONE: the scratch is too small, or a list names somebody twice.
    """
    n, m = tasks.shape[0], free.shape[0]
    seed, sample = look.seed, look.sample
    indptr, arcs, dense = rows.indptr, rows.arcs, rows.dense
    arcs.count[USED] = 0
    arcs.count[WANTED] = 0
    if not is_wide(pool, bench, m):
        return NONE
    place, theta, ability, standing = bench.place, bench.theta, bench.ability, bench.standing
    row_i, row_v, gain, out = bench.row_i, bench.row_v, bench.gain, bench.out
    now = pool.clock[NOW]
    for j in range(m):
        place[free[j]] = j
        gain[j, 2] = -1.0
    model = -2
    indptr[0] = 0
    alike = 0.0  # number of the present posterior
    pairs = ZERO
    for i in range(n):
        t = tasks[i]
        task = pool.tasks.records[t]
        if task.model != model:
            model = task.model
            prepare_model(pool, model, free, m, policy.least_ability, bench)
            alike += 1.0
        elif not same_posterior(pool, t, tasks[i - 1]):
            alike += 1.0
        important = importance(pool, t, now)
        found = ZERO
        drawn = m if task.only_n == 0 else task.only_n
        all_of_them = drawn <= sample
        steps = drawn if all_of_them else sample
        start = mix(seed, t)
        turn = np.int64(start % np.uint64(drawn))  # where to begin: ties go to the first, so nobody is always first
        for step in range(steps):
            if all_of_them:
                pick = (step + turn) % drawn
            else:
                # one draw from each of `sample` equal stretches: no annotator twice, all stretches covered
                low = step * drawn // sample
                high = (step + 1) * drawn // sample
                inside = low + np.int64(mix(seed + t, step) % np.uint64(high - low))
                pick = (inside + turn) % drawn
            if task.only_n:
                a = pool.lists.members[task.only + pick]
                j = place[a]
                if j == NONE:
                    continue
            else:
                j = pick
                a = free[j]
            if not permitted(pool, fit, t, a):
                continue
            lift = rows.lift[i]
            weight = important * trust(pool, t, a, standing[j], now)
            if not may_fill(pool, t, a, standing[j]) if lift > 0.0 else weight <= 0.0:
                continue
            if gain[j, 2] != alike:
                gain[j, 0], gain[j, 1] = gains(pool, t, theta[j])
                gain[j, 2] = alike
            case = Case(weight, ability[j], gain[j, 0], gain[j, 1])
            worth = reckon(pool, t, a, case, policy, out) + lift
            if worth <= 0.0:
                continue
            if dense.shape[0]:
                dense[i, j] = worth
            if found == m:
                pairs = NONE
                break
            row_i[found] = j
            row_v[found] = worth
            found += 1
        if pairs == NONE:
            break
        pairs += found
        keep(row_i, row_v, found, look.limit, start, arcs)
        indptr[i + 1] = arcs.count[WANTED]
    for j in range(m):
        place[free[j]] = NONE
    return pairs


def recall(
    pool: Any, tasks: np.ndarray, free: np.ndarray, fit: Fit, policy: Policy, look: Look, bench: Bench,
    lift: np.ndarray,
) -> Recalled:  # fmt: skip
    """The market of open ``tasks`` (equal models and posteriors together) and ``free`` annotators.

    Parameters
    ----------
    tasks, free : int32[:]
        Slots, each once.
    lift : float64[:]
        Of each task, see `Rows`.
    fit : Fit
    policy : Policy
        Of the pool.
    look : Look
    bench : Bench
    """
    n, m = len(tasks), len(free)
    room = first_room(n * look.limit)
    arcs = Arcs(np.empty(room, np.int32), np.empty(room), np.zeros(COUNTS, np.int64))
    dense = np.zeros((n, m) if look.sample == EVERYBODY else (0, 0))
    rows = Rows(np.empty(n + 1, np.int64), arcs, dense, lift)
    while True:
        pairs = checked(recall_kernel(pool, tasks, free, fit, policy, look, bench, rows))
        if not is_short(rows.arcs):
            break
        rows = rows._replace(arcs=enlarged(rows.arcs))
    used = int(rows.arcs.count[USED])
    return Recalled(rows.indptr, rows.arcs.indices[:used], rows.arcs.values[:used], dense, pairs)
