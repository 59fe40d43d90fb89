"""Recorded labels through the streaming model: how right, how honest, and how many judgments were needed.

One run draws an order and the gold tasks from a seed, sends every judgment once through `kernels.skill`, and
scores the tasks whose truth is known and that were not gold. With `allocated` the recording is replayed as a
market: annotators arrive one by one, each may be asked for one of its own recorded judgments, and the model
decides which (`kernels.study.recorded`).

Arrays in, structs out. Reading files and drawing pictures is the shell's.
"""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernels import skill
from kernels.study.recorded import Learned, Recorded, Scored, allocate, replay
from stream.study import practice, scoring
from stream.study.practice import Floats, Ints

REVISITS = 4
ENOUGH = 20
PICKY = 0.85
CURVE_POINTS = 200


class Labels(NamedTuple):
    """Recorded judgments, one element each, and the truth per task.

    Attributes
    ----------
    task, annotator, label : int32[J]
        Indexes from 0.
    at : float64[J]
        Unix seconds; zeros where unknown.
    truth : int32[tasks]
        -1 where unknown.
    classes : int
    """

    task: Ints
    annotator: Ints
    label: Ints
    at: Floats
    truth: Ints
    classes: int

    @property
    def annotators(self) -> int:
        """Number of annotators."""
        return int(self.annotator.max()) + 1


