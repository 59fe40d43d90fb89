"""What matching writes on: lists of slots, candidates and offers, and the scratch of valuing pairs.

`Slots`, `Arcs` and `Offers` are counted buffers (`kernels.buffers`). A `Bench` is scratch whose size follows from the
market; a kernel that finds it too small does nothing and says so (`is_wide`, `check_bench`).
"""

from typing import NamedTuple

import numpy as np

from kernels.buffers import COUNTS, Overrun, first_room
from kernels.jit import inner
from kernels.lifecycle.pool_columns import ANNOTATORS_USED
from kernels.skill import ability as ability_of
from kernels.skill import prepare
from kernels.terms import COUNT
from kernels.valuation import standing_of


class Slots(NamedTuple):
    """A list of slots."""

    slots: np.ndarray  # i4
    count: np.ndarray


class Openings(NamedTuple):
    """Open work, open tasks of known answer and free annotators: three lists of slots, each with two counts."""

    work: np.ndarray  # i4
    golds: np.ndarray  # i4
    free: np.ndarray  # i4
    count: np.ndarray  # i8[6]: of the three at OF_WORK, OF_GOLDS, OF_FREE


OF_WORK, OF_GOLDS, OF_FREE = 0, 2, 4


class Arcs(NamedTuple):
    """Candidate pairs, row by row: places among the free annotators, and values."""

    indices: np.ndarray  # i4
    values: np.ndarray  # f8
    count: np.ndarray


class Offers(NamedTuple):
    """Offers made, and the terms of their values."""

    tasks: np.ndarray  # i4
    annotators: np.ndarray  # i4
    terms: np.ndarray  # f8[:, terms]
    count: np.ndarray


class Bench(NamedTuple):
    """Scratch for valuing pairs of up to `m` annotators in models of up to K classes."""

    place: np.ndarray  # i4[annotators], NONE everywhere between calls
    theta: np.ndarray  # f8[m, K * K + K]
    ability: np.ndarray  # f8[m]
    standing: np.ndarray  # u1[m]
    row_i: np.ndarray  # i4[m]
    row_v: np.ndarray  # f8[m]
    gain: np.ndarray  # f8[m, 3]: what each would add at the posterior at hand; most tasks wait and are alike
    out: np.ndarray  # f8[terms]
    best: np.ndarray  # f8[terms]


def slots(guess: int) -> Slots:
    """An empty list of slots."""
    return Slots(np.empty(first_room(guess), np.int32), np.zeros(COUNTS, np.int64))


def openings(work: int, golds: int, free: int) -> Openings:
    """Three empty lists with so much room."""
    lists = (np.empty(room, np.int32) for room in (work, golds, free))
    return Openings(*lists, np.zeros(3 * COUNTS, np.int64))


def offers(guess: int) -> Offers:
    """An empty list of offers."""
    n = first_room(guess)
    tasks, annotators = np.empty(n, np.int32), np.empty(n, np.int32)
    return Offers(tasks, annotators, np.empty((n, COUNT)), np.zeros(COUNTS, np.int64))


def bench(annotators: int, m: int, width: int) -> Bench:
    """Scratch for a pool with so many annotators, of whom ``m`` are free, and rows of theta of this ``width``."""
    return Bench(
        np.full(annotators, -1, np.int32), np.empty((m, width)), np.empty(m), np.empty(m, np.uint8),
        np.empty(m, np.int32), np.empty(m), np.empty((m, 3)), np.empty(COUNT), np.empty(COUNT),
    )  # fmt: skip


@inner
def is_wide(pool, bench, m):
    """Does the scratch serve this pool with ``m`` free annotators?"""
    k = pool.tasks.reported.shape[1]
    rows = min(bench.theta.shape[0], bench.ability.shape[0], bench.standing.shape[0])
    rows = min(rows, bench.row_i.shape[0], bench.row_v.shape[0], bench.gain.shape[0])
    width = min(bench.out.shape[0], COUNT) == COUNT and bench.gain.shape[1] >= 3
    return width and rows >= m and bench.theta.shape[1] >= k * k + k and (
        bench.place.shape[0] >= pool.counters[ANNOTATORS_USED]
    )


def check_bench(is_served: bool) -> None:
    """Raise Overrun if a kernel has found its `Bench` too small."""
    if not is_served:
        raise Overrun("Expected scratch for all free annotators and the pool's classes")


def checked(at: int) -> int:
    """Where a kernel that needs scratch has come to; Overrun if the scratch was too small for it."""
    check_bench(at >= 0)
    return int(at)


@inner
def prepare_model(pool, m, free, n_free, least, bench):
    """Prepare the free annotators for the tasks of one model; ``least`` see ``kernels.skill.contained``."""
    for j in range(n_free):
        seat = np.int64(pool.skills.seat_of[m, free[j]])
        prepare(pool.skills, m, seat, bench.theta[j])
        bench.ability[j] = ability_of(pool.skills, m, seat)
        bench.standing[j] = standing_of(pool.skills, m, seat, bench.ability[j], least)
