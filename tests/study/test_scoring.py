"""Honesty measured: a forecaster who says what is true scores as it should."""

import numpy as np
import pytest

from stream.study import scoring


def forecaster(tasks, claim):
    """Posteriors over two classes, and truths drawn from them after `claim` has changed the probabilities."""
    random = np.random.default_rng(0)
    p = random.uniform(0.5, 1, size=tasks)
    truth = (random.random(tasks) > p).astype(np.int32)
    q = claim(p)
    return np.stack([q, 1 - q], axis=1), truth


def test_an_honest_forecaster_has_a_small_calibration_error_and_the_entropy_as_log_loss():
    posterior, truth = forecaster(40_000, lambda p: p)
    table = scoring.reliability(posterior, truth)
    assert sum(b.tasks for b in table) == 40_000
    assert len(table) == scoring.BINS
    assert scoring.calibration_error(table) < 0.01
    entropy = -(posterior * np.log(posterior)).sum(1).mean()
    assert scoring.log_loss(posterior, truth) == pytest.approx(entropy, abs=0.01)


def test_overconfidence_is_measured():
    posterior, truth = forecaster(40_000, lambda p: 1 - (1 - p) / 4)
    claimed = posterior.max(1).mean()
    right = (truth == 0).mean()
    assert scoring.calibration_error(scoring.reliability(posterior, truth)) == pytest.approx(
        claimed - right, abs=0.01
    )


def test_tasks_without_truth_are_not_scored():
    posterior, truth = forecaster(100, lambda p: p)
    half = np.where(np.arange(100) < 50, truth, -1).astype(np.int32)
    assert scoring.log_loss(posterior, half) == scoring.log_loss(posterior[:50], truth[:50])
    assert scoring.reliability(posterior, half) == scoring.reliability(posterior[:50], truth[:50])


def test_coverage_counts_annotators_with_enough_evidence_only():
    low, high = np.array([0.1, 0.5, 0.5]), np.array([0.9, 0.6, 0.6])
    measured = np.array([0.5, 0.7, 0.55])
    assert scoring.coverage(low, high, measured, np.array([True, True, False])) == 0.5
    assert scoring.coverage(low, high, measured, np.zeros(3, np.bool_)) is None
