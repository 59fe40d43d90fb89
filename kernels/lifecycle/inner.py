"""Decorator of transitions that only other kernels call: no Python wrapper is compiled for them."""

from numba import njit

inner = njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
