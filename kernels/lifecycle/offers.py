"""Turning matched pairs into offers, and the changes of the market that people order.

``offer`` is the only way in which an OFFERED pair comes to be: it checks every promise once more at the moment
of the offer, so that a mistake in matching can cost value but never break a promise.
"""

import numpy as np

from kernels.jit import entry, inner
from kernels.lifecycle.codes import (
    CANCEL,
    CAUSE_PAUSE,
    CLOSED,
    HELD,
    LAPSED,
    NONE,
    OFFERED,
    OPEN,
    WITHDRAWN,
)
from kernels.lifecycle.layout import EARLIEST, TASKS_USED
from kernels.lifecycle.pairs import find, make_live, open_pair, to_front, withdraw_newest
from kernels.lifecycle.presence import is_free
from kernels.lifecycle.tasks import cancel, review


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
    """Offer task ``t`` to annotator ``a``; the caller has checked ``may_offer`` and made room for a pair."""
    p = find(pool, t, a)
    if p == NONE:
        p = open_pair(pool, t, a)
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
def offer(pool, tasks, annotators, now, accept_by, rnd, first, offered):
    """Offer matched pairs in order; returns how many were offered.

    Parameters
    ----------
    tasks, annotators : int32[n]
        Slots of the matched pairs.
    first : int
        Index of the first of these offers in the round.
    offered : uint8[n]
        Out: 1 where the offer was made.
    """
    made = 0
    for i in range(tasks.shape[0]):
        t, a = np.int64(tasks[i]), np.int64(annotators[i])
        offered[i] = may_offer(pool, t, a, now)
        if offered[i]:
            offer_one(pool, t, a, accept_by, rnd, first + made)
            made += 1
    return made


@entry
def project_changed(pool, j, retention_s):
    """A project's state, deadline or limits changed: its tasks follow."""
    project = pool.projects[j]
    pool.dirty_projects[j] = 1
    for t in range(pool.counters[TASKS_USED]):
        task = pool.tasks[t]
        if task.state != OPEN or task.project != j:
            continue
        pool.due[t] = min(task.deadline, project.deadline)
        pool.clock[EARLIEST] = min(pool.clock[EARLIEST], pool.due[t])
        if project.state == CLOSED:
            cancel(pool, t, CANCEL, retention_s)
            continue
        if project.state == HELD:
            while withdraw_newest(pool, t, CAUSE_PAUSE):
                pass
        review(pool, t, retention_s)


@entry
def task_changed(pool, t, retention_s):
    """Fields of a task changed: need, room and deadline follow."""
    task = pool.tasks[t]
    pool.dirty_tasks[t] = 1
    if task.state == OPEN:
        pool.due[t] = min(task.deadline, pool.projects[task.project].deadline)
        pool.clock[EARLIEST] = min(pool.clock[EARLIEST], pool.due[t])
    review(pool, t, retention_s)


@entry
def pool_paused(pool, retention_s):
    """No offers in this pool for now: withdraw the unaccepted ones."""
    for t in range(pool.counters[TASKS_USED]):
        if pool.tasks[t].state == OPEN and pool.tasks[t].offered:
            while withdraw_newest(pool, t, CAUSE_PAUSE):
                pass
            review(pool, t, retention_s)


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
            if pair.counted or pair.state in (1, 2):
                pool.share[row, pair.annotator] += 1
                pool.dirty_annotators[pair.annotator] = 1
            p = pair.next
