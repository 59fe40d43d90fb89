"""Who gets a task of known answer: gold or training, at most one an annotator and round.

    value = w L / r         L: what the answer teaches about the annotator (``kernels.skill.lesson``), nats
                            r: the share of such tasks (``kernels/lifecycle/lessons.py``), so that 1 / r judgments
                               profit from it; w = task value * project weight * 2^priority

It stands in the term ``information``, together with what the time costs: that the share is worth its cost is what
the project says with its ``gold_rate``. Nobody else could have learned the same, so there is nothing to auction: a
task is due (``due``), or it examines somebody whom the market left idle beside work that asks for more skill than is
proven. That ends when the skill is proven, or when ten judgments have made it implausible.

Overlap, confidence and ``min_skill`` play no part; all other requirements of an offer hold.
"""

import math
from typing import Any

import numpy as np

from kernels.buffers import USED, WANTED, append, has_room
from kernels.candidates import CERTAINTY, allowed
from kernels.hashing import mix
from kernels.jit import entry, inner
from kernels.lifecycle.codes import LAPSED, NONE, WITHDRAWN, ZERO
from kernels.lifecycle.layout import ANNOTATORS_USED, NOW
from kernels.lifecycle.lessons import due, pay, rate
from kernels.lifecycle.offers import may_offer, offer_one
from kernels.lifecycle.pairs import find, to_front
from kernels.lifecycle.presence import is_free
from kernels.lifecycle.room import has_pair
from kernels.skill import at_least, lesson
from kernels.valuation import ACCURACY, COST, COVERAGE, INFORMATION

TRIES = 10  # judgments that everybody may make before an examination can be hopeless
HOPELESS = 0.02


@inner
def is_examined(pool, t, a, bar, grants):
    """Would an answer help to tell whether the annotator meets ``bar`` (NaN: nothing asks for more skill)?"""
    task = pool.tasks[t]
    if np.isnan(bar) or grants[task.demand, pool.annotators[a].profile]:
        return False
    s = np.int64(pool.skills.seat_of[task.model, a])
    sure = at_least(pool.skills, np.int64(task.model), s, bar)
    return sure < CERTAINTY and (s == NONE or pool.skills.seats[s].judgments < TRIES or sure > HOPELESS)


@inner
def is_wanted(pool, t, a, bar, examines, grants):
    """May annotator ``a`` be given task ``t`` for what it teaches?"""
    if pool.projects[pool.tasks[t].project].gold_rate <= 0.0:
        return False
    if examines:
        return is_examined(pool, t, a, bar, grants)
    return due(pool, t, a)


@inner
def has_budget(pool, t):
    """May the project of task ``t`` still spend a judgment?"""
    project = pool.projects[pool.tasks[t].project]
    return project.budget < 0 or project.counted + project.live < project.budget


@entry
def find_wanting(pool, golds, free, bars, examines, given, grants, wanting):
    """List the free annotators who are wanted for one of the tasks; repeatable.

    Parameters
    ----------
    golds : int32[n]
        Open tasks of known answer, those of one project and model together.
    free : int32[m]
        Slots.
    bars : float64[n]
        What the work beside each task asks for at least, NaN if nothing.
    examines : int
        1: examine whom the market has left; 0: give what is due.
    given : uint8[annotators]
        1 for whoever got one in this round.
    wanting : Slots
        Out.
    """
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
            task = pool.tasks[golds[i]]
            if task.project == project and task.model == model:
                continue
            project, model = np.int64(task.project), np.int64(task.model)
            if is_wanted(pool, np.int64(golds[i]), a, bars[i], examines, grants):
                k = append(wanting.count, 0, wanting.slots.shape[0])
                if k != NONE:
                    wanting.slots[k] = a
                break


@inner
def mark_met(pool, golds, wanting, place, met):
    """Note which of the wanting annotators have had to do with which task; ``place`` is NONE before and after."""
    for j in range(wanting.shape[0]):
        place[wanting[j]] = j
    for i in range(golds.shape[0]):
        p = np.int64(pool.tasks[golds[i]].head)
        while p != NONE:
            pair = pool.pairs[p]
            j = place[pair.annotator]
            if j != NONE and pair.state not in (LAPSED, WITHDRAWN, ZERO):
                met[i, j] = 1
            p = np.int64(pair.next)
    for j in range(wanting.shape[0]):
        place[wanting[j]] = NONE


@entry
def teach(
    pool, golds, wanting, bars, examines, given, met, place, fits, grants, asked, rules, seed, accept_by, rnd, first,
    at, offers,
):  # fmt: skip
    """Offer each wanting annotator the task that teaches most.

    It begins with step ``at`` and returns the number of the first step that is not done: one for each who is wanting.
    It ends before its time where ``offers`` or the pool has no room for one more; NONE: the scratch is too small.
    Resumable.

    Parameters
    ----------
    golds, bars, examines, given : see `find_wanting`
    wanting : int32[w]
    met : uint8[n, w]
        Scratch, zeros before the first step; kept between calls.
    place : int32[annotators]
        Scratch, NONE everywhere; restored on return.
    first : int
        Index in the round of the first offer of the list.
    offers : Offers
        Out.
    """
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
            best = 0.0
            pick = NONE
            project, model = NONE, NONE
            is_open = False
            weight, horizon = 0.0, 1.0
            start = np.int64(mix(seed, a) % np.uint64(n))
            for i in range(n):
                g = (start + i) % n
                t = np.int64(golds[g])
                task = pool.tasks[t]
                if task.project != project or task.model != model:
                    project, model = np.int64(task.project), np.int64(task.model)
                    is_open = has_budget(pool, t) and is_wanted(pool, t, a, bars[g], examines, grants)
                    if is_open:
                        s = np.int64(pool.skills.seat_of[model, a])
                        horizon = lesson(pool.skills, model, s) / rate(pool, project, model, a)
                        weight = pool.projects[project].weight
                worth = weight * task.value * math.ldexp(horizon, task.priority)
                if not is_open or met[g, j] or pool.room[t] <= 0 or not worth > best:
                    continue
                if allowed(pool, t, a, fits, asked):
                    best = worth
                    pick = g
            if pick == NONE:
                break
            if not (has_room(offers.count, 0, room, 1) and has_pair(pool)):
                return step
            t = np.int64(golds[pick])
            met[pick, j] = 1
            if not may_offer(pool, t, a, now):
                continue
            made = append(offers.count, 0, room)
            offer_one(pool, t, a, accept_by, rnd, first + made)
            if due(pool, t, a):
                pay(pool, np.int64(pool.tasks[t].head), seed)
            given[a] = 1
            cost = rules.judgment_cost + pool.annotators[a].cost * pool.tasks[t].expected_s / 3600.0
            offers.terms[made, INFORMATION] = best + cost
            offers.terms[made, ACCURACY] = 0.0
            offers.terms[made, COVERAGE] = 0.0
            offers.terms[made, COST] = -cost
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
        pair = pool.pairs[p]
        pair.index = first + i
        if pool.annotators[a].live_head != p:
            pool.pairs[pair.live_previous].live_next = pair.live_next
            if pair.live_next != NONE:
                pool.pairs[pair.live_next].live_previous = pair.live_previous
            pair.live_previous = NONE
            pair.live_next = pool.annotators[a].live_head
            pool.pairs[pair.live_next].live_previous = p
            pool.annotators[a].live_head = p
        to_front(pool, t, p)
