"""Recorded crowd labels as a market: who may answer what, what they would say, and what is true.

A label set is a folder with `labels.csv` (task, worker, label) and `truth.csv` (task, truth). Replaying it
live needs a rule for the questions nobody recorded an answer to: a task may be offered only to people whose
answer is on file (`only`). One more annotator is added to every task: a spammer, who answers at random.

Accuracy is *credit*: 1 where the most probable label is the true one, 1/n where n labels share the top,
over all tasks with a known truth. A task nobody judged is a tie of all its classes.

Deliberately holds no time and no randomness: `annotators` adds both.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import UNSET

from stream.events import (
    LIST_ITEMS,
    AnnotatorSet,
    Event,
    ProjectSet,
    TaskCreated,
    TaskDefaults,
)

DATA = Path(__file__).with_name("data")
SPAMMER = "spammer"


class DataError(ValueError):
    """A label set can't be used; the message names file, line, what was expected and what came."""


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """One label set.

    Attributes
    ----------
    name : str
    classes : int
        Labels are 0 … classes - 1.
    answers : dict
        Task → annotator → the label this person gave, in the order of the file.
    truth : dict
        Task → true label, for the tasks where it is known.
    """

    name: str
    classes: int
    answers: dict[str, dict[str, int]]
    truth: dict[str, int]

    @property
    def annotators(self) -> list[str]:
        """Everybody with an answer on file, in the order of their first one."""
        return list(dict.fromkeys(person for given in self.answers.values() for person in given))

    @property
    def judgments(self) -> int:
        """How many answers are on file."""
        return sum(len(given) for given in self.answers.values())

    def cut(self, tasks: int) -> "Crowd":
        """Return the first `tasks` tasks with what belongs to them."""
        kept = dict(list(self.answers.items())[:tasks])
        return msgspec.structs.replace(
            self, answers=kept, truth={task: label for task, label in self.truth.items() if task in kept}
        )


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a project asks of each of its tasks; `lease_s` in seconds of the wall clock.

    `budget` is of the whole project: how many judgments it may buy.
    """

    overlap: int = 2
    max_overlap: int = 10
    confidence: float | None = None
    lease_s: float | None = None
    budget: int | None = None


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    try:
        file = path.open(newline="", encoding="utf-8")
    except OSError as error:
        expected = f"expected a CSV file with the columns {', '.join(columns)}"
        raise DataError(f"{path}: {error.strerror}; {expected}") from error
    with file:
        reader = csv.DictReader(file)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise DataError(f"{path}: no column {missing[0]!r}; the first line is {reader.fieldnames}")
        for row in reader:
            yield reader.line_num, [row[column] for column in columns]


def _label(path: Path, line: int, text: str) -> int:
    if not text.isdigit():
        raise DataError(f"{path}:{line}: expected a class index of 0 or more, got {text!r}")
    return int(text)


def read(name: str | Path) -> Crowd:
    """Read a label set: one that ships with the project by its name, else a folder.

    Of a repeated (task, annotator) pair the first row counts.

    Raises
    ------
    DataError
        When a file is missing or a row can't be used.
    """
    folder = DATA / name if (DATA / name).is_dir() else Path(name)
    answers: dict[str, dict[str, int]] = {}
    path = folder / "labels.csv"
    for line, (task, person, label) in _rows(path, ("task", "worker", "label")):
        answers.setdefault(task, {}).setdefault(person, _label(path, line, label))
    if not answers:
        raise DataError(f"{path}: no rows; expected at least one judgment")
    path = folder / "truth.csv"
    truth = {task: _label(path, line, label) for line, (task, label) in _rows(path, ("task", "truth"))}
    seen = [label for given in answers.values() for label in given.values()]
    if any(SPAMMER in given for given in answers.values()):
        raise DataError(f"{folder}: an annotator is called {SPAMMER!r}, the name of the added one")
    return Crowd(
        name=folder.name,
        classes=max(2, max(seen) + 1, max(truth.values(), default=0) + 1),
        answers=answers,
        truth={task: label for task, label in truth.items() if task in answers},
    )


def project(crowd: Crowd, pool: str, rule: Rule, at: float) -> ProjectSet:
    """Return the event that creates (or repeats) the project; its defaults are the rule."""
    defaults = TaskDefaults(
        skill=crowd.name,
        classes=crowd.classes,
        overlap=rule.overlap,
        max_overlap=rule.max_overlap,
        confidence=rule.confidence,
        lease_s=UNSET if rule.lease_s is None else rule.lease_s,
    )
    return ProjectSet(pool=pool, at=at, project=crowd.name, budget=rule.budget, defaults=defaults)


def closing(crowd: Crowd, pool: str, rule: Rule, at: float) -> ProjectSet:
    """Return the event by which a team lead ends the project: its deadline is now."""
    return msgspec.structs.replace(project(crowd, pool, rule, at), deadline=at)


def events(crowd: Crowd, pool: str, rule: Rule, at: float) -> Iterator[Event]:
    """Yield what creates the market: the project, the profiles, the tasks in the order of the file.

    Parameters
    ----------
    at : float
        Unix time stated by every event.
    """
    yield project(crowd, pool, rule, at)
    for person in (*crowd.annotators, SPAMMER):
        yield AnnotatorSet(pool=pool, at=at, annotator=person, skills=(crowd.name,))
    for task, given in crowd.answers.items():
        people = (*given, SPAMMER)
        if len(people) > LIST_ITEMS:
            raise DataError(f"{crowd.name}: task {task} has {len(people)} people, `only` takes {LIST_ITEMS}")
        yield TaskCreated(pool=pool, at=at, task=task, project=crowd.name, only=people)


def credit(weights: Sequence[float], truth: int) -> float:
    """Return the credit of one task: 1/n when `truth` is among the n labels with the largest weight, else 0.

    >>> credit([0.2, 0.8], 1), credit([3, 3, 1], 0), credit([0.9, 0.1], 1)
    (1.0, 0.5, 0.0)
    """
    top = max(weights)
    best = [label for label, weight in enumerate(weights) if weight == top]
    return 1 / len(best) if truth in best else 0.0


def accuracy(crowd: Crowd, weights: Mapping[str, Sequence[float]]) -> float:
    """Return the mean credit over all tasks with a truth; tasks without `weights` are ties of all classes."""
    blank = [0.0] * crowd.classes
    total = sum(credit(weights.get(task, blank), truth) for task, truth in crowd.truth.items())
    return total / len(crowd.truth)


def votes(labels: Iterable[int], classes: int) -> list[int]:
    """Return how often each class was given."""
    counts = [0] * classes
    for label in labels:
        counts[label] += 1
    return counts
