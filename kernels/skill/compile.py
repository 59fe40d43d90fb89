"""Compile every kernel before the first event, with the argument types the core uses."""

import numpy as np

from kernels.skill.drift import alarms, drift
from kernels.skill.evidence import score, seed
from kernels.skill.revise import correct, forget, learn, refresh
from kernels.skill.skill_columns import begin_model, belief_width, empty, evidence_width, model_width, open_model, seat
from kernels.skill.value import (
    THETA_WIDTH,
    ability,
    at_least,
    gain,
    gain_prepared,
    lesson,
    mean,
    prepare,
    quantile,
)


def precompile() -> None:
    """Run each kernel once on a tiny pool of its own; the results land in numba's cache."""
    classes = 2
    room = 2 * model_width(classes) + 2 * evidence_width(classes)
    skills = empty(models=2, annotators=2, seats=2, evidence=room)
    m = open_model(skills, classes)
    begin_model(skills, 1, classes, int(skills.used[2]))
    seats = np.array([seat(skills, m, 0), seat(skills, m, 1)], np.int32)
    labels = np.array([0, 1], np.int32)
    stamps = np.zeros(2, np.int32)
    lesson(skills, m, np.int64(0))
    drift(skills, np.int64(0))
    alarms(skills, np.int64(0))
    belief = np.zeros(belief_width(classes), np.float32)
    reported = np.zeros(classes, np.float32)
    task = (skills, m, seats, labels, stamps)
    learn(*task, 1, 1, -1, belief, reported, 0.0)
    learn(*task, 2, 1, -1, belief, reported, 1.0)
    refresh(*task, 2, -1, belief, reported, 2.0)
    correct(*task, 2, 1, 0, -1, belief, reported, 3.0)
    forget(*task, 2, 0, -1, belief, reported, 4.0)
    seed(skills, np.int64(0), 0.9, 10.0)
    score(skills, np.int64(0), 0.5, 1, 5.0)
    for s in (np.int64(-1), np.int64(0)):
        mean(skills, m, s)
        quantile(skills, m, s, 0.2)
        at_least(skills, m, s, 0.8)
        ability(skills, m, s)
        gain(skills, m, s, reported)
    theta = np.zeros(THETA_WIDTH)
    prepare(skills, m, np.int64(0), theta)
    gain_prepared(theta, reported, classes)
