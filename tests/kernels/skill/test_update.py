"""The statistics are exact sums over (judgments, posteriors), whatever happened on the way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import skill
from kernels.skill import skill_columns as layout


class Market:
    """A small pool kept the way the core keeps it; rebuilds every statistic by plain summation."""

    def __init__(self, classes, annotators):
        width = skill.evidence_width(classes)
        self.skills = skill.empty(1, annotators, annotators, skill.model_width(classes) + annotators * width)
        self.classes = classes
        self.m = skill.open_model(self.skills, classes)
        self.tasks = {}

    def task(self, name):
        if name not in self.tasks:
            self.tasks[name] = {
                "judgments": {},
                "stamps": {},
                "truth": -1,
                "belief": np.zeros(skill.belief_width(self.classes), np.float32),
                "reported": np.zeros(self.classes, np.float32),
            }
        return self.tasks[name]

    def _call(self, kernel, name, fresh, *arguments):
        task = self.task(name)
        judged = [*task["judgments"].items(), *fresh]
        seats = np.array([skill.seat(self.skills, self.m, a) for a, _ in judged] + [0], np.int32)
        labels = np.array([label for _, label in judged] + [0], np.int32)
        stamps = np.array([task["stamps"].get(a, 0) for a, _ in judged] + [0], np.int32)
        kernel(
            *(self.skills, self.m, seats, labels, stamps, len(judged)),
            *arguments,
            *(task["truth"], task["belief"], task["reported"], 0.0),
        )
        if fresh:
            task["stamps"][fresh[0][0]] = stamps[len(judged) - 1]

    def judge(self, name, annotator, label):
        self._call(skill.learn, name, [(annotator, label)], 1)
        self.task(name)["judgments"][annotator] = label

    def refresh(self, name):
        self._call(skill.refresh, name, [])

    def set_truth(self, name, truth):
        self.task(name)["truth"] = truth
        self.refresh(name)

    def retract(self, name, annotator):
        at = list(self.task(name)["judgments"]).index(annotator)
        self._call(skill.forget, name, [], at)
        del self.task(name)["judgments"][annotator]

    def correct(self, name, annotator, label):
        at = list(self.task(name)["judgments"]).index(annotator)
        self._call(skill.correct, name, [], at, label)
        self.task(name)["judgments"][annotator] = label

    def rebuilt(self, seed):
        """Evidence summed anew from (judgments, posteriors), in an order drawn from `seed`."""
        k = self.classes
        width = k * k + k + 1
        start = self.skills.models[self.m]["offset"]
        evidence = self.skills.evidence.copy()
        evidence[start : start + k + k * k] = 0
        for s in self.skills.seats[: self.skills.used[1]]:
            evidence[s["offset"] : s["offset"] + skill.evidence_width(k)] = 0
        doubt, alone = np.zeros((2, len(self.skills.seats)))
        rows = [(t, a) for t in self.tasks.values() for a in t["judgments"]]
        for i in np.random.default_rng(seed).permutation(len(rows)):
            task, annotator = rows[i]
            label, stamp = task["judgments"][annotator], task["stamps"][annotator]
            s = self.skills.seat_of[self.m, annotator]
            weight = 2.0 ** (stamp - self.skills.seats[s]["base"])
            checked = len(task["judgments"]) > 1 or task["truth"] >= 0
            alone[s] += 0.0 if checked else weight
            evidence[start + label] += 1
            r = np.float64(task["reported"][label])
            doubt[s] += weight * r * (1 - r)
            evidence[self.skills.seats[s]["offset"]] += weight
            for engine in range(skill.ENGINES):
                q = task["belief"][engine * k : (engine + 1) * k].astype(np.float64)
                base = self.skills.seats[s]["offset"] + 1 + engine * width
                evidence[base : base + k * k].reshape(k, k)[label] += weight * q
                evidence[base + k * k : base + k * k + k] += weight * q
                evidence[base + k * k + k] += weight * q[label]
                if engine == layout.SHARED and checked:
                    evidence[start + k : start + k + k * k].reshape(k, k)[label] += q
        return evidence, doubt, alone


steps = st.lists(
    st.tuples(
        st.sampled_from(["judge", "judge", "judge", "retract", "correct", "refresh", "truth"]),
        st.integers(0, 4),
        st.integers(0, 5),
        st.integers(0, 19),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from([2, 3, 5, 20]))
def test_counts_equal_the_sum_over_judgments_and_posteriors_bit_for_bit(steps, classes):
    market = Market(classes, 6)
    for what, name, annotator, drawn in steps:
        given_labels = market.task(name)["judgments"]
        label = drawn % classes
        if what == "judge" and annotator not in given_labels:
            market.judge(name, annotator, label)
        elif what == "retract" and annotator in given_labels:
            market.retract(name, annotator)
        elif what == "correct" and annotator in given_labels:
            market.correct(name, annotator, label)
        elif what == "refresh":
            market.refresh(name)
        elif what == "truth":
            market.set_truth(name, label if annotator % 2 else -1)
    for seed in range(2):
        evidence, doubt, alone = market.rebuilt(seed)
        np.testing.assert_array_equal(market.skills.evidence, evidence)
        np.testing.assert_array_equal(market.skills.seats["doubt"], doubt)
        np.testing.assert_array_equal(market.skills.seats[layout.ALONE], alone)


@pytest.mark.parametrize("classes", [2, 5])
def test_a_retracted_judgment_leaves_the_posteriors_of_the_others(classes):
    market = Market(classes, 6)
    rng = np.random.default_rng(1)
    for name in range(8):
        for annotator in range(5):
            market.judge(name, annotator, int(rng.integers(classes)))
    market.judge("new", 0, 1)
    for annotator, label in [(1, 1), (2, 0)]:
        market.judge("new", annotator, label)
    market.refresh("new")
    sums = slice(0, market.classes + market.classes**2), slice(market.skills.seats[0]["offset"], None)
    before = [market.skills.evidence[part].copy() for part in sums]
    belief = market.task("new")["belief"].copy()
    market.judge("new", 5, 0)
    market.retract("new", 5)
    for part, expected in zip(sums, before, strict=True):
        np.testing.assert_allclose(market.skills.evidence[part], expected, atol=2e-3)
    np.testing.assert_allclose(market.task("new")["belief"], belief, atol=2e-3)
    evidence, _, _ = market.rebuilt(0)
    np.testing.assert_array_equal(market.skills.evidence, evidence)


def test_a_row_put_into_another_slot_is_the_same_seat():
    market = Market(3, 4)
    for name in range(5):
        for annotator in range(4):
            market.judge(name, annotator, (name + annotator) % 3)
    other = skill.empty(2, 4, 4, 1000)
    skill.open_model(other, 2)
    m = skill.load_model(other, skill.save_model(market.skills, market.m))
    for annotator in (2, 0):
        s = market.skills.seat_of[market.m, annotator]
        row = skill.save_seat(market.skills, s)
        moved = skill.load_seat(other, m, 3 - annotator, row)
        assert skill.mean(other, m, moved) == skill.mean(market.skills, market.m, s)
        assert other.seats[moved]["annotator"] == 3 - annotator
    with pytest.raises(ValueError, match="Expected a row of"):
        skill.load_seat(other, 0, 0, row)
