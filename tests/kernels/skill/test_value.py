"""Values against brute force and independent implementations."""

from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from kernels import skill
from kernels.skill import confusion, value
from kernels.skill import skill_columns as layout
from kernels.skill.calibration import TEMPERATURE
from tests.kernels.skill.crowd import Crowd, coin


@pytest.fixture(scope="module", params=[2, 5])
def crowd(request: pytest.FixtureRequest) -> Any:
    k = request.param
    return Crowd(k, [coin(k, a) for a in (0.9, 0.8, 0.6, 0.4)], tasks=150, overlap=3, seed=k)


def entropy(p: Any) -> Any:
    return float(special.entr(p).sum())


def test_gain_equals_the_expectation_over_every_answer(crowd: Any) -> None:
    k = crowd.classes
    theta = np.zeros(value.THETA_WIDTH)
    random = np.random.default_rng(0)
    for annotator in range(4):
        skill.prepare(crowd.skills, crowd.m, crowd.seat(annotator), theta)
        rows = theta[: k * k].reshape(k, k)
        np.testing.assert_allclose(rows.sum(1), 1, atol=1e-9)
        for _ in range(10):
            q = random.dirichlet(np.ones(k))
            joint = q[:, None] * rows
            answers = joint.sum(0)
            after = joint / answers
            information = entropy(q) - sum(answers[i] * entropy(after[:, i]) for i in range(k))
            accuracy = sum(answers[i] * after[:, i].max() for i in range(k)) - q.max()
            got = skill.gain(crowd.skills, crowd.m, crowd.seat(annotator), q)
            np.testing.assert_allclose(got, (information, accuracy), atol=1e-9)


def test_ability_is_the_information_on_an_open_question_as_a_share(crowd: Any) -> None:
    k = crowd.classes
    uniform = np.full(k, 1 / k)
    for s in (np.int64(-1), crowd.seat(0), crowd.seat(3)):
        information, _ = skill.gain(crowd.skills, crowd.m, s, uniform)
        assert skill.ability(crowd.skills, crowd.m, s) == pytest.approx(information / np.log(k), abs=1e-9)


def test_interval_and_bar_agree_with_scipy(crowd: Any) -> None:
    for s in (np.int64(-1), *(crowd.seat(w) for w in range(4))):
        alpha, beta = value.beta_shape(crowd.skills, crowd.m, s)
        law = stats.beta(alpha, beta)
        assert law.mean() == pytest.approx(skill.mean(crowd.skills, crowd.m, s))
        for p in (0.05, 0.2, 0.5, 0.95):
            assert skill.quantile(crowd.skills, crowd.m, s, p) == pytest.approx(law.ppf(p), abs=1e-6)
        for bar in (0.01, 0.5, 0.8, 0.99):
            assert skill.at_least(crowd.skills, crowd.m, s, bar) == pytest.approx(law.sf(bar), abs=1e-9)


def test_the_low_quantile_reaches_a_bar_exactly_when_the_probability_does(crowd: Any) -> None:
    for annotator in range(4):
        s = crowd.seat(annotator)
        for bar in np.linspace(0.05, 0.95, 19):
            low = skill.quantile(crowd.skills, crowd.m, s, 0.2) >= bar
            assert low == (skill.at_least(crowd.skills, crowd.m, s, bar) >= 0.8)


def test_a_lesson_teaches_a_newcomer_more_than_anybody_known(crowd: Any) -> None:
    new = skill.lesson(crowd.skills, crowd.m, np.int64(-1))
    assert all(0 < skill.lesson(crowd.skills, crowd.m, crowd.seat(w)) < new for w in range(4))


