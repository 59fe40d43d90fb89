"""One pass over the judgments: incremental CVB0 Dawid-Skene, shrunk towards the annotator's own accuracy.

For task i with judgments (w, l) and learned posterior q_i, the statistics of an annotator *without* this
task, its cavity,

    N[l, k] - q_i[k],   S[k] - q_i[k],   A - q_i[l],   T - 1      (each times the weight of the judgment)

give theta, the probability that w answers l when the truth is k (`confusion`), and

    q_i[k] proportional to pi_k prod theta.

Three engines run side by side; they differ in pi and in what theta is shrunk towards (`layout`), each has its
own q and statistics, and `calibration` mixes them. pi is the raw frequency of labels (engine 0) or flat.
Learning pi from the posteriors instead feeds on itself until one class takes all; raw frequencies have no
such loop.

Exactness. A posterior is rounded to multiples of 2^-16 before it is counted and weights are powers of two,
hence every statistic is an exact dyadic sum,

    N_w[l, k] = sum over the counted judgments (w, i, l) of weight q_i[k]     bit for bit, in any order

(as long as an annotator's epochs span fewer than 17; beyond that the oldest bits are rounded off, always in
log order). Forgetting a judgment therefore leaves exactly the statistics of the remaining (judgments,
posteriors).

An answer is *checked* once its task has another counted answer or a known truth. What has met nobody was scored
against a posterior that it made itself: it says nothing of all annotators together, nor makes it whoever gave it better
known, so P and `ripe` (`calibration`) leave it out. The weight of an annotator's answers of this kind is ALONE.

Method: collapsed variational inference of order zero (Asuncion et al., UAI 2009) on the model of Dawid and
Skene (1979), applied incrementally. It deliberately does not read a clock, sort or iterate to convergence:
the caller revisits open tasks (`refresh` in `revise`), which does over time what the sweeps of a batch method do.
"""

from typing import NamedTuple

import numpy as np

from kernels.skill import binary
from kernels.skill.alike import compare
from kernels.skill.calibration import calibrate, choose, depths, fit, forecast, foresee, rounded, sample
from kernels.skill.confusion import (
    LOCAL_MEAN,
    UNRIPE,
    share,
    shared_at,
    strengths,
    weight_of,
)
from kernels.skill.drift import stamp, watch
from kernels.skill.inlining import index, inner
from kernels.skill.skill_columns import ALONE, ENGINES, SHARED, engine_width

IDLE = 1e-3
RENORMALISE = 8
SHARE_EVERY = 16
FORESEE_EVERY = 8
PREPARED = 5
"""Floats `_products` notes per judgment, RENORMALISE judgments at a time."""


class Scratch(NamedTuple):
    """Parts of ``skills.work``."""

    report: np.ndarray  # float64[K], the calibrated posterior
    q: np.ndarray  # float64[ENGINES K], the learned ones
    under: np.ndarray  # float64[ENGINES K], denominators at first
    room: np.ndarray  # float64[:]


@inner
def is_met(n, truth):
    """Is there something to compare the `n` answers of a task with: one another, or the truth (-1: unknown)?"""
    return n > 1 or truth >= 0


@inner
def _posteriors(skills, task, fresh, met, scratch):
    """Fill q[ENGINES K]: pi times the product of theta, the largest entry of each engine 1; return `ripeness`.

    Numerators and denominators of theta are multiplied separately: a division costs as much as all the rest.
    """
    q, under = scratch.q, scratch.under
    model = skills.models[task.m]
    classes = model["classes"]
    prior = model["offset"] + 2 * classes * classes + 2 * classes
    for k in range(classes):
        q[k] = skills.evidence[prior + k]
    for i in range(classes, ENGINES * classes):
        q[i] = 1.0
    for i in range(ENGINES * classes):
        under[i] = 1.0
    known = 0.0
    first = 0
    while True:
        last = min(first + RENORMALISE, task.n)
        if classes == 2:
            known += binary.products(skills, task, first, last, task.n - fresh, met, scratch)
            binary.scale(q, under)
        else:
            known += _products(skills, task, first, last, task.n - fresh, met, scratch)
            _scale(q, under, classes)
        first = last
        if first == task.n:
            break
    return known / task.n if task.n > 0 else 1.0


