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
from kernels.lifecycle.codes import LAPSED, NONE, WITHDRAWN, WORK, ZERO
from kernels.lifecycle.layout import ANNOTATORS_USED, NOW, TASKS_USED, Rules
from kernels.lifecycle.pairs import find
from kernels.lifecycle.presence import is_free
from kernels.skill import at_least
from kernels.valuation import COVERAGE_WEIGHT, gains, importance, terms, trust

CERTAINTY = 0.8  # min_skill b asks for P(accuracy >= b) >= 0.8
EVERYBODY = np.iinfo(np.int64).max  # a sample that leaves nobody out


@entry
def open_market(pool, market):
    """List the open tasks with room whose deadline is to come and the free annotators; repeatable.

    Without a task nobody is looked for.
    """
    count = market.count
    for k in range(count.shape[0]):
        count[k] = 0
    for t in range(pool.counters[TASKS_USED]):
        if pool.room[t] > 0 and pool.due[t] > pool.clock[NOW]:
            if pool.tasks[t].purpose == WORK:
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
def potential_kernel(pool, tasks, out):
    """Fill ``out`` float64[n], see `potential`."""
    for i in range(tasks.shape[0]):
        t = tasks[i]
        task = pool.tasks[t]
        unknown = 0.0
        top = 0.0
        for k in range(task.classes):
            q = pool.reported[t, k]
            top = max(top, q)
            if q > 0.0:
                unknown -= q * math.log(q)
        if task.classes:
            unknown += 1.0 - top
        if task.counted + task.offered + task.leased < task.overlap:
            unknown += COVERAGE_WEIGHT
        out[i] = importance(pool, t, pool.clock[NOW]) * unknown


def potential(pool: Any, tasks: np.ndarray) -> np.ndarray:
    """What the best annotator could add to each task, at most: importance times what is not known of it yet."""
    out = np.empty(len(tasks))
    potential_kernel(pool, tasks, out)
    return out


@inner
def qualified(pool, t, a, grants):
    """Does the annotator meet the task's ``min_skill``, by grant or by evidence?"""
    task = pool.tasks[t]
    if np.isnan(task.min_skill) or grants[task.demand, pool.annotators[a].profile]:
        return True
    seat = pool.skills.seat_of[task.model, a]
    return at_least(pool.skills, task.model, np.int64(seat), task.min_skill) >= CERTAINTY


@inner
def listed(pool, start, n, a):
    """Is the annotator in this list?"""
    for i in range(start, start + n):  # noqa: SIM110 - generators don't compile
        if pool.lists[i] == a:
            return True
    return False


@inner
def allowed(pool, t, a, fits, asked):
    """Every hard requirement of the pair except room, capacity, skill and what the two have had to do with each other.

    ``asked`` u1[annotators, projects] restricts pull requests to projects (empty when nobody restricts).
    """
    task = pool.tasks[t]
    if not fits[task.demand, pool.annotators[a].profile]:
        return False
    if task.only_n and not listed(pool, task.only, task.only_n, a):
        return False
    if task.exclude_n and listed(pool, task.exclude, task.exclude_n, a):
        return False
    if asked.shape[0] and not asked[a, task.project]:
        return False
    project = pool.projects[task.project]
    return project.limited == NONE or pool.share[project.limited, a] < project.cap


@inner
def feasible(pool, t, a, fits, grants, asked):
    """Every hard requirement of the pair except room and capacity; parameters as of ``allowed``."""
    if not allowed(pool, t, a, fits, asked):
        return False
    p = find(pool, t, a)
    if p != NONE and pool.pairs[p].state not in (LAPSED, WITHDRAWN):
        return False
    return qualified(pool, t, a, grants)


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
    for k in range(pool.tasks[t].classes):  # noqa: SIM110 - generators don't compile
        if pool.reported[t, k] != pool.reported[u, k]:
            return False
    return True


class Recalled(NamedTuple):
    """The market in compressed rows, and what else was found on the way; columns are places among the free."""

    indptr: np.ndarray  # i8[n + 1]
    indices: np.ndarray  # i4
    values: np.ndarray  # f8
    dense: np.ndarray  # f8[n, m]: value of every feasible pair, 0: none; or [0, 0]
    pairs: int  # that were looked at and are worth their cost


@entry
def recall_kernel(
    pool, tasks, free, fits, grants, asked, rules, seed, limit, sample, bench, indptr, arcs, dense,
):  # fmt: skip
    """Fill the market, see `recall`; repeatable. Returns how many pairs are worth their cost.

    NONE: the scratch is too small, or a list names somebody twice.
    """
    n, m = tasks.shape[0], free.shape[0]
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
        task = pool.tasks[t]
        if task.model != model:
            model = task.model
            prepare_model(pool, model, free, m, rules.least_ability, bench)
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
                a = pool.lists[task.only + pick]
                j = place[a]
                if j == NONE:
                    continue
            else:
                j = pick
                a = free[j]
            if not feasible(pool, t, a, fits, grants, asked):
                continue
            weight = important * trust(pool, t, a, standing[j], now)
            if weight <= 0.0:
                continue
            if gain[j, 2] != alike:
                gain[j, 0], gain[j, 1] = gains(pool, t, theta[j])
                gain[j, 2] = alike
            worth = terms(pool, t, a, weight, ability[j], gain[j, 0], gain[j, 1], rules.judgment_cost, out)
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
        keep(row_i, row_v, found, limit, start, arcs)
        indptr[i + 1] = arcs.count[WANTED]
    for j in range(m):
        place[free[j]] = NONE
    return pairs


def recall(
    pool: Any, tasks: np.ndarray, free: np.ndarray, fits: np.ndarray, grants: np.ndarray, asked: np.ndarray,
    rules: Rules, seed: int, limit: int, sample: int, bench: Bench, is_full: bool,
) -> Recalled:  # fmt: skip
    """The market of open ``tasks`` (equal models and posteriors together) and ``free`` annotators.

    Parameters
    ----------
    tasks, free : int32[:]
        Slots, each once.
    asked : see `allowed`
    rules : Rules
        Of the pool.
    limit : int
        Most candidates of a task.
    sample : int
        Annotators drawn per task where it isn't ``is_full``.
    bench : Bench
    is_full : bool
        Look at every pair, and keep all values in ``dense``.
    """
    n, m = len(tasks), len(free)
    dense = np.zeros((n, m) if is_full else (0, 0))
    indptr = np.empty(n + 1, np.int64)
    room = first_room(n * limit)
    arcs = Arcs(np.empty(room, np.int32), np.empty(room), np.zeros(COUNTS, np.int64))
    while True:
        pairs = checked(
            recall_kernel(
                pool, tasks, free, fits, grants, asked, rules, seed, limit, EVERYBODY if is_full else sample, bench,
                indptr, arcs, dense,
            )
        )  # fmt: skip
        if not is_short(arcs):
            break
        arcs = enlarged(arcs)
    used = int(arcs.count[USED])
    return Recalled(indptr, arcs.indices[:used], arcs.values[:used], dense, pairs)


