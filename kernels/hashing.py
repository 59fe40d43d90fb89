"""All randomness of the kernels: a hash of the round's seed and of what is drawn for."""

import numpy as np

from kernels.interpreted import INTERPRETED, wrapping
from kernels.jit import entry


@(wrapping if INTERPRETED else entry)
def mix(seed, x):
    """A 64-bit hash (the finaliser of SplitMix64)."""
    z = np.uint64(seed) + np.uint64(x) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
