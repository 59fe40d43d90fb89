"""The methods for scientists: the examples of their page, nothing at import, nothing compiled for other types."""

import doctest
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import streaming_allocator as sa
from kernels.auction.solver import solve_kernel
from kernels.study import recorded

ROOT = Path(__file__).parents[2]


def test_the_examples_of_the_page_run_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    tried = doctest.testfile(str(ROOT / "docs" / "python.md"), module_relative=False)
    assert tried.attempted > 15 and not tried.failed


def test_importing_it_loads_and_changes_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import streaming_allocator as sa; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names); "
        "assert new == {'streaming_allocator'}, new; assert 'consensus' in dir(sa)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="it has Assignment"):
        sa.nothing  # noqa: B018


@pytest.mark.parametrize("kind", [list, np.int8, np.int32, np.int64, np.uint16, np.float64])
def test_no_other_type_is_compiled_for(kind: type) -> None:
    def of(values: Any) -> Any:
        return values if kind is list else np.array(values, kind)

    tasks, people, labels = [0, 0, 1, 1, 2], [0, 1, 0, 1, 0], [0, 0, 1, 1, 0]
    sa.consensus(of(tasks), of(people), of(labels))
    sa.assign(of([[3, 1], [2, 4]]), demand=of([1, 1]), capacity=of([1, 1]))
    kernels: tuple[Any, ...] = recorded.replay, solve_kernel
    assert [len(kernel.signatures) for kernel in kernels] == [1, 1]


def test_classes_of_numbers_keep_their_values_and_repeats_count_once() -> None:
    found = sa.consensus(["a", "a", "b", "a"], [1, 2, 1, 1], [7, 7, 9, 9])
    assert found.labels == {"a": 7, "b": 9}
    assert found.classes == [7, 9]
    assert found.people[1].judgments == 2
    shifted = sa.consensus(["a", "a", "b"], [1, 2, 1], [8, 8, 10])
    assert np.array_equal(found.posterior, shifted.posterior)


@pytest.mark.slow
def test_columns_of_a_data_frame_work() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"task": ["a", "a", "b"], "who": ["x", "y", "x"], "label": ["yes", "yes", "no"]})
    assert sa.consensus(frame["task"], frame["who"], frame["label"]).labels == {"a": "yes", "b": "no"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1], [1, 2], [1]), "as many tasks as annotators and labels, got 1, 2, 1"),
        (([], [], []), "at least one judgment"),
        (([[1]], [1], [1]), "as one sequence, got a table"),
    ],
)
def test_unusable_judgments_are_named(arguments: tuple[Any, Any, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sa.consensus(*arguments)
    with pytest.raises(ValueError, match="expected labels out of"):
        sa.consensus(["a"], ["x"], ["dgo"], classes=["cat", "dog"])


def test_lists_dense_and_sparse_are_one_market() -> None:
    draw = np.random.default_rng(2)
    dense = np.where(draw.random((40, 20)) < 0.3, draw.integers(1, 50, (40, 20)), 0)
    found = [
        sa.assign(market, demand=2, capacity=3, gap=0)
        for market in (dense.tolist(), dense, dense.astype(np.uint8), scipy.sparse.coo_array(dense))
    ]
    assert len({one.value for one in found}) == 1
    assert found[0].bound - found[0].value < 1, "proven: values are whole"
    for one in found:
        assert sum(dense[pair] for pair in one.pairs) == one.value
    with pytest.raises(ValueError, match="expected a table"):
        sa.assign([1, 2])
    with pytest.raises(ValueError, match="expected one capacity, or 2 of them; got 3"):
        sa.assign([[1, 2]], capacity=[1, 1, 1])