class Pass(NamedTuple):
    """What one pass over the judgments left behind.

    Attributes
    ----------
    posterior : float64[tasks, K]
        Calibrated.
    truth : int32[tasks]
        What to score against: -1 for gold and unknown.
    judgments : int64[annotators]
    mean, low, high : float64[annotators]
        Expected accuracy and its 90 % interval.
    """

    posterior: Floats
    truth: Ints
    judgments: NDArray[np.int64]
    mean: Floats
    low: Floats
    high: Floats


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Scores of one pass (`scoring`); `coverage` is None when no annotator has enough scored judgments."""

    accuracy: float
    log_loss: float
    calibration_error: float
    coverage: float | None


class Curve(NamedTuple):
    """Accuracy against judgments asked for, in one replay of a market.

    Attributes
    ----------
    accuracy : float64[n + 1]
        After so many judgments counted.
    tasks : int
        Over which judgments per task are taken.
    claimed, right : float
        Mean probability claimed and share right, over the tasks that reached the stop; nan when none did.
    """

    accuracy: Floats
    tasks: int
    claimed: float
    right: float


def draw_gold(labels: Labels, gold: int, seed: int) -> Ints:
    """Return int32[tasks]: the truth of `gold` tasks drawn by `seed`, -1 elsewhere.

    Raises
    ------
    ValueError
        If no task with a known truth would be left to score.
    """
    known = np.flatnonzero(labels.truth >= 0)
    if gold and gold >= len(known):
        raise ValueError(f"Expected fewer gold tasks than the {len(known)} with a known truth, got {gold}")
    drawn = np.full(len(labels.truth), -1, np.int32)
    chosen = np.random.default_rng([seed, 1]).choice(known, gold, replace=False)
    drawn[chosen] = labels.truth[chosen]
    return drawn


def draw_order(labels: Labels, seed: int) -> NDArray[np.int64]:
    """Return a random order of the judgments."""
    return np.random.default_rng([seed, 2]).permutation(len(labels.task))


def one_pass(labels: Labels, order: NDArray[np.int64], gold: Ints, revisits: int = REVISITS) -> Pass:
    """Send every judgment once through the model.

    Parameters
    ----------
    labels : Labels
    order : int64[J]
        Permutation of the judgments.
    gold : int32[tasks]
        Known labels given to the model, else -1 (`draw_gold`).
    revisits : int
        Open tasks refreshed after each judgment.
    """
    skills, m = _model(labels)
    tasks = len(labels.truth)
    table = np.zeros((3, len(labels.task)), np.int32)
    belief = np.zeros((tasks, skill.belief_width(labels.classes)), np.float32)
    reported = np.full((tasks, labels.classes), 1.0 / labels.classes, np.float32)
    recorded = Recorded(labels.task, labels.annotator, labels.label, labels.at)
    learned = Learned(gold, _starts(labels.task, tasks), table, belief, reported)
    replay(skills, m, order, recorded, learned, revisits)
    people = range(labels.annotators)
    seats = [np.int64(skills.seat_of[m, w]) for w in people]
    return Pass(
        reported.astype(np.float64),
        np.where(gold >= 0, -1, labels.truth).astype(np.int32),
        np.bincount(labels.annotator, minlength=labels.annotators),
        np.array([skill.mean(skills, m, s) for s in seats]),
        np.array([skill.quantile(skills, m, s, 0.05) for s in seats]),
        np.array([skill.quantile(skills, m, s, 0.95) for s in seats]),
    )


def quality(labels: Labels, run: Pass) -> Quality:
    """Score one pass."""
    scored = run.truth[labels.task] >= 0
    hit = labels.label == run.truth[labels.task]
    given = np.bincount(labels.annotator[scored], minlength=labels.annotators)
    right = np.bincount(labels.annotator[scored], weights=hit[scored], minlength=labels.annotators)
    return Quality(
        accuracy=practice.accuracy(run.posterior, run.truth),
        log_loss=scoring.log_loss(run.posterior, run.truth),
        calibration_error=scoring.calibration_error(scoring.reliability(run.posterior, run.truth)),
        coverage=scoring.coverage(run.low, run.high, right / np.maximum(given, 1), given >= ENOUGH),
    )


def allocated(
    labels: Labels,
    seed: int,
    gold: Ints,
    stop: float = 1.1,
    most: int = 1_000_000,
    busy: int = 0,
    revisits: int = REVISITS,
) -> Curve:
    """Replay the recording as a market of arriving annotators.

    Parameters
    ----------
    labels : Labels
        Tasks without a truth are left out: their judgments could not be scored.
    seed : int
        Order of arrivals: one per recorded judgment.
    gold : int32[tasks]
    stop : float
        A task closes at this calibrated probability; above 1 never.
    most : int
        Judgments per task at most.
    busy : int
        Answers under way at any time.
    revisits : int
    """
    kept = labels.truth[labels.task] >= 0
    random = np.random.default_rng([seed, 3])
    shuffled = random.permutation(np.flatnonzero(kept))
    rows = shuffled[np.argsort(labels.annotator[shuffled], kind="stable")]
    arrivals = random.permutation(labels.annotator[rows])
    task = labels.task[rows]
    tasks = len(labels.truth)
    skills, m = _model(labels)
    reported = np.zeros((tasks, labels.classes), np.float32)
    known = np.where(gold >= 0, -1, labels.truth).astype(np.int32)
    curve = np.zeros(len(rows) + 1)
    belief = np.zeros((tasks, skill.belief_width(labels.classes)), np.float32)
    counted = allocate(
        *(skills, m, arrivals, _starts(labels.annotator[rows], labels.annotators)),
        Recorded(task, labels.annotator[rows], labels.label[rows], labels.at[rows]),
        Learned(gold, _starts(task, tasks), np.zeros((3, len(rows)), np.int32), belief, reported),
        Scored(known, curve),
        np.array([stop, most, PICKY, busy, revisits, len(rows)], np.float64),
    )
    top = reported.max(axis=1)
    stopped = np.where((known >= 0) & (top >= stop), known, -1).astype(np.int32)
    reached = stopped >= 0
    some = bool(reached.any())
    return Curve(
        curve[: counted + 1] / (known >= 0).sum(),
        int((labels.truth >= 0).sum()),
        float(top[reached].mean()) if some else float("nan"),
        float(practice.credit(reported.astype(np.float64), stopped).mean()) if some else float("nan"),
    )


def needed(curve: Curve, accuracy: float) -> float | None:
    """Return the judgments per task after which `curve` first reaches `accuracy`; None when it never does."""
    reached = np.flatnonzero(curve.accuracy >= accuracy)
    return float(reached[0] / curve.tasks) if len(reached) else None


def accuracy_at(curve: Curve, judgments: float) -> float:
    """Return the accuracy of `curve` after `judgments` per task (its last value when it spent fewer)."""
    return float(curve.accuracy[min(int(judgments * curve.tasks), len(curve.accuracy) - 1)])


def _model(labels: Labels) -> tuple[skill.Skills, np.int64]:
    """Columns with one model and room for a seat of every annotator."""
    people = labels.annotators
    room = skill.model_width(labels.classes) + people * skill.evidence_width(labels.classes)
    skills = skill.empty(1, people, people, room, labels.classes)
    return skills, skill.open_model(skills, labels.classes)


def _starts(index: Ints, length: int) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(index, minlength=length))]).astype(np.int64)
