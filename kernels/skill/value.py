"""What one more judgment is worth, and what is known about a seat.

With p(l) = sum_k q_k theta_kl, H the entropy in nats:

    information   I = H(p) - sum_k q_k H(theta_k.)          mutual information of the answer and the truth
    accuracy      G = sum_l max_k q_k theta_kl - max_k q_k  growth of the expected accuracy of the arg-max

G is zero when no single answer can turn the arg-max, I is not. A judgment that is still under way is not in
q: the caller discounts by the number in flight.

The accuracy of a seat is a Beta with the mean m of `update` and the variance of n judgments scored against
uncertain truths,

    var = m (1 - m) / (n + 1) + sum q_cal (1 - q_cal) / n^2 + 0.03^2.

Contained (`contained`) is who is not worth asking while others can be had: ability below a share of the typical one,
read both from the whole record and from the accuracy alone when it is shrunk towards the accuracy M of all answers of
the model instead of a newcomer's 0.7,

    m' = m + a (M - mu) / n,      typical ability: somebody right in M whose misses are spread evenly.

The first reading keeps biased and contrary people, who tell much; the second keeps those who were unlucky early.

Quantiles invert the regularised incomplete beta function (continued fraction, Lentz) by bisection.
"""

import math

from kernels.interpreted import lgamma
from kernels.skill.confusion import (
    LOCAL_MEAN,
    LOCAL_WEIGHT,
    accuracy,
    expected,
    right_share,
    row_weight,
    weight_of,
)
from kernels.skill.inlining import kernel
from kernels.skill.skill_columns import ENGINES, MAX_CLASSES, engine_width

FLOOR_SD = 0.03
UNTRIED = 8
"""Judgments before which nobody is contained."""
THETA_WIDTH = MAX_CLASSES * MAX_CLASSES + MAX_CLASSES
"""Floats `prepare` may write: theta[K, K] and the K row entropies."""


@kernel
def mean(skills, m, s):
    """Expected accuracy of seat `s` (-1: a newcomer) in model `m`; for a scored skill the expected score."""
    if s < 0:
        return LOCAL_MEAN
    record = skills.seats[s]
    model = skills.models[m]
    classes = model["classes"]
    if classes < 2:
        return accuracy(skills, s, record["score_sum"], record["score_weight"])
    start = record["offset"]
    hit = start + 1 + model["engine"] * engine_width(classes) + classes * classes + classes
    return accuracy(skills, s, skills.evidence[hit], skills.evidence[start])


@kernel
def sample_size(skills, m, s):
    """Judgments (or scores) behind the estimate in present weights, imports and prior included."""
    if s < 0:
        return LOCAL_WEIGHT
    record = skills.seats[s]
    prior = LOCAL_WEIGHT + record["seeded_weight"]
    if skills.models[m]["classes"] < 2:
        return prior + record["score_weight"]
    return prior + skills.evidence[record["offset"]] / weight_of(record["epoch"] - record["base"])


@kernel
def beta_shape(skills, m, s):
    """Return (alpha, beta) of the posterior of the accuracy of seat `s` (-1: a newcomer)."""
    centre = mean(skills, m, s)
    n = sample_size(skills, m, s)
    variance = centre * (1.0 - centre) / (n + 1.0) + FLOOR_SD * FLOOR_SD
    if s >= 0:
        record = skills.seats[s]
        variance += record["doubt"] / weight_of(record["epoch"] - record["base"]) / (n * n)
    strength = max(centre * (1.0 - centre) / variance - 1.0, 1e-3)
    return centre * strength, (1.0 - centre) * strength


