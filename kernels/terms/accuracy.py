"""Accuracy: by how much the label becomes likelier to be right, expected over the answers."""

from kernels.jit import inner

WORDS = "how much likelier it makes the right label"


@inner
def worth(pool, t, a, case, policy):
    """Of one more judgment."""
    return case.weight * case.accuracy
