"""Cost: what the judgment costs, and the annotator's time at their rate."""

from kernels.jit import inner

WORDS = "the time it takes, at this person's rate, and the fixed cost of a judgment"


@inner
def worth(pool, t, a, case, policy):
    """Never positive."""
    return -policy.judgment_cost - pool.annotators.records[a].cost * pool.tasks.records[t].expected_s / 3600.0
