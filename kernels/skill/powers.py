"""Logarithm and powers of numbers in (0, 1], to 10^-5, in a few plain operations.

The calibrated posterior is rounded to 2^-16 and needs K powers per judgment; the exact `pow` took a quarter of
the update. Written out, the same bits come out on every machine, whatever its mathematical library.

    log2 x:  x = 2^e m, m in [1/sqrt 2, sqrt 2),  t = (m - 1) / (m + 1),  log m = 2 (t + t^3/3 + t^5/5)
    2^y:     y = n + f, n whole, f in [-1/2, 1/2],  2^f = sum of (f log 2)^i / i! to i = 6
"""

import numpy as np
from llvmlite import ir
from numba import types

from kernels.jit import instructions
from kernels.skill.inlining import inner

EXPONENT = 52
BIAS = 1023
FRACTION = (1 << EXPONENT) - 1
ONE = BIAS << EXPONENT
SQRT_2 = 1.4142135623730951
LOG_2 = 0.6931471805599453
TO_LOG_2 = 2.0 / LOG_2
LEAST = -1000.0
"""2^LEAST is the smallest power given: results stay normal numbers."""


def _write_bits(typing, x):
    return types.int64(types.float64), lambda context, builder, sig, args: builder.bitcast(args[0], ir.IntType(64))


def _write_float(typing, i):
    return types.float64(types.int64), lambda context, builder, sig, args: builder.bitcast(args[0], ir.DoubleType())


@instructions(_write_bits)
def _bits(x):
    """The 64 bits of a float64, as an integer."""
    return np.float64(x).view(np.int64)


@instructions(_write_float)
def _float(i):
    """The float64 that has these 64 bits."""
    return np.int64(i).view(np.float64)


@inner
def log2(x):
    """Logarithm to base 2 of a normal `x` > 0."""
    bits = _bits(x)
    e = (bits >> EXPONENT) - BIAS
    m = _float((bits & FRACTION) | ONE)
    if m > SQRT_2:
        m *= 0.5
        e += 1
    t = (m - 1.0) / (m + 1.0)
    s = t * t
    return e + TO_LOG_2 * t * (1.0 + s * (1 / 3 + s * (1 / 5)))


@inner
def exp2(y):
    """2^y for -1000 <= y <= 1000; what is less counts as -1000."""
    y = max(y, LEAST)
    n = int(y + (BIAS + 0.5)) - BIAS  # the nearest whole number: truncation of something positive
    f = (y - n) * LOG_2
    s = f * f
    # two short chains in place of a long one: the processor does them side by side
    p = (1.0 + f) + s * ((1 / 2 + f * (1 / 6)) + s * ((1 / 24 + f * (1 / 120)) + s * (1 / 720)))
    return p * _float((n + BIAS) << EXPONENT)
