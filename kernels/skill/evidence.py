"""Evidence that is not a one-of-K label on a task: imports and scores.

An import is a pseudo-annotation: `weight` judgments of which a share `accuracy` was right; a repeated import
replaces the former one. A score in 0..1 is one observation of a skill without classes. Both are sums, so both
can be taken back exactly (a score is rounded to multiples of 2^-16).
"""

import math

from kernels.skill.calibration import SCALE
from kernels.skill.inlining import kernel


@kernel
def seed(skills, s, accuracy, weight):
    """Set what another system reports about seat `s`: `accuracy` 0..1 on `weight` pseudo-judgments."""
    skills.seats[s]["seeded_accuracy"] = accuracy
    skills.seats[s]["seeded_weight"] = weight


@kernel
def score(skills, s, value, sign, at):
    """Count (`sign` +1) or take back (-1) a score 0..1 for seat `s`."""
    record = skills.seats[s]
    record["score_sum"] += sign * math.floor(value * SCALE + 0.5) / SCALE
    record["score_weight"] += sign
    record["judgments"] += sign
    if sign > 0:
        record["last_at"] = max(record["last_at"], at)