@inner
def _products(skills, task, first, last, counted, met, scratch):
    """Multiply numerators into `q` and denominators into `under`, judgments first to last - 1.

    `counted` is how many of the task's judgments are in the statistics, checked ones if they have `met`; the later
    ones are fresh. Returns the sum of how `ripe` they are. What a judgment needs is put into `room` first; class by
    class, everything is then multiplied in registers: nothing is stored in the loop, so loads needn't wait.
    """
    m, seats, labels, stamps, belief = task.m, task.seats, task.labels, task.stamps, task.belief
    _, q, under, room = scratch
    evidence = skills.evidence
    classes = skills.models[m]["classes"]
    others = 1.0 / (classes - 1)
    width = engine_width(classes)
    square = classes * classes
    shape = shared_at(skills, m) + square
    lift = shape + square
    known = 0.0
    local, strength = strengths(skills, m)
    for j in range(first, last):
        record = skills.seats[index(seats[index(j)])]
        scale = weight_of(record["epoch"] - record["base"])
        own = weight_of(stamps[index(j)] - record["base"]) if j < counted else 0.0
        seeded = record["seeded_weight"]
        top = scale * (local * LOCAL_MEAN + seeded * record["seeded_accuracy"])
        start = record["offset"]
        label = labels[index(j)]
        weight = evidence[index(start)]
        checked = weight - record[ALONE] - (own if met else 0.0) + scale * seeded
        known += checked / (checked + scale * UNRIPE)
        inverse = 1.0 / (scale * (local + seeded) + weight - own)
        right_0 = top + evidence[index(start + width)] - own * belief[index(label)]
        right_1 = top + evidence[index(start + 2 * width)] - own * belief[index(classes + label)]
        right_2 = top + evidence[index(start + 3 * width)] - own * belief[index(2 * classes + label)]
        row = scale * strength
        slot = PREPARED * (j - first)
        room[index(slot)] = row
        room[index(slot + 1)] = own
        room[index(slot + 2)] = row * right_0 * inverse
        room[index(slot + 3)] = row * right_1 * inverse
        room[index(slot + 4)] = right_2 * inverse
    for k in range(classes):
        b0, b1, b2 = belief[index(k)], belief[index(classes + k)], belief[index(2 * classes + k)]
        q0, q1, q2 = q[index(k)], q[index(classes + k)], q[index(2 * classes + k)]
        u0, u1, u2 = under[index(k)], under[index(classes + k)], under[index(2 * classes + k)]
        lift_k = evidence[index(lift + k)]
        for j in range(first, last):
            slot = PREPARED * (j - first)
            row = room[index(slot)]
            own = room[index(slot + 1)]
            label = labels[index(j)]
            n = skills.seats[index(seats[index(j)])]["offset"] + 1 + label * classes + k
            s = n + (classes - label) * classes
            odds = room[index(slot + 4)] * lift_k
            wrong = 1.0 - room[index(slot + 4)]
            both = odds + wrong
            if label == k:
                r0 = room[index(slot + 2)]
                r1 = room[index(slot + 3)]
                r2 = row * odds
            else:
                r0 = (row - room[index(slot + 2)]) * others
                r1 = (row - room[index(slot + 3)]) * others
                r2 = row * wrong * evidence[index(shape + label * classes + k)]
            q0 *= r0 + evidence[index(n)] - own * b0
            u0 *= row + evidence[index(s)] - own * b0
            q1 *= r1 + evidence[index(n + width)] - own * b1
            u1 *= row + evidence[index(s + width)] - own * b1
            q2 *= r2 + (evidence[index(n + 2 * width)] - own * b2) * both
            u2 *= (row + evidence[index(s + 2 * width)] - own * b2) * both
        q[index(k)], q[index(classes + k)], q[index(2 * classes + k)] = q0, q1, q2
        under[index(k)], under[index(classes + k)], under[index(2 * classes + k)] = u0, u1, u2
    return known


@inner
def _scale(q, under, classes):
    for engine in range(ENGINES):
        e = engine * classes
        top = 0.0
        for k in range(e, e + classes):
            q[k] /= under[k]
            under[k] = 1.0
            top = max(top, q[k])
        inverse = 1.0 / top
        for k in range(e, e + classes):
            q[k] = 1.0 if q[k] == top else q[k] * inverse


