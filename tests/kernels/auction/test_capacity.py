"""Annotators with hundreds of slots: the heap of holders must decide as the plain scan does."""

import numpy as np
import pytest

from kernels.auction import certificate, solve
from load.checks.auction_random import optimum


def wide_market(rng):
    """Several hundred tasks, few annotators, capacities around and above the heap's threshold."""
    m, n = int(rng.integers(150, 500)), int(rng.integers(2, 8))
    length = rng.integers(1, n + 1, m)
    indices = np.concatenate([np.sort(rng.choice(n, k, replace=False)) for k in length]).astype(np.int32)
    indptr = np.concatenate(([0], np.cumsum(length))).astype(np.int64)
    kind = int(rng.integers(0, 3))
    if kind == 0:
        values = rng.integers(0, 10**4, indices.size)
    elif kind == 1:
        values = np.repeat(rng.integers(0, 40, m), length) * rng.integers(1, 9, n)[indices]
    else:
        values = np.repeat(rng.integers(0, 9, m), length)
    return indptr, indices, values.astype(np.float64), rng.integers(0, 4, m), rng.integers(40, 140, n)


@pytest.mark.parametrize("seed", range(30))
def test_large_capacities_are_solved_to_the_proven_optimum(seed):
    rng = np.random.default_rng(seed)
    case = wide_market(rng)
    s = solve(*case, gap_tol=0.0, abs_tol=0.5)
    _, bound, _ = certificate(*case, s.held, s.price)
    assert s.status == 0
    assert s.primal == optimum(*case)
    assert bound - s.primal < 1
