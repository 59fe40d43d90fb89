"""From a CSV file to events: tasks, people or past judgments, one event a row, every error with its line.

    tasks      task, project [, skill, classes, overlap, … any field of task_created]      → task_created
    people     annotator [, skills, attributes, grants, cost, kind]                         → annotator_set
    judgments  task, annotator, label [, duration_s]                                        → judgment_submitted

Columns are the event's fields by name (`worker` may stand for `annotator`, `timestamp` for `at`); a column of another
name is an error, because what it says would be lost. Every row also needs a `pool`, from a column or from the command,
and may say `at` (Unix seconds). An empty cell means that the field is absent; lists separate their items by `;`.

A row is accepted exactly when the worker would decode its event; what depends on the state (a project's defaults, a
task's classes) is not known here.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from stream.events import ID_BYTES, AnnotatorSet, Event, JudgmentSubmitted, TaskCreated, decode, encode
from stream.topics import ANNOTATORS, TASKS

Kind = Literal["tasks", "people", "judgments"]

#: Judgments go behind the tasks they speak of: order is kept within a topic.
TOPIC: dict[Kind, str] = {"tasks": TASKS, "people": ANNOTATORS, "judgments": TASKS}
EVENT: dict[Kind, type[Event]] = {"tasks": TaskCreated, "people": AnnotatorSet, "judgments": JudgmentSubmitted}
NEEDED: dict[Kind, tuple[str, ...]] = {
    "tasks": ("task", "project"),
    "people": ("annotator",),
    "judgments": ("task", "annotator", "label"),
}
NATURAL_KEY: dict[Kind, tuple[str, ...]] = {
    "tasks": ("pool", "task"),
    "people": ("pool", "annotator"),
    "judgments": ("pool", "task", "annotator"),
}
LISTS = {"requires", "only", "exclude", "skills", "attributes", "grants"}
IDS = {"pool", "task", "project", "skill", "annotator", "event_id", *LISTS}
OTHER_NAMES = {"worker": "annotator", "timestamp": "at"}


class ImportFileError(Exception):
    """The file can't be read as one of the formats at all; the message says what was expected and what came."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one line."""

    line: int
    message: str


class Row(NamedTuple):
    """A usable line of the file, as it is sent."""

    line: int
    pool: bytes
    value: bytes


