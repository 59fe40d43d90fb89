"""Answers that nobody asked for, or asks for no longer: whether they count, and if not, why.

An answer of a pair that was never offered counts only where an offer would have been allowed: the task still wants one,
there is money, and the rules of the pair permit it (lists, shares, profile, ``min_skill``); neither pool, project nor
person is paused, and the person has not gone offline and has capacity to spare: whoever answers is there, unless they
have said otherwise. An import of past work has no presence and no profile to ask for; lists and shares hold for it too.
A late answer was allowed once: money, lists, shares, profile and ``min_skill`` are asked again. Either pushes out an
unaccepted offer if the task would else be over its need.
"""

import numpy as np

from kernels.jit import inner
from kernels.lifecycle.codes import (
    ACTIVE,
    BLOCKED,
    BUDGET,
    CANCEL,
    DEADLINE,
    OPEN,
    WHY_BUDGET,
    WHY_CAPACITY,
    WHY_CLOSED,
    WHY_LIMIT,
    WHY_LIST,
    WHY_MIN_SKILL,
    WHY_NEED,
    WHY_PAUSED,
    WHY_PRESENCE,
    WHY_PROFILE,
    ZERO,
)
from kernels.lifecycle.pool_columns import IS_PAUSED, NOW
from kernels.lifecycle.tasks import need
from kernels.rules import attributes, budget, listed, min_skill, share


@inner
def has_money(pool, t):
    """Is there money for one more judgment, an offer that it pushes out given back?"""
    task = pool.tasks.records[t]
    if budget.is_left(pool, t):
        return True
    pushes = task.state == OPEN and task.offered > 0 and task.counted + task.offered + task.leased >= need(pool, t)
    project = pool.projects.records[task.project]
    return pushes and project.counted + project.live <= project.budget


@inner
def why_not_this_pair(pool, fit, t, a, is_import):
    """Which rule of the pair forbids the answer, as a reason; ZERO: none."""
    if not listed.permits(pool, fit, t, a):
        return WHY_LIST
    if not share.permits(pool, fit, t, a):
        return WHY_LIMIT
    if is_import:
        return ZERO
    if not attributes.permits(pool, fit, t, a):
        return WHY_PROFILE
    if not min_skill.permits(pool, fit, t, a):
        return WHY_MIN_SKILL
    return ZERO


@inner
def why_not_late(pool, fit, t, a):
    """Why a late answer doesn't count, or ZERO."""
    task = pool.tasks.records[t]
    if task.state != OPEN and task.outcome in (CANCEL, DEADLINE, BLOCKED, BUDGET):
        return WHY_CLOSED
    if task.counted + task.leased >= task.max_overlap:
        return WHY_NEED
    if not has_money(pool, t):
        return WHY_BUDGET
    return why_not_this_pair(pool, fit, t, a, False)


@inner
def why_not_uninvited(pool, fit, t, a, is_import):
    """Why an answer that nobody asked for doesn't count, or ZERO."""
    task = pool.tasks.records[t]
    if task.state != OPEN or pool.tasks.wakeup[t] <= pool.clock[NOW]:
        return WHY_CLOSED
    if task.counted + task.leased >= need(pool, t):
        return WHY_NEED
    if not has_money(pool, t):
        return WHY_BUDGET
    reason = why_not_this_pair(pool, fit, t, a, is_import)
    if reason != ZERO or is_import:
        return reason
    annotator = pool.annotators.records[a]
    if pool.counters[IS_PAUSED] or pool.projects.records[task.project].state != ACTIVE or annotator.paused:
        return WHY_PAUSED
    if not annotator.online and annotator.expires == np.inf and annotator.ended_at >= 0.0:
        return WHY_PRESENCE
    if annotator.online and annotator.live >= annotator.capacity:
        return WHY_CAPACITY
    return np.int64(ZERO)
