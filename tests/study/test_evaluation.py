"""Runs over recorded labels: exact under repetition, blind to the truth, honest in their accounts."""

import numpy as np
import pytest

from stream.study import evaluation
from stream.study.comparison import compare
from stream.study.evaluation import Labels

ACCURACY = (0.95, 0.9, 0.85, 0.8, 0.6, 0.55, 0.5)


@pytest.fixture(scope="module")
def labels():
    random = np.random.default_rng(3)
    tasks, classes = 150, 3
    truth = random.integers(classes, size=tasks).astype(np.int32)
    task = np.repeat(np.arange(tasks, dtype=np.int32), 5)
    people = np.concatenate([random.permutation(len(ACCURACY))[:5] for _ in range(tasks)]).astype(np.int32)
    wrong = (truth[task] + random.integers(1, classes, size=len(task))) % classes
    right = random.random(len(task)) < np.array(ACCURACY)[people]
    label = np.where(right, truth[task], wrong).astype(np.int32)
    known = np.where(np.arange(tasks) < 120, truth, -1).astype(np.int32)
    return Labels(task, people, label, np.zeros(len(task)), known, classes)


@pytest.fixture(scope="module")
def none(labels):
    return np.full(len(labels.truth), -1, np.int32)


def test_two_runs_of_one_order_are_bit_identical(labels, none):
    order = evaluation.draw_order(labels, 5)
    first, second = (evaluation.one_pass(labels, order, none) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert a.tobytes() == b.tobytes()


def test_the_truth_of_tasks_that_are_not_gold_changes_nothing(labels, none):
    order = evaluation.draw_order(labels, 5)
    changed = np.where(labels.truth >= 0, (labels.truth + 1) % 3, -1).astype(np.int32)
    other = labels._replace(truth=changed)
    a, b = evaluation.one_pass(labels, order, none), evaluation.one_pass(other, order, none)
    np.testing.assert_array_equal(a.posterior, b.posterior)
    a, b = (evaluation.allocated(x, 1, none) for x in (labels, other))
    assert len(a.accuracy) == len(b.accuracy)


def test_gold_tasks_are_told_and_not_scored(labels):
    gold = evaluation.draw_gold(labels, 30, 2)
    assert (gold >= 0).sum() == 30
    run = evaluation.one_pass(labels, evaluation.draw_order(labels, 2), gold)
    assert (run.truth[gold >= 0] == -1).all()
    assert (run.posterior.argmax(1) == gold)[gold >= 0].all()
    with pytest.raises(ValueError, match="Expected fewer gold tasks than the 120"):
        evaluation.draw_gold(labels, 120, 2)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_where_everybody_judged_once_labels_are_answers(classes):
    random = np.random.default_rng(classes)
    tasks = 300
    label = random.choice(classes, size=tasks, p=[0.7] + [0.3 / (classes - 1)] * (classes - 1)).astype(np.int32)
    number = np.arange(tasks, dtype=np.int32)
    once = Labels(number, random.permutation(number), label, np.zeros(tasks), label, classes)
    run = evaluation.one_pass(once, evaluation.draw_order(once, 1), np.full(tasks, -1, np.int32))
    assert (run.posterior.argmax(1) == label).all()
    assert ((run.posterior.max(1) > 1 / classes + 0.05) & (run.posterior.max(1) < 0.75)).all()
    assert evaluation.quality(once, run).accuracy == 1.0


def test_the_model_beats_the_vote_and_knows_its_people(labels, none):
    run = evaluation.one_pass(labels, evaluation.draw_order(labels, 1), none)
    report = compare(labels, 3, 0, "random", False, 0.95, 0)
    assert report.model.accuracy > report.majority
    assert run.mean[:3].min() > run.mean[4:].max()


def test_a_market_spends_only_recorded_judgments_and_a_curve_starts_at_chance(labels, none):
    curve = evaluation.allocated(labels, 1, none)
    assert len(curve.accuracy) <= (labels.truth[labels.task] >= 0).sum() + 1
    assert curve.accuracy[0] == pytest.approx(1 / 3)
    assert curve.tasks == 120


def test_a_stop_and_a_limit_spend_less(labels, none):
    free = evaluation.allocated(labels, 1, none)
    assert len(evaluation.allocated(labels, 1, none, stop=0.7).accuracy) < len(free.accuracy)
    assert len(evaluation.allocated(labels, 1, none, most=2).accuracy) <= 2 * 120 + 1


def test_answers_under_way_are_all_counted_in_the_end(labels, none):
    one = evaluation.allocated(labels, 1, none, most=2)
    busy = evaluation.allocated(labels, 1, none, most=2, busy=20)
    assert abs(len(one.accuracy) - len(busy.accuracy)) <= 0.25 * len(one.accuracy)


def test_asking_in_a_market_needs_fewer_judgments_than_usual_practice(labels):
    report = compare(labels, 3, 0, "random", True, 0.95, 0)
    by_name = {row.name: row for row in report.allocation.practices}
    assert by_name["two + tie-break"].same_judgments > by_name["two + tie-break"].accuracy
    assert by_name["two + tie-break"].saved > 0.1
    assert report.allocation.curve[0] == (0.0, pytest.approx(1 / 3))
