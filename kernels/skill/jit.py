"""How the kernels of this package are compiled: as all others, but that steps are always inlined."""

import numpy as np
from numba import njit

from kernels.jit import OPTIONS, PartCompiler, entry

__all__ = ["index", "inner", "kernel"]

kernel = entry
"""For kernels that are called from anywhere."""

inner = njit(no_cpython_wrapper=True, pipeline_class=PartCompiler, forceinline=True, **OPTIONS)
"""For steps of one kernel: a call would copy the whole of `Skills` on the stack."""


@inner
def index(i):
    """An index that is never negative: numba then leaves out the look whether it counts from the end."""
    return np.uint64(i)
