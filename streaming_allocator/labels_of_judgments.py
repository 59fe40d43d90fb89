"""Judgments in, labels out: one pass of the streaming model over data of any ids and classes."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.files.classes import ordered, spelled
from stream.study.evaluation import Labels, one_pass


class Person(NamedTuple):
    """What is known about somebody: expected accuracy, its 90 % interval, how many judgments it rests on."""

    judgments: int
    accuracy: float
    low: float
    high: float


class Consensus(NamedTuple):
    """What the judgments say.

    Attributes
    ----------
    labels : dict
        The most probable class of each task, by its name; of equals the first one.
    confidence : dict
        How probable it is, calibrated.
    posterior : float64[tasks, classes]
        In the order of `tasks` and `classes`.
    tasks, classes : list
    people : dict
        Person of each annotator.
    """

    labels: dict[Any, Any]
    confidence: dict[Any, float]
    posterior: NDArray[np.float64]
    tasks: list[Any]
    classes: list[Any]
    people: dict[Any, Person]


def consensus(
    tasks: Sequence[Hashable] | ArrayLike,
    annotators: Sequence[Hashable] | ArrayLike,
    labels: Sequence[Hashable] | ArrayLike,
    *,
    at: Sequence[float] | ArrayLike | None = None,
    truth: Mapping[Any, Any] | None = None,
    classes: Sequence[Hashable] | None = None,
    seed: int | None = None,
) -> Consensus:
    """Estimate labels and people from judgments, one element each, in one pass.

    Parameters
    ----------
    tasks, annotators, labels : sequences of equal length
        Any ids: text, numbers, columns of a data frame. Of a repeated pair of task and annotator the first counts.
    at : sequence of float, optional
        Unix seconds, for skills that change.
    truth : mapping, optional
        Known labels of some tasks; they teach the model about people.
    classes : sequence, optional
        All classes; those that occur otherwise, numbers by size, texts by alphabet.
    seed : int, optional
        Draw the order of the judgments; as given otherwise.

    Returns
    -------
    Consensus

    Raises
    ------
    ValueError
        The sequences are empty or of different length, or a label is none of `classes`.
    """
    pairs, said, rows = _first_of_each(tasks, annotators, labels)
    task_number = {t: n for n, t in enumerate(dict.fromkeys(t for t, _ in pairs))}
    who_number = {w: n for n, w in enumerate(dict.fromkeys(w for _, w in pairs))}
    known = {t: label for t, label in (truth or {}).items() if t in task_number}
    names = _classes(said, list(known.values()), classes)
    code = {name: k for k, name in enumerate(names)}
    wrong = next((label for label in (*said, *known.values()) if label not in code), None)
    if wrong is not None:
        raise ValueError(f"expected labels out of {names}, got {wrong!r}")
    gold = np.array([code[known[t]] if t in known else -1 for t in task_number], np.int32)
    # one type of each array whatever came: another one would be compiled for
    judged = Labels(
        np.array([task_number[t] for t, _ in pairs], np.int32),
        np.array([who_number[w] for _, w in pairs], np.int32),
        np.array([code[label] for label in said], np.int32),
        np.zeros(len(rows)) if at is None else np.asarray(at, np.float64)[rows],
        gold,
        max(len(names), 2),
    )
    order = np.arange(len(rows)) if seed is None else np.random.default_rng(seed).permutation(len(rows))
    run = one_pass(judged, order.astype(np.int64), gold)
    posterior = run.posterior.copy()
    posterior[gold >= 0] = np.eye(judged.classes)[gold[gold >= 0]]
    best = posterior.argmax(axis=1)
    known_of = zip(run.judgments.tolist(), run.mean.tolist(), run.low.tolist(), run.high.tolist(), strict=True)
    return Consensus(
        labels={t: names[best[n]] for t, n in task_number.items()},
        confidence={t: float(posterior[n, best[n]]) for t, n in task_number.items()},
        posterior=posterior[:, : len(names)],
        tasks=list(task_number),
        classes=names,
        people={w: Person(*person) for w, person in zip(who_number, known_of, strict=True)},
    )


def _first_of_each(tasks: Any, annotators: Any, labels: Any) -> tuple[list[tuple[Any, Any]], list[Any], list[int]]:
    """Pairs of task and annotator, the label that each gave first, and where."""
    task, annotator, label = _listed(tasks, "tasks"), _listed(annotators, "annotators"), _listed(labels, "labels")
    if not len(task) == len(annotator) == len(label):
        lengths = f"{len(task)}, {len(annotator)}, {len(label)}"
        raise ValueError(f"expected as many tasks as annotators and labels, got {lengths}")
    if not task:
        raise ValueError("expected at least one judgment, got none")
    first: dict[tuple[Any, Any], int] = {}
    for i, pair in enumerate(zip(task, annotator, strict=True)):
        first.setdefault(pair, i)
    return list(first), [label[i] for i in first.values()], list(first.values())


def _listed(values: Any, what: str) -> list[Any]:
    found = values.tolist() if hasattr(values, "tolist") else list(values)
    if any(isinstance(value, list) for value in found):
        raise ValueError(f"expected {what} as one sequence, got a table")
    return found


def _classes(given: list[Any], known: list[Any], classes: Sequence[Hashable] | None) -> list[Any]:
    if classes is not None:
        names = _listed(classes, "classes")
        if len(set(names)) != len(names):
            raise ValueError(f"expected different classes, got {names}")
        return names
    found = {*given, *known}
    by_text = {spelled(str(name)): name for name in found}
    if len(by_text) == len(found):
        return [by_text[text] for text in ordered(by_text)]
    return sorted(found, key=repr)
