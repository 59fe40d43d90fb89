"""Which engine to believe, and how sure to be: chosen by what the stream itself shows.

Engines. Before a judgment is counted, every engine forecasts it: p(l) = sum_k q_k theta_kl, with the
posterior of the earlier judgments (or the truth, where known). The engine with the largest sum of log p(l) is
used (Dawid's prequential principle, 1984). No gold is needed. All engines forecast with the plain rows of
engine 0, so that it is their posteriors which compete and not how well a row is shrunk: with its own rows
engine 2 forecasts better even where it labels worse.

Calibration. Judgments of one task are not independent given the truth: hard tasks mislead everybody alike.
And a single judgment can be worth less than the annotator's record says. The learned posterior of n judgments
is reported as

    q_cal proportional to q^(first / (1 + (n - 1) rho)),

which leaves the arg-max as it is. Every judgment on a task whose truth is known is one sample of how well
each candidate for (rho, first) would have done; the one of least log-loss is used, pulled towards (0.4, 1).
It acts on the reported posterior only: the same exponent inside learning costs accuracy.

Both records follow the log; a retraction does not rewind them.
"""

import math

import numpy as np

from kernels.skill.confusion import ROW_WEIGHT, accuracy, loss_at, weight_of
from kernels.skill.jit import inner, kernel
from kernels.skill.layout import DEFAULT_RHO, ENGINES, RHOS, engine_width

SCALE = 65536.0
UNIT = 1.0 / SCALE
LEAD = 3.0
EARLY_LEAD = 3.0
EARLY = 500
LOWEST = 0.02
STEP = 5.3 / (RHOS - 1)
"""Candidates for rho are LOWEST exp(STEP r): 0.02 to 4."""

FIRSTS = (1.0, 0.85, 0.7, 0.55)
PULL_RHO = 2.0
PULL_FIRST = 2.0


@inner
def rounded(q, classes):
    """Round `q`, whose largest entry is 1, to multiples of 2^-16 with the sum exactly 1."""
    total = 0.0
    top = 0
    for k in range(classes):
        total += q[k]
        if q[k] > q[top]:
            top = k
    scale = SCALE / total
    rest = 1.0
    for k in range(classes):
        if k != top:
            q[k] = np.int64(q[k] * scale + 0.5) * UNIT
            rest -= q[k]
    q[top] = rest


@inner
def forecast(skills, m, s, label, belief, truth):
    """Score the engines on a judgment not yet counted; return the accuracy of seat `s`."""
    model = skills.models[m]
    evidence = skills.evidence
    classes = model["classes"]
    record = skills.seats[s]
    weight = ROW_WEIGHT * weight_of(record["epoch"] - record["base"])
    start = record["offset"]
    believed = 0.0
    for engine in range(ENGINES):
        base = start + 1 + engine * engine_width(classes)
        rows = base + classes * classes
        mean = accuracy(skills, s, evidence[rows + classes], evidence[start])
        if engine == model["engine"]:
            believed = mean
        miss = (1.0 - mean) / (classes - 1)
        chance = 0.0
        for k in range(classes):
            q = np.float64(belief[engine * classes + k])
            if truth >= 0:
                q = 1.0 if k == truth else 0.0
            hits = weight * (mean if k == label else miss) + evidence[base + label * classes + k]
            chance += q * hits / (weight + evidence[rows + k])
        chance = max(chance, 1e-12)
        if engine == 0:
            model["chance0"] *= chance
        elif engine == 1:
            model["chance1"] *= chance
        else:
            model["chance2"] *= chance
    return believed


@kernel
def choose(skills, m):
    """Fold the forecasts since the last call (at most 25) into the scores and use the best engine.

    Engine 2 bends the rows of engine 1 and is considered where the flat prior has won; it must lead by LEAD nats,
    for where it is wrong, it is far wrong. Engine 0 must lead while the raw frequencies are those of few judgments.
    """
    model = skills.models[m]
    model["score0"] += math.log(model["chance0"])
    model["score1"] += math.log(model["chance1"])
    model["score2"] += math.log(model["chance2"])
    model["chance0"] = 1.0
    model["chance1"] = 1.0
    model["chance2"] = 1.0
    early = EARLY_LEAD if model["judgments"] < EARLY else 0.0
    engine = 1
    if model["score0"] >= model["score1"] + early:
        engine = 0
    elif model["score2"] > model["score1"] + LEAD:
        engine = 2
    model["engine"] = engine


@kernel
def sample(skills, m, n, truth, q):
    """Learn the calibration from `q` (largest entry 1), the posterior of `n` judgments on a known `truth`."""
    model = skills.models[m]
    classes = model["classes"]
    loss = loss_at(skills, m)
    model["gold"] += 1
    best = math.inf
    for r in range(RHOS):
        rho = LOWEST * math.exp(STEP * r)
        far = PULL_RHO * math.log(rho / DEFAULT_RHO) ** 2
        for f in range(len(FIRSTS)):
            power = FIRSTS[f] / (1.0 + (n - 1) * rho)
            total = 0.0
            for k in range(classes):
                total += q[k] ** power
            at = loss + r * len(FIRSTS) + f
            skills.evidence[at] += math.log(total) - power * math.log(max(q[truth], 1e-300))
            value = skills.evidence[at] + far + PULL_FIRST * (1.0 - FIRSTS[f])
            if value < best:
                best = value
                model["rho"] = rho
                model["first"] = FIRSTS[f]


@inner
def calibrate(skills, m, n, q, report):
    """Write the calibrated posterior to `report`, given `q` whose largest entry is 1; rounded, never 0."""
    model = skills.models[m]
    classes = model["classes"]
    power = model["first"] / (1.0 + max(n - 1, 0) * model["rho"])
    for k in range(classes):
        report[k] = 1.0 if q[k] == 1.0 else max(q[k] ** power, UNIT)
    rounded(report, classes)
