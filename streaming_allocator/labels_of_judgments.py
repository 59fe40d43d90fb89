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
    task, annotator, label = _listed(tasks, "tasks"), _listed(annotators, "annotators"), _listed(labels, "labels")
    if not len(task) == len(annotator) == len(label):
        lengths = f"{len(task)}, {len(annotator)}, {len(label)}"
        raise ValueError(f"expected as many tasks as annotators and labels, got {lengths}")
    if not task:
        raise ValueError("expected at least one judgment, got none")
    kept = list(dict.fromkeys(zip(task, annotator, strict=True)))
    first = {}
    for i, pair in enumerate(zip(task, annotator, strict=True)):
        first.setdefault(pair, i)
    rows = [first[pair] for pair in kept]
    known = dict(truth or {})
    names = _classes([label[i] for i in rows], [known[t] for t in known if t in set(task)], classes)
    code = {name: k for k, name in enumerate(names)}
    wrong = next((label[i] for i in rows if label[i] not in code), None)
    if wrong is not None:
        raise ValueError(f"expected labels out of {names}, got {wrong!r}")
    task_number = {t: n for n, t in enumerate(dict.fromkeys(t for t, _ in kept))}
    who_number = {w: n for n, w in enumerate(dict.fromkeys(w for _, w in kept))}
    gold = np.array([code[known[t]] if t in known else -1 for t in task_number], np.int32)
    when = np.zeros(len(rows)) if at is None else np.asarray(at, np.float64)[rows]
    # one type of each array whatever came: another one would be compiled for
    judged = Labels(
        np.array([task_number[t] for t, _ in kept], np.int32),
        np.array([who_number[w] for _, w in kept], np.int32),
        np.array([code[label[i]] for i in rows], np.int32),
        when,
        gold,
        max(len(names), 2),
    )
    order = np.arange(len(rows)) if seed is None else np.random.default_rng(seed).permutation(len(rows))
    run = one_pass(judged, order.astype(np.int64), gold)
    posterior = run.posterior.copy()
    posterior[gold >= 0] = np.eye(judged.classes)[gold[gold >= 0]]
    best = posterior.argmax(axis=1)
    people = {
        w: Person(int(run.judgments[n]), float(run.mean[n]), float(run.low[n]), float(run.high[n]))
        for w, n in who_number.items()
    }
    given = list(task_number)
    return Consensus(
        labels={t: names[best[n]] for n, t in enumerate(given)},
        confidence={t: float(posterior[n, best[n]]) for n, t in enumerate(given)},
        posterior=posterior[:, : len(names)],
        tasks=given,
        classes=names,
        people=people,
    )


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
