"""Compile every kernel for the types it is called with, before the first real market arrives.

Numba compiles at the first call.  A worker calls `precompile` before it joins, so that no round waits for
the compiler; the machine code is kept on disk and the next process only loads it."""

import numpy as np

from kernels.auction.certificate import certificate, dual_bound
from kernels.auction.explain import explain
from kernels.auction.market import Market
from kernels.auction.solver import solve


def precompile(*, market: bool = True) -> None:
    """Solve and certify a tiny market, one-shot and (with `market`) persistent."""
    case = (
        np.array([0, 2, 4]),
        np.array([0, 1, 0, 1], np.int32),
        np.array([1.0, 2.0, 3.0, 4.0]),
        np.array([1, 1]),
        np.array([1, 1]),
    )
    solution = solve(*case)
    certificate(*case, solution.held, solution.price)
    dual_bound(*case, solution.price)
    explain(*case, solution.held, solution.price)
    if market:
        persistent = Market(*case)
        persistent.solve()
        persistent.set_tasks(np.array([0]), np.array([0, 1]), np.array([0], np.int32), np.array([1.0]), np.array([1]))
        persistent.set_capacities(np.array([1]), np.array([2]))
        persistent.solve()
