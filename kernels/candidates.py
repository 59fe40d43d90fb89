"""Candidates: which annotators a task could get now, and what each pair is worth.

``recall`` fills the CSR market that the auction solves: per open task its feasible free annotators of positive
value, at most ``limit`` of them. Half of those kept are the best; the other half are drawn at random, for if
every task named the same best people, all but a few would be left without.

Small markets are evaluated in full and the values kept, so that the bound can be proven over every pair; of larger
ones each task draws a sample of the free annotators. ``complete`` is the final pass over everything: it offers
whatever feasible work of positive value an annotator still has room for.

Randomness is a hash of (seed, task, annotator): the same seed gives the same market whatever the order.
"""

import math

import numpy as np

from kernels.hashing import mix
from kernels.jit import entry, inner
from kernels.lifecycle.codes import LAPSED, NONE, ONE, WITHDRAWN, WORK, ZERO
from kernels.lifecycle.layout import ANNOTATORS_USED, NOW, TASKS_USED
from kernels.lifecycle.offers import may_offer, offer_one
from kernels.lifecycle.pairs import find
from kernels.lifecycle.presence import is_free
from kernels.skill import ability as ability_of
from kernels.skill import at_least, prepare, quantile
from kernels.valuation import COVERAGE_WEIGHT, gains, importance, standing_of, terms, trust

CERTAINTY = 0.8  # min_skill b asks for P(accuracy >= b) >= 0.8


@entry
def open_market(pool, tasks, golds, free):
    """List the open tasks with room whose deadline is to come and the free annotators; returns all three counts.

    ``tasks``, ``golds`` (tasks whose answer is known) and ``free`` are i4 with room for all slots.
    """
    n = 0
    g = 0
    for t in range(pool.counters[TASKS_USED]):
        if pool.room[t] > 0 and pool.due[t] > pool.clock[NOW]:
            if pool.tasks[t].purpose == WORK:
                tasks[n] = t
                n += 1
            else:
                golds[g] = t
                g += 1
    m = 0
    if n + g > 0:
        for a in range(pool.counters[ANNOTATORS_USED]):
            if is_free(pool, a, pool.clock[NOW]):
                free[m] = a
                m += 1
    return n, g, m


@entry
def potential(pool, tasks, out):
    """What the best annotator could add to each task, at most: importance times what is not known of it yet."""
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
def prepare_model(pool, m, free, n_free, least, theta, ability, standing):
    """Prepare the free annotators for the tasks of one model; ``least`` see ``kernels.skill.contained``."""
    for j in range(n_free):
        seat = np.int64(pool.skills.seat_of[m, free[j]])
        prepare(pool.skills, m, seat, theta[j])
        ability[j] = ability_of(pool.skills, m, seat)
        standing[j] = standing_of(pool.skills, m, seat, ability[j], least)


@inner
def keep(row_i, row_v, n, limit, start, indices, values, at):
    """Copy at most ``limit`` of the row's ``n`` arcs and return their number.

    Half of those kept are the best; the others are every k-th of the rest, from a place that ``start`` (a hash)
    chooses.
    """
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
        limit -= best
    else:
        limit = 0
    for i in range(n):
        indices[at + i] = row_i[i]
        values[at + i] = row_v[i]
    return n + limit


@inner
def same_posterior(pool, t, u):
    """Have two tasks of one model the same calibrated posterior?"""
    for k in range(pool.tasks[t].classes):  # noqa: SIM110 - generators don't compile
        if pool.reported[t, k] != pool.reported[u, k]:
            return False
    return True


@entry
def recall(
    pool, tasks, n, free, m, place, fits, grants, asked, rules, seed, limit, sample, theta, ability,
    standing, row_i, row_v, gain, out, weights, indptr, indices, values, dense,
):  # fmt: skip
    """Fill the CSR market of ``n`` open tasks (equal models and posteriors together) and ``m`` free annotators.

    Parameters
    ----------
    tasks, free : int32[:]
        Slots; the first ``n`` and ``m`` count.
    place : int32[annotators]
        Scratch, NONE everywhere; restored on return.
    sample : int
        Annotators drawn per task; at least ``m`` means all of them.
    rules : Rules
    theta, ability, standing : float64[m, :], float64[m], uint8[m]
        Scratch, wide enough for the largest model.
    row_i, row_v, gain, out : int32[m], float64[m], float64[m, 3], float64[4]
        Scratch; ``gain`` remembers what each annotator would add at the present posterior: most tasks wait
        without a judgment and are alike.
    weights : float64[n]
        Out: importance of each task.
    indptr, indices, values : int64[n + 1], int32[n * limit], float64[n * limit]
        Out: the market; columns are places in ``free``.
    dense : float64[n, m] or [0, 0]
        Out: value of every feasible pair (0: none), if asked for.
    """
    now = pool.clock[NOW]
    for j in range(m):
        place[free[j]] = j
        gain[j, 2] = -1.0
    model = -2
    indptr[0] = 0
    at = ZERO
    alike = 0.0  # number of the present posterior
    for i in range(n):
        t = tasks[i]
        task = pool.tasks[t]
        if task.model != model:
            model = task.model
            prepare_model(pool, model, free, m, rules.least_ability, theta, ability, standing)
            alike += 1.0
        elif not same_posterior(pool, t, tasks[i - 1]):
            alike += 1.0
        weights[i] = importance(pool, t, now)
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
            weight = weights[i] * trust(pool, t, a, standing[j], now)
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
            row_i[found] = j
            row_v[found] = worth
            found += 1
        at += keep(row_i, row_v, found, limit, start, indices, values, at)
        indptr[i + 1] = at
    for j in range(m):
        place[free[j]] = NONE
    return at


