"""Simulated crowds: the model beside crowd-kit's Dawid-Skene, and how soon people are known.

Families. Each is a kind of crowd that recorded sets are made of: few and many classes, rare classes, biased, sparse,
random and contrary annotators, few and many judgments a task. Everything is drawn from a seed.

People. A spammer (random answers among twelve of .85, two classes, five judgments a task, no gold) is contained at
the judgment from which on the market no longer asks it (`kernels.skill.contained`). A newcomer (right in .95, two
classes) has arrived at `min_skill` 0.8 when P(accuracy >= 0.8) >= 0.8; its answers are to gold.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kernels import skill
from stream.settings import Market
from stream.study import evaluation, practice
from stream.study.evaluation import Labels

LONGEST = 100
"""Judgments after which somebody who is not known yet never will be."""
QUALIFIED = 0.8

Matrices = NDArray[np.float64]


class Family(NamedTuple):
    """How a crowd is drawn.

    Attributes
    ----------
    classes, tasks, overlap, people : int
    accuracy : (float, float)
        Of an annotator: drawn uniformly from here.
    rare : float
        Share of the last class; the others share the rest evenly. 0: all alike.
    bias : float
        Share of an annotator's misses that go to one class of its own.
    random : float
        Share of the annotators who guess.
    contrary : float
        Share of the annotators whose accuracy is mirrored at chance.
    tail : float
        Judgments are shared out as 1 / rank^tail: 0 evenly, 1 most by few.
    """

    classes: int
    tasks: int = 600
    overlap: int = 5
    people: int = 40
    accuracy: tuple[float, float] = (0.6, 0.95)
    rare: float = 0.0
    bias: float = 0.0
    random: float = 0.0
    contrary: float = 0.0
    tail: float = 0.0


FAMILIES = {
    "2 classes": Family(2),
    "2 classes, 3 a task": Family(2, overlap=3),
    "2 classes, 10 a task": Family(2, overlap=10),
    "2 classes, 93 and 7 %": Family(2, rare=0.07),
    "2 classes, 80 and 20 %": Family(2, rare=0.2),
    "2 classes, biased": Family(2, bias=0.8),
    "2 classes, a third guesses": Family(2, random=0.33),
    "2 classes, a fifth contrary": Family(2, contrary=0.2),
    "2 classes, 5 judgments each": Family(2, people=600),
    "2 classes, one judgment each": Family(2, people=3000),
    "2 classes, most by few": Family(2, people=200, tail=1.0),
    "2 classes, 60 tasks": Family(2, tasks=60, people=15),
    "2 classes, 78 and 22 %, 15 people": Family(2, tasks=200, people=15, overlap=9, rare=0.22, accuracy=(0.5, 0.85)),
    "3 classes, 90 % one": Family(3, rare=0.9),
    "3 classes, 5 % rare": Family(3, rare=0.05),
    "3 classes, biased": Family(3, bias=0.8),
    "5 classes": Family(5),
    "5 classes, biased, weak": Family(5, accuracy=(0.35, 0.8), bias=0.7),
    "5 classes, 5 judgments each": Family(5, people=600),
    "5 classes, one judgment each": Family(5, people=3000),
    "5 classes, most by few": Family(5, people=200, tail=1.0),
    "10 classes": Family(10, tasks=1000),
    "10 classes, a third guesses": Family(10, tasks=1000, random=0.33),
    "20 classes": Family(20, tasks=1500),
    "20 classes, sparse": Family(20, tasks=1500, people=300, overlap=3, accuracy=(0.4, 0.9)),
}


def draw(family: Family, seed: int) -> Labels:
    """Draw one crowd of a family."""
    random = np.random.default_rng([seed, family.classes, family.tasks, family.people])
    k = family.classes
    shares = np.full(k, 1.0 / k)
    if family.rare:
        shares[:] = (1.0 - family.rare) / (k - 1)
        shares[-1] = family.rare
    truth = random.choice(k, size=family.tasks, p=shares).astype(np.int32)
    rows = _matrices(family, random)
    weight = 1.0 / np.arange(1, family.people + 1) ** family.tail
    task, annotator, label = [], [], []
    for t in range(family.tasks):
        for w in random.choice(family.people, family.overlap, replace=False, p=weight / weight.sum()):
            task.append(t)
            annotator.append(w)
            label.append(random.choice(k, p=rows[w, truth[t]]))
    known, who = np.unique(annotator, return_inverse=True)
    assert len(known) <= family.people
    return Labels(
        np.array(task, np.int32),
        who.astype(np.int32),
        np.array(label, np.int32),
        np.zeros(len(task)),
        truth,
        k,
    )


def _matrices(family: Family, random: np.random.Generator) -> Matrices:
    """Confusion matrices of the annotators, [annotator, truth, answer]."""
    k = family.classes
    rows = np.zeros((family.people, k, k))
    for w in range(family.people):
        right = random.uniform(*family.accuracy)
        drawn = random.random()
        if drawn < family.random:
            rows[w] = 1.0 / k
            continue
        if drawn < family.random + family.contrary:
            right = (1.0 - right) if k == practice.TWO else 1.0 / k
        favourite = random.integers(k)
        for true in range(k):
            hit = right
            if family.bias and k == practice.TWO:
                # with two classes a miss has one place to go: a bias makes one class better, the other worse
                hit = min(max(right + (0.2 if true == favourite else -0.2) * family.bias, 0.05), 0.98)
            miss = np.full(k, (1.0 - family.bias) / (k - 1) if k > practice.TWO else 1.0)
            miss[true] = 0.0
            if k > practice.TWO and family.bias:
                other = favourite if favourite != true else (true + 1) % k
                miss[other] += family.bias
            rows[w, true] = (1.0 - hit) * miss / miss.sum()
            rows[w, true, true] = hit
    return rows


class Beside(NamedTuple):
    """Mean accuracy over the seeds."""

    ours: float
    peer: float | None
    vote: float


def beside(family: Family, seeds: int, peer: Callable[[Labels], float | None]) -> Beside:
    """Label crowds of one family: one pass, `peer` on all judgments, and by vote."""
    ours, theirs, votes = [], [], []
    for seed in range(seeds):
        labels = draw(family, seed)
        none = np.full(len(labels.truth), -1, np.int32)
        run = evaluation.one_pass(labels, evaluation.draw_order(labels, seed), none)
        ours.append(practice.accuracy(run.posterior, labels.truth))
        theirs.append(peer(labels))
        counted = practice.votes(labels.task, labels.label, len(labels.truth), labels.classes)
        votes.append(practice.accuracy(counted, labels.truth))
    known = [p for p in theirs if p is not None]
    return Beside(float(np.mean(ours)), float(np.mean(known)) if known else None, float(np.mean(votes)))


def spammer(seed: int, people: int = 13, overlap: int = 5) -> int:
    """Return the counted judgments of a spammer until it is contained for good."""
    random = np.random.default_rng([seed, 1])
    skills, m = _pool(people)
    least = Market().least_ability
    given = last = 0
    while given < LONGEST:
        truth = int(random.integers(2))
        asked = random.choice(people, overlap, replace=False)
        chance = np.where(asked == 0, 0.5, 0.85)
        labels = np.where(random.random(overlap) < chance, truth, 1 - truth)
        for n in _count(skills, m, asked, labels, -1):
            if asked[n] == 0:
                given += 1
                seat = np.int64(skills.seat_of[m, 0])
                known = skill.ability(skills, m, seat)
                if not skill.contained(skills, m, seat, known, skill.typical(skills, m), least):
                    last = given
    return last + 1


def newcomer(seed: int, accuracy: float = 0.95, bar: float = QUALIFIED) -> int:
    """Return the gold judgments of a newcomer until it has reached `min_skill` `bar`."""
    random = np.random.default_rng([seed, 2])
    skills, m = _pool(1)
    for given in range(1, LONGEST + 1):
        truth = int(random.integers(2))
        label = truth if random.random() < accuracy else 1 - truth
        for _ in _count(skills, m, np.zeros(1, np.int64), np.array([label]), truth):
            pass
        if skill.at_least(skills, m, np.int64(0), bar) >= QUALIFIED:
            return given
    return LONGEST


def _pool(people: int) -> tuple[skill.Skills, np.int64]:
    room = skill.model_width(2) + people * skill.evidence_width(2)
    skills = skill.empty(1, people, people, room, 2)
    return skills, skill.open_model(skills, 2)


def _count(
    skills: skill.Skills, m: np.int64, asked: NDArray[np.int64], given: NDArray[np.int64], truth: int
) -> Iterator[int]:
    """Count the judgments of one task of two classes, one after the other; yield after each."""
    seats = np.array([skill.seat(skills, m, w) for w in asked], np.int32)
    labels = given.astype(np.int32)
    stamps = np.zeros(len(asked), np.int32)
    belief = np.zeros(skill.belief_width(2), np.float32)
    reported = np.zeros(2, np.float32)
    for n in range(len(asked)):
        skill.learn(skills, m, seats, labels, stamps, n + 1, 1, truth, belief, reported, 0.0)
        yield n