def test_a_lesson_is_the_information_of_one_observation_of_a_beta() -> None:
    random = np.random.default_rng(1)
    skills = skill.empty(1, 1, 1, 1)
    m = skill.open_model(skills, 0)
    s = skill.seat(skills, m, 0)
    for _ in range(5):
        skill.seed(skills, s, random.random(), 50 * random.random())
        alpha, beta = value.beta_shape(skills, m, s)
        share = alpha / (alpha + beta)
        x = (np.arange(20_000) + 0.5) / 20_000
        weight = stats.beta(alpha, beta).pdf(x) / 20_000
        within = (weight * (special.entr(x) + special.entr(1 - x))).sum()
        expected = special.entr(share) + special.entr(1 - share) - within
        assert skill.lesson(skills, m, s) == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("classes", [2, 7])
def test_posteriors_are_those_of_the_equations(classes: Any, alike: Any) -> None:
    """One task recomputed in plain numpy from the statistics without it, for each engine."""
    crowd = Crowd(classes, [coin(classes, a) for a in (0.9, 0.7, 0.5)], 80, 3, seed=1)
    skills, m, k = crowd.skills, crowd.m, classes
    seats = np.array([crowd.seat(w) for w in range(3)], np.int32)
    labels = np.array([0, 1, 0], np.int32)
    model = skills.models[m]
    shape_at = model["offset"] + k + k * k
    skills.evidence[shape_at] = 5.0 if alike else -5.0
    stats_before = skills.evidence.copy()
    belief = np.zeros(skill.belief_width(k), np.float32)
    reported = np.zeros(k, np.float32)
    skill.learn(skills, m, seats, labels, np.zeros(3, np.int32), 3, 3, -1, belief, reported, 0.0)
    counts = 1 + skills.evidence[model["offset"] :][:k]
    shape = skills.evidence[shape_at : shape_at + k * k].reshape(k, k)
    lift = skills.evidence[shape_at + k * k :][:k]
    prior = skills.evidence[shape_at + k * k + k :][:k]
    assert (prior / prior.sum() >= 0.4 * counts / counts.sum()).all()
    local, weight = (20, 40) if alike else (6, max(4, k - 1))
    for engine in range(layout.ENGINES):
        q = prior if engine == 0 else np.ones(k)
        for s, label in zip(seats, labels, strict=True):
            start = skills.seats[s]["offset"]
            base = start + 1 + engine * (k * k + k + 1)
            n = stats_before[base : base + k * k].reshape(k, k)[label]
            rows = stats_before[base + k * k :][:k]
            scale = 2.0 ** (skills.seats[s]["epoch"] - skills.seats[s]["base"])
            mean = (0.7 * local * scale + stats_before[base + k * k + k]) / (local * scale + stats_before[start])
            r = np.full(k, (1 - mean) / (k - 1))
            r[label] = mean
            if engine == layout.SHARED:
                raised = mean * lift / (mean * lift + 1 - mean)
                r = (1 - raised) * shape[label]
                r[label] = raised[label]
            q = q * (weight * scale * r + n) / (weight * scale + rows)
        q /= q.sum()
        np.testing.assert_allclose(belief[engine * k : (engine + 1) * k], q, atol=k / 65536)
    known = np.array([stats_before[skills.seats[s]["offset"]] for s in seats])
    ripe = np.mean(known / (known + confusion.UNRIPE))
    power = ripe / (1 + 3 * model["rho"])
    learned = belief[:-1].reshape(3, k).astype(np.float64)
    np.testing.assert_allclose(reported, mixture(model, learned, labels, power), atol=0.01)


def mixture(model: Any, learned: Any, labels: Any, power: Any) -> Any:
    """What the engines' posteriors `learned` [engine, class] are reported as."""
    k = learned.shape[1]
    scores = np.array([model[f"score{e}"] for e in range(3)])
    weights = np.exp((scores - scores.max()) / TEMPERATURE)
    if k == 2:
        weights[1:] /= 2
        tempered = learned**power
        mixed = weights @ (tempered / tempered.sum(axis=1, keepdims=True))
    else:
        mixed = (weights @ learned * (1 + (1 - 2 / k) * np.bincount(labels, minlength=k))) ** power
    return mixed / mixed.sum()


