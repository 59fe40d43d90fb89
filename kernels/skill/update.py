"""One pass over the judgments: incremental CVB0 Dawid-Skene, shrunk towards the annotator's own accuracy.

For task i with judgments (w, l) and learned posterior q_i, the statistics of an annotator *without* this task
(its cavity) are

    N' = N_w[k, l] - q_i[k],   S' = S_w[k] - q_i[k],   A' = A_w - q_i[l],   T' = T_w - 1

and give the probability that w answers l when the truth is k

    m     = (a mu + A') / (a + T')                     the annotator's own accuracy, a = 6, mu = 0.7
    r     = m if k = l else (1 - m) / (K - 1)
    theta = (s r + N') / (s + S')                      s = 4

so that q_i[k] is proportional to pi_k prod theta. Two engines run side by side: pi as the raw frequency of
labels, and flat. Learning pi from the posteriors instead feeds on itself until one class takes all; raw
frequencies have no such loop.

Exactness. A posterior is rounded to multiples of 2^-16 before it is counted, hence every statistic is an
exact dyadic sum:

    N_w[k, l] = sum over counted judgments (w, i, l) of q_i[k]       bit for bit, in whatever order they came.

Forgetting a judgment therefore leaves exactly the statistics of the remaining (judgments, posteriors).

Method: collapsed variational inference of order zero (Asuncion et al., UAI 2009) on Dawid and Skene's model
(1979), applied incrementally. It deliberately does not read a clock, sort or iterate to convergence: the
caller revisits open tasks with `refresh`, which does over time what the sweeps of a batch method do.
"""

import math

import numpy as np
from numba import njit

from kernels.skill.layout import ENGINES

LOCAL_WEIGHT = 6.0
LOCAL_MEAN = 0.7
ROW_WEIGHT = 4.0
SCALE = 65536.0
IDLE = 1e-3
RENORMALISE = 16


@njit(cache=True, nogil=True)
def _posterior(skills, m, seats, labels, n, fresh, belief, engine, like, q):
    """Fill `like` (product of theta, largest 1) and `q` (normalised, rounded) of one engine."""
    model = skills.models[m]
    evidence = skills.evidence
    classes = model["classes"]
    others = 1.0 / max(classes - 1, 1)
    width = classes * classes + classes + 2
    for k in range(classes):
        like[k] = 1.0
    for j in range(n):
        base = skills.seats[seats[j]]["offset"] + engine * width
        rows = base + classes * classes
        label = labels[j]
        counted = 1.0 if j < n - fresh else 0.0
        hit = evidence[rows + classes] - counted * belief[engine * classes + label]
        mean = (LOCAL_WEIGHT * LOCAL_MEAN + hit) / (LOCAL_WEIGHT + evidence[rows + classes + 1] - counted)
        miss = (1.0 - mean) * others * ROW_WEIGHT
        mean *= ROW_WEIGHT
        for k in range(classes):
            out = counted * belief[engine * classes + k]
            r = mean if k == label else miss
            like[k] *= (r + evidence[base + k * classes + label] - out) / (
                ROW_WEIGHT + evidence[rows + k] - out
            )
        if j % RENORMALISE == RENORMALISE - 1:
            _scale(like, classes)
    _scale(like, classes)
    total = 0.0
    for k in range(classes):
        q[k] = like[k]
        if engine == 0:
            q[k] *= 1.0 + evidence[model["offset"] + k]
        total += q[k]
    for k in range(classes):
        q[k] = math.floor(q[k] / total * SCALE + 0.5) / SCALE


@njit(cache=True, nogil=True)
def _scale(like, classes):
    top = 0.0
    for k in range(classes):
        top = max(top, like[k])
    for k in range(classes):
        like[k] /= top


@njit(cache=True, nogil=True)
def _count(skills, seats, labels, n, fresh, classes, engine, belief, q):
    """Replace the old posterior by `q` in the statistics of every seat."""
    evidence = skills.evidence
    width = classes * classes + classes + 2
    for j in range(n):
        base = skills.seats[seats[j]]["offset"] + engine * width
        rows = base + classes * classes
        label = labels[j]
        new = j >= n - fresh
        for k in range(classes):
            delta = q[k] if new else q[k] - belief[engine * classes + k]
            evidence[base + k * classes + label] += delta
            evidence[rows + k] += delta
            if k == label:
                evidence[rows + classes] += delta
        if new:
            evidence[rows + classes + 1] += 1.0
    for k in range(classes):
        belief[engine * classes + k] = q[k]


