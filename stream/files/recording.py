"""Recorded judgments as arrays, for everything that looks at them offline: a file, or a folder with two.

    labels.csv   task, annotator, label [, at] [, duration_s] [, truth]
    truth.csv    task, truth

Ids are numbered as they first occur, classes by name (`classes`); what occurs in neither labels nor truth is no class.
Of a repeated pair of task and annotator the first row counts. Tasks of the truth that nobody judged are left out.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.files.classes import ordered, spelled, warnings
from stream.files.complaints import Complaint, Complaints, FileProblem, joined, plural, refuse
from stream.files.repeats import Repeats
from stream.files.sheet import Reading, Row, Sheet
from stream.files.values import NUMBER, TIME, moment, number

MOST_CLASSES = 1_000

Ints = NDArray[np.int32]


class Recording(NamedTuple):
    """Judgments, one element each, and the truth per task; the names behind all numbers.

    Attributes
    ----------
    task, annotator, label : int32[J]
    at : float64[J]
        Unix seconds; zeros where unknown.
    truth : int32[tasks]
        -1 where unknown.
    tasks, annotators, classes : list of str
        At most one class may have no name, where only one occurs.
    unjudged : int
        Tasks of the truth that nobody judged.
    notes : list of str
        What was assumed and what looks odd, to be said to whoever gave the files.
    """

    task: Ints
    annotator: Ints
    label: Ints
    at: NDArray[np.float64]
    truth: Ints
    tasks: list[str]
    annotators: list[str]
    classes: list[str]
    unjudged: int
    notes: list[str]


def read(path: Path, truth: Path | None = None, reading: Reading | None = None) -> Recording:
    """Read a folder, or a file and perhaps another one with the truth.

    Parameters
    ----------
    path : Path
        A folder with ``labels.csv`` (and ``truth.csv``), or a file of judgments.
    truth : Path, optional
        A file with task and truth; ``truth.csv`` of the folder otherwise.
    reading : Reading, optional
        What a person says about the file of judgments.

    Raises
    ------
    FileProblem
        A file is missing, damaged or empty, or the truth is about other tasks.
    """
    reading = reading or Reading()
    if path.is_dir():
        folder, path = path, path / "labels.csv"
        beside = folder / "truth.csv"
        truth = truth or (beside if beside.exists() else None)
    judgments = _Judgments(path, reading)
    known = dict(judgments.truth)
    where = path
    if truth is not None:
        where = truth
        known |= _truth(truth, Reading(encoding=reading.encoding, ignore_extra=True), judgments.notes)
    if known and not any(name in judgments.tasks for name in known):
        raise FileProblem(
            f"{where}: expected tasks that {path.name} has, such as {next(iter(judgments.tasks))!r}; none of its "
            f"{len(known):,} is there, the first is {next(iter(known))!r}"
        )
    return _numbered(path, judgments, known)


class _Judgments:
    """The rows of a file of judgments, ids numbered as they come."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.tasks: dict[str, int] = {}
        self.people: dict[str, int] = {}
        self.task: list[int] = []
        self.annotator: list[int] = []
        self.label: list[str] = []
        self.at: list[float] = []
        self.truth: dict[str, str] = {}
        sheet = Sheet(path, reading, "judgments")
        complaints, repeats = Complaints(), Repeats("a person's judgment of a task")
        for line, row in sheet.rows(complaints):
            self._take(line, row, sheet.comma, complaints, repeats)
        if complaints.count:
            raise refuse(path, complaints)
        if not self.task:
            raise FileProblem(f"{path}: expected at least one judgment, got only a header")
        self.notes = [*sheet.notes, *([f"{path}: {said}"] if (said := repeats.words()) else [])]

    def _take(self, line: int, row: Row, comma: bool, complaints: Complaints, repeats: Repeats) -> None:
        for name, example in (("task", "img-17"), ("annotator", "ana"), ("label", "cat or 1")):
            if name not in row:
                expected = f"expected a value, such as {example}"
                complaints.add(Complaint(line=line, column=name, expected=expected, value=""))
                return
        at = moment(row["at"], comma) if "at" in row else 0.0
        if at is None:
            complaints.add(Complaint(line=line, column="at", expected=TIME, value=row["at"]))
            return
        if "duration_s" in row and number(row["duration_s"], comma) is None:
            complaints.add(Complaint(line=line, column="duration_s", expected=NUMBER, value=row["duration_s"]))
            return
        t = self.tasks.setdefault(row["task"], len(self.tasks))
        w = self.people.setdefault(row["annotator"], len(self.people))
        label = spelled(row["label"])
        if "truth" in row:
            self.truth.setdefault(row["task"], spelled(row["truth"]))
        if repeats.again(line, (t, w), label):
            return
        self.task.append(t)
        self.annotator.append(w)
        self.label.append(label)
        self.at.append(at)


def _truth(path: Path, reading: Reading, notes: list[str]) -> dict[str, str]:
    sheet = Sheet(path, reading, "truth")
    complaints, repeats = Complaints(), Repeats("the truth of a task")
    truth: dict[str, str] = {}
    for line, row in sheet.rows(complaints):
        if "task" not in row or "truth" not in row:
            missing = "task" if "task" not in row else "truth"
            complaints.add(Complaint(line=line, column=missing, expected="expected a value", value=""))
            continue
        said = spelled(row["truth"])
        if not repeats.again(line, row["task"], said):
            truth[row["task"]] = said
        elif truth[row["task"]] != said:
            # a repeat is harmless, a contradiction is not: no accuracy against it means anything
            expected = f"expected one truth a task, {row['task']!r} has {truth[row['task']]!r} already"
            complaints.add(Complaint(line=line, column="truth", expected=expected, value=said))
    if complaints.count:
        raise refuse(path, complaints)
    if not truth:
        raise FileProblem(f"{path}: expected at least one known answer, got only a header")
    notes += [*sheet.notes, *([f"{path}: {words}"] if (words := repeats.words()) else [])]
    return truth


def _numbered(path: Path, judgments: _Judgments, known: dict[str, str]) -> Recording:
    counts = Counter(judgments.label)
    judged = {task: said for task, said in known.items() if task in judgments.tasks}
    names = ordered([*counts, *judged.values()])
    if len(names) > MOST_CLASSES:
        raise FileProblem(
            f"{path}: expected at most {MOST_CLASSES:,} classes, got {len(names):,} ({joined(map(repr, names), 4)}): "
            "is the column of labels a class? Say which it is: --column label=NAME"
        )
    codes = {text: code for code, text in enumerate(names)}
    truth = np.full(len(judgments.tasks), -1, np.int32)
    for task, said in judged.items():
        truth[judgments.tasks[task]] = codes[said]
    notes = [*judgments.notes, *(f"{path}: {said}" for said in warnings(counts, set(judged.values())))]
    unjudged = len(known) - len(judged)
    if unjudged:
        notes.append(f"{plural(unjudged, 'task')} of the truth nobody judged: left out")
    return Recording(
        np.array(judgments.task, np.int32),
        np.array(judgments.annotator, np.int32),
        np.array([codes[text] for text in judgments.label], np.int32),
        np.array(judgments.at),
        truth,
        list(judgments.tasks),
        list(judgments.people),
        list(names),
        unjudged,
        notes,
    )
