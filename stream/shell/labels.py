"""Read recorded labels from a folder: `labels.csv` and, if there is one, `truth.csv`.

    labels.csv   task, worker (or annotator), label [, timestamp] [, duration_s]
    truth.csv    task, truth

Ids are any text. Labels are class indexes when every one of them is a whole number from 0, else class names,
numbered in sorted order. Tasks of `truth.csv` that nobody judged are left out.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stream.core.evaluation import Labels

WORKER = ("worker", "annotator")
MOST_CLASSES = 1_000


class LabelFileError(Exception):
    """A label file can't be used; the message names the file, the line, what was expected and what came."""


class Recording(NamedTuple):
    """Labels and the ids behind their indexes."""

    labels: Labels
    tasks: list[str]
    annotators: list[str]
    classes: list[str]


def read(folder: Path) -> Recording:
    """Read a folder.

    Raises
    ------
    LabelFileError
        If a file is missing, empty or malformed, a pair of task and annotator is repeated, or a truth has a
        class that is no label and no whole number.
    """
    path = folder / "labels.csv"
    tasks: dict[str, int] = {}
    people: dict[str, int] = {}
    first_seen: dict[tuple[int, int], int] = {}
    task, annotator, label, at = [], [], [], []
    for line, row in _rows(path, ("task", WORKER, "label")):
        t = tasks.setdefault(row["task"], len(tasks))
        who = row.get("worker") or row["annotator"]
        w = people.setdefault(who, len(people))
        before = first_seen.setdefault((t, w), line)
        if before != line:
            raise LabelFileError(
                f"{path}:{line}: expected one judgment per task and annotator, "
                f"got {row['task']!r} by {who!r} again (first in line {before})"
            )
        task.append(t)
        annotator.append(w)
        label.append(row["label"])
        at.append(_number(path, line, "timestamp", row.get("timestamp") or "0"))
        _number(path, line, "duration_s", row.get("duration_s") or "0")
    if not task:
        raise LabelFileError(f"{path}: expected at least one judgment, got only a header")
    truth = dict(_truth(folder / "truth.csv"))
    names = _classes(path, label, truth)
    known = np.full(len(tasks), -1, np.int32)
    for name, value in truth.items():
        if name in tasks:
            known[tasks[name]] = names[value]
    return Recording(
        Labels(
            np.array(task, np.int32),
            np.array(annotator, np.int32),
            np.array([names[x] for x in label], np.int32),
            np.array(at),
            known,
            max(len(set(names.values())), 2),
        ),
        list(tasks),
        list(people),
        sorted(names, key=lambda name: names[name]),
    )


def _rows(path: Path, needed: tuple[str | tuple[str, ...], ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row) of a CSV file whose header has the `needed` columns (a tuple: one of them)."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            for column in needed:
                choices = (column,) if isinstance(column, str) else column
                if not any(choice in header for choice in choices):
                    got = ", ".join(header) or "nothing"
                    raise LabelFileError(f"{path}:1: expected a column {' or '.join(choices)}, got {got}")
            for row in reader:
                filled = [
                    row.get(c) if isinstance(c, str) else row.get(c[0]) or row.get(c[1]) for c in needed
                ]
                if None in row or not all(filled):
                    raise LabelFileError(
                        f"{path}:{reader.line_num}: expected {len(header)} fields, the required ones filled, "
                        f"got {[v for v in row.values() if v is not None]}"
                    )
                yield reader.line_num, row
    except FileNotFoundError:
        raise LabelFileError(f"{path}: expected a file, found none") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelFileError(f"{path}: expected UTF-8 text with comma-separated values: {error}") from None


def _truth(path: Path) -> Iterator[tuple[str, str]]:
    if not path.exists():
        return
    seen: dict[str, int] = {}
    for line, row in _rows(path, ("task", "truth")):
        before = seen.setdefault(row["task"], line)
        if before != line:
            raise LabelFileError(
                f"{path}:{line}: expected one truth per task, "
                f"got {row['task']!r} again (first in line {before})"
            )
        yield row["task"], row["truth"]


def _classes(path: Path, label: list[str], truth: dict[str, str]) -> dict[str, int]:
    """Number the classes: whole numbers keep their value, names are numbered in sorted order."""
    names = sorted({*label, *truth.values()})
    if all(name.isascii() and name.isdigit() for name in names):
        numbered = {name: int(name) for name in names}
        most = max(numbered.values()) + 1
        numbered = numbered | {str(k): k for k in range(min(most, MOST_CLASSES))}
    else:
        numbered = {name: k for k, name in enumerate(names)}
        most = len(names)
    if most > MOST_CLASSES:
        raise LabelFileError(
            f"{path}: expected at most {MOST_CLASSES} classes, got {most}; is `label` a class?"
        )
    return numbered


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise LabelFileError(f"{path}:{line}: expected a number in {column}, got {text!r}")
    return value