@njit(cache=True, nogil=True)
def _calibrate(skills, m, n, like, report):
    """Fill `report` with the calibrated posterior of the chosen engine, given its `like`; rounded."""
    model = skills.models[m]
    classes = model["classes"]
    power = 1.0 / (1.0 + max(n - 1, 0) * model["rho"])
    total = 0.0
    for k in range(classes):
        report[k] = like[k] ** power
        if model["engine"] == 0:
            report[k] *= 1.0 + skills.evidence[model["offset"] + k]
        total += report[k]
    for k in range(classes):
        report[k] = math.floor(report[k] / total * SCALE + 0.5) / SCALE


@njit(cache=True, nogil=True)
def _publish(skills, seats, labels, n, fresh, truth, classes, belief, reported, report):
    """Replace the reported posterior and the truth; the doubt and the gold record of each seat follow."""
    known = np.int64(belief[ENGINES * classes]) - 1
    for j in range(n):
        record = skills.seats[seats[j]]
        now = report[labels[j]]
        record["doubt"] += now * (1.0 - now)
        if truth >= 0:
            record["gold"] += 1
            record["gold_right"] += labels[j] == truth
        if j < n - fresh:
            before = np.float64(reported[labels[j]])
            record["doubt"] -= before * (1.0 - before)
            if known >= 0:
                record["gold"] -= 1
                record["gold_right"] -= labels[j] == known
    for k in range(classes):
        reported[k] = report[k]
    belief[ENGINES * classes] = truth + 1


@njit(cache=True, nogil=True)
def _predict(skills, m, seat, label, belief):
    """Score each engine on its forecast of a label it has not seen, and choose the better one."""
    model = skills.models[m]
    evidence = skills.evidence
    classes = model["classes"]
    others = 1.0 / max(classes - 1, 1)
    width = classes * classes + classes + 2
    for engine in range(ENGINES):
        base = skills.seats[seat]["offset"] + engine * width
        rows = base + classes * classes
        mean = (LOCAL_WEIGHT * LOCAL_MEAN + evidence[rows + classes]) / (
            LOCAL_WEIGHT + evidence[rows + classes + 1]
        )
        miss = (1.0 - mean) * others
        chance = 0.0
        for k in range(classes):
            r = mean if k == label else miss
            row = (ROW_WEIGHT * r + evidence[base + k * classes + label]) / (ROW_WEIGHT + evidence[rows + k])
            chance += belief[engine * classes + k] * row
        if engine == 0:
            model["score0"] += math.log(max(chance, 1e-12))
        else:
            model["score1"] += math.log(max(chance, 1e-12))
    model["engine"] = 0 if model["score0"] >= model["score1"] else 1


