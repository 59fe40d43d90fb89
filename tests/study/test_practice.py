"""The yardsticks against a plain loop."""

import numpy as np
import pytest

from stream.study import practice


def plain(task, label, truth, classes, order, rule):
    """Accuracy and judgments per task of `rule`, which says how many of a task's labels to take."""
    given = {}
    for i in order:
        given.setdefault(task[i], []).append(label[i])
    right, taken = [], 0
    for t in np.flatnonzero(truth >= 0):
        labels = given.get(t, [])[: rule(given.get(t, []))]
        taken += len(labels)
        counts = np.bincount(labels, minlength=classes)
        best = counts == counts.max()
        right.append(best[truth[t]] / best.sum())
    return np.mean(right), taken / (truth >= 0).sum()


@pytest.fixture(params=range(5))
def recording(request):
    random = np.random.default_rng(request.param)
    classes = int(random.integers(2, 5))
    task = random.integers(30, size=120).astype(np.int32)
    label = random.integers(classes, size=120).astype(np.int32)
    truth = random.integers(-1, classes, size=30).astype(np.int32)
    return task, label, truth, classes, random.permutation(120)


@pytest.mark.parametrize("overlap", [1, 3, 5])
def test_fixed_overlap_votes_over_the_first_judgments(recording, overlap):
    task, label, truth, classes, order = recording
    outcome = practice.fixed_overlap(task, label, truth, classes, overlap, order)
    assert outcome == pytest.approx(plain(task, label, truth, classes, order, lambda labels: overlap))


def test_a_third_judgment_is_taken_only_where_two_differ(recording):
    task, label, truth, classes, order = recording
    outcome = practice.two_plus_one(task, label, truth, classes, order)
    expected = plain(
        task, label, truth, classes, order, lambda labels: 2 + (len(labels) > 1 and labels[0] != labels[1])
    )
    assert outcome == pytest.approx(expected)


def test_ties_share_credit():
    score = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(practice.credit(score, np.array([1, 2, 1, -1], np.int32)), [0.5, 1 / 3, 0])
