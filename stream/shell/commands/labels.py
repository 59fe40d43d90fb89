"""Read recorded labels from a folder: `labels.csv` and, if there is one, `truth.csv`.

    labels.csv   task, worker (or annotator), label [, timestamp] [, duration_s]
    truth.csv    task, truth

Ids are any text; spaces around a field don't count, nor do capitals in the header. Labels are class indexes when every
one of them is a whole number from 0 (as `1` or `1.0`), else class names, numbered in sorted order. Times are Unix
seconds or milliseconds, or ISO 8601 (UTC where no zone is given). Tasks of `truth.csv` that nobody judged are left out.
"""

import csv
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stream.study.evaluation import Labels

WORKER = ("worker", "annotator")
MOST_CLASSES = 1_000
WHOLE = re.compile(r"([0-9]+)(\.0*)?", re.ASCII)
MILLISECONDS = 1e11
"""Numbers above this are milliseconds: as seconds they would lie after the year 5000."""
SEPARATORS = (";", "\t", "|")


class LabelFileError(Exception):
    """A label file can't be used; the message names the file, the line, what was expected and what came."""


class Recording(NamedTuple):
    """Labels and the ids behind their indexes."""

    labels: Labels
    tasks: list[str]
    annotators: list[str]
    unjudged: int
    """Tasks of `truth.csv` that nobody judged."""


def read(folder: Path) -> Recording:
    """Read a folder.

    Raises
    ------
    LabelFileError
        If a file is missing, empty or malformed, a pair of task and annotator is repeated, there are too many
        classes, or no task of `truth.csv` has been judged.
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
        at.append(_time(path, line, row.get("timestamp") or "0"))
        _number(path, line, "duration_s", row.get("duration_s") or "0")
    if not task:
        raise LabelFileError(f"{path}: expected at least one judgment, got only a header")
    truth = dict(_truth(folder / "truth.csv"))
    if truth and not any(name in tasks for name in truth):
        raise LabelFileError(
            f"{folder / 'truth.csv'}: expected tasks that {path.name} has, such as {next(iter(tasks))!r}; none of its "
            f"{len(truth):,} is there, the first is {next(iter(truth))!r}"
        )
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
        sum(name not in tasks for name in truth),
    )


def _rows(path: Path, needed: tuple[str | tuple[str, ...], ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line number, row) of a CSV file whose header has the `needed` columns (a tuple: one of them)."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip().lower() for name in next(reader, [])]
            required = [_column(path, header, column) for column in needed]
            for fields in reader:
                if not fields:
                    continue
                row = dict(zip(header, (field.strip() for field in fields), strict=False))
                if len(fields) > len(header) or not all(row.get(column) for column in required):
                    raise LabelFileError(
                        f"{path}:{reader.line_num}: expected {len(header)} fields, {', '.join(required)} filled, "
                        f"got {fields}"
                    )
                yield reader.line_num, row
    except FileNotFoundError:
        raise LabelFileError(f"{path}: expected a file, found none") from None
    except OSError as error:
        raise LabelFileError(f"{path}: expected a file that can be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelFileError(
            f"{path}: expected comma-separated values, saved as UTF-8 text: {error}"
        ) from None


def _column(path: Path, header: list[str], column: str | tuple[str, ...]) -> str:
    """The name under which the header has `column`, or one of its names."""
    choices = (column,) if isinstance(column, str) else column
    found = next((choice for choice in choices if choice in header), None)
    if found is None:
        hint = next((f"; are the fields separated by {c!r}?" for c in SEPARATORS if any(c in h for h in header)), "")
        got = ", ".join(header) or "nothing"
        raise LabelFileError(f"{path}:1: expected a column {' or '.join(choices)}, got {got}{hint}")
    return found


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
    whole = {name: match[1] for name in names if (match := WHOLE.fullmatch(name))}
    if len(whole) == len(names):
        numbered = {name: int(number) for name, number in whole.items()}
        most = max(numbered.values()) + 1
        numbered = {str(k): k for k in range(min(most, MOST_CLASSES))} | numbered
    else:
        numbered = {name: k for k, name in enumerate(names)}
        most = len(names)
    if most > MOST_CLASSES:
        raise LabelFileError(
            f"{path}: expected at most {MOST_CLASSES} classes, got {most} (one of them is {names[-1]!r}); "
            "is `label` a class?"
        )
    return numbered


def _time(path: Path, line: int, text: str) -> float:
    """Unix seconds of a number or an ISO 8601 time."""
    try:
        number = float(text)
    except ValueError:
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            raise LabelFileError(
                f"{path}:{line}: expected Unix seconds or an ISO 8601 time in timestamp, got {text!r}"
            ) from None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    if not np.isfinite(number):
        raise LabelFileError(f"{path}:{line}: expected Unix seconds or an ISO 8601 time in timestamp, got {text!r}")
    return number / 1000.0 if number > MILLISECONDS else number


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise LabelFileError(f"{path}:{line}: expected a number in {column}, got {text!r}")
    return value
