"""Kernels without a compiler: with ``NUMBA_DISABLE_JIT=1`` Python runs them, for a debugger, coverage and tests.

They give the same bytes, some hundred times slower. What Python and numpy do otherwise than compiled code is settled
here, where a kernel is entered, so that nobody who writes one need think of it: the arrays it is given, alone or in
tuples, become `Column`, and then

    a number read      is a plain int or float, for numpy reckons in the width of the array (float32, int16, …) and
                       compiled code does not
    a row read         has its fields as attributes; numpy's rows have none, and those of a recarray are hidden by
                       methods of the same name (``fill``, ``round``, ``size``)

A kernel written as LLVM instructions has a second body, in Python (``kernels.jit.instructions``); one whose unsigned
numbers wrap round, as a hash's do, says so (`wrapping`); and `lgamma` is not Python's.
"""

import ctypes
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import config

INTERPRETED = bool(config.DISABLE_JIT)


class Row:
    """A row of a column of records, read and written in place."""

    __slots__ = ("_void",)

    def __init__(self, void: np.void) -> None:
        object.__setattr__(self, "_void", void)

    def __getitem__(self, name: str) -> Any:
        return self._void[name].item()

    def __setitem__(self, name: str, value: Any) -> None:
        self._void[name] = value

    __getattr__ = __getitem__
    __setattr__ = __setitem__


class Column(np.ndarray):
    """An array as kernels know it."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, np.ndarray):
            return found
        return Row(found) if isinstance(found, np.void) else found.item()

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value._void if isinstance(value, Row) else value)


def _as_columns(given: Any) -> Any:
    if isinstance(given, np.ndarray):
        return given.view(Column)
    if isinstance(given, tuple):
        seen = map(_as_columns, given)
        return given._make(seen) if hasattr(given, "_make") else tuple(seen)
    return given


def interpreted(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The kernel as it is, to be called from Python or from another one."""

    @functools.wraps(kernel)
    def enter(*given: Any) -> Any:
        return kernel(*map(_as_columns, given))

    return enter


#: Around an interpreted kernel whose unsigned numbers wrap round.
wrapping = np.errstate(over="ignore")


def _of_the_c_library() -> Callable[[float], float]:
    """What compiled code calls; Python has a lgamma of its own, whose last bits are others."""
    function = ctypes.CDLL(None).lgamma
    function.argtypes, function.restype = [ctypes.c_double], ctypes.c_double
    return function


lgamma = _of_the_c_library() if INTERPRETED else math.lgamma
"""Logarithm of the gamma function."""
