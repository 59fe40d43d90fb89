"""What is known about an annotator's skill, in the numbers that people read."""

from typing import NamedTuple

import numpy as np

from kernels.skill.drift import drift
from kernels.skill.skill_columns import Skills
from kernels.skill.value import mean, quantile, sample_size

TAIL = 0.05


class Known(NamedTuple):
    """Accuracy (expected score without classes), its 90 % interval, and what they rest on."""

    mean: float
    low: float
    high: float
    judgments: float
    """Effective sample size: what present weights leave of judgments, scores and imports, prior included."""
    drift: float
    """Evidence for a fall as a share of the alarm threshold."""


def known(skills: Skills, m: int, annotator: int) -> Known:
    """Return what is known of `annotator` in model `m`; the prior of whoever has not been seen there."""
    model, s = np.int64(m), np.int64(skills.seat_of[m, annotator])
    return Known(
        mean=float(mean(skills, model, s)),
        low=float(quantile(skills, model, s, TAIL)),
        high=float(quantile(skills, model, s, 1.0 - TAIL)),
        judgments=float(sample_size(skills, model, s)),
        drift=float(drift(skills, s)) if s >= 0 else 0.0,
    )
