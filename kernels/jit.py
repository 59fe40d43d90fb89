"""How the kernels are compiled.

``_nrt=False`` compiles without numba's runtime for allocated memory: an allocation inside a kernel becomes a compile
error, and array views cost no reference counts (an atomic operation each, dozens a call for a tuple of columns).
``error_model="numpy"`` removes the checks that could raise. Kernels that only kernels call need no Python wrapper,
which is most of the compile time of a small one. No ``fastmath``: sums and ties must not depend on the machine.
"""

from numba import njit

entry = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True)
"""For kernels that Python calls."""

inner = njit(nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True, no_cpython_wrapper=True)
"""For kernels that only kernels call: cached as part of their callers."""
