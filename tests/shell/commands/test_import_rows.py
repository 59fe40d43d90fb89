"""A CSV file becomes events as the worker would decode them, or says line by line why not."""

import csv
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import AnnotatorSet, JudgmentSubmitted, TaskCreated, decode
from stream.shell.commands.import_rows import Fault, ImportFileError, Row, Table

NOW = 1_800_000_000.0


def table(tmp_path: Path, text: str | bytes, kind: Any = None, pool: str | None = "p") -> Table:
    path = tmp_path / "file.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Table(path, kind, pool, NOW, NOW + 300, 1 << 20)


def events(table: Table) -> list[Any]:
    rows = list(table.rows())
    assert all(isinstance(row, Row) for row in rows), rows
    return [decode(row.value) for row in rows if isinstance(row, Row)]


def fault(tmp_path: Path, text: str, **options: Any) -> Fault:
    (found,) = (row for row in table(tmp_path, text, **options).rows() if isinstance(row, Fault))
    return found


def test_tasks_take_every_field_of_the_event(tmp_path: Path) -> None:
    text = (
        "pool,task,project,skill,classes,overlap,max_overlap,confidence,priority,value,deadline,expected_s,lease_s,"
        "requires,min_skill,only,exclude,purpose,label,at,event_id\n"
        "q,t1,j,tox,3,2,5,0.9,-1,2.5,1900000000,30,600,fr; de,0.7,ana;bo,cy,gold,1,1700000000.5,e1\n"
        ",t2,j,,,,,,,,,,,,,,,,,,\n"
    )
    first, second = events(table(tmp_path, text))
    assert first == TaskCreated(
        pool="q", task="t1", project="j", skill="tox", classes=3, overlap=2, max_overlap=5, confidence=0.9, priority=-1,
        value=2.5, deadline=1.9e9, expected_s=30.0, lease_s=600.0, requires=("fr", "de"), min_skill=0.7,
        only=("ana", "bo"), exclude=("cy",), purpose="gold", label=1, at=1700000000.5, event_id="e1",
    )  # fmt: skip
    assert second == TaskCreated(pool="p", task="t2", project="j", at=NOW)


def test_people_and_judgments_are_told_by_their_header(tmp_path: Path) -> None:
    people = table(tmp_path, "annotator,skills,cost,kind\nana,*,12.5,\nbo,,,model\n")
    assert (people.kind, events(people)) == (
        "people",
        [
            AnnotatorSet(pool="p", annotator="ana", skills=("*",), cost=12.5, at=NOW),
            AnnotatorSet(pool="p", annotator="bo", skills=(), kind="model", at=NOW),
        ],
    )
    past = table(tmp_path, "\ufefftask,worker,label,timestamp,duration_s\nt1,ana,0,1700000000,4.5\nt2,ana,,,\n")
    assert (past.kind, events(past)) == (
        "judgments",
        [
            JudgmentSubmitted(pool="p", task="t1", annotator="ana", label=0, at=1.7e9, duration_s=4.5),
            JudgmentSubmitted(pool="p", task="t2", annotator="ana", label=None, at=NOW),
        ],
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a header"),
        ("task,colour\nt,red\n", "expected the columns of one kind"),
        ("task,project,colour\nt,j,red\n", "unknown: colour"),
        ("task,project,task\nt,j,t\n", "there twice: task"),
        ("task,worker,annotator,label\nt,a,a,0\n", "there twice: annotator"),
    ],
)
def test_a_header_that_fits_no_format_is_refused_with_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ImportFileError, match=said):
        table(tmp_path, text)


def test_the_pool_comes_from_a_column_or_the_command(tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="--pool"):
        table(tmp_path, "task,project\nt,j\n", pool=None)
    (event,) = events(table(tmp_path, "task,project,pool\nt,j,q\n", pool=None))
    assert event.pool == "q"


def test_a_kind_that_is_asked_for_needs_its_columns(tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="judgments need the column label"):
        table(tmp_path, "task,annotator\nt,a\n", kind="judgments")


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImportFileError, match="nowhere"):
        Table(tmp_path / "nowhere.csv", None, "p", NOW, NOW, 1000)
    with pytest.raises(ImportFileError, match="UTF-8"):
        table(tmp_path, b"task,project\nt,j\n\xff\xfe,j\n")
    with pytest.raises(ImportFileError, match="comma-separated"):
        list(table(tmp_path, 'task,project\n"t"x,j\n').rows())


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("task,project", "t", "expected 2 fields, got 1"),
        ("task,project", "t,j,x", "expected 2 fields, got 3"),
        ("task,project", ",j", "a value in task"),
        ("task,project", "t,j\n\nt,k", "in line 2 already"),
        ("task,project", f"{'ä' * 65},j", "at most 128 bytes"),
        ("task,project,overlap", "t,j,2.5", "overlap"),
        ("task,project,overlap", "t,j,0", "overlap"),
        ("task,project,value", "t,j,nan", "finite|value"),
        ("task,project,value", "t,j,-1", "value"),
        ("task,project,purpose", "t,j,silver", "purpose"),
        ("task,project,overlap,max_overlap", "t,j,3,2", "max_overlap >= overlap"),
        ("task,project,classes,label", "t,j,2,2", "label < classes"),
        ("task,project,at", "t,j,1800000301", "not in the future"),
        ("task,project,at", "t,j,yesterday", "at"),
        ("task,annotator,label", "t,a,yes", "label"),
        ("task,annotator,label", "t,a,0\nt,a,1", "in line 2 already"),
        ("annotator,kind", "a,robot", "kind"),
    ],
)
def test_a_line_that_is_unusable_says_its_number_and_what_was_expected(
    tmp_path: Path, header: str, row: str, said: str
) -> None:
    found = fault(tmp_path, f"{header}\n{row}\n")
    assert found.line == 2 + row.count("\n")
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(found.message)


def test_a_pool_with_nul_and_a_record_too_large_are_refused(tmp_path: Path) -> None:
    assert "NUL" in fault(tmp_path, "task,project\nt,j\n", pool="a\0b").message
    path = tmp_path / "large.csv"
    path.write_text("task,project,only\nt,j," + ";".join(f"annotator-{n}" for n in range(900)))
    (found,) = Table(path, None, "p", NOW, NOW, 4096).rows()
    assert isinstance(found, Fault)
    assert "at most 4096 bytes" in found.message


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
        found = list(Table(path, None, "p", NOW, NOW + 300, 1 << 20).rows())
    except ImportFileError as error:
        assert "comma-separated" in str(error)
        return
    assert len(found) == len(rows)
    for row in found:
        if isinstance(row, Row):
            event = decode(row.value)
            assert isinstance(event, TaskCreated)
            assert not isinstance(event.value, float) or math.isfinite(event.value)
            assert msgspec.json.decode(row.value)["pool"] == row.pool.decode()
