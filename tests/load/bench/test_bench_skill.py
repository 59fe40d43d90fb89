"""The benchmark holds every figure against its bar and lets none pass unmeasured."""

import numpy as np
import pytest

from load.bench import bench_skill as bench
from load.bench.skill_crowds import FAMILIES, Beside, draw, newcomer, spammer

GOOD = bench.Set(
    vote=0.8,
    by_seed=[0.97, 0.97],
    log_loss=0.2,
    calibration=0.03,
    coverage=0.9,
    claim=-0.01,
    usual=(0.78, 2.36),
    five=(0.81, 5.0),
    same_judgments=0.84,
    fewer_than_usual=0.3,
    fewer_than_five=0.6,
    in_flight=0.002,
    peer=None,
)
CLOCK = {2: (0.4, 100.0), 5: (0.9, 100.0)}
ALIKE = dict.fromkeys(FAMILIES, Beside(0.9, 0.9, 0.8))
KNOWN = bench.People(8, 25, 8, 20)


def below(sets, clock=CLOCK, families=ALIKE, known=KNOWN):
    return {bar.name for bar in bench.bars(sets, clock, families, known) if not bar.ok}


def test_good_figures_pass_every_bar():
    assert below(dict.fromkeys(bench.ACCURACY, GOOD)) == set()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"by_seed": [0.99, 0.96]}, "mean minus worst seed"),
        ({"log_loss": 0.28}, "log-loss, 50 gold"),
        ({"calibration": 0.05}, "calibration error, 50 gold"),
        ({"coverage": 0.95}, "coverage of 90 % intervals, 50 gold"),
        ({"claim": -0.03}, "|claimed - right| at 0.95, 50 gold"),
        ({"same_judgments": 0.81}, "points over two + tie-break"),
        ({"fewer_than_usual": 0.2}, "fewer than two + tie-break"),
        ({"fewer_than_five": 0.5}, "fewer than fixed 5, mean"),
        ({"in_flight": 0.02}, "loss with 20 answers under way"),
    ],
)
def test_a_figure_beyond_its_bar_is_named(change, name):
    assert below(dict.fromkeys(bench.ACCURACY, GOOD._replace(**change))) == {name}


def test_one_bad_set_is_named_even_when_the_mean_is_good():
    sets = dict.fromkeys(bench.ACCURACY, GOOD) | {"CF_amt": GOOD._replace(fewer_than_five=0.4)}
    assert below(sets) == {"fewer than fixed 5, each"}


def test_one_family_far_below_its_peer_is_named_and_none_passes_unmeasured():
    good = dict.fromkeys(bench.ACCURACY, GOOD)
    one = {"simulated, worst against Dawid-Skene"}
    assert below(good, families=ALIKE | {"20 classes": Beside(0.87, 0.9, 0.8)}) == one
    assert below(good, families=ALIKE | {"20 classes": Beside(0.9, None, 0.8)}) == one
    assert below(good, families={}) == one


def test_people_known_late_are_named():
    late = below(dict.fromkeys(bench.ACCURACY, GOOD), known=bench.People(31, 60, 20, 26))
    assert late == {
        "judgments until a spammer is contained, nine in ten",
        "judgments until a newcomer qualifies, nine in ten",
    }


def test_a_drawn_crowd_is_what_its_family_says():
    for name in ("2 classes, 93 and 7 %", "5 classes, one judgment each", "20 classes, sparse"):
        family = FAMILIES[name]
        labels = draw(family, 1)
        assert (np.bincount(labels.task) == family.overlap).all()
        assert labels.classes == family.classes
        assert labels.annotators <= family.people
        if family.rare:
            assert 0.02 < (labels.truth == family.classes - 1).mean() < 0.15
        same = draw(family, 1)
        assert (same.label == labels.label).all()


def test_guessing_people_are_contained_and_good_ones_qualify():
    assert np.quantile([spammer(seed) for seed in range(20)], 0.9) <= 30
    assert np.median([newcomer(seed) for seed in range(20)]) <= 25
    assert newcomer(1, accuracy=0.5) > 50


def test_slow_updates_are_named():
    assert below(dict.fromkeys(bench.ACCURACY, GOOD), {2: (0.6, 1.0), 5: (1.1, 1.0)}) == {
        "microseconds per judgment, K = 2",
        "microseconds per judgment, K = 5",
    }


def test_a_set_that_was_not_measured_fails_its_bars():
    failed = below({name: GOOD for name in bench.ACCURACY if name != bench.EXTRA})
    assert f"accuracy {bench.EXTRA}" in failed
    assert "accuracy mean" in failed


def test_the_clock_measures_something():
    us, passes = bench.update_us(2, tasks=200, people=20, repeats=1)
    assert us > 0
    assert passes > 0