@inner
def _count(skills, task, fresh, scratch):
    """Replace the old posteriors by `q` and `report` in the statistics of every seat."""
    m, seats, labels, stamps, n, truth, belief, reported, _ = task
    report, q, moved, _ = scratch
    evidence = skills.evidence
    classes = skills.models[m]["classes"]
    width = engine_width(classes)
    p = shared_at(skills, m)
    known = np.int64(belief[index(ENGINES * classes)]) - 1
    met = is_met(n, truth)
    was_met = is_met(n - fresh, known)
    for i in range(ENGINES * classes):
        moved[index(i)] = q[index(i)] - belief[index(i)]
        belief[index(i)] = q[index(i)]
    for j in range(n):
        record = skills.seats[index(seats[index(j)])]
        weight = weight_of(stamps[index(j)] - record["base"])
        start = record["offset"]
        label = labels[index(j)]
        new = j >= n - fresh
        change = q if new else moved
        if classes == 2:
            binary.count(evidence, start, label, weight, change)
        else:
            for engine in range(ENGINES):
                e = engine * classes
                base = start + 1 + engine * width
                column = base + label * classes
                rows = base + classes * classes
                for k in range(classes):
                    delta = weight * change[index(e + k)]
                    evidence[index(column + k)] += delta
                    evidence[index(rows + k)] += delta
                evidence[index(rows + classes)] += weight * change[index(e + label)]
        if met:
            if not (new or was_met):
                record[ALONE] -= weight
                change = q
            for k in range(classes):
                evidence[index(p + label * classes + k)] += change[index(SHARED * classes + k)]
        elif new:
            record[ALONE] += weight
        elif was_met:  # a truth was lifted from the only answer
            record[ALONE] += weight
            for k in range(classes):
                e = SHARED * classes + k
                evidence[index(p + label * classes + k)] -= q[index(e)] - moved[index(e)]
        now = report[index(label)]
        doubt = now * (1.0 - now)
        if truth >= 0:
            record["gold"] += 1
            record["gold_right"] += label == truth
        if new:
            evidence[index(start)] += weight
        else:
            before = np.float64(reported[index(label)])
            doubt -= before * (1.0 - before)
            if known >= 0:
                record["gold"] -= 1
                record["gold_right"] -= label == known
        record["doubt"] += weight * doubt
    belief[index(ENGINES * classes)] = truth + 1
    for k in range(classes):
        reported[index(k)] = report[index(k)]


@inner
def _meet(skills, task, fresh):
    """Everything that looks at a new judgment before it is counted."""
    m, seats, labels, stamps, n, truth, belief, reported, at = task
    model = skills.models[m]
    classes = model["classes"]
    for j in range(n - fresh, n):
        s = seats[j]
        label = labels[j]
        record = skills.seats[s]
        record["last_at"] = max(record["last_at"], at)
        if truth >= 0 or fresh < n:
            compare(skills, m, s, label, reported, truth)
            mean = forecast(skills, m, s, label, belief, truth)
            # a label that says nothing of its own, q = 1/K, must say nothing of the annotator: right = 1/2
            right = np.float64(reported[label])
            right /= right + (1.0 - right) / (classes - 1)
            if truth >= 0:
                right = 1.0 if label == truth else 0.0
            watch(skills, s, mean, right)
        stamps[j] = stamp(skills, s, at)
        skills.evidence[model["offset"] + label] += 1.0
        record["judgments"] += 1
        model["judgments"] += 1
        model["fresh"] += 1
        if model["fresh"] % SHARE_EVERY == 0:
            share(skills, m)
            choose(skills, m)
            fit(skills, m)


@inner
def learned(skills, task, fresh):
    """Compute a task anew and move the statistics of its annotators accordingly: see `revise`."""
    m, seats, labels, _, n, truth, belief, reported, _ = task
    classes = skills.models[m]["classes"]
    if fresh > 0:
        _meet(skills, task, fresh)
    report = skills.work[:classes]
    q = skills.work[classes : (1 + ENGINES) * classes]
    under = skills.work[(1 + ENGINES) * classes : (1 + 2 * ENGINES) * classes]
    scratch = Scratch(report, q, under, skills.work[(1 + 2 * ENGINES) * classes :])
    known = np.int64(belief[ENGINES * classes]) - 1
    met = is_met(n - fresh, known)
    ripeness = _posteriors(skills, task, fresh, met, scratch)
    chosen = skills.models[m]["engine"] * classes
    news = truth != known
    if truth >= 0:
        if n > 0 and (fresh > 0 or news):
            depths(skills, m, q, labels, n, ripeness, report, under)
            sample(skills, m, n, truth, under, report)
        for k in range(classes):
            report[k] = 1.0 if k == truth else 0.0
            for engine in range(ENGINES):
                q[engine * classes + k] = report[k]
    else:
        if fresh == 1 and n > 2 and skills.models[m]["fresh"] % FORESEE_EVERY == 0:
            mine = q[chosen : chosen + classes]
            foresee(skills, m, seats[n - 1], labels, n, mine, report, under[classes : 2 * classes])
        depths(skills, m, q, labels, n, ripeness, report, under)
        calibrate(skills, m, n, under, report)
        for engine in range(ENGINES):
            rounded(q[engine * classes : (engine + 1) * classes], classes)
    change = 0.0
    for i in range(ENGINES * classes):
        change = max(change, abs(q[i] - belief[i]))
    for k in range(classes):
        change = max(change, abs(report[k] - reported[k]))
    if fresh == 0 and change < IDLE and not news:
        return 0.0
    _count(skills, task, fresh, scratch)
    return change
