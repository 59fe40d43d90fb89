"""The auction for scientists: who does what, so that the total value is within a proven gap of the optimum."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernels import auction


class Assignment(NamedTuple):
    """Who does what, and the proof.

    Attributes
    ----------
    pairs : list of (int, int)
        Row and column of each pair: task and annotator.
    value : float
        What the pairs are worth together.
    bound : float
        No assignment is worth more.
    gap : float
        (bound - value) / bound.
    price : float64[annotators]
        What one more place of each annotator would be worth.
    """

    pairs: list[tuple[int, int]]
    value: float
    bound: float
    gap: float
    price: NDArray[np.float64]


def assign(values: Any, *, demand: ArrayLike = 1, capacity: ArrayLike = 1, gap: float = 1e-3) -> Assignment:
    """Assign annotators to tasks.

    Parameters
    ----------
    values : lists of lists, dense array, or SciPy sparse
        Row: a task, column: an annotator. A value ≤ 0, NaN or -inf, or none in a sparse matrix, is never taken.
    demand, capacity : int or int[tasks], int[annotators]
        How many annotators a task wants at most, how many tasks an annotator takes at most.
    gap : float
        Stop when so little may be missing of the optimum; 0 with integer values proves the optimum.

    Returns
    -------
    Assignment

    Raises
    ------
    ValueError
        With what was expected and what came.
    """
    indptr, indices, data, (tasks, annotators) = _rows(values)
    wanted, places = _counts(demand, tasks, "demand"), _counts(capacity, annotators, "capacity")
    whole = bool(np.all(data == np.round(data)))
    found = auction.solve(
        indptr, indices, data, wanted, places, gap_tol=gap, abs_tol=0.5 if whole and gap == 0 else 0.0
    )
    taken = np.flatnonzero(found.held)
    rows = np.searchsorted(indptr, taken, side="right") - 1
    pairs = list(zip(rows.tolist(), indices[taken].tolist(), strict=True))
    return Assignment(pairs, float(found.primal), float(found.bound), float(found.gap), found.price)


def _rows(values: Any) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], tuple[int, int]]:
    """Candidates as compressed rows, each array of the one type that the kernels are compiled for."""
    if hasattr(values, "tocsr"):
        matrix = values.tocsr()
        matrix.sum_duplicates()
        indptr, indices, data = matrix.indptr, matrix.indices, matrix.data
        shape = int(matrix.shape[0]), int(matrix.shape[1])
    else:
        dense = np.asarray(values, np.float64)
        if dense.ndim != 2:
            raise ValueError(f"expected a table, a row for each task; got {dense.ndim} dimensions")
        shape = dense.shape[0], dense.shape[1]
        taken = dense > 0  # NaN is not
        indptr = np.concatenate([[0], np.cumsum(taken.sum(axis=1))])
        indices, data = np.nonzero(taken)[1], dense[taken]
    return (
        np.ascontiguousarray(indptr, np.int64),
        np.ascontiguousarray(indices, np.int32),
        np.ascontiguousarray(data, np.float64),
        shape,
    )


def _counts(given: ArrayLike, length: int, what: str) -> NDArray[np.int64]:
    counts = np.asarray(given)
    if counts.ndim == 0:
        counts = np.full(length, counts)
    if counts.shape != (length,):
        raise ValueError(f"expected one {what}, or {length} of them; got {counts.size}")
    if np.any(counts < 0) or np.any(counts != np.round(counts)):
        raise ValueError(f"expected {what} in whole numbers from 0 on, got {counts.tolist()[:5]}")
    return np.ascontiguousarray(counts, np.int64)
