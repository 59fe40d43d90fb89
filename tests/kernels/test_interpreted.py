"""Without a compiler the kernels do the same: a debugger and coverage then say something about compiled code."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from numba import config

from kernels.interpreted import Column, interpreted
from kernels.lifecycle.pool_columns import PAIR, blank
from tests.kernels.played import all_digests


@pytest.mark.slow
def test_compiled_code_and_the_interpreter_give_the_same_bytes() -> None:
    other = {**os.environ, "NUMBA_DISABLE_JIT": str(int(not config.DISABLE_JIT))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernels.played"], env=other, capture_output=True, text=True, check=True
    )
    assert all_digests() == json.loads(done.stdout)


def test_a_row_is_read_and_written_in_place_by_its_fields_whatever_methods_arrays_have() -> None:
    pairs = blank(PAIR, 3)

    def kernel(pairs, source):
        pair = pairs[1]
        pair.round = 7  # numpy's rows have a method of this name
        pair.index = pair.round + 1
        pair["due"] = 0.5
        pairs[2] = pair
        pairs[0] = source[0]
        return pair.round, pair.next, pair.due

    source = blank(PAIR, 1)
    source["label"] = 5
    assert interpreted(kernel)(pairs, source) == (7, -1, 0.5)
    assert pairs["round"].tolist() == [0, 7, 7] and pairs["index"].tolist() == [-1, 8, 8]
    assert pairs["label"].tolist() == [5, 0, 0]


def test_numbers_are_reckoned_with_in_full_width_as_in_compiled_code() -> None:
    def kernel(narrow, small):
        return narrow[0] * 0.1, small[0] * 300

    assert interpreted(kernel)(np.ones(1, np.float32), np.full(1, 200, np.int16)) == (0.1, 60_000)


def test_a_field_that_a_record_has_not_is_an_error() -> None:
    with pytest.raises(ValueError, match="no field of name"):
        blank(PAIR, 1).view(Column)[0].rounds = 1
