"""Rows of annotators: what they have in each project that counts for them."""

import numpy as np
import pytest

from stream.core.saved import rows
from stream.core.saved.rows import ANNOTATOR_HEAD, CREDIT, TAKEN, annotator_rows
from stream.core.state.pools import PoolState


def crowded(projects: int, people: int, seed: int = 1) -> PoolState:
    """A pool in which some projects limit, some teach, and a few people have something in each."""
    rng = np.random.default_rng(seed)
    pool = PoolState("pool")
    for n in range(projects):
        j = pool.project(f"p{n}")
        if n % 3:
            pool.limit(j)
        if n % 2:
            pool.teach(j)
    for n in range(people):
        pool.annotator(f"a{n}")
    c = pool.columns
    limited, taught = (int(c.projects.records[field].max()) + 1 for field in ("limited", "taught"))
    c.limited.taken[:limited, :people] = rng.integers(-1, 9, (limited, people)) * (rng.random(people) < 0.3)
    c.taught.credit[:taught, :people] = rng.random((taught, people)) * (rng.random((taught, people)) < 0.2)
    return pool


@pytest.mark.parametrize("at_once", [1, 40, 1 << 20])
def test_a_row_has_what_the_annotator_has_in_each_project_and_nothing_else(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "AMOUNTS", at_once)
    pool = crowded(projects=20, people=30)
    c = pool.columns
    slots = np.array([3, 0, 29, 7, 8, 9])
    for slot, (key, value) in zip(slots, annotator_rows(pool, slots), strict=True):
        assert key == b"apool\0a%d" % slot and value is not None
        _, _, shares, credits = ANNOTATOR_HEAD.unpack_from(value)
        at = ANNOTATOR_HEAD.size + c.annotators.records.itemsize
        expected = b"".join(
            pair.pack(j, column[row, slot])
            for field, column, pair in (("limited", c.limited.taken, TAKEN), ("taught", c.taught.credit, CREDIT))
            for j, row in enumerate(c.projects.records[field][: pool.projects.used])
            if row >= 0 and column[row, slot]
        )
        assert shares + credits == len(expected)
        assert value[at : at + len(expected)] == expected


def test_where_no_project_counts_a_row_has_nothing_of_it() -> None:
    pool = crowded(projects=1, people=3)
    for _, value in annotator_rows(pool, np.arange(3)):
        assert value is not None and ANNOTATOR_HEAD.unpack_from(value)[2:] == (0, 0)
