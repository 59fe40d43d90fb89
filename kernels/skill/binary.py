"""The product of theta and the counting for two classes, unrolled: most skills are yes or no, and here time goes.

The equations are those of `update`; with two classes a miss has one place to go, so `shape` is 1.
"""

from typing import NamedTuple

from kernels.skill.confusion import LOCAL_MEAN, UNRIPE, shared_at, strengths, weight_of
from kernels.skill.inlining import index, inner
from kernels.skill.skill_columns import ALONE

WIDTH = 7
"""Floats per engine and seat: N[2, 2], S[2], A."""


class _Weighed(NamedTuple):
    """A judgment, and what its row is shrunk towards."""

    label: int
    row: float
    top: float
    inverse: float
    own: float


@inner
def _factors(evidence, base, given, b0, b1):
    """Numerators and denominators of theta[0, label] and theta[1, label], engines 0 and 1."""
    label, row, top, inverse, own = given
    mean = (top + evidence[index(base + 6)] - own * (b1 if label else b0)) * inverse
    hit = row * mean
    miss = row - hit
    n0 = evidence[index(base + 2 * label)] - own * b0
    n1 = evidence[index(base + 2 * label + 1)] - own * b1
    x0 = (miss if label else hit) + n0
    x1 = (hit if label else miss) + n1
    return x0, x1, row + evidence[index(base + 4)] - own * b0, row + evidence[index(base + 5)] - own * b1


@inner
def _bent(evidence, base, given, b0, b1, lift0, lift1):
    """The same for engine 2, whose rows are bent by `lift`."""
    label, row, top, inverse, own = given
    mean = (top + evidence[index(base + 6)] - own * (b1 if label else b0)) * inverse
    wrong = 1.0 - mean
    odds0 = mean * lift0
    odds1 = mean * lift1
    both0 = odds0 + wrong
    both1 = odds1 + wrong
    n0 = evidence[index(base + 2 * label)] - own * b0
    n1 = evidence[index(base + 2 * label + 1)] - own * b1
    x0 = row * (wrong if label else odds0) + n0 * both0
    x1 = row * (odds1 if label else wrong) + n1 * both1
    y0 = (row + evidence[index(base + 4)] - own * b0) * both0
    y1 = (row + evidence[index(base + 5)] - own * b1) * both1
    return x0, x1, y0, y1


@inner
def products(skills, task, first, last, counted, met, scratch):
    """Multiply numerators into `q` and denominators into `under`, judgments first to last - 1; K = 2.

    `counted` is how many of the task's judgments are in the statistics, checked ones if they have `met`; the later
    ones are fresh. Returns the sum of how `ripe` they are.
    """
    m, seats, labels, stamps, belief = task.m, task.seats, task.labels, task.stamps, task.belief
    q, under = scratch.q, scratch.under
    evidence = skills.evidence
    known = 0.0
    local, strength = strengths(skills, m)
    lift = shared_at(skills, m) + 8
    lift0, lift1 = evidence[index(lift)], evidence[index(lift + 1)]
    b0, b1, b2, b3, b4, b5 = belief[0], belief[1], belief[2], belief[3], belief[4], belief[5]
    q0, q1, q2, q3, q4, q5 = q[0], q[1], q[2], q[3], q[4], q[5]
    u0, u1, u2, u3, u4, u5 = under[0], under[1], under[2], under[3], under[4], under[5]
    for j in range(first, last):
        record = skills.seats[index(seats[index(j)])]
        scale = weight_of(record["epoch"] - record["base"])
        own = weight_of(stamps[index(j)] - record["base"]) if j < counted else 0.0
        seeded = record["seeded_weight"]
        top = scale * (local * LOCAL_MEAN + seeded * record["seeded_accuracy"])
        base = record["offset"] + 1
        weight = evidence[index(base - 1)]
        checked = weight - record[ALONE] - (own if met else 0.0) + scale * seeded
        known += checked / (checked + scale * UNRIPE)
        inverse = 1.0 / (scale * (local + seeded) + weight - own)
        given = _Weighed(labels[index(j)], scale * strength, top, inverse, own)
        x0, x1, y0, y1 = _factors(evidence, base, given, b0, b1)
        q0 *= x0
        q1 *= x1
        u0 *= y0
        u1 *= y1
        x0, x1, y0, y1 = _factors(evidence, base + WIDTH, given, b2, b3)
        q2 *= x0
        q3 *= x1
        u2 *= y0
        u3 *= y1
        x0, x1, y0, y1 = _bent(evidence, base + 2 * WIDTH, given, b4, b5, lift0, lift1)
        q4 *= x0
        q5 *= x1
        u4 *= y0
        u5 *= y1
    q[0], q[1], q[2], q[3], q[4], q[5] = q0, q1, q2, q3, q4, q5
    under[0], under[1], under[2], under[3], under[4], under[5] = u0, u1, u2, u3, u4, u5
    return known


@inner
def scale(q, under):
    """Make the larger of two products of quotients 1; multiplying crosswise saves two divisions."""
    for e in range(0, 6, 2):
        q0 = q[e] * under[e + 1]
        q1 = q[e + 1] * under[e]
        q[e] = 1.0 if q0 >= q1 else q0 / q1
        q[e + 1] = 1.0 if q1 >= q0 else q1 / q0
        under[e] = 1.0
        under[e + 1] = 1.0


@inner
def count(evidence, start, label, weight, change):
    """Add `change` (three engines, two classes), times `weight`, to the statistics of the seat at `start`."""
    c0, c1, c2, c3, c4, c5 = change[0], change[1], change[2], change[3], change[4], change[5]
    base = start + 1
    _add(evidence, base, label, weight * c0, weight * c1)
    _add(evidence, base + WIDTH, label, weight * c2, weight * c3)
    _add(evidence, base + 2 * WIDTH, label, weight * c4, weight * c5)


@inner
def _add(evidence, base, label, d0, d1):
    evidence[index(base + 2 * label)] += d0
    evidence[index(base + 2 * label + 1)] += d1
    evidence[index(base + 4)] += d0
    evidence[index(base + 5)] += d1
    evidence[index(base + 6)] += d1 if label else d0