@njit(cache=True, nogil=True)
def learn(skills, m, seats, labels, stamps, n, fresh, truth, belief, reported, at):
    """Recompute a task's posterior and move the statistics of its annotators accordingly.

    Parameters
    ----------
    skills : Skills
    m : int
        The task's model (classes >= 2).
    seats, labels, stamps : int32[:]
        The task's counted judgments, first `n` entries, each annotator once. `stamps` are opaque: kept by the
        caller with the judgment, written here for the fresh ones.
    n : int
        Judgments, the fresh ones included; 0 gives the prior.
    fresh : int
        How many of the last entries are new, that is not in the statistics yet (0 or 1, more is allowed).
    truth : int
        The known label (gold, adjudicated), or -1.
    belief : float32[belief_width(K)]
        In/out: the learned posteriors, as they are counted in the statistics.
    reported : float32[K]
        In/out: the calibrated posterior, the one to show and to stop on.
    at : float
        Unix seconds of what caused the call.

    Returns
    -------
    float
        Largest change of any posterior; 0.0 when `fresh` is 0 and nothing was worth writing, so that every
        row is as it was.
    """
    model = skills.models[m]
    classes = model["classes"]
    if fresh > 0:
        if fresh < n and truth < 0:
            _predict(skills, m, seats[n - 1], labels[n - 1], belief)
        for j in range(n - fresh, n):
            skills.evidence[model["offset"] + labels[j]] += 1.0
            record = skills.seats[seats[j]]
            record["judgments"] += 1
            record["last_at"] = max(record["last_at"], at)
            stamps[j] = 0
        model["judgments"] += fresh
    like = skills.work[:classes]
    report = skills.work[classes : 2 * classes]
    learned = skills.work[2 * classes : (2 + ENGINES) * classes]
    change = 0.0
    for engine in range(ENGINES):
        q = learned[engine * classes : (engine + 1) * classes]
        _posterior(skills, m, seats, labels, n, fresh, belief, engine, like, q)
        if engine == model["engine"]:
            _calibrate(skills, m, n, like, report)
        if truth >= 0:
            _certain(truth, classes, q)
        for k in range(classes):
            change = max(change, abs(q[k] - belief[engine * classes + k]))
    if truth >= 0:
        _certain(truth, classes, report)
    for k in range(classes):
        change = max(change, abs(report[k] - reported[k]))
    if fresh == 0 and change < IDLE and truth + 1 == belief[ENGINES * classes]:
        return 0.0
    _publish(skills, seats, labels, n, fresh, truth, classes, belief, reported, report)
    for engine in range(ENGINES):
        q = learned[engine * classes : (engine + 1) * classes]
        _count(skills, seats, labels, n, fresh, classes, engine, belief, q)
    return change


@njit(cache=True, nogil=True)
def _certain(truth, classes, q):
    for k in range(classes):
        q[k] = 1.0 if k == truth else 0.0


@njit(cache=True, nogil=True)
def refresh(skills, m, seats, labels, stamps, n, truth, belief, reported, at):
    """Revisit a task with what has been learned since; also applies a truth set or lifted. See `learn`."""
    return learn(skills, m, seats, labels, stamps, n, 0, truth, belief, reported, at)


@njit(cache=True, nogil=True)
def _move(skills, m, seat, label, sign, belief, reported):
    """Add (+1) or take out (-1) one judgment at the task's present posteriors."""
    model = skills.models[m]
    evidence = skills.evidence
    classes = model["classes"]
    width = classes * classes + classes + 2
    for engine in range(ENGINES):
        base = skills.seats[seat]["offset"] + engine * width
        rows = base + classes * classes
        for k in range(classes):
            delta = sign * belief[engine * classes + k]
            evidence[base + k * classes + label] += delta
            evidence[rows + k] += delta
        evidence[rows + classes] += sign * belief[engine * classes + label]
        evidence[rows + classes + 1] += sign
    record = skills.seats[seat]
    before = np.float64(reported[label])
    record["doubt"] += sign * before * (1.0 - before)
    known = np.int64(belief[ENGINES * classes]) - 1
    if known >= 0:
        record["gold"] += sign
        record["gold_right"] += sign * (label == known)
    evidence[model["offset"] + label] += sign


@njit(cache=True, nogil=True)
def forget(skills, m, seats, labels, stamps, n, gone, truth, belief, reported, at):
    """Retract judgment number `gone` of a task's `n`, then recompute the task from the others.

    The scratch arrays are compacted in place: afterwards their first n - 1 entries are the remaining
    judgments. Other parameters as in `learn`.
    """
    s = seats[gone]
    _move(skills, m, s, labels[gone], -1, belief, reported)
    skills.seats[s]["judgments"] -= 1
    skills.models[m]["judgments"] -= 1
    for j in range(gone, n - 1):
        seats[j] = seats[j + 1]
        labels[j] = labels[j + 1]
        stamps[j] = stamps[j + 1]
    return learn(skills, m, seats, labels, stamps, n - 1, 0, truth, belief, reported, at)


@njit(cache=True, nogil=True)
def correct(skills, m, seats, labels, stamps, n, which, label, truth, belief, reported, at):
    """Replace the label of judgment `which` by `label` (written to `labels`), then recompute the task."""
    _move(skills, m, seats[which], labels[which], -1, belief, reported)
    labels[which] = label
    _move(skills, m, seats[which], label, 1, belief, reported)
    return learn(skills, m, seats, labels, stamps, n, 0, truth, belief, reported, at)
