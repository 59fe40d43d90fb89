"""Bad input is rejected by kind, in words that say what was expected and where."""

from typing import Any

import numpy as np
import pytest

from kernels.auction import certificate, solve

GOOD: dict[str, Any] = {
    "indptr": np.array([0, 2, 3]),
    "indices": np.array([0, 1, 1], np.int32),
    "values": np.array([1.0, 2.0, 3.0]),
    "demand": np.array([1, 1]),
    "capacity": np.array([1, 1]),
}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"indptr": [0, 2, 3]}, TypeError, "indptr: expected a numpy array of int64, got list"),
        ({"indptr": np.array([0, 2, 3], np.int32)}, TypeError, "indptr: expected dtype int64, got int32"),
        ({"indptr": np.array([[0, 2, 3]])}, ValueError, "indptr: expected one dimension"),
        ({"indptr": np.empty(0, np.int64)}, ValueError, "indptr: expected length tasks"),
        ({"indptr": np.array([0, 2, 4])}, ValueError, "indptr: expected to rise from 0 to 3"),
        ({"indptr": np.array([0, 4, 3])}, ValueError, "broken at row 0"),
        ({"indptr": np.array([1, 2, 3])}, ValueError, "indptr: expected to rise from 0 to 3"),
        ({"indices": np.array([0, 1, 1])}, TypeError, "indices: expected dtype int32, got int64"),
        (
            {"indices": np.array([0, 2, 1], np.int32)},
            ValueError,
            r"indices\[1\]: expected 0 <= annotator < 2, got 2",
        ),
        ({"indices": np.array([0, 1, -1], np.int32)}, ValueError, r"indices\[2\]: .* got -1 \(task 1\)"),
        ({"indices": np.array([1, 1, 1], np.int32)}, ValueError, "annotator 1 appears twice .* of task 0"),
        ({"values": np.array([1, 2, 3])}, TypeError, "values: expected dtype float64 or float32, got int64"),
        ({"values": np.array([1.0, 2.0])}, ValueError, "values: expected length 3, got 2"),
        ({"values": np.arange(6.0)[::2]}, ValueError, "values: expected a contiguous array"),
        ({"values": np.array([1.0, np.inf, 3.0])}, ValueError, r"values\[1\]: expected a finite value"),
        ({"demand": np.array([1.0, 1.0])}, TypeError, "demand: expected dtype int64, got float64"),
        ({"demand": np.array([1])}, ValueError, "demand: expected length 2, got 1"),
        ({"capacity": np.array([1, 1], np.int32)}, TypeError, "capacity: expected dtype int64"),
    ],
)
def test_malformed_market_is_named(change: Any, error: Any, words: Any) -> None:
    with pytest.raises(error, match=words):
        solve(**(GOOD | change))
    with pytest.raises(error, match=words):
        certificate(**(GOOD | change), held=np.zeros(3, np.uint8), price=np.zeros(2))


@pytest.mark.parametrize(
    ("option", "error", "words"),
    [
        ({"price": np.array([0.0, -1.0])}, ValueError, r"price\[1\]: expected >= 0"),
        ({"price": np.array([0.0, np.nan])}, ValueError, r"price\[1\]: expected >= 0"),
        ({"price": np.zeros(3)}, ValueError, "price: expected length 2, got 3"),
        ({"held": np.zeros(3, bool)}, TypeError, "held: expected dtype uint8, got bool"),
        ({"held": np.zeros(2, np.uint8)}, ValueError, "held: expected length 3, got 2"),
        ({"gap_tol": -0.1}, ValueError, "gap_tol: expected 0 <= gap_tol < 1"),
        ({"gap_tol": np.nan}, ValueError, "gap_tol: expected 0 <= gap_tol < 1"),
        ({"abs_tol": -1.0}, ValueError, "abs_tol: expected 0 <= abs_tol < inf"),
        ({"max_work": -1}, ValueError, "max_work: expected >= 0"),
    ],
)
def test_malformed_option_is_named(option: Any, error: Any, words: Any) -> None:
    with pytest.raises(error, match=words):
        solve(**GOOD, **option)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([1, 1, 0], "task 0 has more annotators than its demand 1"),
        ([0, 1, 1], "annotator 1 has more tasks than the capacity 1"),
    ],
)
def test_certificate_rejects_an_infeasible_assignment(held: Any, words: Any) -> None:
    with pytest.raises(ValueError, match=words):
        certificate(**GOOD, held=np.array(held, np.uint8), price=np.zeros(2))


def test_certificate_rejects_a_worthless_arc() -> None:
    market = GOOD | {"values": np.array([-1.0, 2.0, 3.0])}
    with pytest.raises(ValueError, match=r"held\[0\]: expected arcs of positive value, got -1.0"):
        certificate(**market, held=np.array([1, 0, 1], np.uint8), price=np.zeros(2))
