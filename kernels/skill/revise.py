"""Taking a judgment back, and replacing its label.

What `update` has counted of a judgment is taken out at the posteriors that are counted now; then the task is computed
anew from the others. Sums are exact, so nothing of it remains.
"""

import numpy as np

from kernels.skill.confusion import shared_at, weight_of
from kernels.skill.jit import kernel
from kernels.skill.layout import ALONE, ENGINES, SHARED, engine_width
from kernels.skill.update import NONE_FRESH, is_met, learn


@kernel
def _move(skills, m, s, label, epoch, sign, met, belief, reported):
    """Add (+1) or take out (-1) one judgment, checked if it has `met`, at the task's present posteriors."""
    evidence = skills.evidence
    classes = skills.models[m]["classes"]
    width = engine_width(classes)
    record = skills.seats[s]
    start = record["offset"]
    known = np.int64(belief[ENGINES * classes]) - 1
    weight = sign * weight_of(epoch - record["base"])
    q = np.float64(reported[label])
    record["doubt"] += weight * (q * (1.0 - q))
    p = shared_at(skills, m)
    for engine in range(ENGINES):
        base = start + 1 + engine * width
        rows = base + classes * classes
        for k in range(classes):
            q = np.float64(belief[engine * classes + k])
            if engine == SHARED and met:
                evidence[p + label * classes + k] += sign * q
            evidence[base + label * classes + k] += weight * q
            evidence[rows + k] += weight * q
        evidence[rows + classes] += weight * belief[engine * classes + label]
    evidence[start] += weight
    if known >= 0:
        record["gold"] += sign
        record["gold_right"] += sign * (label == known)
    record["judgments"] += sign
    skills.models[m]["judgments"] += sign
    evidence[skills.models[m]["offset"] + label] += sign
    if not met:
        record[ALONE] += weight


@kernel
def _part(skills, m, s, label, epoch, belief):
    """A judgment stays behind as the only one of its task: nothing checks it any more."""
    classes = skills.models[m]["classes"]
    record = skills.seats[s]
    record[ALONE] += weight_of(epoch - record["base"])
    p = shared_at(skills, m) + label * classes
    for k in range(classes):
        skills.evidence[p + k] -= belief[SHARED * classes + k]


@kernel
def forget(skills, m, seats, labels, stamps, n, gone, truth, belief, reported, at):
    """Retract judgment number `gone` of a task's `n`, then recompute the task from the others.

    The scratch arrays are compacted in place: afterwards their first n - 1 entries are the remaining
    judgments. Other parameters as in `learn`.
    """
    known = np.int64(belief[ENGINES * skills.models[m]["classes"]]) - 1
    _move(skills, m, seats[gone], labels[gone], stamps[gone], -1, is_met(n, known), belief, reported)
    for j in range(gone, n - 1):
        seats[j] = seats[j + 1]
        labels[j] = labels[j + 1]
        stamps[j] = stamps[j + 1]
    if is_met(n, known) and not is_met(n - 1, known):
        _part(skills, m, seats[0], labels[0], stamps[0], belief)
    return learn(skills, m, seats, labels, stamps, n - 1, NONE_FRESH, truth, belief, reported, at)


@kernel
def correct(skills, m, seats, labels, stamps, n, which, label, truth, belief, reported, at):
    """Replace the label of judgment `which` by `label` (written to `labels`), then recompute the task."""
    met = is_met(n, np.int64(belief[ENGINES * skills.models[m]["classes"]]) - 1)
    _move(skills, m, seats[which], labels[which], stamps[which], -1, met, belief, reported)
    labels[which] = label
    _move(skills, m, seats[which], label, stamps[which], 1, met, belief, reported)
    return learn(skills, m, seats, labels, stamps, n, NONE_FRESH, truth, belief, reported, at)