@kernel
def beta_cdf(alpha, beta, x):
    """Regularised incomplete beta function I_x(alpha, beta)."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = math.exp(
        lgamma(alpha + beta)
        - lgamma(alpha)
        - lgamma(beta)
        + alpha * math.log(x)
        + beta * math.log1p(-x)
    )
    if x < (alpha + 1.0) / (alpha + beta + 2.0):
        return front * _fraction(alpha, beta, x) / alpha
    return 1.0 - front * _fraction(beta, alpha, 1.0 - x) / beta


@kernel
def _fraction(alpha, beta, x):
    tiny = 1e-300
    c = 1.0
    d = 1.0 - (alpha + beta) * x / (alpha + 1.0)
    d = 1.0 / (d if abs(d) > tiny else tiny)
    h = d
    for i in range(1, 300):
        for half in range(2):
            if half == 0:
                step = i * (beta - i) * x / ((alpha + 2 * i - 1.0) * (alpha + 2 * i))
            else:
                step = -(alpha + i) * (alpha + beta + i) * x / ((alpha + 2 * i) * (alpha + 2 * i + 1.0))
            d = 1.0 + step * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + step / c
            if abs(c) < tiny:
                c = tiny
            h *= d * c
        if abs(d * c - 1.0) < 1e-12:
            break
    return h


@kernel
def quantile(skills, m, s, p):
    """The accuracy that seat `s` (-1: a newcomer) exceeds with probability 1 - p."""
    alpha, beta = beta_shape(skills, m, s)
    total = alpha + beta
    constant = lgamma(total) - lgamma(alpha) - lgamma(beta)
    low, high = 0.0, 1.0
    x = alpha / total
    for _ in range(60):
        # Newton's step where it stays inside the bracket, else its middle
        error = beta_cdf(alpha, beta, x) - p
        if error > 0.0:
            high = x
        else:
            low = x
        slope = math.exp(constant + (alpha - 1.0) * math.log(x) + (beta - 1.0) * math.log1p(-x))
        step = x - error / slope if slope > 0.0 else low
        before = x
        x = step if low < step < high else 0.5 * (low + high)
        if abs(x - before) < 1e-10:
            break
    return x


@kernel
def at_least(skills, m, s, bar):
    """P(accuracy >= bar) of seat `s` (-1: a newcomer)."""
    alpha, beta = beta_shape(skills, m, s)
    return 1.0 - beta_cdf(alpha, beta, bar)


@kernel
def lesson(skills, m, s):
    """What one gold judgment teaches about seat `s` (-1: a newcomer), in nats.

    Mutual information of one more observed success or failure and the accuracy, under its Beta; about 1 / (2
    n) after n observations, so it is largest for newcomers.
    """
    alpha, beta = beta_shape(skills, m, s)
    share = alpha / (alpha + beta)
    before = -share * math.log(share) - (1.0 - share) * math.log(1.0 - share)
    within = digamma(alpha + beta + 1.0) - share * digamma(alpha + 1.0) - (1.0 - share) * digamma(beta + 1.0)
    return max(before - within, 0.0)


@kernel
def digamma(x):
    """Derivative of log Gamma for x > 0: recurrence up to 6, then the asymptotic series."""
    low = 0.0
    while x < 6.0:
        low -= 1.0 / x
        x += 1.0
    r = 1.0 / (x * x)
    return (
        low + math.log(x) - 0.5 / x - r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r / 132))))
    )


@kernel
def prepare(skills, m, s, theta):
    """Write theta[K, K] and the K row entropies of seat `s` (-1: a newcomer) into `theta`."""
    model = skills.models[m]
    classes = model["classes"]
    engine = model["engine"]
    centre = mean(skills, m, s)
    base = 0
    row = row_weight(classes)
    if s >= 0:
        record = skills.seats[s]
        base = record["offset"] + 1 + engine * engine_width(classes)
        row *= weight_of(record["epoch"] - record["base"])
    for k in range(classes):
        entropy = 0.0
        for label in range(classes):
            chance = expected(skills, m, engine, centre, k, label)
            if s >= 0:
                chance = (row * chance + skills.evidence[base + label * classes + k]) / (
                    row + skills.evidence[base + classes * classes + k]
                )
            theta[k * classes + label] = chance
            if chance > 0.0:
                entropy -= chance * math.log(chance)
        theta[classes * classes + k] = entropy


@kernel
def gain_prepared(theta, q, classes):
    """(information, accuracy) gain of one more judgment from a prepared `theta` and the posterior `q`[K]."""
    information = 0.0
    best = 0.0
    top = 0.0
    for label in range(classes):
        chance = 0.0
        largest = 0.0
        for k in range(classes):
            joint = q[k] * theta[k * classes + label]
            chance += joint
            largest = max(largest, joint)
        best += largest
        if chance > 0.0:
            information -= chance * math.log(chance)
    for k in range(classes):
        information -= q[k] * theta[classes * classes + k]
        top = max(top, q[k])
    return max(information, 0.0), max(best - top, 0.0)


@kernel
def gain(skills, m, s, q):
    """(information, accuracy) gain of one more judgment by seat `s` (-1: a newcomer) on posterior `q`[K]."""
    classes = skills.models[m]["classes"]
    theta = skills.work[(1 + ENGINES) * classes :]
    prepare(skills, m, s, theta)
    return gain_prepared(theta, q, classes)


@kernel
def ability(skills, m, s):
    """Information gain on a question about which nothing is known, as a share of log K (0..1)."""
    classes = skills.models[m]["classes"]
    if classes < 2:
        return mean(skills, m, s)
    theta = skills.work[(1 + ENGINES) * classes :]
    prepare(skills, m, s, theta)
    information = 0.0
    for label in range(classes):
        chance = 0.0
        for k in range(classes):
            chance += theta[k * classes + label] / classes
        if chance > 0.0:
            information -= chance * math.log(chance)
    for k in range(classes):
        information -= theta[classes * classes + k] / classes
    return max(information, 0.0) / math.log(classes)


@kernel
def informed(share, classes):
    """Ability of somebody who is right in `share` of all answers and spreads the others evenly; 0 up to chance."""
    if share * classes <= 1.0:
        return 0.0
    told = math.log(classes)
    if share < 1.0:
        told += share * math.log(share) + (1.0 - share) * math.log((1.0 - share) / (classes - 1.0))
    return told / math.log(classes)


@kernel
def typical(skills, m):
    """Accuracy M of all checked answers of model `m`, from what all its annotators did."""
    return right_share(skills, m)


@kernel
def contained(skills, m, s, known, usual, least):
    """Is seat `s` (-1: a newcomer, never) contained?

    Parameters
    ----------
    known : float
        Its `ability`.
    usual : float
        The accuracy of all answers, `typical`.
    least : float
        Share of the typical ability that somebody must have; 0 contains nobody.
    """
    classes = skills.models[m]["classes"]
    if s < 0 or classes < 2 or skills.seats[s]["judgments"] < UNTRIED:
        return False
    bar = least * informed(usual, classes)
    if known >= bar:
        return False
    lifted = LOCAL_WEIGHT * (usual - LOCAL_MEAN) / sample_size(skills, m, s)
    return informed(min(mean(skills, m, s) + lifted, 1.0), classes) < bar


@kernel
def unchecked(skills, s):
    """How many answers of seat `s` (-1: a newcomer) nobody else has yet confirmed or denied: sum of 4 q (1 - q).

    q is the calibrated probability of what it answered, so a settled answer counts little and a newcomer's lone one
    nearly whole.
    """
    if s < 0:
        return 0.0
    record = skills.seats[s]
    return 4.0 * record["doubt"] / weight_of(record["epoch"] - record["base"])
