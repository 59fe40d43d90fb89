"""Of whom nothing is known is believed as a newcomer is; what is equal stays equal when it is rounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import skill
from kernels.skill import skill_columns as layout
from kernels.skill.calibration import UNIT, evenly
from kernels.skill.inlining import kernel
from tests.kernels.skill.test_update import Market


@kernel
def rounded_evenly(q):
    evenly(q, len(q))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=3, max_size=20), st.floats(1e-6, 1.0))
def test_rounding_keeps_what_is_equal_equal_and_the_largest_largest(parts, scale):
    q = np.array(parts, float) ** 3 * scale
    rounded = q.copy()
    rounded_evenly(rounded)
    units = rounded / UNIT
    assert (units == np.round(units)).all()
    assert units.min() >= 1
    np.testing.assert_allclose(rounded, q / q.sum(), atol=len(q) * UNIT)
    assert ((q == q.max()) == (rounded == rounded.max())).all()
    if (q == q.max()).sum() == 1:
        assert rounded.sum() == 1.0


def test_answers_are_alone_until_there_is_another_and_again_when_it_is_gone():
    market = Market(2, 3)
    market.judge("t", 0, 1)
    alone = market.skills.seats[layout.ALONE]
    assert alone.tolist() == [1, 0, 0]
    market.judge("t", 1, 1)
    assert alone.tolist() == [0, 0, 0]
    market.judge("t", 2, 0)
    market.retract("t", 0)
    assert alone.tolist() == [0, 0, 0]
    market.retract("t", 1)
    assert alone.tolist() == [0, 0, 1]
    market.set_truth("t", 0)
    assert alone.tolist() == [0, 0, 0]
    market.set_truth("t", -1)
    assert alone.tolist() == [0, 0, 1]
    market.retract("t", 2)
    assert alone.tolist() == [0, 0, 0]


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_what_nobody_has_checked_teaches_nothing_of_people_in_general(classes):
    market = Market(classes, 60)
    for annotator in range(60):
        market.judge(annotator, annotator, 0)
    assert skill.typical(market.skills, market.m) == pytest.approx(0.7)
    for name in range(60):
        assert np.isclose(market.task(name)["reported"], market.task(0)["reported"], atol=0.05).all()


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_labels_named_equally_often_by_people_nobody_knows_tie_above_all_others(classes):
    market = Market(classes, 8)
    for annotator, label in enumerate([1, 0, 0, 1]):
        market.judge("t", annotator, label)
    reported = market.task("t")["reported"]
    assert reported[0] == reported[1]
    assert (reported[2:] < reported[0]).all()
    market.refresh("t")
    assert reported[0] == reported[1]


def test_more_who_agree_are_believed_more_but_less_than_if_they_did_not_know_the_same_things():
    market = Market(2, 8)
    said = []
    for annotator in range(5):
        market.judge("t", annotator, 1)
        said.append(float(market.task("t")["reported"][1]))
    assert said == sorted(said)
    assert 0.6 < said[0] < 0.7
    assert said[-1] < 0.7**5 / (0.7**5 + 0.3**5)
