"""Have the people of a model habits of their own, or are they alike?

Where somebody's few judgments are all there is, a confusion matrix learned from them is mostly chance, and labels come
out worse than by a plain vote. Where people are biased, that matrix is what beats the vote. How strongly rows are
shrunk (a and s of `confusion`) is therefore chosen by what the stream shows, as the engines are (`calibration`):
before a judgment is counted it is forecast with rows of either strength,

    score += log p_alike(l) - log p_own(l),   p(l) = sum_k q_k theta_kl,   at most 30 nats either way,

and people are alike while score > 1. q is the calibrated posterior of the earlier judgments, or the truth: the learned
one is too sure, and what it is too sure of looks like somebody's habit.

Only the rows that posteriors and forecasts are made of depend on it. What is reported of a person, and what an answer
is said to be worth, rests on the person's own record. The score follows the log; a retraction does not rewind it.
"""

import numpy as np

from kernels.skill.confusion import (
    ALIKE_LOCAL_WEIGHT,
    ALIKE_ROW_WEIGHT,
    LOCAL_WEIGHT,
    alike_at,
    believed,
    expected,
    row_weight,
    weight_of,
)
from kernels.skill.inlining import index, inner, kernel
from kernels.skill.powers import LOG_2, log2
from kernels.skill.skill_columns import engine_width

MOST = 30.0
"""Bounded, so that a crowd that changes is found out."""
DECIDED_EVERY = 8
"""Of a person's judgments, those that are still compared when the score has reached its bound."""
LEAST_CHANCE = 1e-12


@inner
def compare(skills, m, s, label, reported, truth):
    """Score both strengths on a judgment of seat `s` that is not counted yet."""
    score = skills.evidence[index(alike_at(skills, m))]
    if abs(score) < MOST or skills.seats[index(s)]["judgments"] % DECIDED_EVERY == 0:
        _compare(skills, m, s, label, reported, truth)


@kernel
def _compare(skills, m, s, label, reported, truth):
    own = _chance(skills, m, s, label, reported, truth, LOCAL_WEIGHT, row_weight(skills.models[m]["classes"]))
    alike = _chance(skills, m, s, label, reported, truth, ALIKE_LOCAL_WEIGHT, ALIKE_ROW_WEIGHT)
    at = index(alike_at(skills, m))
    skills.evidence[at] = min(max(skills.evidence[at] + LOG_2 * log2(alike / own), -MOST), MOST)


@inner
def _chance(skills, m, s, label, reported, truth, local, row):
    evidence = skills.evidence
    model = skills.models[m]
    classes = model["classes"]
    record = skills.seats[index(s)]
    weight = row * weight_of(record["epoch"] - record["base"])
    base = record["offset"] + 1 + model["engine"] * engine_width(classes)
    rows = base + classes * classes
    mean = believed(skills, s, evidence[index(rows + classes)], evidence[index(record["offset"])], local)
    chance = 0.0
    for k in range(classes):
        q = np.float64(reported[index(k)])
        if truth >= 0:
            q = 1.0 if k == truth else 0.0
        hits = weight * expected(skills, m, model["engine"], mean, k, label)
        chance += q * (hits + evidence[index(base + label * classes + k)]) / (weight + evidence[index(rows + k)])
    return max(chance, LEAST_CHANCE)
