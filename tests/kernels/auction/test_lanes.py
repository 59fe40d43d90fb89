"""The best few arcs, eight at a time, are those that a sort finds."""

import numpy as np
import pytest

from kernels.auction import lanes
from kernels.auction.compiling import entry
from kernels.auction.market_arrays import ARC, ARC32

DEPTHS = (1, 2, 3, 4)


@entry
def of_row(values, indices, dual, start, stop, pick, key, depth):
    if depth == 1:
        lanes.row_top_1(values, indices, dual, start, stop, pick, key)
    elif depth == 2:
        lanes.row_top_2(values, indices, dual, start, stop, pick, key)
    elif depth == 3:
        lanes.row_top_3(values, indices, dual, start, stop, pick, key)
    else:
        lanes.row_top_4(values, indices, dual, start, stop, pick, key)


@entry
def of_column(arcs, dual, start, stop, pick, key, depth):
    if depth == 2:
        lanes.column_top_2(arcs, dual, start, stop, pick, key)
    elif depth == 3:
        lanes.column_top_3(arcs, dual, start, stop, pick, key)
    else:
        lanes.column_top_4(arcs, dual, start, stop, pick, key)


def by_sort(values, indices, dual, depth):
    """Places and surpluses of the best positive ones, the lowest place first among equals."""
    surplus = values.astype(np.float64) - dual[indices]
    surplus = np.where(surplus > 0, surplus, 0.0)
    order = np.lexsort((np.arange(surplus.size), -surplus))[:depth]
    return [(int(c), float(surplus[c])) for c in order if surplus[c] > 0]


def cases(dtype, seed):
    """Rows of 0 to 40 arcs at any alignment: continuous or full of ties, with NaN and infinite duals."""
    rng = np.random.default_rng(seed)
    for turn in range(400):
        size, m = int(rng.integers(0, 41)), int(rng.integers(1, 30))
        start = int(rng.integers(0, 4))
        values = rng.integers(-3, 8, start + size) / 4 if turn % 3 else rng.random(start + size)
        values = values.astype(dtype)
        if turn % 5 == 0 and values.size:
            values[rng.integers(0, values.size)] = np.nan
        dual = rng.integers(0, 5, m) / 8.0
        if turn % 7 == 0:
            dual[rng.integers(0, m)] = np.inf
        yield values, rng.integers(0, m, start + size).astype(np.int32), dual, start


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_best_arcs_are_those_that_a_sort_finds(dtype):
    pick, key = np.zeros(8, np.int64), np.zeros(8)
    for values, indices, dual, start in cases(dtype, seed=3):
        arcs = np.zeros(values.size, ARC if dtype == np.float64 else ARC32)
        arcs["value"], arcs["row"], arcs["arc"] = values, indices, 7
        for depth in DEPTHS:
            expected = by_sort(values[start:], indices[start:], dual, depth)
            found = []
            of_row(values, indices, dual, start, values.size, pick, key, depth)
            found.append([(int(pick[t]), float(key[t])) for t in range(depth) if key[t] > 0])
            if depth > 1:
                of_column(arcs, dual, start, values.size, pick, key, depth)
                found.append([(int(pick[t]), float(key[t])) for t in range(depth) if key[t] > 0])
            assert all(one == expected for one in found), (values, indices, dual, start, depth)
