"""From the rows of a file to input events: tasks, changes of tasks, people, past judgments, known answers.

    tasks      → task_created, with --update task_updated        people     → annotator_set
    judgments  → judgment_submitted                              truth      → truth_set

What a file lacks may be given for all of its rows (`Given`). A row is accepted exactly when the worker would decode its
event; what depends on the state (a project's presets, which tasks there are) is looked at by who knows the state.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from stream.events import (
    MOST_CLASSES,
    AnnotatorSet,
    Event,
    JudgmentSubmitted,
    TaskCreated,
    TaskUpdated,
    TruthSet,
    decode,
    encode,
)
from stream.files.classes import Classes, UnknownClass, ordered, spelled, warnings
from stream.files.column_names import Kind
from stream.files.complaints import Complaint, Complaints, as_word, joined, plural
from stream.files.fields import EXPECTED, NOTHING, Cells, Fault
from stream.files.knowledge import Knowledge, compare
from stream.files.repeats import Repeats
from stream.files.sheet import Reading, Row, Sheet
from stream.files.values import number, whole
from stream.topics import ANNOTATORS, TASKS

#: Judgments go behind the tasks they speak of: order is kept within a topic.
TOPIC: dict[Kind, str] = {"tasks": TASKS, "people": ANNOTATORS, "judgments": TASKS, "truth": TASKS}
EVENT: dict[Kind, type[Event]] = {
    "tasks": TaskCreated, "people": AnnotatorSet, "judgments": JudgmentSubmitted, "truth": TruthSet,
}  # fmt: skip
NATURAL_KEY: dict[Kind, tuple[str, ...]] = {
    "tasks": ("pool", "task"),
    "people": ("pool", "annotator"),
    "judgments": ("pool", "task", "annotator"),
    "truth": ("pool", "task"),
}
WHAT: dict[Kind, str] = {
    "tasks": "a task",
    "people": "a person",
    "judgments": "a person's judgment of a task",
    "truth": "the truth of a task",
}
#: what the contract allows of a duration
LONGEST_S = 1e9
FLAGS = {"pool": "team", "project": "animals", "skill": "animals"}


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for all rows that don't say it themselves.

    ``at`` is the time of rows without one, ``latest`` the time after which the worker would not believe an event's
    clock, ``most_bytes`` the largest record that the input topics take. With ``update`` rows change tasks that exist.
    """

    at: float
    latest: float
    most_bytes: int
    pool: str | None = None
    project: str | None = None
    skill: str | None = None
    overlap: int | None = None
    update: bool = False


class Record(NamedTuple):
    """A usable row as it is sent; `present_s` is how long the person is there, if the row says it."""

    line: int
    pool: str
    value: bytes
    present_s: float | None = None
    annotator: str = ""


class Checked(msgspec.Struct, kw_only=True):
    """What a look through the whole file has shown; `known` counts tasks or people that are there already."""

    rows: int = 0
    known: int = 0
    projects: dict[tuple[str, str], int]
    labels: Counter[str]
    notes: list[str]
    complaints: Complaints


