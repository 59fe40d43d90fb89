"""Gold and training: tasks with a known answer, and when an annotator is due one.

The project's ``gold_rate`` is the share of an annotator's work in the project that should be such tasks. It is raised
where there is more to learn: with n the effective sample size (6 for a newcomer) and D the drift score,

    r = gold_rate (1 + 9 * 6 / n + 9 max(0, 2 D - 1)), at most max(gold_rate, 1/2), never above 0.95.

Every counted judgment of work earns the annotator a credit of r / (1 - r) in the project. At a credit of 1 (less a
constant of annotator and project, so that not everybody's first comes at the same place) a task is due. Giving it
costs between 1/2 and 3/2, drawn anew each time and 1 on average: the share is kept, and nobody can count where the
next one will be. What did not end in an answer is paid back.

An answer is compared with the truth, so it teaches about the annotator alone: nobody else's skill and no posterior
depends on it. The calibration is fitted on the posterior that the last one to eight answers would have given.
"""

import numpy as np

from kernels.hashing import mix
from kernels.jit import inner
from kernels.lifecycle.codes import END_SUBMITTED, NONE, ONE, WORK, ZERO
from kernels.lifecycle.gathered import gathered
from kernels.skill import drift, revise, sample_size

ASKED_FOR = 9.0  # how far a newcomer, and separately an alarm, raises the share
HALF = 0.5
MOST = 0.95
COST_UNITS = 256.0
WINDOW = 8  # answers looked at together: as many as work usually has
EVERYONE = 1000  # judgments after which a task of known answer is worn out


@inner
def rate(pool, j, m, a):
    """Share of work in project ``j`` that should teach about annotator ``a`` in model ``m``."""
    stated = pool.projects.records[j].gold_rate
    s = np.int64(pool.skills.seat_of[m, a])
    raised = min(sample_size(pool.skills, m, NONE) / sample_size(pool.skills, m, s), 1.0)
    if s != NONE:
        # by chance alone the score often reaches a third
        raised += min(max(2.0 * drift(pool.skills, s) - 1.0, 0.0), 1.0)
    return min(stated * (1.0 + ASKED_FOR * raised), max(stated, HALF), MOST)


@inner
def earn(pool, t, a):
    """A judgment of work counts: it brings annotator ``a`` nearer to the next task of known answer."""
    j = np.int64(pool.tasks.records[t].project)
    row = pool.projects.records[j].taught
    if pool.tasks.records[t].purpose != WORK or row == NONE or pool.projects.records[j].gold_rate <= 0.0:
        return
    r = rate(pool, j, np.int64(pool.tasks.records[t].model), a)
    earned = r / (1.0 - r)
    pool.taught.credit[row, a] = min(pool.taught.credit[row, a] + earned, 1.0 + earned)
    pool.dirty.annotators[a] = 1


@inner
def owed(pool, t, a):
    """Is the annotator due a task of known answer in the project of ``t``?"""
    project = pool.projects.records[pool.tasks.records[t].project]
    if project.taught == NONE or project.gold_rate <= 0.0:
        return False
    phase = np.float64(mix(project.taught + ONE, a) >> np.uint64(40)) / 16777216.0
    return pool.taught.credit[project.taught, a] + phase >= 1.0


@inner
def pay(pool, p, seed):
    """Take what the task of pair ``p`` costs out of the annotator's credit."""
    pair = pool.pairs.records[p]
    row = pool.projects.records[pool.tasks.records[pair.task].project].taught
    pair.paid = 128 + np.int64(mix(seed, pair.annotator) & np.uint64(255))
    pool.taught.credit[row, pair.annotator] -= pair.paid / COST_UNITS


@inner
def pay_back(pool, p, outcome):
    """The work of pair ``p`` is over; without an answer it has cost nothing."""
    pair = pool.pairs.records[p]
    if pair.paid and outcome != END_SUBMITTED:
        row = pool.projects.records[pool.tasks.records[pair.task].project].taught
        pool.taught.credit[row, pair.annotator] += pair.paid / COST_UNITS
        pair.paid = 0


@inner
def relearn(pool, t, truth, at):
    """The known answer of task ``t`` is another one: every counted judgment on it teaches anew."""
    task = pool.tasks.records[t]
    model, before = np.int64(task.model), np.int64(task.truth)
    task.truth = truth
    p = np.int64(task.head)
    while p != NONE:
        pair = pool.pairs.records[p]
        if pair.counted:
            # one by one, each from what was known: the posterior has no part in it
            revise(pool.skills, gathered(pool, t, ZERO, before, at), ZERO, NONE, NONE)
            pool.gathered.seats[0] = pool.skills.seat_of[model, pair.annotator]
            pool.gathered.labels[0] = pair.label
            pool.gathered.stamps[0] = pair.stamp
            revise(pool.skills, gathered(pool, t, ONE, truth, at), ZERO, NONE, NONE)
            pool.dirty.seats[pool.gathered.seats[0]] = 1
        p = np.int64(pair.next)
    revise(pool.skills, gathered(pool, t, ZERO, truth, at), ZERO, NONE, NONE)
    pool.dirty.models[model] = 1
    pool.dirty.tasks[t] = 1
