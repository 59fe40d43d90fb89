"""How far to believe each engine, and how sure to be: by what the stream itself shows.

Engines. Before a judgment is counted, every engine forecasts it: p(l) = sum_k q_k theta_kl, with the
posterior of the earlier judgments (or the truth, where known); the sums of log p(l) are their scores (Dawid's
prequential principle, 1984). What is reported is a mixture with weights exp(score / TEMPERATURE): judgments on one task
and of one person depend on each other, so that a lead of ten or thirty nats says little about who labels better. The
best engine is used for what is said of seats. No gold is needed. All engines forecast with the plain rows of
engine 0, so that it is their posteriors which compete and not how well a row is shrunk: with its own rows
engine 2 forecasts better even where it labels worse.

Calibration. Judgments of one task are not independent given the truth: hard tasks mislead everybody alike. The
learned posterior of n judgments, v_k of them for class k, is reported as

    q_cal_k proportional to ((q_k (1 + (1 - 2/K) v_k))^ripe o^(v_k (1 - ripe)^3))^(1 / (1 + n rho)),

`ripe` the mean over its judgments of C / (C + UNRIPE), C the weight of the checked answers (`update`) that whoever gave
it has given on other tasks, imports included. A single judgment is tempered too: tasks that stop stop early, and it is
after two that agree that people and models are too sure.

As far as its judges aren't ripe, a task's answers are believed as newcomers' are: o = M (K - 1) / (1 - M), M the share
of right answers among all checked ones of the model (0.7 before there are any), never less than a little more than
chance. Where no judge has a checked answer elsewhere, ripe is 0 and this is all: what everybody said is the label, and
labels named equally often tie exactly. The cube keeps votes out where people are known: with two classes they teach
nothing.

The vote also joins what is ripe, as one more witness who has no part in the model's errors: among many classes one
that nobody named loses to one that somebody did (with two classes it would teach nothing).

rho is learned twice. Without gold: how well would each candidate, through the earlier judgments of a task, have
foretold the next one (`foresee`)? The best, times RAISE[engine], is where gold starts: smaller where the engine
itself knows which classes mislead everybody. With gold: every judgment on a task whose truth is known is one sample
of the candidates' log-loss, the latest 100 counting most (`sample`). The candidate of least loss is used, pulled
towards the start, refined by the parabola through it and its neighbours. All this acts on the reported posterior
only: the same exponent inside learning costs accuracy.

Both records follow the log; a retraction does not rewind them.
"""

import math

import numpy as np

from kernels.skill.confusion import believed, expected, loss_at, right_share, strengths, weight_of
from kernels.skill.inlining import index, inner, kernel
from kernels.skill.powers import LOG_2, exp2, log2
from kernels.skill.skill_columns import DEFAULT_RHO, ENGINES, RHOS, engine_width

SCALE = 65536.0
TINY = 1e-300
UNIT = 1.0 / SCALE
TEMPERATURE = 60.0
"""Nats of forecast that count as one of evidence."""
SHARPNESS = 1.0 / (LOG_2 * TEMPERATURE)
UNSEEN = 0.02
"""The cube of what isn't ripe, where it is no more than this, is below what rounding leaves."""
BEYOND_CHANCE = 0.1
"""Of the way from chance to certainty that a newcomer has gone at least."""
LEAD = 3.0
EARLY_LEAD = 3.0
EARLY = 500
LOWEST = 0.02
STEP = 5.3 / (RHOS - 1)
"""Candidates for rho are LOWEST exp(STEP r): 0.02 to 4."""

RHO = tuple(LOWEST * math.exp(STEP * r) for r in range(RHOS))
PULL_START = 1.0
PULL = 15.0
RAISE = (1.4, 1.4, 0.2)
KEEP = 1.0 - 1.0 / 100.0
"""What a further sample leaves of the earlier ones: the latest 100 speak of the model as it is now."""
KEEP_SURPRISE = 1.0 - 1.0 / 2000.0


@inner
def rounded(q, classes):
    """Round `q`, of any sum, to multiples of 2^-16 with the sum exactly 1."""
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
def evenly(q, classes):
    """Round `q` as `rounded` does, but to one unit at least, and so that the largest ones stay equal if they are.

    The units that are left over or missing go to the largest, or, where several are, to the smallest if it stays below
    them. Where all are equal and K is not a power of 2, the sum is a few units off 1.
    """
    total = 0.0
    for k in range(classes):
        total += q[k]
    scale = SCALE / total
    top, low, tops = 0, 0, 0
    rest = SCALE
    for k in range(classes):
        q[k] = max(np.int64(q[k] * scale + 0.5), 1)
        rest -= q[k]
        if q[k] > q[top]:
            top = k
            tops = 0
        tops += q[k] == q[top]
        if q[k] < q[low]:
            low = k
    where = top if tops == 1 else low
    if tops == 1 or (q[low] < q[top] and 0.0 < q[low] + rest < q[top]):
        q[where] += rest
    for k in range(classes):
        q[k] *= UNIT


