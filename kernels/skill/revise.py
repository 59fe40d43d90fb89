"""The one way in: judgments are counted, taken back and relabelled, tasks revisited.

To take a judgment back, what `update` has counted of it is taken out at the posteriors that are counted now; then the
task is computed anew from the others. Sums are exact, so nothing of it remains.

One kernel does it all: four would each hold a copy of the update, and a second of compiling for every part of it.
"""

import numpy as np

from kernels.jit import inner
from kernels.skill.confusion import shared_at, weight_of
from kernels.skill.inlining import kernel
from kernels.skill.skill_columns import ALONE, ENGINES, SHARED, Judged, Skills, engine_width
from kernels.skill.update import is_met, learned


@inner
def _move(skills, task, which, sign, met):
    """Add (+1) or take out (-1) one judgment, checked if it has `met`, at the task's present posteriors."""
    m, s, label, epoch = task.m, task.seats[which], task.labels[which], task.stamps[which]
    belief, reported = task.belief, task.reported
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


@inner
def _part(skills, m, s, label, epoch, belief):
    """A judgment stays behind as the only one of its task: nothing checks it any more."""
    classes = skills.models[m]["classes"]
    record = skills.seats[s]
    record[ALONE] += weight_of(epoch - record["base"])
    p = shared_at(skills, m) + label * classes
    for k in range(classes):
        skills.evidence[p + k] -= belief[SHARED * classes + k]


@inner
def _leave(skills, task, gone):
    """Take judgment `gone` out of the statistics and out of the arrays, which are compacted in place."""
    m, seats, labels, stamps, n = task.m, task.seats, task.labels, task.stamps, task.n
    known = np.int64(task.belief[ENGINES * skills.models[m]["classes"]]) - 1
    _move(skills, task, gone, -1, is_met(n, known))
    for j in range(gone, n - 1):
        seats[j] = seats[j + 1]
        labels[j] = labels[j + 1]
        stamps[j] = stamps[j + 1]
    if is_met(n, known) and not is_met(n - 1, known):
        _part(skills, m, seats[0], labels[0], stamps[0], task.belief)


@inner
def _relabel(skills, task, which, label):
    """Replace the label of judgment `which`."""
    met = is_met(task.n, np.int64(task.belief[ENGINES * skills.models[task.m]["classes"]]) - 1)
    _move(skills, task, which, -1, met)
    task.labels[which] = label
    _move(skills, task, which, 1, met)


@kernel
def revise(skills, task, fresh, which, label):
    """Recompute a task's posterior and move the statistics of its annotators accordingly.

    Parameters
    ----------
    skills : Skills
    task : Judged
    fresh : int
        How many of the last judgments are new, that is not in the statistics yet (0 or 1, more is allowed).
    which : int
        The judgment to be taken back, or to be given another label, before; -1: none.
    label : int
        Its new label (written to `labels`), or -1: it is taken back, and afterwards the first n - 1 entries of the
        arrays are the remaining judgments.

    Returns
    -------
    float
        Largest change of any posterior; 0.0 when `fresh` is 0 and nothing was worth writing, so that every
        row is as it was.
    """
    n = task.n
    if which >= 0:
        if label >= 0:
            _relabel(skills, task, which, label)
        else:
            _leave(skills, task, which)
            n -= 1
    left = Judged(
        task.m, task.seats, task.labels, task.stamps, n, task.truth, task.belief, task.reported, task.at
    )
    return learned(skills, left, fresh)


def _judged(
    m: int, seats: np.ndarray, labels: np.ndarray, stamps: np.ndarray, n: int, truth: int, belief: np.ndarray,
    reported: np.ndarray, at: float,
) -> Judged:  # fmt: skip
    return Judged(int(m), seats, labels, stamps, int(n), int(truth), belief, reported, float(at))


def learn(
    skills: Skills, m: int, seats: np.ndarray, labels: np.ndarray, stamps: np.ndarray, n: int, fresh: int, truth: int,
    belief: np.ndarray, reported: np.ndarray, at: float,
) -> float:  # fmt: skip
    """Count the last `fresh` judgments: `revise` from Python, with the parts of a `Judged` one by one."""
    return revise(skills, _judged(m, seats, labels, stamps, n, truth, belief, reported, at), fresh, -1, -1)


def refresh(
    skills: Skills, m: int, seats: np.ndarray, labels: np.ndarray, stamps: np.ndarray, n: int, truth: int,
    belief: np.ndarray, reported: np.ndarray, at: float,
) -> float:  # fmt: skip
    """Revisit a task with what has been learned since; also applies a truth set or lifted."""
    return revise(skills, _judged(m, seats, labels, stamps, n, truth, belief, reported, at), 0, -1, -1)


def forget(
    skills: Skills, m: int, seats: np.ndarray, labels: np.ndarray, stamps: np.ndarray, n: int, gone: int, truth: int,
    belief: np.ndarray, reported: np.ndarray, at: float,
) -> float:  # fmt: skip
    """Retract judgment number `gone`, and recompute the task from the others."""
    return revise(skills, _judged(m, seats, labels, stamps, n, truth, belief, reported, at), 0, gone, -1)


def correct(
    skills: Skills, m: int, seats: np.ndarray, labels: np.ndarray, stamps: np.ndarray, n: int, which: int, label: int,
    truth: int, belief: np.ndarray, reported: np.ndarray, at: float,
) -> float:  # fmt: skip
    """Replace the label of judgment `which`, and recompute the task."""
    return revise(skills, _judged(m, seats, labels, stamps, n, truth, belief, reported, at), 0, which, label)
