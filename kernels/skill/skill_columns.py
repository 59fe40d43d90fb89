"""The columns in which a pool keeps what it knows about its annotators' skills.

A *model* is one skill of the pool: it has K classes (0 when the skill is scored instead of labelled). A
*seat* is one annotator in one model. Every number lives in a numpy array, so that a kernel can read and write
it in place, a row can be saved as bytes, and the caller can move them to longer arrays between kernels.

    models     one record per model
    seats      one record per seat
    evidence   flat float64
    seat_of    (models, annotators) -> seat, or -1
    used       [models, seats, evidence] in use
    work       scratch; nothing in it outlives a call

Slices of `evidence`, K classes, label l, truth k, engine e (see `update`):

    seat     T,  then per engine  N[l, k], S[k], A
    model    c[l],  P[l, k],  shape[l, k], lift[k],  prior[k],  loss[RHOS],  surprise[RHOS]

N[l, k] is the (weighted) expected number of times the annotator answered l when the truth was k, S[k] = sum_l
N[l, k], A = sum_k N[k, k] and T the weight of all judgments. S and A could be derived; they are kept because
the update reads them once per judgment. c counts raw labels, P = sum of N over the annotators (engine
`SHARED`); `shape` and `lift` are the rows derived from P (shape[0, 0], which a row of misses does not need, is the
score of `alike`), `prior` the shares of the classes derived from P and c,
`loss` and `surprise` the calibration records.

The row of a seat is its record and its slice; the row of a model likewise (`rows`).
"""

from typing import NamedTuple

import numpy as np

from kernels.skill.inlining import kernel

ENGINES = 3
"""Run side by side: 0 class prior as observed, 1 flat prior, 2 flat prior and shared confusion rows."""

SHARED = 2
"""The engine that shrinks an annotator's confusion rows towards those of the whole model."""

RHOS = 12
"""Candidates for the calibration's rho."""

MAX_CLASSES = 20

ALONE = "score_weight"
"""Of a seat in a model with classes: the weight of its answers on tasks with no other answer and no known truth.

Such a model has no scores, so the field that counts them in a model without classes is free there.
"""

MODEL = np.dtype(
    [
        ("offset", np.int64),
        ("classes", np.int32),
        ("engine", np.int32),
        ("judgments", np.int64),
        ("gold", np.int64),
        ("score0", np.float64),
        ("score1", np.float64),
        ("score2", np.float64),
        ("chance0", np.float64),
        ("chance1", np.float64),
        ("chance2", np.float64),
        ("fresh", np.int64),
        ("rho", np.float64),
    ]
)

SEAT = np.dtype(
    [
        ("offset", np.int64),
        ("model", np.int32),
        ("annotator", np.int32),
        ("judgments", np.int64),
        ("gold", np.int64),
        ("gold_right", np.int64),
        ("last_at", np.float64),
        ("doubt", np.float64),
        ("seeded_accuracy", np.float64),
        ("seeded_weight", np.float64),
        ("seeded_at", np.float64),
        ("score_sum", np.float64),
        ("score_weight", np.float64),
        # drift: see `drift`
        ("cusum", np.float64),
        ("alarms", np.int64),
        ("epoch", np.int32),
        ("base", np.int32),
        ("memory", np.int32),
        ("epoch_at", np.float64),
        ("epoch_judgments", np.int64),
        ("whole", np.float64),
        ("fast", np.float64),
        ("slow", np.float64),
        ("fast_score", np.float64),
        ("slow_score", np.float64),
    ]
)


class Skills(NamedTuple):
    """State of all models of one pool; the numba type is the same whatever the classes."""

    models: np.ndarray
    seats: np.ndarray
    evidence: np.ndarray
    seat_of: np.ndarray
    used: np.ndarray
    work: np.ndarray


class Judged(NamedTuple):
    """A task with its counted judgments, as the model takes it."""

    m: int
    """The task's model (classes >= 2)."""
    seats: np.ndarray
    labels: np.ndarray
    stamps: np.ndarray
    """int32[:]: its judgments, first `n` entries, each annotator once. `stamps` are opaque: kept by the caller with the
    judgment, written for the fresh ones."""
    n: int
    """Judgments, the fresh ones included; 0 gives the prior."""
    truth: int
    """The known label (gold, adjudicated), or -1."""
    belief: np.ndarray
    """float32[belief_width(K)], in/out: the learned posteriors, as they are counted in the statistics."""
    reported: np.ndarray
    """float32[K], in/out: the calibrated posterior, the one to show and to stop on."""
    at: float
    """Unix seconds of what caused the call."""


