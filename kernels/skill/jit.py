"""How the kernels of this package are compiled: as all others, but that steps are always inlined."""

from numba import njit

from kernels.jit import OPTIONS, PartCompiler, entry

__all__ = ["inner", "kernel"]

kernel = entry
"""For kernels that are called from anywhere."""

inner = njit(no_cpython_wrapper=True, pipeline_class=PartCompiler, forceinline=True, **OPTIONS)
"""For steps of one kernel: a call would copy the whole of `Skills` on the stack."""
