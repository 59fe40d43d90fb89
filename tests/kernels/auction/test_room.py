"""A market that does not fit is refused before anything is written, checked or not."""

import numpy as np
import pytest

from kernels.auction import solve
from kernels.auction.solver import _workspace
from kernels.buffers import Overrun

GOOD = dict(
    indptr=np.array([0, 2, 4]), indices=np.array([0, 1, 0, 1], np.int32), values=np.array([9.0, 5.0, 7.0, 6.0]),
    demand=np.array([1, 1]), capacity=np.array([1, 1]),
)  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"indices": np.array([0, 1, 0, 2], np.int32)},
        {"indices": np.array([0, -1, 0, 1], np.int32)},
        {"indptr": np.array([0, 2, 5])},
        {"indptr": np.array([0, 3, 2])},
        {"indptr": np.array([-1, 2, 4])},
        {"indptr": np.array([0, 4])},
        {"values": np.array([9.0, 5.0, 7.0])},
    ],
)
def test_rows_and_annotators_outside_of_the_arrays_are_refused(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(Overrun, match="4 arcs of 2 annotators"):
        solve(**GOOD | wrong, check=False)


@pytest.mark.parametrize("wrong", [{"price": np.zeros(1)}, {"held": np.zeros(3, np.uint8)}])
def test_a_start_that_is_too_short_is_refused(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(Overrun):
        solve(**GOOD, **wrong, check=False)


@pytest.mark.parametrize("name", [name for name in _workspace.buffers._fields if name != "search"])
def test_a_workspace_that_did_not_grow_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    solve(**GOOD)
    short = getattr(_workspace.buffers, name)[:1]
    monkeypatch.setattr(_workspace, "buffers", _workspace.buffers._replace(**{name: short}))
    monkeypatch.setattr(_workspace, "grow", lambda **sizes: None)
    with pytest.raises(Overrun):
        solve(**GOOD)
