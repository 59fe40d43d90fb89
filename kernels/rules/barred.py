"""Barred: whoever has let an offer of a task run out doesn't get it again at once, so that others come first.

The bar is ``accept_s`` long after the first offer of the two that nobody has answered, twice that after the second in a
row, and so on; then the task may come again. An answer to an offer begins the row anew.
"""

from kernels.jit import inner
from kernels.lifecycle.codes import NONE
from kernels.lifecycle.pairs import find
from kernels.lifecycle.pool_columns import LAST_BAR, NOW

WORDS = "they let an offer of it run out a short while ago: others come first"


@inner
def permits(pool, fit, t, a):
    """Is no bar of the two in force? While there is none in the pool, no pair is looked at."""
    if pool.clock[LAST_BAR] <= pool.clock[NOW]:
        return True
    p = find(pool, t, a)
    return p == NONE or pool.pairs.records[p].barred_until <= pool.clock[NOW]