@inner
def forecast(skills, m, s, label, belief, truth):
    """Score the engines on a judgment not yet counted; return the accuracy of seat `s`."""
    model = skills.models[m]
    evidence = skills.evidence
    classes = model["classes"]
    record = skills.seats[index(s)]
    local, row = strengths(skills, m)
    weight = row * weight_of(record["epoch"] - record["base"])
    start = record["offset"]
    known = 0.0
    for engine in range(ENGINES):
        base = start + 1 + engine * engine_width(classes)
        rows = base + classes * classes
        mean = believed(skills, s, evidence[index(rows + classes)], evidence[index(start)], local)
        if engine == model["engine"]:
            known = mean
        miss = (1.0 - mean) / (classes - 1)
        chance = 0.0
        for k in range(classes):
            q = np.float64(belief[index(engine * classes + k)])
            if truth >= 0:
                q = 1.0 if k == truth else 0.0
            hits = weight * (mean if k == label else miss) + evidence[index(base + label * classes + k)]
            chance += q * hits / (weight + evidence[index(rows + k)])
        chance = max(chance, 1e-12)
        if engine == 0:
            model["chance0"] *= chance
        elif engine == 1:
            model["chance1"] *= chance
        else:
            model["chance2"] *= chance
    return known


@kernel
def choose(skills, m):
    """Fold the forecasts since the last call (at most 25) into the scores and name the engine seats are known by.

    Engine 2 must lead by LEAD nats, for where it is wrong, it is far wrong. Engine 0 must lead while the raw
    frequencies are those of few judgments.
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
    elif model["classes"] > 2 and model["score2"] > model["score1"] + LEAD:
        engine = 2
    model["engine"] = engine


@inner
def heard(q, labels, n, classes, out):
    """Write log2 of q_k (1 + (1 - 2/K) votes for k) to `out`, relative to the largest."""
    for k in range(classes):
        out[k] = 1.0
    if classes > 2:
        each = 1.0 - 2.0 / classes
        for j in range(n):
            out[index(labels[index(j)])] += each
    top = 0.0
    for k in range(classes):
        out[k] *= q[k]
        top = max(top, out[k])
    inverse = 1.0 / top
    for k in range(classes):
        out[k] = 0.0 if out[k] == top else log2(max(out[k] * inverse, TINY))


@kernel
def newcomer(skills, m):
    """log2 of the odds o that a newcomer is right: with the true class against any one other."""
    classes = skills.models[m]["classes"]
    mean = max(right_share(skills, m), (1.0 + BEYOND_CHANCE * (classes - 1.0)) / classes)
    return log2(mean * (classes - 1.0) / (1.0 - mean))


@inner
def join(labels, n, classes, ripeness, vote, deep):
    """Temper `deep` (`heard`) to how ripe the judgments are, and add `vote` for each to the class it names."""
    for k in range(classes):
        deep[k] *= ripeness
    if vote == 0.0:
        return
    for j in range(n):
        deep[index(labels[index(j)])] += vote
    top = deep[0]
    for k in range(1, classes):
        top = max(top, deep[k])
    for k in range(classes):
        deep[k] -= top


@inner
def weight(model, engine):
    """The weight of an engine in the report; engines 1 and 2 differ little with two classes, and share one's."""
    best = max(model["score0"], model["score1"], model["score2"])
    if engine == 0:
        return exp2((model["score0"] - best) * SHARPNESS)
    score = model["score1"] if engine == 1 else model["score2"]
    return exp2((score - best) * SHARPNESS) * (0.5 if model["classes"] == 2 else 1.0)


@inner
def blend(skills, m, q, out):
    """Write the mixture of the engines' posteriors to `out`, of any sum."""
    model = skills.models[m]
    classes = model["classes"]
    for k in range(classes):
        out[k] = 0.0
    for engine in range(ENGINES):
        mine = q[engine * classes : (engine + 1) * classes]
        total = 0.0
        for k in range(classes):
            total += mine[k]
        share = weight(model, engine) / total
        for k in range(classes):
            out[k] += share * mine[k]


@inner
def depths(skills, m, q, labels, n, ripeness, room, out):
    """Write what `pool` tempers: with two classes `heard` of each engine, else of their mixture (`room`: K floats).

    What isn't ripe is believed as newcomers are.
    """
    classes = skills.models[m]["classes"]
    rest = 1.0 - ripeness
    vote = rest * rest * rest * newcomer(skills, m) if rest > UNSEEN else 0.0
    if classes == 2:
        for e in range(0, 2 * ENGINES, 2):
            heard(q[e : e + 2], labels, n, classes, out[e : e + 2])
            join(labels, n, classes, ripeness, vote, out[e : e + 2])
    else:
        blend(skills, m, q, room)
        heard(room, labels, n, classes, out)
        join(labels, n, classes, ripeness, vote, out)


