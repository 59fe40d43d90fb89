"""Skills and attributes: who has what a task requires. Classes of tasks and people: ``stream/core/state/fits.py``."""

from kernels.jit import inner

TASK = [("demand", "<i4")]
ANNOTATOR = [("profile", "<i4")]

WORDS = "their profile lacks the task's skill or an attribute that it requires"


@inner
def permits(pool, fit, t, a):
    """Has the annotator the task's skill and what else it requires?"""
    return fit.meets[pool.tasks.records[t].demand, pool.annotators.records[a].profile] != 0