@kernel
def engine_width(classes):
    """Floats of evidence one engine keeps per seat: N, S, A."""
    return classes * classes + classes + 1


@kernel
def evidence_width(classes):
    """Floats of evidence one seat needs in a model of `classes` classes."""
    if classes < 2:
        return 0
    return 1 + ENGINES * engine_width(classes)


@kernel
def model_width(classes):
    """Floats of evidence one model needs beside its seats."""
    if classes < 2:
        return 0
    return 2 * classes * classes + 3 * classes + 2 * RHOS


@kernel
def belief_width(classes):
    """Float32 values a task keeps: one learned posterior per engine and 1 + truth. Opaque; zeros at first."""
    return ENGINES * classes + 1


def empty(
    models: int = 4, annotators: int = 16, seats: int = 32, evidence: int = 1024, classes: int = MAX_CLASSES
) -> Skills:
    """Return the columns of a pool about which nothing is known yet.

    Parameters
    ----------
    models, annotators, seats : int
        Rows to reserve.
    evidence : int
        Floats to reserve: `model_width(K)` per model and `evidence_width(K)` per seat.
    classes : int
        The most classes a model will have.

    Returns
    -------
    Skills
    """
    return Skills(
        np.zeros(models, MODEL),
        np.zeros(seats, SEAT),
        np.zeros(evidence, np.float64),
        np.full((models, annotators), -1, np.int32),
        np.zeros(3, np.int64),
        np.zeros(40 + (2 + 2 * ENGINES + classes) * classes, np.float64),
    )


@kernel
def has_room(skills, classes, seats):
    """Tell whether `seats` more seats of a model of `classes` classes fit without growing."""
    return skills.used[1] + seats <= skills.seats.shape[0] and (
        skills.used[2] + seats * evidence_width(classes) <= skills.evidence.shape[0]
    )


@kernel
def begin_model(skills, m, classes, start):
    """Make the blank slot `m` a model that knows nothing yet and return it; -1 if it or its evidence finds no room.

    `start` is where its `model_width(classes)` floats of evidence begin; they are blank as well.
    """
    if m >= min(skills.models.shape[0], skills.seat_of.shape[0]) or (
        start + model_width(classes) > skills.evidence.shape[0]
    ):
        return np.int64(-1)
    model = skills.models[m]
    model["offset"] = start
    model["classes"] = classes
    model["engine"] = 1
    model["rho"] = DEFAULT_RHO
    model["chance0"] = 1.0
    model["chance1"] = 1.0
    model["chance2"] = 1.0
    if classes > 1:
        shape = model["offset"] + classes + classes * classes
        lift = shape + classes * classes
        skills.evidence[shape:lift] = 1.0 / (classes - 1)
        skills.evidence[shape] = 0.0
        skills.evidence[lift : lift + 2 * classes] = 1.0
    return np.int64(m)


@kernel
def open_model(skills, classes):
    """Take the next model slot for a skill of `classes` classes (0: scored) and return it; -1 if there is no room.

    It takes one model row and `model_width(classes)` floats of evidence.
    """
    m = begin_model(skills, skills.used[0], classes, skills.used[2])
    if m >= 0:
        skills.used[0] = m + 1
        skills.used[2] += model_width(classes)
    return m


DEFAULT_RHO = 0.25
"""How strongly the judgments of one task are taken to depend on each other at first (`calibration`)."""


@kernel
def seat(skills, m, annotator):
    """Return the seat of `annotator` in model `m`, taking the next free one on first use; -1 if there is no room."""
    s = skills.seat_of[m, annotator]
    if s >= 0:
        return np.int64(s)
    if not has_room(skills, skills.models[m]["classes"], 1):
        return np.int64(-1)
    s = skills.used[1]
    skills.used[1] = s + 1
    skills.seat_of[m, annotator] = s
    record = skills.seats[s]
    record["offset"] = skills.used[2]
    record["model"] = m
    record["annotator"] = annotator
    skills.used[2] += evidence_width(skills.models[m]["classes"])
    return np.int64(s)
