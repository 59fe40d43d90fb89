"""What an annotator is expected to answer: one row of a confusion matrix, shrunk towards something simpler.

With the statistics of the seat (`layout`), weights relative to w = 2^epoch (`drift`), and an import of n0
judgments with accuracy m0 (`evidence`):

    m     = (w (a mu + n0 m0) + A) / (w (a + n0) + T)          the annotator's own accuracy, a = 6, mu = 0.7
    r_kl  = m if l = k else (1 - m) / (K - 1)                  engines 0 and 1
    theta = (w s r_kl + N[l, k]) / (w s + S[k])                s = 4, and K - 1 from six classes on

Those are the strengths for people with habits of their own, and what is reported of a person rests on them. Where
people are `alike`, the rows believe the crowd more: a = 20, s = 40.

Engine `SHARED` shapes r by what the whole model's annotators do: the odds of m are multiplied by lift[k]
(some classes are harder than others), and the misses of row k are spread as shape[l, k]:

    lift[k]     = sqrt(odds of being right on class k / odds of being right)
    shape[l, k] = (P[l, k] + 3) / sum over the other l' of (P[l', k] + 3)

The share of a class among the labels is that among the tasks and what strays there: c_k = pi_k m + (1 - pi_k)
(1 - m)/(K - 1). `prior` is the pi_k that follows from it, at least half of c_k: so bounded, it can't feed on itself.

The square root is half of the way: the full lift lets a class nobody recognises vanish.
"""

import math

from kernels.skill.inlining import index, inner, kernel
from kernels.skill.skill_columns import SHARED

LOCAL_WEIGHT = 6.0
LOCAL_MEAN = 0.7
ROW_WEIGHT = 4.0
ALIKE_LOCAL_WEIGHT = 20.0
ALIKE_ROW_WEIGHT = 40.0
ALIKE_LEAD = 1.0
"""Nats by which rows of people alike must have forecast better."""
SHAPE_WEIGHT = 3.0
LIFT_WEIGHT = 20.0
UNRIPE = 3.0
"""Checked answers after which half of what is concluded about an annotator is believed (`calibration`)."""


@inner
def shared_at(skills, m):
    """Where P starts in the evidence of model `m`; shape, lift and loss follow."""
    return skills.models[m]["offset"] + skills.models[m]["classes"]


@inner
def alike_at(skills, m):
    """Where the score of `alike` is: in the first entry of shape, which is about misses and needs no diagonal."""
    classes = skills.models[m]["classes"]
    return shared_at(skills, m) + classes * classes


@inner
def loss_at(skills, m):
    """Where the calibration record of model `m` starts."""
    classes = skills.models[m]["classes"]
    return skills.models[m]["offset"] + 2 * classes * classes + 3 * classes


@kernel
def share(skills, m):
    """Derive `shape`, `lift` and `prior` of model `m` from P and the raw counts c."""
    evidence = skills.evidence
    classes = skills.models[m]["classes"]
    p = shared_at(skills, m)
    shape = p + classes * classes
    lift = shape + classes * classes
    right = LIFT_WEIGHT * LOCAL_MEAN
    total = LIFT_WEIGHT
    for k in range(classes):
        for label in range(classes):
            total += evidence[p + label * classes + k]
        right += evidence[p + k * classes + k]
    odds = right / (total - right)
    for k in range(classes):
        hit = evidence[p + k * classes + k]
        miss = 0.0
        for label in range(classes):
            if label != k:
                miss += evidence[p + label * classes + k]
        spread = miss + SHAPE_WEIGHT * (classes - 1)
        for label in range(classes):
            at = label * classes + k
            if label != k:
                evidence[shape + at] = (evidence[p + at] + SHAPE_WEIGHT) / spread
        hit += LIFT_WEIGHT * LOCAL_MEAN
        miss += LIFT_WEIGHT * (1.0 - LOCAL_MEAN)
        evidence[lift + k] = math.sqrt(hit / miss / odds)
    mean = right / total
    stray = (1.0 - mean) / (classes - 1)
    c = skills.models[m]["offset"]
    given = 0.0
    for k in range(classes):
        given += 1.0 + evidence[c + k]
    for k in range(classes):
        named = (1.0 + evidence[c + k]) / given
        evidence[lift + classes + k] = max(named - stray, 0.5 * named * (mean - stray)) if mean > stray else named


@inner
def right_share(skills, m):
    """M: the share of right answers among all checked ones of model `m` (`update`); 0.7 before there are any."""
    evidence = skills.evidence
    classes = skills.models[m]["classes"]
    p = shared_at(skills, m)
    right = LIFT_WEIGHT * LOCAL_MEAN
    total = LIFT_WEIGHT
    for k in range(classes):
        right += evidence[index(p + k * classes + k)]
        column = 0.0
        for label in range(classes):
            column += evidence[index(p + label * classes + k)]
        total += column
    return right / total


@inner
def row_weight(classes):
    """s: a row with many places to go needs more judgments before its own counts are believed."""
    return max(ROW_WEIGHT, classes - 1.0)


@inner
def strengths(skills, m):
    """a and s of the rows that the engines use now."""
    if skills.evidence[index(alike_at(skills, m))] > ALIKE_LEAD:
        return ALIKE_LOCAL_WEIGHT, ALIKE_ROW_WEIGHT
    return LOCAL_WEIGHT, row_weight(skills.models[m]["classes"])


@inner
def weight_of(epochs):
    """2^epochs."""
    return 1.0 if epochs == 0 else math.ldexp(1.0, epochs)


@inner
def accuracy(skills, s, hit, weight):
    """m from the statistics A (`hit`) and T (`weight`) of seat `s`, as it is reported."""
    return believed(skills, s, hit, weight, LOCAL_WEIGHT)


@inner
def believed(skills, s, hit, weight, local):
    """m with a = `local`."""
    record = skills.seats[s]
    scale = weight_of(record["epoch"] - record["base"])
    seeded = record["seeded_weight"]
    top = local * LOCAL_MEAN + seeded * record["seeded_accuracy"]
    return (scale * top + hit) / (scale * (local + seeded) + weight)


@inner
def expected(skills, m, engine, mean, k, label):
    """r_kl: the chance of `label` given truth `k`, for an annotator known only by the accuracy `mean`."""
    classes = skills.models[m]["classes"]
    if engine == SHARED:
        shape = shared_at(skills, m) + classes * classes
        odds = mean * skills.evidence[shape + classes * classes + k]
        mean = odds / (odds + 1.0 - mean)
        if label == k:
            return mean
        return (1.0 - mean) * skills.evidence[shape + label * classes + k]
    return mean if label == k else (1.0 - mean) / (classes - 1)
