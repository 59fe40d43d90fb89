"""Turning matched pairs into offers, and the changes of the market that people order.

``offer`` is the only way in which an OFFERED pair comes to be: it checks every promise once more at the moment
of the offer, so that a mistake in matching can cost value but never break a promise.
"""

from typing import NamedTuple

import numpy as np

from kernels.jit import entry, inner
from kernels.lifecycle.codes import (
    BUDGET,
    CANCEL,
    CAUSE_MET_NEED,
    CAUSE_OVERRIDE,
    CAUSE_PAUSE,
    CLOSED,
    END_WITHDRAWN,
    HELD,
    NONE,
    OFFERED,
    OPEN,
    SETTLED,
    WITHDRAWN,
    WORK,
)
from kernels.lifecycle.pairs import end_live, find, make_live, open_pair, to_front, withdraw_newest
from kernels.lifecycle.pool_columns import EARLIEST, TASKS_USED
from kernels.lifecycle.presence import is_free, keep_to_rules
from kernels.lifecycle.room import has_pair, lacks
from kernels.lifecycle.tasks import cancel, reopen, review, settle
from kernels.rules import budget
from kernels.rules.predicate import permitted, still_allowed
from kernels.rules.pull import use_up


class Matches(NamedTuple):
    """Pairs that matching wants offered, and which of them were: one entry a pair."""

    tasks: np.ndarray  # i4 slots
    annotators: np.ndarray  # i4 slots
    offered: np.ndarray  # u1


class Stage(NamedTuple):
    """What offers of one pass have in common, and from where on they are numbered."""

    accept_by: float
    round: int
    first: int  # index in the round of the first of them


@inner
def may_offer(pool, fit, t, a, now):
    """Is there something to offer to somebody, and does every rule allow it?"""
    if pool.tasks.vacancies[t] <= 0 or pool.tasks.wakeup[t] <= now or not is_free(pool, a, now):
        return False
    return budget.is_left(pool, t) and permitted(pool, fit, t, a)


@inner
def offer_one(pool, t, a, stage, made):
    """Offer task ``t`` to annotator ``a``, behind so many others.

    The caller has checked ``may_offer`` and that there is room for a pair.
    """
    p = find(pool, t, a)
    if p == NONE:
        p = open_pair(pool, t, a)
        if p == NONE:
            return
    else:
        to_front(pool, t, p)
    pair = pool.pairs.records[p]
    pair.round = stage.round
    pair.index = stage.first + made
    pair.due = stage.accept_by
    pair.accepted_at = np.nan
    pair.extensions = 0
    pair.paid = 0
    make_live(pool, p, OFFERED)
    pool.tasks.vacancies[t] -= 1
    use_up(pool, a)
    pool.clock[EARLIEST] = min(pool.clock[EARLIEST], stage.accept_by)


@entry
def offer(pool, pairs, fit, now, stage, at):
    """Offer matched pairs in order, from number ``at`` on; returns the number of the first that was not looked at.

    It ends before its time where the pool has no room for one more pair.

    Parameters
    ----------
    pairs : Matches
        Slots of the matched pairs; ``offered`` becomes 1 where the offer was made.
    fit : Fit
    now : float
        The round's time, Unix seconds.
    stage : Stage
    """
    made = 0
    for i in range(at):
        made += pairs.offered[i]
    n = min(pairs.tasks.shape[0], pairs.annotators.shape[0], pairs.offered.shape[0])
    for i in range(at, n):
        t, a = np.int64(pairs.tasks[i]), np.int64(pairs.annotators[i])
        if not has_pair(pool):
            return i
        pairs.offered[i] = may_offer(pool, fit, t, a, now)
        if pairs.offered[i]:
            offer_one(pool, t, a, stage, made)
            made += 1
    return n


