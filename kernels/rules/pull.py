"""Requests: an annotator in mode pull gets work of the projects that they asked for, and no more than they asked for.

How much is still asked for is part of presence (`kernels.lifecycle.presence.is_free`); of which projects is known in
the round of the request alone.
"""

from kernels.jit import inner

ANNOTATOR = [("asked", "<i4")]

WORDS = "they asked for work of other projects"


@inner
def permits(pool, fit, t, a):
    """Did the annotator ask for work of the task's project, or for any?"""
    return not fit.asked.shape[0] or fit.asked[a, pool.tasks.records[t].project] != 0


@inner
def use_up(pool, a):
    """One of what the annotator asked for is offered."""
    if pool.annotators.records[a].asked:
        pool.annotators.records[a].asked -= 1
