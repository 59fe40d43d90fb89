"""What a pair is worth: a sum of named terms (`kernels.terms`), and here what their weights are.

    value(t, a) = information + accuracy + coverage + cost

    information   w / (1 + f) * I      mutual information of the answer and the truth, nats
    accuracy      w / (1 + f) * G      expected growth of the consensus' accuracy
    coverage      w / (1 + f) * c A    while the task's overlap is not covered; A is the annotator's ability
    cost          - judgment_cost - expected time * hourly cost

with w = task value * project weight * urgency * trust, urgency = 2^priority * (deadline) * (age), and f the judgments
already under way: each of them will bring part of what this one would. I and G are taken at the calibrated
posterior (``kernels/skill/value.py``), so a question that is settled in all but name is worth little, whoever asks.

trust is 1, and 1/2 for an annotator of whose answers more than three are unchecked (`kernels.skill.unchecked`) on a
task that nobody has judged yet and others will: there one more answer would wait unchecked, so people are asked first
where answers meet. Not so in a project with a budget: what comes last there may never come, and in a young market much
of what everybody has said is unchecked. A contained annotator (`kernels.skill.contained`) is worth 0, but on one task
in 32, by which they can return, and in the last hour before a deadline.

A pair of value <= 0 is not offered. Hard requirements are missing edges, never large negative numbers.
"""

import math

import numpy as np

from kernels.hashing import mix
from kernels.jit import inner
from kernels.lifecycle.codes import ONE, ZERO
from kernels.rules import budget
from kernels.skill import contained, gain_prepared, typical, unchecked

AGE_WEIGHT = 0.1  # an hour of waiting is worth a tenth
AGE_S = 3600.0
RUSH_S = 3600.0  # the last hour before a deadline doubles the value
UNCHECKED = 3.0
UNCHECKED_TRUST = 0.5
RETURN = np.uint64(32)
TRUSTED, UNPROVEN, CONTAINED = ZERO, ONE, ONE + ONE


@inner
def deadline_of(pool, t):
    """When work on task ``t`` ends, by its own deadline or its project's."""
    return min(pool.tasks.records[t].deadline, pool.projects.records[pool.tasks.records[t].project].deadline)


@inner
def standing_of(skills, m, s, ability, least):
    """Standing of seat ``s`` in model ``m``: TRUSTED, UNPROVEN (much of it unchecked) or CONTAINED."""
    if contained(skills, m, s, ability, typical(skills, m), least):
        return CONTAINED
    return UNPROVEN if unchecked(skills, s) > UNCHECKED else TRUSTED


@inner
def may_return(t, a):
    """Is task ``t`` one of those by which annotator ``a`` can return who is contained?"""
    return mix(np.int64(t), np.int64(a)) % RETURN == np.uint64(0)


@inner
def may_fill(pool, t, a, standing):
    """May the annotator fill a promise of the task? Who is contained may on a task in 32 that others answer too."""
    return standing != CONTAINED or (pool.tasks.records[t].overlap > 1 and may_return(t, a))


@inner
def trust(pool, t, a, standing, now):
    """Factor of the value of annotator ``a`` on task ``t``; 0: not to be asked."""
    if standing == CONTAINED:
        return 1.0 if may_return(t, a) or deadline_of(pool, t) - now < RUSH_S else 0.0
    task = pool.tasks.records[t]
    waits = task.counted == 0 and task.max_overlap > 1 and not budget.is_limited(pool, t)
    return UNCHECKED_TRUST if standing == UNPROVEN and waits else 1.0


@inner
def importance(pool, t, now):
    """Weight of task ``t``: task value, project weight, priority, deadline and age, shared by work in flight."""
    task = pool.tasks.records[t]
    w = task.value * pool.projects.records[task.project].weight * math.ldexp(1.0, task.priority)
    left = deadline_of(pool, t) - now
    if left < RUSH_S:
        w *= 2.0 - max(left, 0.0) / RUSH_S
    w *= 1.0 + AGE_WEIGHT * min(max(now - task.created, 0.0) / AGE_S, 1.0)
    return w / (1.0 + task.offered + task.leased)


@inner
def gains(pool, t, theta):
    """(information, accuracy) of one more judgment on task ``t``; nothing without classes.

    ``theta`` float64[K * K + K] is the annotator as ``kernels.skill.prepare`` left it.
    """
    return gain_prepared(theta, pool.tasks.reported[t], pool.tasks.records[t].classes)
