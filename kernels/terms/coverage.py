"""Coverage: as long as a task has fewer judgments, or promises of them, than its overlap, each is worth a bonus.

So is each of a task without classes, of which nothing else says what a judgment brings.
"""

from kernels.jit import inner

WEIGHT = 0.25  # a covering judgment by a perfect annotator is worth a quarter of a certain correction

WORDS = "the task still has fewer answers than it must have, or no classes to tell what one brings"


@inner
def is_lacking(pool, t):
    """Has the task fewer judgments and work under way than its overlap, or no classes?"""
    task = pool.tasks.records[t]
    return task.classes == 0 or task.counted + task.offered + task.leased < task.overlap


@inner
def worth(pool, t, a, case, policy):
    """The better the annotator, the more."""
    return case.weight * WEIGHT * case.ability if is_lacking(pool, t) else 0.0
