"""Simulated annotators, sent through the kernels in one pass."""

import numpy as np

from kernels import skill
from kernels.study.recorded import Learned, Recorded, replay


class Crowd:
    """Judgments of simulated annotators, and what the kernels made of them.

    Parameters
    ----------
    classes : int
    confusion : list of float64[K, K]
        One per annotator: row = truth, column = answer.
    tasks, overlap : int
        Every task is judged by `overlap` annotators drawn at random (all of them when there are no more).
    gold : int
        The first tasks, whose truth is told.
    """

    def __init__(self, classes, confusion, tasks, overlap, seed, gold=0, truth=None, copies=None):
        random = np.random.default_rng(seed)
        people = len(confusion)
        self.truth = random.integers(classes, size=tasks).astype(np.int32) if truth is None else truth
        rows = []
        for t in range(tasks):
            said = {}
            for w in random.permutation(people)[:overlap]:
                said[w] = random.choice(classes, p=confusion[w][self.truth[t]])
            for copy, original in (copies or {}).items():
                if original in said:
                    said[copy] = said[original]
            rows += [(t, w, label) for w, label in said.items()]
        people += len(copies or {})
        task, annotator, label = np.array(rows, np.int32).T.copy()
        self.order = random.permutation(len(rows))
        self.classes = classes
        room = skill.model_width(classes) + people * skill.evidence_width(classes)
        self.skills = skill.empty(1, people, people, room)
        self.m = skill.open_model(self.skills, classes)
        self.reported = np.zeros((tasks, classes), np.float32)
        self.told = np.where(np.arange(tasks) < gold, self.truth, -1).astype(np.int32)
        start = np.concatenate([[0], np.cumsum(np.bincount(task, minlength=tasks))]).astype(np.int64)
        self.belief = belief = np.zeros((tasks, skill.belief_width(classes)), np.float32)
        table = np.zeros((3, len(rows)), np.int32)
        at = np.arange(len(rows), dtype=np.float64)
        learned = Learned(self.told, start, table, belief, self.reported)
        replay(self.skills, self.m, self.order, Recorded(task, annotator, label, at), learned, 1)
        self.votes = np.zeros((tasks, classes))
        np.add.at(self.votes, (task, label), 1)

    def seat(self, annotator):
        return np.int64(self.skills.seat_of[self.m, annotator])

    def mean(self, annotator):
        return skill.mean(self.skills, self.m, self.seat(annotator))

    def ability(self, annotator):
        return skill.ability(self.skills, self.m, self.seat(annotator))

    def accuracy(self):
        """Share of tasks not told that are labelled right; ties share."""
        return self._right(self.reported)

    def vote(self):
        """The same of a majority vote."""
        return self._right(self.votes)

    def _right(self, scores):
        best = scores == scores.max(axis=1, keepdims=True)
        return float((best[np.arange(len(best)), self.truth] / best.sum(axis=1))[self.told < 0].mean())


def coin(classes, accuracy):
    """The confusion matrix of an annotator equally good at everything."""
    matrix = np.full((classes, classes), (1 - accuracy) / (classes - 1))
    np.fill_diagonal(matrix, accuracy)
    return matrix


def constant(classes, label):
    """The confusion matrix of an annotator who always answers `label`."""
    matrix = np.zeros((classes, classes))
    matrix[:, label] = 1
    return matrix
