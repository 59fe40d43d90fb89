"""``min_skill``: how sure it must be that an annotator is right often enough, by evidence or by a grant."""

import numpy as np

from kernels.jit import inner
from kernels.lifecycle.codes import WORK
from kernels.skill import at_least

TASK = [("min_skill", "<f8")]

CERTAINTY = 0.8  # min_skill b asks for P(accuracy >= b) >= 0.8

WORDS = "their skill is not proven to be what the task asks for"


@inner
def is_granted(pool, fit, t, a):
    """Does somebody vouch for the annotator in the task's skill?"""
    return fit.grants[pool.tasks.records[t].demand, pool.annotators.records[a].profile] != 0


@inner
def permits(pool, fit, t, a):
    """Does the annotator meet the task's ``min_skill``? Tasks of known answer are there to find out."""
    task = pool.tasks.records[t]
    if np.isnan(task.min_skill) or task.purpose != WORK or is_granted(pool, fit, t, a):
        return True
    seat = pool.skills.seat_of[task.model, a]
    return at_least(pool.skills, task.model, np.int64(seat), task.min_skill) >= CERTAINTY
