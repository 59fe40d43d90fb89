"""How the kernels of this package are compiled: as all others, but that steps are always inlined."""

import numpy as np

from kernels.jit import entry, inlined

__all__ = ["index", "inner", "kernel"]

kernel = entry
"""For kernels that are called from anywhere."""

inner = inlined
"""For steps of one kernel: a call would copy the whole of `Skills` on the stack."""


@inner
def index(i):
    """An index that is never negative: numba then leaves out the look whether it counts from the end."""
    return np.uint64(i)
