"""Who gets a task of known answer: gold or training, at most one an annotator and round.

    value = w L / r         L: what the answer teaches about the annotator (``kernels.skill.lesson``), nats
                            r: the share of such tasks (``kernels/lifecycle/lessons.py``), so that 1 / r judgments
                               profit from it; w = task value * project weight * 2^priority

It stands in the term ``information``, together with what the time costs: that the share is worth its cost is what
the project says with its ``gold_rate``. Nobody else could have learned the same, so there is nothing to auction: a
task is due (``owed``), or it examines somebody whom the market left idle beside work that asks for more skill than is
proven. That ends when the skill is proven, or when ten judgments have made it implausible.

Overlap, confidence and ``min_skill`` play no part; all other requirements of an offer hold.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from kernels.buffers import USED, WANTED, append, has_room
from kernels.hashing import mix
from kernels.jit import entry, inner
from kernels.lifecycle.codes import LAPSED, NONE, WITHDRAWN, ZERO
from kernels.lifecycle.lessons import owed, pay, rate
from kernels.lifecycle.offers import may_offer, offer_one
from kernels.lifecycle.pairs import find, to_front
from kernels.lifecycle.pool_columns import ANNOTATORS_USED, NOW
from kernels.lifecycle.presence import is_free
from kernels.lifecycle.room import has_pair
from kernels.rules.budget import is_left
from kernels.rules.min_skill import CERTAINTY, is_granted
from kernels.rules.predicate import allowed
from kernels.skill import at_least, lesson
from kernels.terms import COST, COUNT, INFORMATION, Case, cost

TRIES = 10  # judgments that everybody may make before an examination can be hopeless
HOPELESS = 0.02


@inner
def is_examined(pool, t, a, bar, fit):
    """Would an answer help to tell whether the annotator meets ``bar`` (NaN: nothing asks for more skill)?"""
    task = pool.tasks.records[t]
    if np.isnan(bar) or is_granted(pool, fit, t, a):
        return False
    s = np.int64(pool.skills.seat_of[task.model, a])
    sure = at_least(pool.skills, np.int64(task.model), s, bar)
    return sure < CERTAINTY and (s == NONE or pool.skills.seats[s].judgments < TRIES or sure > HOPELESS)


@inner
def is_wanted(pool, fit, t, a, bar, examines):
    """May annotator ``a`` be given task ``t`` for what it teaches?"""
    if pool.projects.records[pool.tasks.records[t].project].gold_rate <= 0.0:
        return False
    if examines:
        return is_examined(pool, t, a, bar, fit)
    return owed(pool, t, a)


class Lessons(NamedTuple):
    """The tasks of known answer of a round, and who got one."""

    golds: np.ndarray  # i4[n] open ones, those of one project and model together
    bars: np.ndarray  # f8[n] what the work beside each asks for at least, NaN if nothing
    examines: int  # 1: examine whom the market has left; 0: give what is due
    given: np.ndarray  # u1[annotators] 1 for whoever got one in this round
    place: np.ndarray  # i4[annotators] scratch, NONE everywhere between calls


@entry
def find_wanting(pool, lessons, free, fit, wanting):
    """List the annotators among those ``free`` (int32[m]) who are wanted for one of the tasks; repeatable.

    ``wanting`` is a `kernels.bench.Slots`.
    """
    golds, bars, examines, given = lessons.golds, lessons.bars, lessons.examines, lessons.given
    wanting.count[USED] = 0
    wanting.count[WANTED] = 0
    now = pool.clock[NOW]
    n = golds.shape[0]
    for j in range(free.shape[0] if n else 0):
        a = np.int64(free[j])
        if given[a] or not is_free(pool, a, now):
            continue
        project, model = NONE, NONE
        for i in range(n):
            task = pool.tasks.records[golds[i]]
            if task.project == project and task.model == model:
                continue
            project, model = np.int64(task.project), np.int64(task.model)
            if is_wanted(pool, fit, np.int64(golds[i]), a, bars[i], examines):
                k = append(wanting.count, 0, wanting.slots.shape[0])
                if k != NONE:
                    wanting.slots[k] = a
                break


class Wanted(NamedTuple):
    """Whom tasks of known answer are wanted for."""

    wanting: np.ndarray  # i4[w] slots
    met: np.ndarray  # u1[n, w] which of them have had to do with which task; zeros before the first step
    seed: int


@inner
def mark_met(pool, golds, wanting, place, met):
    """Note which of the wanting annotators have had to do with which task; ``place`` is NONE before and after."""
    for j in range(wanting.shape[0]):
        place[wanting[j]] = j
    for i in range(golds.shape[0]):
        p = np.int64(pool.tasks.records[golds[i]].head)
        while p != NONE:
            pair = pool.pairs.records[p]
            j = place[pair.annotator]
            is_over = pair.state in (LAPSED, WITHDRAWN, ZERO) and pair.barred_until <= pool.clock[NOW]
            if j != NONE and not is_over:
                met[i, j] = 1
            p = np.int64(pair.next)
    for j in range(wanting.shape[0]):
        place[wanting[j]] = NONE


@inner
def best_lesson(pool, lessons, met, fit, j, a, start):
    """Which task teaches most about annotator ``a``, number ``j`` of those wanting, and what it is worth; NONE: none.

    Ties go to the first behind ``start``.
    """
    golds = lessons.golds
    n = golds.shape[0]
    best = 0.0
    pick = NONE
    project, model = NONE, NONE
    is_open = False
    weight, horizon = 0.0, 1.0
    for i in range(n):
        g = (start + i) % n
        t = np.int64(golds[g])
        task = pool.tasks.records[t]
        if task.project != project or task.model != model:
            project, model = np.int64(task.project), np.int64(task.model)
            is_open = is_left(pool, t) and is_wanted(pool, fit, t, a, lessons.bars[g], lessons.examines)
            if is_open:
                s = np.int64(pool.skills.seat_of[model, a])
                horizon = lesson(pool.skills, model, s) / rate(pool, project, model, a)
                weight = pool.projects.records[project].weight
        worth = weight * task.value * math.ldexp(horizon, task.priority)
        if not is_open or met[g, j] or pool.tasks.vacancies[t] <= 0 or not worth > best:
            continue
        if allowed(pool, fit, t, a):
            best = worth
            pick = g
    return pick, best


@entry
def teach(pool, lessons, wanted, fit, policy, stage, at, offers):
    """Offer each wanting annotator the task that teaches most.

    It begins with step ``at`` and returns the number of the first step that is not done: one for each who is wanting.
    It ends before its time where ``offers`` or the pool has no room for one more; NONE: the scratch is too small.
    Resumable.

    Parameters
    ----------
    lessons : Lessons
    wanted : Wanted
    fit : Fit
    policy : Policy
    stage : Stage
    offers : Offers
        Out.
    """
    golds, given, place = lessons.golds, lessons.given, lessons.place
    wanting, met, seed = wanted.wanting, wanted.met, wanted.seed
    now = pool.clock[NOW]
    n, w = golds.shape[0], wanting.shape[0]
    room = min(offers.tasks.shape[0], offers.annotators.shape[0], offers.terms.shape[0])
    if place.shape[0] < pool.counters[ANNOTATORS_USED] or met.shape[0] < n or met.shape[1] < w:
        return NONE
    if at == 0:
        mark_met(pool, golds, wanting, place, met)
    turn = np.int64(mix(seed, w) % np.uint64(w))
    for step in range(at, w):
        j = (step + turn) % w
        a = np.int64(wanting[j])
        while not given[a]:
            pick, best = best_lesson(pool, lessons, met, fit, j, a, np.int64(mix(seed, a) % np.uint64(n)))
            if pick == NONE:
                break
            if not (has_room(offers.count, 0, room, 1) and has_pair(pool)):
                return step
            t = np.int64(golds[pick])
            met[pick, j] = 1
            if not may_offer(pool, fit, t, a, now):
                continue
            made = append(offers.count, 0, room)
            offer_one(pool, t, a, stage, made)
            if owed(pool, t, a):
                pay(pool, np.int64(pool.tasks.records[t].head), seed)
            given[a] = 1
            paid = cost.worth(pool, t, a, Case(0.0, 0.0, 0.0, 0.0), policy)
            for k in range(COUNT):
                offers.terms[made, k] = 0.0
            offers.terms[made, INFORMATION] = best - paid
            offers.terms[made, COST] = paid
            offers.tasks[made] = t
            offers.annotators[made] = a
    return w


@entry
def draw_kernel(tasks, annotators, seed, keys):
    """Fill ``keys`` uint64[n], see `draw_order`."""
    for i in range(tasks.shape[0]):
        keys[i] = mix(np.int64(mix(seed, np.int64(tasks[i]))), np.int64(annotators[i]))


def draw_order(tasks: Any, annotators: Any, seed: int) -> np.ndarray:
    """Keys uint64[n] by which this round's offers are sorted, so that a place tells nothing."""
    keys = np.empty(len(tasks), np.uint64)
    draw_kernel(tasks, annotators, seed, keys)
    return keys


@entry
def arrange(pool, tasks, annotators, first):
    """Number this round's offers anew, from ``first`` in this order, as if they had been made in it."""
    for i in range(tasks.shape[0]):
        t, a = np.int64(tasks[i]), np.int64(annotators[i])
        p = find(pool, t, a)
        pair = pool.pairs.records[p]
        pair.index = first + i
        if pool.annotators.records[a].live_head != p:
            pool.pairs.records[pair.live_previous].live_next = pair.live_next
            if pair.live_next != NONE:
                pool.pairs.records[pair.live_next].live_previous = pair.live_previous
            pair.live_previous = NONE
            pair.live_next = pool.annotators.records[a].live_head
            pool.pairs.records[pair.live_next].live_previous = p
            pool.annotators.records[a].live_head = p
        to_front(pool, t, p)
