"""Information: mutual information of the answer and the truth, nats, at the calibrated posterior."""

from kernels.jit import inner

WORDS = "what this person's answer is expected to tell about the task"


@inner
def worth(pool, t, a, case, policy):
    """Of one more judgment."""
    return case.weight * case.information
