"""Rows of a file become events as the worker would decode them, or are refused with line, column, value and example."""

import csv
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import (
    AnnotatorSet,
    JudgmentSubmitted,
    TaskCreated,
    TaskDefaults,
    TaskUpdated,
    TruthSet,
    decode,
)
from stream.files.classes import Classes
from stream.files.column_names import FIELDS
from stream.files.complaints import FileProblem
from stream.files.fields import EXPECTED, short_id
from stream.files.file_events import Checked, EventFile, Given
from stream.files.sheet import Reading
from tests.files.shapes import SHAPES

NOW = 1_800_000_000.0
CLASSES = Classes(("cat", "dog"))


def said(**changes: Any) -> Given:
    usual: dict[str, Any] = {"at": NOW, "latest": NOW + 300, "most_bytes": 1 << 20, "pool": "p"}
    return Given(**usual | changes)


def opened(folder: Path, text: str, reading: Reading | None = None, **changes: Any) -> EventFile:
    path = folder / "file.csv"
    path.write_bytes(text.encode())
    return EventFile(path, reading or Reading(), said(**changes))


def events(file: EventFile, classes: Classes | None = None) -> list[Any]:
    check = file.check(classes)
    assert not check.complaints.count, check.complaints.words(file.path)
    return [decode(record.value) for record in file.records(classes)]


def words(check: Checked) -> list[str]:
    return check.complaints.words(Path("file.csv"))


def test_tasks_take_every_field_of_the_event(tmp_path: Path) -> None:
    text = (
        "pool,task,project,skill,classes,overlap,max_overlap,confidence,priority,value,deadline,expected_s,lease_s,"
        "requires,min_skill,only,exclude,purpose,label,at,event_id\n"
        "q,t1,j,tox,3,2,5,0.9,-1,2.5,1900000000,30,600,fr; de,0.7,ana;bo,cy,gold,1,1700000000.5,e1\n"
        ",t2,j,,,,,,,,,,,,,,,,,,\n"
        ",t3,j,,,,,-,,,-,,,,,,,,,2023-11-14T22:13:20Z,\n"
    )
    first, second, third = events(opened(tmp_path, text))
    assert first == TaskCreated(
        pool="q", task="t1", project="j", skill="tox", classes=3, overlap=2, max_overlap=5, confidence=0.9, priority=-1,
        value=2.5, deadline=1.9e9, expected_s=30.0, lease_s=600.0, requires=("fr", "de"), min_skill=0.7,
        only=("ana", "bo"), exclude=("cy",), purpose="gold", label=1, at=1700000000.5, event_id="e1",
    )  # fmt: skip
    assert second == TaskCreated(pool="p", task="t2", project="j", at=NOW)
    assert third == TaskCreated(pool="p", task="t3", project="j", at=1.7e9, confidence=None, deadline=None)


def test_what_a_file_lacks_is_said_for_all_rows(tmp_path: Path) -> None:
    (event,) = events(opened(tmp_path, "task\nt1\n", project="j", skill="s", overlap=3), CLASSES)
    assert event == TaskCreated(pool="p", task="t1", project="j", skill="s", overlap=3, classes=2, at=NOW)
    (event,) = events(opened(tmp_path, "task,project,skill,overlap\nt1,k,z,1\n", project="j", skill="s", overlap=3))
    assert event == TaskCreated(pool="p", task="t1", project="k", skill="z", overlap=1, at=NOW)


def test_what_nobody_says_is_named_before_anything_else(tmp_path: Path) -> None:
    tasks, people = opened(tmp_path, "task\nt\n", pool=None).missing(), opened(tmp_path, "annotator\nana\n").missing()
    assert ["pool" in tasks[0], "project" in tasks[1], "skill" in people[0]] == [True, True, True]
    assert "--project animals" in tasks[1] and "--skill animals" in people[0]
    assert not opened(tmp_path, "annotator\nana\n", skill="s").missing()


def test_people_and_judgments_are_told_by_their_header(tmp_path: Path) -> None:
    people = opened(tmp_path, "annotator,skills,cost,kind,present\nana,*,12.5,,8h\nbo,-,,model,\n")
    assert (people.kind, events(people)) == (
        "people",
        [
            AnnotatorSet(pool="p", annotator="ana", skills=("*",), cost=12.5, at=NOW),
            AnnotatorSet(pool="p", annotator="bo", skills=(), kind="model", at=NOW),
        ],
    )
    assert [record.present_s for record in people.records(None)] == [28800.0, None]
    past = opened(tmp_path, "\ufefftask,worker,label,timestamp,duration_s\nt1,ana,dog,1700000000,4.5\nt2,ana,0,,\n")
    assert (past.kind, events(past, CLASSES)) == (
        "judgments",
        [
            JudgmentSubmitted(
                pool="p", task="t1", annotator="ana", label=1, at=1.7e9, duration_s=4.5, origin="import"
            ),
            JudgmentSubmitted(pool="p", task="t2", annotator="ana", label=0, at=NOW, origin="import"),
        ],
    )
    truth = opened(tmp_path, "task,truth\nt1,dog\n")
    assert (truth.kind, events(truth, CLASSES)) == ("truth", [TruthSet(pool="p", task="t1", label=1, at=NOW)])


