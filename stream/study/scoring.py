"""How good and how honest posteriors are: log-loss, calibration error, reliability, interval coverage.

Calibration error (ECE): tasks sorted by the probability of their most probable class, cut into 15 bins of
equal size, and the mean over tasks of |share right - mean probability| of their bin (Naeini, Cooper,
Hauskrecht, AAAI 2015, with equal- mass bins). It is biased upwards for few tasks: with n tasks a perfect
forecaster gets about sqrt(15 p (1 - p) / n) 0.8.

Everything works on arrays; nothing here knows where posteriors come from.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.study.practice import Floats, Ints, credit

BINS = 15
FLOOR = 1e-12


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a reliability table: how often the most probable label was right, and was said to be.

    Attributes
    ----------
    tasks : int
    claimed, right : float
        Mean probability of the most probable label; share of tasks on which it was true.
    """

    tasks: int
    claimed: float
    right: float


def log_loss(posterior: Floats, truth: Ints) -> float:
    """Return the mean of -log(probability of the true label) in nats, over tasks with a known truth."""
    scored = truth >= 0
    return float(-np.log(np.maximum(posterior[scored, truth[scored]], FLOOR)).mean())


def reliability(posterior: Floats, truth: Ints, bins: int = BINS) -> list[Bin]:
    """Return the reliability table over equal-mass bins, least confident first."""
    right = credit(posterior, truth)
    claimed = posterior[truth >= 0].max(axis=1)
    order = np.argsort(claimed, kind="stable")
    return [
        Bin(tasks=len(part), claimed=float(claimed[part].mean()), right=float(right[part].mean()))
        for part in np.array_split(order, bins)
        if len(part)
    ]


def calibration_error(table: list[Bin]) -> float:
    """Return the ECE of a reliability table."""
    return sum(b.tasks * abs(b.right - b.claimed) for b in table) / sum(b.tasks for b in table)


def coverage(low: Floats, high: Floats, measured: Floats, enough: NDArray[np.bool_]) -> float | None:
    """Return the share of annotators with `enough` evidence whose measured accuracy lies within [low, high].

    None when nobody has enough.
    """
    if not enough.any():
        return None
    inside = (low <= measured) & (measured <= high)
    return float(inside[enough].mean())
