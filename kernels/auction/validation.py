"""What the kernels rely on, checked once at the door, each violation with words of its own.

The compiled code indexes without bounds checks: a market that passes here cannot make it read or write
outside its arrays.  The checks read every arc once and need a mark per annotator; a caller that builds its
arrays itself switches them off with ``check=False``.  One thing is looked at even then, because prices depend on it
and counting the columns shows it for a hundredth of a solve: no annotator may stand twice in a row (`count_once`)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from kernels.jit import allocating

FINE, BAD_INDPTR, BAD_INDEX, DUPLICATE, INFINITE = 0, 1, 2, 3, 4


@allocating
def first_fault(indptr, indices, values, n, seen):
    """Kind of the first fault, its row and its arc.  `seen` is int64[n], any content."""
    if indptr[0] != 0 or indptr[indptr.size - 1] != indices.size:
        return BAD_INDPTR, -1, -1
    seen[:] = -1
    for i in range(indptr.size - 1):
        if indptr[i + 1] < indptr[i] or indptr[i + 1] > indices.size:
            return BAD_INDPTR, i, -1
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            if j < 0 or j >= n:
                return BAD_INDEX, i, k
            if seen[j] == i:
                return DUPLICATE, i, k
            seen[j] = i
            if values[k] == np.inf:
                return INFINITE, i, k
    return FINE, -1, -1


@allocating
def repeats(indptr, indices, seen, first):
    """Whether a row names an annotator twice.  `seen` is int64[n] and holds numbers below `first`; row i marks them."""
    found = False
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            found |= seen[indices[k]] == first + i
            seen[indices[k]] = first + i
    return found


def count_once(indptr: np.ndarray, indices: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values with 0 for every arc but the best one of an annotator who is named more than once in a row."""
    rows = np.repeat(np.arange(indptr.size - 1), np.diff(indptr))
    order = np.lexsort((-values, indices, rows))  # NaN comes last
    again = np.flatnonzero((np.diff(rows[order]) == 0) & (np.diff(indices[order]) == 0)) + 1
    values = values.copy()
    values[order[again]] = 0.0
    return values


def check_bound(bound: float) -> None:
    """Raise where the duals prove nothing: an annotator with slots has no price, or a value was +inf."""
    if not bound < np.inf:
        raise ArithmeticError(f"expected a finite bound, got {bound}: is a value +inf? If not, report this market")


def check_array(name: str, array: np.ndarray, dtypes: Sequence[DTypeLike], size: int | None) -> None:
    """Raise unless `array` is a contiguous vector of one of `dtypes` and of length `size` (None: any)."""
    expected = " or ".join(np.dtype(d).name for d in dtypes)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: expected a numpy array of {expected}, got {type(array).__name__}")
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, got shape {array.shape}")
    if array.dtype not in [np.dtype(d) for d in dtypes]:
        raise TypeError(f"{name}: expected dtype {expected}, got {array.dtype}")
    if size is not None and array.size != size:
        raise ValueError(f"{name}: expected length {size}, got {array.size}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name}: expected a contiguous array; pass np.ascontiguousarray({name})")


def check_market(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, demand: np.ndarray, capacity: np.ndarray
) -> None:
    """Raise TypeError or ValueError if the arrays are not a market (see `solve`)."""
    check_array("indptr", indptr, [np.int64], None)
    if indptr.size == 0:
        raise ValueError("indptr: expected length tasks + 1, got 0")
    check_array("indices", indices, [np.int32], None)
    check_array("values", values, [np.float64, np.float32], indices.size)
    check_array("demand", demand, [np.int64], indptr.size - 1)
    check_array("capacity", capacity, [np.int64], None)
    if indices.size >= 2**31:
        raise ValueError(f"indices: expected fewer than 2**31 arcs, got {indices.size}")
    fault, i, k = first_fault(indptr, indices, values, capacity.size, np.empty(capacity.size, np.int64))
    if fault == BAD_INDPTR:
        raise ValueError(f"indptr: expected to rise from 0 to {indices.size} (len(indices)); broken at row {i}")
    if fault == BAD_INDEX:
        raise ValueError(f"indices[{k}]: expected 0 <= annotator < {capacity.size}, got {indices[k]} (task {i})")
    if fault == DUPLICATE:
        raise ValueError(f"indices[{k}]: annotator {indices[k]} appears twice among the candidates of task {i}")
    if fault == INFINITE:
        raise ValueError(f"values[{k}]: expected a finite value, got +inf (task {i}, annotator {indices[k]})")


def check_price(name: str, price: np.ndarray, n: int) -> None:
    """Raise unless `price` is float64[n] without NaN and negative entries."""
    check_array(name, price, [np.float64], n)
    if not (price >= 0.0).all():
        j = int(np.argmin(price >= 0.0))
        raise ValueError(f"{name}[{j}]: expected >= 0 (or +inf for unknown), got {price[j]}")


def check_start(nnz: int, n: int, price: np.ndarray | None, held: np.ndarray | None) -> None:
    """Raise unless the optional start prices and held arcs fit the market."""
    if price is not None:
        check_price("price", price, n)
    if held is not None:
        check_array("held", held, [np.uint8], nnz)


def check_targets(gap_tol: float, abs_tol: float, max_work: int) -> None:
    """Raise unless the targets are numbers that can be met."""
    if not 0.0 <= gap_tol < 1.0:
        raise ValueError(f"gap_tol: expected 0 <= gap_tol < 1, got {gap_tol}")
    if not 0.0 <= abs_tol < np.inf:
        raise ValueError(f"abs_tol: expected 0 <= abs_tol < inf, got {abs_tol}")
    if max_work < 0:
        raise ValueError(f"max_work: expected >= 0 arcs, got {max_work}")