@entry
def project_changed(pool, fit, j, retention_s):
    """A project's state, deadline or limits changed: its tasks follow, and offers that would no longer be made end.

    Like all below, it returns how many emissions it lacks room for: 0 when it is done; else the caller makes room and
    calls again, and what is done already stays as it is. Of one task are told at most the ends of its offers, and that
    it settles.
    """
    project = pool.projects.records[j]
    pool.dirty.projects[j] = 1
    for t in range(pool.counters[TASKS_USED]):
        task = pool.tasks.records[t]
        if task.project != j or task.state == 0:
            continue
        if task.state == SETTLED and task.outcome == BUDGET and project.state != CLOSED and budget.is_left(pool, t):
            reopen(pool, t)
        if task.state != OPEN:
            continue
        needed = lacks(pool, task.offered + 1)
        if needed:
            return needed
        pool.tasks.wakeup[t] = min(task.deadline, project.deadline)
        pool.clock[EARLIEST] = min(pool.clock[EARLIEST], pool.tasks.wakeup[t])
        if project.state == CLOSED:
            cancel(pool, t, CANCEL, retention_s)
            continue
        if project.state == HELD:
            while withdraw_newest(pool, t, CAUSE_PAUSE):
                pass
        withdraw_unkept(pool, fit, t)
        review(pool, t, retention_s)
    if project.budget < 0:
        return 0
    for k in range(pool.counters[TASKS_USED]):  # the newest tasks first
        t = pool.counters[TASKS_USED] - 1 - k
        if project.counted + project.live <= project.budget:
            break
        if pool.tasks.records[t].state != OPEN or pool.tasks.records[t].project != j:
            continue
        needed = lacks(pool, pool.tasks.records[t].offered + 1)
        if needed:
            return needed
        while project.counted + project.live > project.budget and withdraw_newest(pool, t, CAUSE_OVERRIDE):
            pass
        review(pool, t, retention_s)
    return 0


@inner
def withdraw_unkept(pool, fit, t):
    """Withdraw offers of a task that would no longer be made, newest first; the caller reviews the task."""
    p = np.int64(pool.tasks.records[t].head)
    while p != NONE:
        if pool.pairs.records[p].state == OFFERED:
            a = np.int64(pool.pairs.records[p].annotator)
            if not still_allowed(pool, fit, t, a):
                end_live(pool, p, WITHDRAWN, END_WITHDRAWN, CAUSE_OVERRIDE)
        p = np.int64(pool.pairs.records[p].next)


@entry
def annotator_changed(pool, fit, a, retention_s):
    """What an annotator may do has changed: offers that would no longer be made end; returns as ``project_changed``."""
    needed = lacks(pool, 2 * pool.annotators.records[a].live)
    if needed:
        return needed
    keep_to_rules(pool, fit, a, False, retention_s)
    return 0


@entry
def project_spent(pool, j, retention_s):
    """A project's budget is spent, nothing of it is under way: its open work ends; returns as ``project_changed``."""
    for t in range(pool.counters[TASKS_USED]):
        task = pool.tasks.records[t]
        if task.state == OPEN and task.project == j and task.purpose == WORK:
            needed = lacks(pool, 1)
            if needed:
                return needed
            settle(pool, t, BUDGET, CAUSE_MET_NEED, retention_s)
    return 0


@entry
def task_changed(pool, fit, t, retention_s):
    """Fields of a task changed: need, vacancies, deadline and offers follow; returns as ``project_changed``."""
    task = pool.tasks.records[t]
    needed = lacks(pool, task.offered + 1)
    if needed:
        return needed
    pool.dirty.tasks[t] = 1
    if task.state == OPEN:
        pool.tasks.wakeup[t] = min(task.deadline, pool.projects.records[task.project].deadline)
        pool.clock[EARLIEST] = min(pool.clock[EARLIEST], pool.tasks.wakeup[t])
        withdraw_unkept(pool, fit, t)
    review(pool, t, retention_s)
    return 0


@entry
def pool_paused(pool, retention_s):
    """No offers in this pool for now: withdraw the unaccepted ones; returns as ``project_changed``."""
    for t in range(pool.counters[TASKS_USED]):
        if pool.tasks.records[t].state == OPEN and pool.tasks.records[t].offered:
            needed = lacks(pool, pool.tasks.records[t].offered + 1)
            if needed:
                return needed
            while withdraw_newest(pool, t, CAUSE_PAUSE):
                pass
            review(pool, t, retention_s)
    return 0
