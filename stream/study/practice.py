"""What teams do without a model: vote over all judgments, over a fixed number, over two and a tie-break.

Ties share credit: where n labels have the most votes, each counts 1/n. A task without judgments is a tie of
all classes. Only tasks with a known truth are counted, in accuracy and in judgments.

These are the yardsticks of `evaluation`; nothing in the allocator votes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

TWO = 2

NOISE = 1e-9
"""Ours tie exactly; what other methods leave equal may differ in the last bits."""


class Outcome(NamedTuple):
    """Share of tasks labelled right, and the judgments a task took on average."""

    accuracy: float
    judgments: float


def votes(task: Ints, label: Ints, tasks: int, classes: int) -> Floats:
    """Return the number of votes per task and class, float64[tasks, classes]."""
    table = np.zeros((tasks, classes))
    np.add.at(table, (task, label), 1.0)
    return table


def credit(score: Floats, truth: Ints) -> Floats:
    """Return, for each task with a known truth, 1 where the arg-max of `score` is right, shared between ties.

    Parameters
    ----------
    score : float64[tasks, classes]
        Votes or probabilities.
    truth : int32[tasks]
        -1 where unknown.
    """
    scored = truth >= 0
    rows = score[scored]
    best = rows >= rows.max(axis=1, keepdims=True) - NOISE
    right: Floats = best[np.arange(len(rows)), truth[scored]] / best.sum(axis=1)
    return right


def accuracy(score: Floats, truth: Ints) -> float:
    """Return the mean `credit`."""
    return float(credit(score, truth).mean())


def fixed_overlap(
    task: Ints, label: Ints, truth: Ints, classes: int, overlap: int, order: NDArray[np.int64]
) -> Outcome:
    """Vote over the first `overlap` judgments of each task in `order`."""
    rank = _rank(task[order], len(truth))
    return _outcome(task[order], label[order], rank < overlap, truth, classes)


def two_plus_one(task: Ints, label: Ints, truth: Ints, classes: int, order: NDArray[np.int64]) -> Outcome:
    """Vote over two judgments of each task, and over a third where they differ."""
    task, label = task[order], label[order]
    rank = _rank(task, len(truth))
    first = np.full(len(truth), -1, np.int32)
    first[task[rank == 0]] = label[rank == 0]
    differ = np.zeros(len(truth), np.bool_)
    second = rank == 1
    differ[task[second]] = label[second] != first[task[second]]
    return _outcome(task, label, (rank < TWO) | ((rank == TWO) & differ[task]), truth, classes)


def _rank(task: Ints, tasks: int) -> NDArray[np.int64]:
    """Position of each judgment among those of its task."""
    by_task = np.argsort(task, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(task, minlength=tasks))])
    rank = np.empty(len(task), np.int64)
    rank[by_task] = np.arange(len(task)) - start[task[by_task]]
    return rank


def _outcome(task: Ints, label: Ints, taken: NDArray[np.bool_], truth: Ints, classes: int) -> Outcome:
    known = taken & (truth[task] >= 0)
    table = votes(task[known], label[known], len(truth), classes)
    return Outcome(accuracy(table, truth), float(known.sum() / (truth >= 0).sum()))
