"""How the kernels of this package are compiled.

`_nrt=False` leaves out reference counting. None of these kernels allocates or keeps an array, so nothing
needs to be counted; with it the six arrays of `Skills` cost more atomic operations than a judgment costs
arithmetic.
The option is private to numba, whose version is pinned. A kernel that allocates is compiled by plain `njit`.

`error_model="numpy"` leaves out the test for a zero divisor: none occurs, and it would keep loops from
unrolling.
"""

from numba import njit

kernel = njit(cache=True, nogil=True, error_model="numpy", _nrt=False)
"""For kernels that are called from anywhere."""

inner = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, forceinline=True)
"""For steps of one kernel: a call would copy the whole of `Skills` on the stack."""