@pytest.mark.parametrize("classes", [2, 5])
def test_the_report_is_a_mixture_of_all_engines(classes: Any) -> None:
    """Even the engine that forecasts best doesn't decide alone: a lead of 60 nats counts as one."""
    crowd = Crowd(classes, [coin(classes, a) for a in (0.9, 0.7, 0.6)], 60, 3, seed=4)
    skills, m = crowd.skills, crowd.m
    seats = np.array([crowd.seat(w) for w in range(3)], np.int32)
    labels = np.array([0, 1, 1], np.int32)
    reports = []
    for lead in (0.0, 60.0, 6000.0):
        model = skills.models[m]
        model["score0"] = max(model["score1"], model["score2"]) + lead
        belief, reported = np.zeros(skill.belief_width(classes), np.float32), np.zeros(classes, np.float32)
        known = np.array([skills.evidence[skills.seats[s]["offset"]] for s in seats])
        power = np.mean(known / (known + confusion.UNRIPE)) / (1 + 3 * model["rho"])
        stamps = np.zeros(3, np.int32)
        skill.learn(skills, m, seats, labels, stamps, 3, 3, -1, belief, reported, 0.0)
        learned = belief[:-1].reshape(3, classes).astype(np.float64)
        np.testing.assert_allclose(reported, mixture(model, learned, labels, power), atol=0.01)
        reports.append(reported)
    assert len({r.tobytes() for r in reports}) == 3


@pytest.mark.parametrize("classes", [2, 5])
def test_people_are_compared_by_what_either_strength_forecasts(classes: Any) -> None:
    k = classes
    crowd = Crowd(k, [coin(k, a) for a in (0.9, 0.7, 0.5)], 80, 3, seed=1)
    skills, m, model = crowd.skills, crowd.m, crowd.skills.models[crowd.m]
    score_at = model["offset"] + k + k * k
    skills.evidence[score_at] = 0.0
    model["engine"] = 1
    s = crowd.seat(0)
    start = skills.seats[s]["offset"]
    base = start + 1 + k * k + k + 1
    n = skills.evidence[base : base + k * k].reshape(k, k)[1].copy()
    rows = skills.evidence[base + k * k :][:k].copy()
    hit, total = skills.evidence[base + k * k + k], skills.evidence[start]
    belief = np.zeros(skill.belief_width(k), np.float32)
    reported = np.zeros(k, np.float32)
    task = np.array([crowd.seat(1), s], np.int32), np.array([0, 1], np.int32), np.zeros(2, np.int32)
    skill.learn(skills, m, *task, 1, 1, -1, belief, reported, 0.0)
    q = reported.astype(float)
    skill.learn(skills, m, *task, 2, 1, -1, belief, reported, 0.0)

    def forecast(local: Any, weight: Any) -> Any:
        mean = (0.7 * local + hit) / (local + total)
        r = np.full(k, (1 - mean) / (k - 1))
        r[1] = mean
        return (q * (weight * r + n) / (weight + rows)).sum()

    expected = np.log(forecast(20, 40) / forecast(6, 4))
    assert skills.evidence[score_at] == pytest.approx(expected, abs=1e-4)


@pytest.mark.compiled
def test_a_known_truth_makes_rho_fall_when_confidence_is_deserved_and_rise_when_not() -> None:
    def rho(accuracy: Any) -> Any:
        k = 2
        crowd = Crowd(k, [coin(k, accuracy)] * 5, tasks=300, overlap=5, seed=7, gold=150)
        return crowd.skills.models[crowd.m]["rho"]

    independent = rho(0.8)
    confusion = [coin(2, 0.75)]
    copied = Crowd(2, confusion, 300, 1, seed=7, gold=150, copies={w: 0 for w in range(1, 6)})
    assert independent < layout.DEFAULT_RHO < copied.skills.models[copied.m]["rho"]