def test_an_update_changes_the_fields_that_its_columns_name(tmp_path: Path) -> None:
    text = "task,project,priority,confidence,deadline\nt1,j,5,-,2027-01-01\nt2,j,,,\n"
    file = opened(tmp_path, text, update=True)
    first, second = events(file)
    assert first == TaskUpdated(pool="p", task="t1", priority=5, confidence=None, deadline=1798761600.0, at=NOW)
    assert second == TaskUpdated(pool="p", task="t2", at=NOW)
    assert any("an update can't change project" in note for note in file.check(None).notes)


def test_classes_have_names_or_numbers(tmp_path: Path) -> None:
    text = "task,annotator,label\na,x,dog\nb,x,cat\n"
    unnamed = opened(tmp_path, text).check(None)
    assert words(unnamed) == [
        "file.csv: label: the classes have names: say them in the order of their numbers: --labels cat,dog"
    ]
    assert [event.label for event in events(opened(tmp_path, text), CLASSES)] == [1, 0]
    numbers = "task,annotator,label\na,x,1\nb,x,2\n"
    assert [event.label for event in events(opened(tmp_path, numbers), Classes(("1", "2")))] == [0, 1]
    wrong = opened(tmp_path, "task,annotator,label\na,x,dgo\nb,x,7\n").check(CLASSES)
    assert words(wrong) == [
        "file.csv:2: label: expected one of the classes cat, dog; did you mean dog?; got 'dgo'",
        "file.csv:3: label: expected one of the classes cat, dog; got '7'",
    ]


def test_more_classes_than_a_project_can_have_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"t{n},x,name {n}\n" for n in range(21))
    (word,) = words(opened(tmp_path, "task,annotator,label\n" + rows).check(None))
    assert "expected at most 20 classes" in word


def test_a_row_that_comes_again_is_sent_once_and_said(tmp_path: Path) -> None:
    file = opened(tmp_path, "task,annotator,label\nu1,w1,0\nu1,w2,1\nu1,w1,1\nu2,w1,1\n")
    check = file.check(None)
    assert (check.rows, check.complaints.count) == (3, 0)
    assert any("line 4 repeats line 2" in note for note in check.notes)
    assert [record.line for record in file.records(None)] == [2, 3, 5]


@pytest.mark.parametrize("name", SHAPES)
def test_every_published_shape_that_evaluates_imports(tmp_path: Path, name: str) -> None:
    shape = SHAPES[name]
    options = dict(zip(shape.options[::2], shape.options[1::2], strict=False)) if shape.options else {}
    columns = dict([options["--column"].split("=")]) if "--column" in options else {}
    header = tuple(options["--header"].split(",")) if "--header" in options else ()
    reading = Reading(columns=columns, header=header, ignore_extra="--ignore-extra" in shape.options)
    found = events(opened(tmp_path, shape.text, reading=reading), Classes(shape.classes))
    assert len(found) == 18
    assert {event.label for event in found} == {0, 1}
    assert len({event.task for event in found}) == 6
    assert all(len(event.task.encode()) <= 128 for event in found)


def test_a_long_id_is_shortened_alike_in_every_file(tmp_path: Path) -> None:
    long = "https://example.org/" + "ä" * 100
    file = opened(tmp_path, f"task,only\n{long},ana;{long}\n", project="j")
    (task,) = events(file)
    (judgment,) = events(opened(tmp_path, f"task,annotator,label\n{long},{long},0\n"))
    assert task.task == task.only[1] == judgment.task == judgment.annotator == short_id(long)
    assert len(task.task.encode()) <= 128
    assert any("1 id longer than 128 bytes" in note for note in file.check(None).notes)


class Known:
    """A deployment with one project, a task with classes, one without, one whose books are closed."""

    def task(self, pool: str, task: str) -> tuple[str, int] | None:
        return {"t2": ("j", 2), "t0": ("j", 0)}.get(task)

    def has_gone(self, pool: str, task: str) -> bool:
        return task == "old"

    def has_annotator(self, pool: str, annotator: str) -> bool:
        return annotator == "ana"

    def defaults(self, pool: str, project: str) -> TaskDefaults:
        return TaskDefaults(skill="s") if project == "preset" else TaskDefaults()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("task,annotator,label\nt9,ana,0\n", "file.csv:2: task: expected a task that the pool p has:"),
        ("task,annotator,label\nold,ana,0\n", "file.csv:2: task: this task has settled so long ago"),
        ("task,annotator,label\nt2,ana,2\n", "file.csv:2: label: expected a class of this task, which has 2"),
        ("task,annotator,label\nt2,ana,\n", "file.csv:2: label: expected a class of this task, which has 2"),
        ("task,annotator,label\nt0,ana,1\n", "file.csv:2: label: this task has no classes"),
        ("task,truth\nt2,3\n", "file.csv:2: truth: expected a class of this task"),
        ("task,project\nt5,j\nt6,j\n", "file.csv: skill: no row, no --skill and no preset of the project j says which"),
    ],
)
def test_what_the_deployment_would_refuse_is_named_before_it_is_sent(tmp_path: Path, text: str, word: str) -> None:
    (found,) = words(opened(tmp_path, text).check(None, Known()))
    assert found.startswith(word), found


