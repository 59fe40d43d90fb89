"""Turning matched pairs into offers, and the changes of the market that people order.

``offer`` is the only way in which an OFFERED pair comes to be: it checks every promise once more at the moment
of the offer, so that a mistake in matching can cost value but never break a promise.
"""

from typing import NamedTuple

import numpy as np

from kernels.jit import entry, inner
from kernels.lifecycle.codes import (
    CANCEL,
    CAUSE_PAUSE,
    CLOSED,
    HELD,
    LAPSED,
    LEASED,
    NONE,
    OFFERED,
    OPEN,
    WITHDRAWN,
)
from kernels.lifecycle.layout import EARLIEST, TASKS_USED
from kernels.lifecycle.pairs import find, make_live, open_pair, to_front, withdraw_newest
from kernels.lifecycle.presence import is_free
from kernels.lifecycle.room import has_pair, lacks
from kernels.lifecycle.tasks import cancel, review


class Matches(NamedTuple):
    """Pairs that matching wants offered, and which of them were: one entry a pair."""

    tasks: np.ndarray  # i4 slots
    annotators: np.ndarray  # i4 slots
    offered: np.ndarray  # u1


@inner
def may_offer(pool, t, a, now):
    """Do task, project, annotator and pair allow an offer now (skills and attributes aside)?"""
    if pool.room[t] <= 0 or pool.due[t] <= now or not is_free(pool, a, now):
        return False
    project = pool.projects[pool.tasks[t].project]
    if project.budget >= 0 and project.counted + project.live >= project.budget:
        return False
    if project.limited != NONE and pool.share[project.limited, a] >= project.cap:
        return False
    p = find(pool, t, a)
    return p == NONE or pool.pairs[p].state in (LAPSED, WITHDRAWN)


@inner
def offer_one(pool, t, a, accept_by, rnd, index):
    """Offer task ``t`` to annotator ``a``; the caller has checked ``may_offer`` and that there is room for a pair."""
    p = find(pool, t, a)
    if p == NONE:
        p = open_pair(pool, t, a)
        if p == NONE:
            return
    else:
        to_front(pool, t, p)
    pair = pool.pairs[p]
    pair.round = rnd
    pair.index = index
    pair.due = accept_by
    pair.accepted_at = np.nan
    pair.extensions = 0
    pair.paid = 0
    make_live(pool, p, OFFERED)
    pool.room[t] -= 1
    if pool.annotators[a].asked:
        pool.annotators[a].asked -= 1
    pool.clock[EARLIEST] = min(pool.clock[EARLIEST], accept_by)


@entry
def offer(pool, pairs, now, accept_by, rnd, first, at):
    """Offer matched pairs in order, from number ``at`` on; returns the number of the first that was not looked at.

    It ends before its time where the pool has no room for one more pair.

    Parameters
    ----------
    pairs : Matches
        Slots of the matched pairs; ``offered`` becomes 1 where the offer was made.
    first : int
        Index in the round of the first of these offers.
    """
    made = 0
    for i in range(at):
        made += pairs.offered[i]
    n = min(pairs.tasks.shape[0], pairs.annotators.shape[0], pairs.offered.shape[0])
    for i in range(at, n):
        t, a = np.int64(pairs.tasks[i]), np.int64(pairs.annotators[i])
        if not has_pair(pool):
            return i
        pairs.offered[i] = may_offer(pool, t, a, now)
        if pairs.offered[i]:
            offer_one(pool, t, a, accept_by, rnd, first + made)
            made += 1
    return n


@entry
def project_changed(pool, j, retention_s):
    """A project's state, deadline or limits changed: its tasks follow.

    Like all below, it returns how many emissions it lacks room for: 0 when it is done; else the caller makes room and
    calls again, and what is done already stays as it is. Of one task are told at most the ends of its offers, and that
    it settles.
    """
    project = pool.projects[j]
    pool.dirty_projects[j] = 1
    for t in range(pool.counters[TASKS_USED]):
        task = pool.tasks[t]
        if task.state != OPEN or task.project != j:
            continue
        needed = lacks(pool, task.offered + 1)
        if needed:
            return needed
        pool.due[t] = min(task.deadline, project.deadline)
        pool.clock[EARLIEST] = min(pool.clock[EARLIEST], pool.due[t])
        if project.state == CLOSED:
            cancel(pool, t, CANCEL, retention_s)
            continue
        if project.state == HELD:
            while withdraw_newest(pool, t, CAUSE_PAUSE):
                pass
        review(pool, t, retention_s)
    return 0


@entry
def task_changed(pool, t, retention_s):
    """Fields of a task changed: need, room and deadline follow; returns as ``project_changed``."""
    task = pool.tasks[t]
    needed = lacks(pool, task.offered + 1)
    if needed:
        return needed
    pool.dirty_tasks[t] = 1
    if task.state == OPEN:
        pool.due[t] = min(task.deadline, pool.projects[task.project].deadline)
        pool.clock[EARLIEST] = min(pool.clock[EARLIEST], pool.due[t])
    review(pool, t, retention_s)
    return 0


@entry
def pool_paused(pool, retention_s):
    """No offers in this pool for now: withdraw the unaccepted ones; returns as ``project_changed``."""
    for t in range(pool.counters[TASKS_USED]):
        if pool.tasks[t].state == OPEN and pool.tasks[t].offered:
            needed = lacks(pool, pool.tasks[t].offered + 1)
            if needed:
                return needed
            while withdraw_newest(pool, t, CAUSE_PAUSE):
                pass
            review(pool, t, retention_s)
    return 0


@entry
def count_share(pool, j, row):
    """Count from the retained pairs what each annotator has used of a project that just became limited."""
    for t in range(pool.counters[TASKS_USED]):
        task = pool.tasks[t]
        if task.state == 0 or task.project != j:
            continue
        p = task.head
        while p != NONE:
            pair = pool.pairs[p]
            if pair.counted or pair.state in (OFFERED, LEASED):
                pool.share[row, pair.annotator] += 1
                pool.dirty_annotators[pair.annotator] = 1
            p = pair.next
