"""What work of an annotator on a task is charged to, by all rules that count."""

from kernels.jit import inner
from kernels.rules import budget, share


@inner
def begin(pool, t, a, amount):
    """Work of the two is under way (1), or no longer (-1)."""
    budget.promise(pool, t, amount)
    share.charge(pool, t, a, amount)


@inner
def judge(pool, t, a, amount):
    """A judgment of the two counts (1), or no longer does (-1)."""
    budget.spend(pool, t, amount)
    share.charge(pool, t, a, amount)