class EventFile:
    """One file on its way to events; its rows are read on demand.

    Parameters
    ----------
    path : Path
    reading : Reading
    given : Given
    kind : {"tasks", "people", "judgments", "truth"}, optional
        Told by the columns otherwise.

    Raises
    ------
    FileProblem
        The file can't be read, or its columns fit no kind.
    """

    def __init__(self, path: Path, reading: Reading, given: Given, kind: Kind | None = None) -> None:
        self.path, self.given = path, given
        self.sheet = Sheet(path, reading, kind)
        self.kind = self.sheet.kind
        self.event: type[Event] = TaskUpdated if given.update and self.kind == "tasks" else EVENT[self.kind]
        self.cells = Cells(self.sheet.comma)
        fields = set(self.event.__struct_fields__)
        self._skip = {"truth", "label", "present"} | {name for name in self.sheet.columns if name not in fields}
        self.odd = 0  # durations that are none, of the last look through the file
        self.unchanged = sorted(self._skip & set(self.sheet.columns) - {"truth", "present"}) if given.update else []

    def missing(self) -> list[str]:
        """What neither the file nor the command says, a sentence each."""
        needed = {
            "tasks": ("pool",) if self.given.update else ("pool", "project"),
            "people": ("pool", "skills"), "judgments": ("pool",), "truth": ("pool",),
        }[self.kind]  # fmt: skip
        said = []
        for column in needed:
            flag = "skill" if column == "skills" else column
            if column not in self.sheet.columns and getattr(self.given, flag) is None:
                said.append(
                    f"{self.path}: {self.kind} need a {flag}: there is no column {column}, and no --{flag} says it for "
                    f"all rows. For example --{flag} {FLAGS[flag]}"
                )
        return said

    def check(
        self, classes: Classes | None, knowledge: Knowledge | None = None, fresh: dict[int, int] | None = None
    ) -> Checked:
        """Look at every row.

        Parameters
        ----------
        classes : Classes, optional
            The classes of the project, if they are known.
        knowledge : Knowledge, optional
            What the deployment knows; without it nobody says whether the tasks of judgments exist.
        fresh : dict, optional
            Tasks that are sent before this file, hash of pool and id to the number of classes (-1: unknown); those of
            this one are added.
        """
        found = Checked(projects={}, labels=Counter(), notes=[], complaints=Complaints())
        fresh, self.odd = {} if fresh is None else fresh, 0
        repeats = Repeats(WHAT[self.kind])
        for record, event, label in self._events(found.complaints, repeats, classes):
            if label is not None:
                found.labels[label] += 1
            if isinstance(event, TaskCreated):
                project = record.pool, event.project
                found.projects[project] = found.projects.get(project, 0) + 1
                states = isinstance(event.classes, int)
                fresh[hash((record.pool, event.task))] = event.classes if states else -1  # type: ignore[assignment]
            if knowledge is not None:
                try:
                    found.known += compare(event, label, knowledge, fresh)
                except Fault as fault:
                    # what no row says is one fault of the file
                    line = record.line if fault.column in self.sheet.columns else 0
                    found.complaints.add(
                        Complaint(line=line, column=fault.column, expected=fault.expected, value=fault.value)
                    )
                    continue
            found.rows += 1
        found.notes = [*self.sheet.notes, *self._said(found, repeats)]
        if classes is None and (complaint_ := self._unnamed(found.labels)):
            found.complaints.add(complaint_)
        return found

    def _said(self, found: Checked, repeats: Repeats) -> Iterator[str]:
        if words := repeats.words():
            yield f"{self.path}: {words}"
        for words in warnings(found.labels):
            yield f"{self.path}: {words}"
        if self.cells.shortened:
            given, sent = next(iter(self.cells.shortened.items()))
            yield (
                f"{self.path}: {plural(len(self.cells.shortened), 'id')} longer than 128 bytes: sent as their "
                f"beginning and a hash, the first as {sent} (it is {given[:40]}…)"
            )
        if self.odd:
            yield (
                f"{self.path}: {plural(self.odd, 'duration_s')} that no duration can be: left out, the judgments count"
            )
        if self.unchanged:
            yield f"{self.path}: an update can't change {joined(self.unchanged)}: these columns are left out"

    def _unnamed(self, labels: Counter[str]) -> Complaint | None:
        """The complaint about labels that are names while nobody says which classes there are."""
        if all((code := whole(text)) is not None and 0 <= code < MOST_CLASSES for text in labels):
            return None
        names = ordered(labels)
        column = "truth" if self.kind == "truth" else "label"
        if len(names) > MOST_CLASSES:
            expected = f"expected at most {MOST_CLASSES} classes, as many as a project can have"
            return Complaint(line=0, column=column, expected=expected, value=joined(names, 6))
        said = as_word(",".join(names))
        expected = f"the classes have names: say them in the order of their numbers: --labels {said}"
        return Complaint(line=0, column=column, expected=expected)

    def records(self, classes: Classes | None) -> Iterator[Record]:
        """Yield the records to send; the file must have been checked."""
        complaints = Complaints()
        for record, _, _ in self._events(complaints, Repeats(WHAT[self.kind]), classes):
            yield record
        assert not complaints.count, complaints.words(self.path)

    # ---------------------------------------------------------------- one row
    def _events(
        self, complaints: Complaints, repeats: Repeats, classes: Classes | None
    ) -> Iterator[tuple[Record, Event, str | None]]:
        natural = NATURAL_KEY[self.kind]
        for line, row in self.sheet.rows(complaints):
            try:
                event, label = self._event(row, classes)
            except Fault as fault:
                complaints.add(Complaint(line=line, column=fault.column, expected=fault.expected, value=fault.value))
                continue
            if repeats.again(line, tuple(getattr(event, name) for name in natural), tuple(sorted(row.items()))):
                continue
            value = encode(event)
            if len(value) > self.given.most_bytes:
                expected = f"expected a row of at most {self.given.most_bytes} bytes as an event"
                complaints.add(Complaint(line=line, column="", expected=expected, value=f"{len(value)} bytes"))
                continue
            yield Record(line, event.pool, value, self._present(row), getattr(event, "annotator", "")), event, label

    def _event(self, row: Row, classes: Classes | None) -> tuple[Event, str | None]:
        given = self.cells.fields(row, self._skip | self._odd(row))
        self._present(row)
        self._fill(given, classes)
        label = self._label(row, given, classes)
        try:
            event = msgspec.convert(given, self.event)
        except msgspec.ValidationError as error:
            column = _column(str(error))
            raise Fault(column, row.get(column), EXPECTED.get(column, str(error))) from None
        if event.at > self.given.latest:
            raise Fault("at", row.get("at"), f"{EXPECTED['at']}, and not in the future")
        if isinstance(event, TaskCreated):
            _check_task(event, row)
        assert decode(encode(event)) == event
        return event, label

    def _odd(self, row: Row) -> set[str]:
        """The columns of a judgment that count as left out, as the worker would take them."""
        text = row.get("duration_s") if self.event is JudgmentSubmitted else None
        if text is None:
            return set()
        seconds = number(text, self.sheet.comma)
        if seconds is not None and 0 <= seconds <= LONGEST_S:
            return set()
        self.odd += 1
        return {"duration_s"}

    def _present(self, row: Row) -> float | None:
        """How long the row says that the person is there: 0 for not at all, None where it says nothing."""
        text = row.get("present") if self.kind == "people" else None
        if text is None:
            return None
        seconds: float = 0.0 if text == NOTHING else self.cells.value("present", text)
        return seconds

    def _fill(self, given: dict[str, Any], classes: Classes | None) -> None:
        """Put in what holds for all rows, and see that nothing is missing."""
        given.setdefault("at", self.given.at)
        if self.given.pool is not None:
            given.setdefault("pool", self.given.pool)
        if self.event is TaskCreated:
            for column in ("project", "skill", "overlap"):
                if getattr(self.given, column) is not None:
                    given.setdefault(column, getattr(self.given, column))
            if classes is not None:
                given.setdefault("classes", max(2, len(classes)))
        if self.kind == "judgments":
            given.setdefault("origin", "import")  # nobody has to be there for what they said long ago
        if self.kind == "people" and self.given.skill is not None:
            given.setdefault("skills", [self.given.skill])
        for column in {"tasks": ("task", "project"), "people": ("annotator", "skills")}.get(
            self.kind, ("task", "annotator") if self.kind == "judgments" else ("task",)
        ):
            if column not in given and not (self.given.update and column == "project"):
                raise Fault(column, "", EXPECTED[column])
        if "pool" not in given:
            raise Fault("pool", "", EXPECTED["pool"])

    def _label(self, row: Row, given: dict[str, Any], classes: Classes | None) -> str | None:
        """Put the class's number into the event; returns its name as the file has it."""
        if self.event is TaskUpdated or self.kind == "people":
            return None
        text = row.get("truth" if self.kind == "truth" else "label")
        if text is None:
            if self.kind == "truth" or (self.kind == "judgments" and classes is not None):
                raise Fault("truth" if self.kind == "truth" else "label", "")
            if self.kind == "judgments":
                given["label"] = None
            return None
        column = "truth" if self.kind == "truth" else "label"
        if classes is None:
            code = whole(text)
            # names are looked at when all of them are known; until then any class stands for them
            given["label"] = code if code is not None and 0 <= code < MOST_CLASSES else 0
            return spelled(text)
        try:
            given["label"] = classes.code(text)
        except UnknownClass as error:
            meant = classes.meant(text)
            raise Fault(column, text, str(error) + (f"; did you mean {meant}?" if meant else "")) from None
        return spelled(text)


def _column(message: str) -> str:
    """The field that a message of msgspec's is about: ``… - at `$.only[3]` ``."""
    _, _, path = message.partition("`$.")
    return path.rstrip("`").split("[")[0].split(".")[0]


def _check_task(event: TaskCreated, row: Row) -> None:
    """What the worker would refuse as `invalid` whatever its state."""
    if isinstance(event.max_overlap, int) and isinstance(event.overlap, int) and event.max_overlap < event.overlap:
        raise Fault("max_overlap", row.get("max_overlap"))
    if isinstance(event.label, int) and isinstance(event.classes, int) and event.label >= event.classes:
        raise Fault("label", row.get("label"), f"expected a class of this task, which has {event.classes}, such as 0")
    if event.purpose == "work" and event.label is not None:
        raise Fault("label", row.get("label"), "work has no known answer: its purpose must be gold or training")