class Table:
    """One CSV file: its kind and columns are known, its rows are read on demand.

    Parameters
    ----------
    path : Path
    kind : {"tasks", "people", "judgments"}, optional
        Told by the header unless given.
    pool : str, optional
        The pool of rows that don't name one.
    at : float
        Unix time of rows that don't say theirs.
    latest : float
        Unix time after which the worker would not believe an event's clock.
    most_bytes : int
        Largest record that the input topics take.

    Raises
    ------
    ImportFileError
        No such file, no header, or one that fits no format.
    """

    def __init__(
        self, path: Path, kind: Kind | None, pool: str | None, at: float, latest: float, most_bytes: int
    ) -> None:
        self.path, self.pool, self.at, self.latest, self.most_bytes = path, pool, at, latest, most_bytes
        header = next(self._lines())[1]
        self.columns = [OTHER_NAMES.get(name.strip(), name.strip()) for name in header]
        self.kind = kind or self._kind_of(header)
        self._check_columns(header)

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Line numbers and fields, the header first; empty lines are left out."""
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file, strict=True)
                is_empty = True
                for fields in reader:
                    if fields:
                        is_empty = False
                        yield reader.line_num, fields
                if is_empty:
                    raise ImportFileError(f"{self.path}: expected a header, got an empty file")
        except OSError as error:
            raise ImportFileError(f"{self.path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ImportFileError(f"{self.path}: expected UTF-8 text: {error}") from None
        except csv.Error as error:
            raise ImportFileError(f"{self.path}:{reader.line_num}: expected comma-separated values: {error}") from None

    def _kind_of(self, header: list[str]) -> Kind:
        has = set(self.columns)
        for kind in ("judgments", "tasks", "people"):
            if has.issuperset(NEEDED[kind]) and (kind != "people" or "task" not in has):
                return kind
        formats = "; ".join(f"{kind}: {', '.join(needed)}" for kind, needed in NEEDED.items())
        raise ImportFileError(f"{self.path}:1: expected the columns of one kind ({formats}), got {', '.join(header)}")

    def _check_columns(self, header: list[str]) -> None:
        fields = set(EVENT[self.kind].__struct_fields__)
        needed = [*NEEDED[self.kind], *(() if self.pool else ("pool",))]
        missing = [name for name in needed if name not in self.columns]
        unknown = [name for name in self.columns if name not in fields]
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if missing:
            raise ImportFileError(
                f"{self.path}:1: {self.kind} need the column{'s' * (len(missing) > 1)} {', '.join(missing)}, "
                f"got {', '.join(header)}" + ("; or give --pool" if "pool" in missing else "")
            )
        if unknown or twice:
            what = f"unknown: {', '.join(unknown)}" if unknown else f"there twice: {', '.join(twice)}"
            raise ImportFileError(
                f"{self.path}:1: columns of {self.kind} are {', '.join(sorted(fields))}; {what}. Rename or remove it"
            )

    def rows(self) -> Iterator[Row | Fault]:
        """Yield each line as the record to send, or what is wrong with it."""
        first_seen: dict[tuple[str, ...], int] = {}
        lines = self._lines()
        next(lines)
        for line, fields in lines:
            try:
                event = self._event(fields)
                key = tuple(getattr(event, name) for name in NATURAL_KEY[self.kind])
                before = first_seen.setdefault(key, line)
                if before != line:
                    names = " and ".join(NATURAL_KEY[self.kind][1:])
                    raise ValueError(f"expected one row per {names}, this one is in line {before} already")
                value = encode(event)
                if len(value) > self.most_bytes:
                    raise ValueError(f"expected at most {self.most_bytes} bytes, got {len(value)}")
                if decode(value) != event:
                    raise ValueError("expected finite numbers")
                yield Row(line, event.pool.encode(), value)
            except ValueError as error:  # msgspec's are ValueErrors too
                yield Fault(line=line, message=str(error))

    def _event(self, fields: list[str]) -> Event:
        if len(fields) != len(self.columns):
            raise ValueError(f"expected {len(self.columns)} fields, got {len(fields)}")
        given: dict[str, Any] = {"at": self.at}
        if self.pool:
            given["pool"] = self.pool
        for name, text in zip(self.columns, fields, strict=True):
            if text.strip():
                is_list = name in LISTS
                given[name] = [item.strip() for item in text.split(";") if item.strip()] if is_list else text.strip()
        for name in (*NEEDED[self.kind], "pool"):
            if name not in given and name != "label":
                raise ValueError(f"expected a value in {name}, got none")
        if self.kind == "people":
            given.setdefault("skills", [])
        if self.kind == "judgments":
            given.setdefault("label", None)
        for name, value in given.items():
            _check_ids(name, value)
        event = msgspec.convert(given, EVENT[self.kind], strict=False)
        if event.at > self.latest:
            raise ValueError(f"expected `at` in Unix seconds and not in the future, got {given['at']}")
        if isinstance(event, TaskCreated):
            _check_task(event)
        return event


def _check_ids(name: str, value: Any) -> None:
    if name not in IDS:
        return
    for item in value if isinstance(value, list) else [value]:
        if len(item.encode()) > ID_BYTES:
            raise ValueError(f"expected at most {ID_BYTES} bytes of UTF-8 in {name}, got {len(item.encode())}")
        if name == "pool" and "\0" in item:
            raise ValueError("expected no NUL in pool")


def _check_task(event: TaskCreated) -> None:
    """What the worker would refuse as `invalid` whatever its state."""
    if isinstance(event.max_overlap, int) and isinstance(event.overlap, int) and event.max_overlap < event.overlap:
        raise ValueError(f"expected max_overlap >= overlap, got {event.max_overlap} and {event.overlap}")
    if isinstance(event.label, int) and isinstance(event.classes, int) and event.label >= event.classes:
        raise ValueError(f"expected label < classes, got {event.label} and {event.classes}")
