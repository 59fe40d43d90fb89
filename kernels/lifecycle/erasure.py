"""Erasing an annotator: live work ends; the slot stays taken, but nobody is behind it.

Judgments and evidence stay where they are, under a slot that has no name any more: the labels of tasks must not change
because somebody asks to be forgotten. The slot is never given to another annotator, or they would inherit both.
"""

import numpy as np

from kernels.jit import entry
from kernels.lifecycle.codes import CAUSE_ERASED, END_WITHDRAWN, NONE, WITHDRAWN
from kernels.lifecycle.pairs import end_live
from kernels.lifecycle.room import lacks
from kernels.lifecycle.tasks import review


@entry
def erase(pool, a, retention_s):
    """End all live work of annotator ``a``, newest first; their record is the caller's to blank.

    Returns how many emissions it lacks room for; 0: done; else the caller makes room and calls again. Of one work are
    told its end, the ends of the task's offers, and that the task settles.
    """
    p = np.int64(pool.annotators.records[a].live_head)
    while p != NONE:
        following = np.int64(pool.pairs.records[p].live_next)
        t = np.int64(pool.pairs.records[p].task)
        needed = lacks(pool, pool.tasks.records[t].offered + 2)
        if needed:
            return needed
        end_live(pool, p, WITHDRAWN, END_WITHDRAWN, CAUSE_ERASED)
        review(pool, t, retention_s)
        p = following
    pool.dirty.annotators[a] = 1
    return 0
