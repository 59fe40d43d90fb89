"""The report on a set of recorded labels: the model beside what teams usually do, averaged over seeds.

Three usual practices are the yardsticks: two judgments and a tie-break, fixed overlap 3 and fixed overlap 5,
each by majority vote (`practice`). For each the report says what the model reaches with as many judgments,
and how many it needs to be as accurate.
"""

from collections.abc import Callable

import msgspec
import numpy as np

from stream.study import evaluation, practice, scoring
from stream.study.evaluation import Curve, Labels, Quality
from stream.study.scoring import Bin

OVERLAPS = (3, 5)
POINTS = 100


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one annotator at the end of the first run.

    Attributes
    ----------
    annotator : int
        Index; the shell puts the id in its place.
    judgments : int
    mean, low, high : float
        Expected accuracy and its 90 % interval.
    measured : float or None
        Share right on tasks with a known truth that were not gold.
    """

    annotator: int
    judgments: int
    mean: float
    low: float
    high: float
    measured: float | None


class Practice(msgspec.Struct, frozen=True, kw_only=True):
    """One usual practice and the model against it.

    Attributes
    ----------
    name : str
    accuracy, judgments : float
        Of the practice; judgments per task.
    same_judgments : float
        Accuracy of the model with as many judgments.
    same_accuracy : float or None
        Judgments per task after which the model is as accurate; None when it never is.
    saved : float or None
        1 - same_accuracy / judgments.
    """

    name: str
    accuracy: float
    judgments: float
    same_judgments: float
    same_accuracy: float | None
    saved: float | None


class Allocation(msgspec.Struct, frozen=True, kw_only=True):
    """Replays in which the model decided which recorded judgments to ask for.

    Attributes
    ----------
    practices : list of Practice
    curve : list of (float, float)
        Judgments per task and mean accuracy.
    stop, claimed, right : float
        Tasks closed at the calibrated probability `stop` claimed so much and were right so often; None when
        none closed.
    """

    practices: list[Practice]
    curve: list[tuple[float, float]]
    stop: float
    claimed: float | None
    right: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `allocator evaluate` says; scores are None without a truth."""

    tasks: int
    annotators: int
    judgments: int
    classes: int
    known: int
    seeds: int
    gold: int
    order: str
    confidence: float
    model: Quality | None
    majority: float | None
    reliability: list[Bin]
    people: list[Person]
    allocation: Allocation | None


def compare(
    labels: Labels,
    seeds: int,
    gold: int,
    order: str,
    allocate: bool,
    stop: float,
    busy: int,
    step: Callable[[], object] = lambda: None,
) -> Report:
    """Run the model `seeds` times over the recording and report.

    Parameters
    ----------
    labels : Labels
    seeds : int
        Runs; order and gold of run s are drawn from s.
    gold : int
        Tasks whose truth the model is told; they are not scored.
    order : str
        "random", or "file": as recorded.
    allocate : bool
        Also replay the recording as a market.
    stop : float
        Calibrated probability at which a task of the market closes (only for the claim at the stop).
    busy : int
        Answers under way at any time in the market.
    step : callable
        Called after each of the `runs`.
    """
    truth = (labels.truth >= 0).any()
    passes = []
    for seed in range(seeds):
        drawn = evaluation.draw_gold(labels, gold, seed)
        shuffled = evaluation.draw_order(labels, seed) if order == "random" else np.arange(len(labels.task))
        passes.append(evaluation.one_pass(labels, shuffled, drawn))
        step()
    pooled = np.concatenate([run.posterior for run in passes])
    scored = np.concatenate([run.truth for run in passes])
    votes = practice.votes(labels.task, labels.label, len(labels.truth), labels.classes)
    return Report(
        tasks=len(labels.truth),
        annotators=labels.annotators,
        judgments=len(labels.task),
        classes=labels.classes,
        known=int((labels.truth >= 0).sum()),
        seeds=seeds,
        gold=gold,
        order=order,
        confidence=float(np.mean([run.posterior.max(axis=1).mean() for run in passes])),
        model=_mean([evaluation.quality(labels, run) for run in passes]) if truth else None,
        majority=float(np.mean([practice.accuracy(votes, run.truth) for run in passes])) if truth else None,
        reliability=scoring.reliability(pooled, scored) if truth else [],
        people=_people(labels, passes[0]),
        allocation=_allocation(labels, seeds, gold, stop, busy, step) if truth and allocate else None,
    )