@entry
def full_bound(dense, demand, capacity, price, best):
    """Dual bound over every pair of a dense market: sum c p + sum over tasks of the ``demand`` largest w - p.

    ``best`` float64[max demand + 1] is scratch.
    """
    bound = 0.0
    for j in range(price.shape[0]):
        bound += capacity[j] * price[j]
    for i in range(dense.shape[0]):
        d = 0
        for j in range(dense.shape[1]):
            profit = dense[i, j] - price[j]
            if dense[i, j] <= 0.0 or profit <= 0.0:
                continue
            k = d
            while k > 0 and best[k - 1] < profit:
                best[k] = best[k - 1]
                k -= 1
            if k < demand[i]:
                best[k] = profit
            d = min(d + 1, demand[i])
        for k in range(d):
            bound += best[k]
    return bound


@entry
def complete(
    pool, tasks, n, free, m, fits, grants, asked, rules, theta, ability, standing, out, accept_by, rnd,
    first, made_t, made_a, made_terms,
):  # fmt: skip
    """The final pass: offer feasible pairs of positive value that are left, best task first for each annotator.

    ``tasks`` is used up. Returns how many offers were made; slots and terms are in ``made_t``, ``made_a`` and
    ``made_terms``.
    """
    now = pool.clock[NOW]
    left = 0
    for i in range(n):  # most are sold: look only at those with room
        if pool.room[tasks[i]] > 0:
            tasks[left] = tasks[i]
            left += 1
    n = left
    made = 0
    for j in range(m if n else 0):
        a = free[j]
        while is_free(pool, a, now):
            best_t = NONE
            best = 0.0
            model = -2
            for i in range(n):
                t = tasks[i]
                if pool.room[t] <= 0 or not fits[pool.tasks[t].demand, pool.annotators[a].profile]:
                    continue
                if not feasible(pool, t, a, fits, grants, asked) or not may_offer(pool, t, a, now):
                    continue
                if pool.tasks[t].model != model:
                    model = pool.tasks[t].model
                    prepare_model(pool, model, free[j : j + 1], ONE, rules.least_ability, theta, ability, standing)
                weight = importance(pool, t, now) * trust(pool, t, a, standing[0], now)
                if weight <= 0.0:
                    continue
                information, accuracy = gains(pool, t, theta[0])
                worth = terms(pool, t, a, weight, ability[0], information, accuracy, rules.judgment_cost, out)
                if worth > best:
                    best = worth
                    best_t = t
                    for k in range(out.shape[0]):
                        made_terms[made, k] = out[k]
            if best_t == NONE:
                break
            offer_one(pool, best_t, a, accept_by, rnd, first + made)
            made_t[made] = best_t
            made_a[made] = a
            made += 1
    return made


@entry
def explain(pool, tasks, annotators, rules, theta, ability, standing, out):
    """Terms of pairs that are about to be offered: ``out`` float64[n, 4]; as ``recall`` valued them."""
    for i in range(tasks.shape[0]):
        t = tasks[i]
        now = pool.clock[NOW]
        model, one = pool.tasks[t].model, annotators[i : i + 1]
        prepare_model(pool, model, one, ONE, rules.least_ability, theta, ability, standing)
        weight = importance(pool, t, now) * trust(pool, t, annotators[i], standing[0], now)
        information, accuracy = gains(pool, t, theta[0])
        terms(pool, t, annotators[i], weight, ability[0], information, accuracy, rules.judgment_cost, out[i])


@entry
def skill_low(pool, tasks, annotators, out):
    """20 % quantile of each annotator's accuracy in the task's model: ``out`` float64[n]."""
    for i in range(tasks.shape[0]):
        m = pool.tasks[tasks[i]].model
        seat = np.int64(pool.skills.seat_of[m, annotators[i]])
        out[i] = quantile(pool.skills, m, seat, 1.0 - CERTAINTY)


@entry
def runners_up(indptr, indices, values, held, price, rows, columns, best, worth):
    """Per held pair the best other annotator of its row, by value minus price: column (NONE: nobody) and value."""
    for i in range(rows.shape[0]):
        best[i] = NONE
        worth[i] = 0.0
        top = -np.inf
        for e in range(indptr[rows[i]], indptr[rows[i] + 1]):
            if not held[e] and indices[e] != columns[i] and values[e] - price[indices[e]] > top:
                top = values[e] - price[indices[e]]
                best[i] = indices[e]
                worth[i] = values[e]
