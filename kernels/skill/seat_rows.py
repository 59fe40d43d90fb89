"""A seat or a model as bytes, and back into a slot of its own.

A row is the record followed by its slice of `evidence`. Where a row is put is the caller's choice (slots are
renumbered at a takeover), so `offset`, `model` and `annotator` are set anew on reading. Runs between kernels,
in plain Python.
"""

import numpy as np

from kernels.buffers import Overrun
from kernels.skill.skill_columns import MODEL, SEAT, Skills, evidence_width, model_width, open_model, seat


def save_seat(skills: Skills, s: int) -> bytes:
    """Return the row of seat `s`."""
    record = skills.seats[s]
    start = record["offset"]
    width = evidence_width(skills.models[record["model"]]["classes"])
    return skills.seats[s : s + 1].tobytes() + skills.evidence[start : start + width].tobytes()


def load_seat(skills: Skills, m: int, annotator: int, row: bytes) -> int:
    """Put `row` into the seat of `annotator` in model `m` (taken if need be) and return the seat.

    Raises
    ------
    ValueError
        If the row's length does not fit the model's classes.
    Overrun
        If there is no room.
    """
    width = evidence_width(skills.models[m]["classes"])
    _check(row, SEAT.itemsize + 8 * width)
    s = _taken(seat(skills, m, annotator), "seat")
    start = skills.seats[s]["offset"]
    skills.seats[s] = np.frombuffer(row, SEAT, 1)[0]
    skills.seats[s]["offset"] = start
    skills.seats[s]["model"] = m
    skills.seats[s]["annotator"] = annotator
    skills.evidence[start : start + width] = np.frombuffer(row, np.float64, width, SEAT.itemsize)
    return s


def save_model(skills: Skills, m: int) -> bytes:
    """Return the row of model `m`."""
    start = skills.models[m]["offset"]
    width = model_width(skills.models[m]["classes"])
    return skills.models[m : m + 1].tobytes() + skills.evidence[start : start + width].tobytes()


def load_model(skills: Skills, row: bytes) -> int:
    """Open a model from its `row` and return its slot.

    Raises
    ------
    ValueError
        If the row's length does not fit its own number of classes.
    Overrun
        If there is no room.
    """
    _check(row[: MODEL.itemsize], MODEL.itemsize)
    record = np.frombuffer(row, MODEL, 1)[0]
    width = model_width(record["classes"])
    _check(row, MODEL.itemsize + 8 * width)
    m = _taken(open_model(skills, record["classes"]), "model")
    start = skills.models[m]["offset"]
    skills.models[m] = record
    skills.models[m]["offset"] = start
    skills.evidence[start : start + width] = np.frombuffer(row, np.float64, width, MODEL.itemsize)
    return m


def _taken(slot: int, what: str) -> int:
    if slot < 0:
        raise Overrun(f"No room for one more {what}: grow the columns first")
    return slot


def _check(row: bytes, expected: int) -> None:
    if len(row) != expected:
        raise ValueError(f"Expected a row of {expected} bytes, got {len(row)}")