@inner
def temper(skills, m, deep, power, out):
    """Write the tempered mixture to `out`, given `deep` (`depths`); of any sum."""
    model = skills.models[m]
    classes = model["classes"]
    for k in range(classes):
        out[k] = 0.0 if classes == 2 else exp2(power * deep[k])
    if classes == 2:
        for engine in range(ENGINES):
            low, high = deep[index(2 * engine)], deep[index(2 * engine + 1)]
            x = exp2(power * min(low, high))  # one power, for the other class has 1
            share = weight(model, engine) / (1.0 + x)
            out[0] += share * (x if low < high else 1.0)
            out[1] += share * (x if high < low else 1.0)


@kernel
def sample(skills, m, n, truth, deep, pooled):
    """Learn rho from `deep` (`depths`), what `n` judgments said of a task of known `truth` (`pooled`: scratch)."""
    model = skills.models[m]
    loss = loss_at(skills, m)
    model["gold"] += 1
    for r in range(RHOS):
        temper(skills, m, deep, 1.0 / (1.0 + n * RHO[r]), pooled)
        total = 0.0
        for k in range(model["classes"]):
            total += pooled[k]
        skills.evidence[loss + r] *= KEEP
        skills.evidence[loss + r] += math.log(total) - math.log(max(pooled[truth], TINY))
    fit(skills, m)


@kernel
def foresee(skills, m, s, labels, n, q, rest, theta):
    """Learn where rho starts: how well would the first n - 1 judgments have foretold the last, that of seat `s`?

    `q`, of the engine in use, includes that judgment, which is not in the statistics yet; `rest` and `theta` are
    scratch.
    """
    model = skills.models[m]
    evidence = skills.evidence
    classes = model["classes"]
    record = skills.seats[s]
    local, row = strengths(skills, m)
    row *= weight_of(record["epoch"] - record["base"])
    base = record["offset"] + 1 + model["engine"] * engine_width(classes)
    rows = base + classes * classes
    mean = believed(skills, s, evidence[rows + classes], evidence[record["offset"]], local)
    label = labels[n - 1]
    for k in range(classes):
        hits = row * expected(skills, m, model["engine"], mean, k, label) + evidence[base + label * classes + k]
        theta[k] = max(hits / (row + evidence[rows + k]), 1e-12)
        q[k] /= theta[k]
    heard(q, labels, n - 1, classes, rest)
    for k in range(classes):
        q[k] *= theta[k]
    surprise = loss_at(skills, m) + RHOS
    for r in range(RHOS):
        power = 1.0 / (1.0 + (n - 1) * RHO[r])
        chance = 0.0
        total = 0.0
        for k in range(classes):
            weight = 1.0 if rest[k] == 0.0 else exp2(power * rest[k])
            total += weight
            chance += weight * theta[k]
        evidence[surprise + r] *= KEEP_SURPRISE
        evidence[surprise + r] -= LOG_2 * log2(chance / total)


@kernel
def fit(skills, m):
    """Set rho: what foretells judgments best, and from there on what gold says."""
    loss = loss_at(skills, m)
    model = skills.models[m]
    start = _best(skills, loss + RHOS, PULL_START, DEFAULT_RHO) * RAISE[model["engine"]]
    model["rho"] = _best(skills, loss, PULL, start)


@inner
def _best(skills, record, pull, start):
    """The rho of least recorded loss, pulled towards `start`; the parabola through the best three candidates."""
    at = math.log(start / LOWEST)
    best = 0
    least = math.inf
    for r in range(RHOS):
        off = STEP * r - at
        value = skills.evidence[record + r] + pull * (off * off)
        if value < least:
            least = value
            best = r
    found = STEP * best
    if 0 < best < RHOS - 1:
        low, high = found - STEP - at, found + STEP - at
        before = skills.evidence[record + best - 1] + pull * (low * low) - least
        after = skills.evidence[record + best + 1] + pull * (high * high) - least
        found += 0.5 * STEP * (before - after) / (before + after)
    return LOWEST * math.exp(found)


@inner
def calibrate(skills, m, n, deep, report):
    """Write the calibrated posterior to `report`, given `deep` (`depths`); rounded, never 0, ties kept."""
    model = skills.models[m]
    classes = model["classes"]
    temper(skills, m, deep, 1.0 / (1.0 + n * model["rho"]), report)
    if classes == 2:
        report[0], report[1] = max(report[0], UNIT), max(report[1], UNIT)
        rounded(report, classes)
    else:
        evenly(report, classes)
