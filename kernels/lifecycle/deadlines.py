"""What the clock does to a pool: offers, leases, presence, grace, task deadlines, retention.

Nothing expires later than the ``horizon`` = min(now, time up to which the input is known to be complete), so an
answer that waits in the log is never punished. ``Pool.clock[EARLIEST]`` is a lower bound of the next deadline: a
round before it costs nothing; one after it scans annotators and the ``wakeup`` column and computes it anew.
"""

import numpy as np

from kernels.jit import entry, inner
from kernels.lifecycle.codes import (
    ABANDONED,
    CAUSE_ABSENCE,
    DEADLINE,
    EMIT_DROPPED,
    END_ABANDONED,
    LEASED,
    NONE,
    OFFERED,
    OPEN,
    SETTLED,
    ZERO,
)
from kernels.lifecycle.pairs import emit, end_live, expire_offer
from kernels.lifecycle.pool_columns import ANNOTATORS_USED, EARLIEST, TASKS_USED
from kernels.lifecycle.presence import lapse, return_leases, silent, withdraw_offers
from kernels.lifecycle.room import lacks, live_in
from kernels.lifecycle.tasks import cancel, review


@inner
def expire_works(pool, a, horizon, policy):
    """End the live work of one annotator that is due, newest first."""
    ended = False
    p = np.int64(pool.annotators.records[a].live_head)
    while p != NONE:
        following = np.int64(pool.pairs.records[p].live_next)
        pair = pool.pairs.records[p]
        if pair.due <= horizon:
            ended = True
            t = np.int64(pair.task)
            if pair.state == OFFERED:
                expire_offer(pool, p, policy.accept_s)
            else:
                end_live(pool, p, ABANDONED, END_ABANDONED, ZERO)
            review(pool, t, policy.settled_retention_s)
        p = following
    if ended:
        silent(pool, a, policy.missed_offers)
    if pool.annotators.records[a].absent:
        withdraw_offers(pool, a, CAUSE_ABSENCE, NONE, policy.settled_retention_s)


@inner
def expire(pool, horizon, policy):
    """Apply every deadline that is at or before ``horizon``, then find the next one.

    Returns how many emissions it lacks room for (see `room`); unless that is 0, it has done nothing.
    """
    if pool.clock[EARLIEST] > horizon:
        return 0
    due = 0
    for t in range(pool.counters[TASKS_USED]):
        due += pool.tasks.wakeup[t] <= horizon
    needed = lacks(pool, 4 * live_in(pool) + due)
    if needed:
        return needed
    for a in range(pool.counters[ANNOTATORS_USED]):
        annotator = pool.annotators.records[a]
        if annotator.live:
            expire_works(pool, a, horizon, policy)
        if annotator.paused and annotator.break_until <= horizon:
            annotator.paused = 0
            annotator.break_until = np.inf
            pool.dirty.annotators[a] = 1
        if annotator.online and annotator.expires <= horizon:
            lapse(pool, a, policy.settled_retention_s)
        if annotator.gone_at + policy.grace_s <= horizon:
            annotator.gone_at = np.inf
            pool.dirty.annotators[a] = 1
            return_leases(pool, a, policy.settled_retention_s)
    for t in range(pool.counters[TASKS_USED]):
        if pool.tasks.wakeup[t] <= horizon:
            if pool.tasks.records[t].state == OPEN:
                cancel(pool, t, DEADLINE, policy.settled_retention_s)
            elif pool.tasks.records[t].leased:
                pool.tasks.wakeup[t] = last_lease(pool, t)
            else:
                emit(pool, EMIT_DROPPED, ZERO, ZERO, NONE, t, NONE, np.nan)
    find_earliest(pool, policy.grace_s)
    return 0


@inner
def last_lease(pool, t):
    """When the last lease of a settled task ends: its books stay open until then."""
    last = -np.inf
    p = pool.tasks.records[t].head
    while p != NONE:
        if pool.pairs.records[p].state == LEASED:
            last = max(last, pool.pairs.records[p].due)
        p = pool.pairs.records[p].next
    return last


@inner
def find_earliest(pool, grace_s):
    """Set ``clock[EARLIEST]`` to the next deadline of the pool."""
    earliest = np.inf
    for a in range(pool.counters[ANNOTATORS_USED]):
        annotator = pool.annotators.records[a]
        p = annotator.live_head
        while p != NONE:
            earliest = min(earliest, pool.pairs.records[p].due)
            p = pool.pairs.records[p].live_next
        if annotator.online:
            earliest = min(earliest, annotator.expires)
        if annotator.paused:
            earliest = min(earliest, annotator.break_until)
        earliest = min(earliest, annotator.gone_at + grace_s)
    for t in range(pool.counters[TASKS_USED]):
        earliest = min(earliest, pool.tasks.wakeup[t])
    pool.clock[EARLIEST] = earliest


@entry
def reschedule(pool, policy):
    """After a change of the policy: retention and grace are counted anew from when they began. It tells nothing."""
    for t in range(pool.counters[TASKS_USED]):
        task = pool.tasks.records[t]
        if task.state == SETTLED:
            pool.tasks.wakeup[t] = task.settled + policy.settled_retention_s
    find_earliest(pool, policy.grace_s)
    return ZERO


@entry
def relink(pool, policy):
    """After restoring: vacancies and deadline of every task follow from its record.

    Returns how many emissions it lacks room for; 0: done; else the caller makes room and calls again. Nothing is told
    as long as the policy is the one under which the rows were written.
    """
    for t in range(pool.counters[TASKS_USED]):
        task = pool.tasks.records[t]
        pool.tasks.wakeup[t] = np.inf
        if task.state == OPEN:
            needed = lacks(pool, task.offered + 1)
            if needed:
                return needed
            pool.tasks.wakeup[t] = min(task.deadline, pool.projects.records[task.project].deadline)
            review(pool, t, policy.settled_retention_s)
        elif task.state == SETTLED:
            pool.tasks.wakeup[t] = task.settled + policy.settled_retention_s
    find_earliest(pool, policy.grace_s)
    return 0