def _mean(scores: list[Quality]) -> Quality:
    covered = [s.coverage for s in scores if s.coverage is not None]
    return Quality(
        accuracy=float(np.mean([s.accuracy for s in scores])),
        log_loss=float(np.mean([s.log_loss for s in scores])),
        calibration_error=float(np.mean([s.calibration_error for s in scores])),
        coverage=float(np.mean(covered)) if covered else None,
    )


def _people(labels: Labels, run: evaluation.Pass) -> list[Person]:
    scored = run.truth[labels.task] >= 0
    people = labels.annotators
    given = np.bincount(labels.annotator[scored], minlength=people)
    hit = labels.label == run.truth[labels.task]
    right = np.bincount(labels.annotator[scored & hit], minlength=people)
    return [
        Person(
            annotator=w,
            judgments=int(run.judgments[w]),
            mean=float(run.mean[w]),
            low=float(run.low[w]),
            high=float(run.high[w]),
            measured=float(right[w] / given[w]) if given[w] else None,
        )
        for w in range(people)
    ]


def runs(seeds: int, allocate: bool) -> int:
    """How often `compare` goes through the recording."""
    return seeds * (3 if allocate else 1)


def _allocation(
    labels: Labels, seeds: int, gold: int, stop: float, busy: int, step: Callable[[], object]
) -> Allocation:
    drawn = [evaluation.draw_gold(labels, gold, seed) for seed in range(seeds)]
    curves, closed = [], []
    for seed in range(seeds):
        curves.append(evaluation.allocated(labels, seed, drawn[seed], busy=busy))
        step()
        closed.append(evaluation.allocated(labels, seed, drawn[seed], stop=stop, busy=busy))
        step()
    usual = [("two + tie-break", 0), *((f"fixed {overlap}", overlap) for overlap in OVERLAPS)]
    longest = max(len(c.accuracy) - 1 for c in curves) / curves[0].tasks
    grid = np.linspace(0.0, longest, POINTS + 1)
    claims = [c for c in closed if not np.isnan(c.claimed)]
    return Allocation(
        practices=[_against(labels, name, overlap, curves, drawn) for name, overlap in usual],
        curve=[(float(x), float(np.mean([evaluation.accuracy_at(c, x) for c in curves]))) for x in grid],
        stop=stop,
        claimed=float(np.mean([c.claimed for c in claims])) if claims else None,
        right=float(np.mean([c.right for c in claims])) if claims else None,
    )


def _against(
    labels: Labels, name: str, overlap: int, curves: list[Curve], drawn: list[practice.Ints]
) -> Practice:
    """One practice (overlap 0: two and a tie-break); accuracies are over tasks that were not gold."""
    outcomes = []
    for seed, gold in enumerate(drawn):
        order = evaluation.draw_order(labels, seed)
        rest = np.where(gold >= 0, -1, labels.truth).astype(np.int32)
        if overlap:
            outcomes.append(
                practice.fixed_overlap(labels.task, labels.label, rest, labels.classes, overlap, order)
            )
        else:
            outcomes.append(practice.two_plus_one(labels.task, labels.label, rest, labels.classes, order))
    accuracy = float(np.mean([o.accuracy for o in outcomes]))
    judgments = float(np.mean([o.judgments for o in outcomes]))
    reached = [evaluation.needed(c, accuracy) for c in curves]
    found = [r for r in reached if r is not None]
    same = float(np.mean(found)) if len(found) == len(curves) else None
    return Practice(
        name=name,
        accuracy=accuracy,
        judgments=judgments,
        same_judgments=float(np.mean([evaluation.accuracy_at(c, judgments) for c in curves])),
        same_accuracy=same,
        saved=None if same is None else 1.0 - same / judgments,
    )