def test_tasks_that_come_with_the_judgments_are_known(tmp_path: Path) -> None:
    fresh: dict[int, int] = {}
    tasks = opened(tmp_path, "task,project,skill,classes\nt7,j,s,2\nt2,j,s,2\nt8,preset,,\n")
    check = tasks.check(None, Known(), fresh)
    assert (check.rows, check.known, check.complaints.count) == (3, 1, 0)
    good = opened(tmp_path, "task,annotator,label\nt7,ana,1\nt8,ana,5\n").check(None, Known(), fresh)
    assert not good.complaints.count
    (bad,) = words(opened(tmp_path, "task,annotator,label\nt7,ana,2\n").check(None, Known(), fresh))
    assert "expected a class of this task, which has 2" in bad


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "expected a header and rows, got an empty file"),
        ("task,project,colour\nt,j,red\n", "a file of tasks has no column colour"),
        ("task,project,task\nt,j,t\n", "expected one column for task"),
        ("colour,size\nred,7\nblue,8\n", "expected the names of columns"),
    ],
)
def test_a_header_that_fits_no_format_is_refused(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(FileProblem, match=word):
        opened(tmp_path, text)


@pytest.mark.parametrize(
    ("header", "row", "word"),
    [
        ("task,project", "t", "expected 2 cells"),
        ("task,project", "t,j,x", "expected 2 cells"),
        ("task,project", ",j", "task: expected an id"),
        ("task,project", f"t,{'ä' * 65}", "project: expected an id of 1 to 128 bytes"),
        ("task,project,overlap", "t,j,2.5", "overlap: expected a whole number from 0 to 1000, such as 3; got '2.5'"),
        ("task,project,overlap", "t,j,-1", "overlap: expected a whole number from 0 to 1000, such as 3; got '-1'"),
        ("task,project,overlap", "t,j,many", "overlap: expected a whole number from 0 to 1000"),
        ("task,project,value", "t,j,nan", "value: expected a number from 0 on, such as 1; got 'nan'"),
        ("task,project,value", "t,j,-1", "value: expected a number from 0 on"),
        ("task,project,purpose", "t,j,silver", "purpose: expected work, gold or training; got 'silver'"),
        ("task,project,overlap,max_overlap", "t,j,3,2", "max_overlap: expected a whole number"),
        ("task,project,classes,purpose,label", "t,j,2,gold,2", "label: expected a class of this task, which has 2"),
        ("task,project,classes,label", "t,j,2,1", "label: work has no known answer"),
        ("task,project,at", "t,j,1800000301", "and not in the future"),
        ("task,project,at", "t,j,yesterday", "at: expected a time, such as 2024-03-01T10:00:00Z"),
        ("annotator,skills,kind", "a,s,robot", "kind: expected human or model; got 'robot'"),
        ("annotator,skills,cost", "a,s,cheap", "cost: expected a number from 0 on, such as 12.5; got 'cheap'"),
        ("annotator,skills,present", "a,s,long", "present: expected a length of time, such as 8h"),
        ("annotator,skills", "a,", "skills: expected ids"),
    ],
)
def test_a_line_that_is_unusable_names_column_value_and_example(
    tmp_path: Path, header: str, row: str, word: str
) -> None:
    (found,) = words(opened(tmp_path, f"{header}\n{row}\n").check(None))
    assert found.startswith("file.csv:2: ") and word in found, found


def test_a_pool_with_nul_and_a_record_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="NUL"):
        opened(tmp_path, "pool,task,project\na\0b,t,j\n")
    only = ";".join(f"annotator-{n}" for n in range(900))
    (word,) = words(opened(tmp_path, f"task,project,only\nt,j,{only}\n", most_bytes=4096).check(None))
    assert "a row of at most 4096 bytes" in word


def test_every_column_has_its_words() -> None:
    for kind, fields in FIELDS.items():
        assert set(fields) <= set(EXPECTED), kind


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TEXT), max_size=8))
def test_whatever_the_cells_hold_a_row_is_an_event_or_a_fault(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "file.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["task", "project", "value", "requires"])
        writer.writerows(rows)
    try:
        sheet = EventFile(path, Reading(), said())
        check = sheet.check(None)
    except FileProblem as error:
        assert "NUL" in str(error) or "separated by commas" in str(error)
        return
    if check.complaints.count:
        return
    for record in sheet.records(None):
        event = decode(record.value)
        assert isinstance(event, TaskCreated)
        assert not isinstance(event.value, float) or math.isfinite(event.value)
        assert msgspec.json.decode(record.value)["pool"] == record.pool
