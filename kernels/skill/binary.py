"""The product of theta for two classes, unrolled: most skills are yes or no, and here their time goes.

The equations are those of `update`; with two classes a miss has one place to go, so `shape` is 1.
"""

from kernels.skill.confusion import LOCAL_MEAN, LOCAL_WEIGHT, ROW_WEIGHT, shared_at, weight_of
from kernels.skill.jit import inner

WIDTH = 7
"""Floats per engine and seat: N[2, 2], S[2], A."""


@inner
def _factors(evidence, base, label, row, top, inverse, own, b0, b1):
    """Numerators and denominators of theta[0, label] and theta[1, label], engines 0 and 1."""
    mean = (top + evidence[base + 6] - own * (b1 if label else b0)) * inverse
    hit = row * mean
    miss = row - hit
    n0 = evidence[base + 2 * label] - own * b0
    n1 = evidence[base + 2 * label + 1] - own * b1
    x0 = (miss if label else hit) + n0
    x1 = (hit if label else miss) + n1
    return x0, x1, row + evidence[base + 4] - own * b0, row + evidence[base + 5] - own * b1


@inner
def _bent(evidence, base, label, row, top, inverse, own, b0, b1, lift0, lift1):
    """The same for engine 2, whose rows are bent by `lift`."""
    mean = (top + evidence[base + 6] - own * (b1 if label else b0)) * inverse
    wrong = 1.0 - mean
    odds0 = mean * lift0
    odds1 = mean * lift1
    both0 = odds0 + wrong
    both1 = odds1 + wrong
    n0 = evidence[base + 2 * label] - own * b0
    n1 = evidence[base + 2 * label + 1] - own * b1
    x0 = row * (wrong if label else odds0) + n0 * both0
    x1 = row * (odds1 if label else wrong) + n1 * both1
    y0 = (row + evidence[base + 4] - own * b0) * both0
    y1 = (row + evidence[base + 5] - own * b1) * both1
    return x0, x1, y0, y1


@inner
def products(skills, m, seats, labels, stamps, first, last, counted, belief, q, under):
    """Multiply numerators into `q` and denominators into `under`, judgments first to last - 1; K = 2.

    `counted` is how many of the task's judgments are in the statistics; the later ones are fresh.
    """
    evidence = skills.evidence
    lift = shared_at(skills, m) + 8
    lift0, lift1 = evidence[lift], evidence[lift + 1]
    b0, b1, b2, b3, b4, b5 = belief[0], belief[1], belief[2], belief[3], belief[4], belief[5]
    q0, q1, q2, q3, q4, q5 = q[0], q[1], q[2], q[3], q[4], q[5]
    u0, u1, u2, u3, u4, u5 = under[0], under[1], under[2], under[3], under[4], under[5]
    for j in range(first, last):
        record = skills.seats[seats[j]]
        scale = weight_of(record["epoch"] - record["base"])
        own = weight_of(stamps[j] - record["base"]) if j < counted else 0.0
        seeded = record["seeded_weight"]
        top = scale * (LOCAL_WEIGHT * LOCAL_MEAN + seeded * record["seeded_accuracy"])
        base = record["offset"] + 1
        inverse = 1.0 / (scale * (LOCAL_WEIGHT + seeded) + evidence[base - 1] - own)
        row = scale * ROW_WEIGHT
        label = labels[j]
        x0, x1, y0, y1 = _factors(evidence, base, label, row, top, inverse, own, b0, b1)
        q0 *= x0
        q1 *= x1
        u0 *= y0
        u1 *= y1
        x0, x1, y0, y1 = _factors(evidence, base + WIDTH, label, row, top, inverse, own, b2, b3)
        q2 *= x0
        q3 *= x1
        u2 *= y0
        u3 *= y1
        x0, x1, y0, y1 = _bent(
            evidence, base + 2 * WIDTH, label, row, top, inverse, own, b4, b5, lift0, lift1
        )
        q4 *= x0
        q5 *= x1
        u4 *= y0
        u5 *= y1
    q[0], q[1], q[2], q[3], q[4], q[5] = q0, q1, q2, q3, q4, q5
    under[0], under[1], under[2], under[3], under[4], under[5] = u0, u1, u2, u3, u4, u5
