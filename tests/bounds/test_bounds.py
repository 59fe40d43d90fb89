"""The lane in which every index of every kernel is checked: `make bounds` runs these, and histories beside them.

Compiled code looks at no index (`kernels.buffers`), unless numba is told to when it compiles. Numba's cache doesn't
know what it was told, so the lane keeps its code in a place of its own, and the stamp of our kernels says it too: code
that looks at no index can't be taken for code that does. An index of -1 counts from the end, with the check as without.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import config

from kernels.lifecycle.pairs import free_pairs
from stream.core.state.tables import Columns
from tests.core.test_room import POOLS

ROOT = Path(__file__).parents[2]
BEYOND = "from stream.core.state.tables import Columns; from kernels.lifecycle.pairs import free_pairs"
BEYOND += "; c = Columns().pool"


def run(code: str, cache: Path, checked: bool) -> subprocess.CompletedProcess[str]:
    """Run a few lines in a process of their own, kernels compiled into ``cache``."""
    told = {"NUMBA_CACHE_DIR": str(cache), "NUMBA_BOUNDSCHECK": str(int(checked)), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | told, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_lane_checks_and_keeps_its_code_to_itself() -> None:
    assert config.BOUNDSCHECK
    assert os.environ["NUMBA_CACHE_DIR"]


def test_an_index_beyond_the_end_is_an_error_in_a_kernel_and_in_what_it_calls() -> None:
    columns = Columns().pool
    free_pairs(columns, 0)
    with pytest.raises(IndexError):
        free_pairs(columns, len(columns.tasks.records))
    columns.tasks.records["head"][0] = len(columns.pairs.records)
    with pytest.raises(IndexError):
        free_pairs(columns, 0)


def test_code_that_looks_at_no_index_is_not_taken_for_code_that_does(tmp_path: Path) -> None:
    """The same cache, first without the check: with it the kernel is compiled again."""
    unchecked = run(f"{BEYOND}; free_pairs(c, 0); print(free_pairs.stats.cache_misses)", tmp_path, checked=False)
    assert unchecked.returncode == 0, unchecked.stderr
    hits = "print(sum(free_pairs.stats.cache_hits.values()))"
    again = run(f"{BEYOND}; free_pairs(c, 0); {hits}", tmp_path, checked=False)
    assert again.stdout.strip() == "1", again.stderr
    checked = run(f"{BEYOND}; free_pairs(c, len(c.tasks.records))", tmp_path, checked=True)
    assert "IndexError" in checked.stderr


def test_a_planted_overrun_fails_the_lane(tmp_path: Path) -> None:
    """`append` without its refusal writes behind the end of a full list: a history with little room finds it."""
    tree = tmp_path / "tree"
    for name in ("kernels", "stream", "tests", "load", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
        else:
            shutil.copy(source, tree / name)
    buffers = tree / "kernels" / "buffers.py"
    text = buffers.read_text()
    refusal = "    if k >= room:\n        return _NONE\n"
    assert text.count(refusal) == 1
    buffers.write_text(text.replace(refusal, ""))
    script = f"{POOLS}\nprint(*(stalled.error for stalled in course.result.completed.stalled))"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-c", script]
    found = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert "index is out of bounds" in found.stdout + found.stderr


def test_the_check_looks_through_casts_to_unsigned() -> None:
    """`index` casts: what was negative is far beyond the end."""
    from kernels.jit import entry  # noqa: PLC0415 - compiled here alone
    from kernels.skill.inlining import index  # noqa: PLC0415

    @entry
    def read(numbers, i):  # type: ignore[no-untyped-def]
        return numbers[index(i)]

    with pytest.raises(IndexError):
        read(np.zeros(3), np.int64(3))
    with pytest.raises(IndexError):
        read(np.zeros(3), np.int64(-1))
