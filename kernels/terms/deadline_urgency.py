"""Urgency: as a deadline comes nearer, a judgment that can still be in time is worth more, up to the pool's weight.

    weight * ability * max(0, 1 - time left / a day) * `deadline_urgency` of the policy

Without it only the last hour before a deadline counts (`kernels.valuation.importance`), when it may be too late to get
all judgments of many tasks.
"""

from kernels.jit import inner
from kernels.lifecycle.pool_columns import NOW
from kernels.valuation import deadline_of

DAY_S = 86_400.0

WORDS = "the task's deadline is less than a day away"


@inner
def nearness(pool, t):
    """How near the deadline of task ``t`` is: 0 a day before it and earlier, 1 at it."""
    return max(1.0 - (deadline_of(pool, t) - pool.clock[NOW]) / DAY_S, 0.0)


@inner
def worth(pool, t, a, case, policy):
    """The nearer the deadline, and the better the annotator, the more."""
    return policy.deadline_urgency * case.weight * case.ability * nearness(pool, t)
