"""Once: whoever has judged a task, declined it or kept it without an answer never gets it again."""

from kernels.jit import inner
from kernels.lifecycle.codes import LAPSED, NONE, WITHDRAWN
from kernels.lifecycle.pairs import find

WORDS = "they have had the task"


@inner
def permits(pool, fit, t, a):
    """Have the two nothing to do with each other, or only an offer that ended without them?"""
    p = find(pool, t, a)
    return p == NONE or pool.pairs.records[p].state in (LAPSED, WITHDRAWN)
