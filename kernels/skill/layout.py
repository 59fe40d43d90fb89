"""The columns in which a pool keeps what it knows about its annotators' skills.

A *model* is one skill of the pool: it has K classes (0 when the skill is scored instead of labelled). A
*seat* is one annotator in one model. Every number lives in a numpy array, so that a kernel can read and write
it in place, a row can be saved as bytes, and growing is a plain copy made by the caller between kernels.

    models     one record per model
    seats      one record per seat
    evidence   flat float64; a model's slice: raw label counts c[K];
               a seat's slice, per engine: N[K, K], S[K], A, T
    seat_of    (models, annotators) -> seat, or -1
    used       [models, seats, evidence] in use

N[k, l] is the expected number of times the annotator answered l when the truth was k, S[k] = sum_l N[k, l], A
= sum_k N[k, k] and T the number of judgments. S, A and T could be derived; they are kept because the update
reads them once per judgment.

A row of a seat is its record and its evidence slice; a row of a model likewise. `work` and nothing else is
scratch.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

ENGINES = 2
"""Dawid-Skene engines run side by side: class prior as observed, and flat."""

MAX_CLASSES = 20

MODEL = np.dtype(
    [
        ("offset", np.int64),
        ("classes", np.int32),
        ("engine", np.int32),
        ("judgments", np.int64),
        ("gold", np.int64),
        ("score0", np.float64),
        ("score1", np.float64),
        ("rho", np.float64),
        ("spare0", np.float64),
        ("spare1", np.float64),
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
        ("score_sum", np.float64),
        ("score_weight", np.float64),
        ("drift", np.float64),
        ("alarms", np.int64),
        ("spare0", np.float64),
        ("spare1", np.float64),
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


@njit(cache=True, nogil=True)
def evidence_width(classes):
    """Floats of evidence one seat needs in a model of `classes` classes."""
    return ENGINES * (classes * classes + classes + 2)


@njit(cache=True, nogil=True)
def model_width(classes):
    """Floats of evidence one model needs beside its seats."""
    return classes


@njit(cache=True, nogil=True)
def belief_width(classes):
    """Float32 values a task keeps: one learned posterior per engine and 1 + truth. Opaque; zeros at first."""
    return ENGINES * classes + 1


def empty(models=4, annotators=16, seats=32, evidence=1024):
    """Return the columns of a pool about which nothing is known yet.

    Parameters
    ----------
    models, annotators, seats : int
        Rows to reserve.
    evidence : int
        Floats to reserve: `model_width(K)` per model and `evidence_width(K)` per seat.

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
        np.zeros(4 * MAX_CLASSES + MAX_CLASSES * (MAX_CLASSES + 1), np.float64),
    )


def grow(skills, models=0, annotators=0, seats=0, evidence=0):
    """Return the same state in columns of at least the given lengths (never shorter than before)."""
    seat_of = np.full(
        (max(models, skills.seat_of.shape[0]), max(annotators, skills.seat_of.shape[1])), -1, np.int32
    )
    seat_of[: skills.seat_of.shape[0], : skills.seat_of.shape[1]] = skills.seat_of
    return Skills(
        _longer(skills.models, seat_of.shape[0]),
        _longer(skills.seats, seats),
        _longer(skills.evidence, evidence),
        seat_of,
        skills.used.copy(),
        skills.work,
    )


def _longer(column, length):
    if length <= len(column):
        return column
    grown = np.zeros(length, column.dtype)
    grown[: len(column)] = column
    return grown


@njit(cache=True, nogil=True)
def has_room(skills, classes, seats):
    """Tell whether `seats` more seats of a model of `classes` classes fit without growing."""
    return skills.used[1] + seats <= skills.seats.shape[0] and (
        skills.used[2] + seats * evidence_width(classes) <= skills.evidence.shape[0]
    )


@njit(cache=True, nogil=True)
def open_model(skills, classes):
    """Take the next model slot for a skill of `classes` classes (0: scored) and return it.

    The caller guarantees room: one model row and `model_width(classes)` floats of evidence.
    """
    m = skills.used[0]
    skills.used[0] = m + 1
    model = skills.models[m]
    model["offset"] = skills.used[2]
    model["classes"] = classes
    model["rho"] = 0.4
    skills.used[2] += model_width(classes)
    return m


@njit(cache=True, nogil=True)
def seat(skills, m, annotator):
    """Return the seat of `annotator` in model `m`, taking the next free one on first use.

    The caller guarantees room (`has_room`).
    """
    s = skills.seat_of[m, annotator]
    if s >= 0:
        return np.int64(s)
    s = skills.used[1]
    skills.used[1] = s + 1
    skills.seat_of[m, annotator] = s
    record = skills.seats[s]
    record["offset"] = skills.used[2]
    record["model"] = m
    record["annotator"] = annotator
    skills.used[2] += evidence_width(skills.models[m]["classes"])
    return np.int64(s)
