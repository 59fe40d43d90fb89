"""Files as people have them become the same recording, or are refused with line, column, value and an example."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from stream.files.complaints import FileProblem
from stream.files.recording import Recording, read
from stream.files.sheet import Reading
from stream.shell.commands.evaluate import evaluate
from tests.files.shapes import SHAPES, judgments

FIELD_CASE = "task,worker,label\nu1,w1,0\nu1,w2,1\nu1,w1,1\nu2,w1,1\nu2,w2,1\n"


def write(folder: Path, labels: str | bytes, truth: str | None = None) -> Path:
    (folder / "labels.csv").write_bytes(labels if isinstance(labels, bytes) else labels.encode())
    if truth is not None:
        (folder / "truth.csv").write_text(truth, encoding="utf-8")
    return folder


def run(*words: object) -> Result:
    return CliRunner().invoke(evaluate, [str(word) for word in words])


def said(recording: Recording) -> set[tuple[str, str, str]]:
    return {
        (recording.tasks[t], recording.annotators[w], recording.classes[k])
        for t, w, k in zip(recording.task, recording.annotator, recording.label, strict=True)
    }


@pytest.mark.parametrize("name", SHAPES)
def test_every_published_shape_evaluates(tmp_path: Path, name: str) -> None:
    shape = SHAPES[name]
    path = tmp_path / "labels.csv"
    path.write_bytes(shape.text.encode())
    result = run(path, "--seeds", 1, "--json", *shape.options)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["tasks"], report["annotators"], report["judgments"]) == (6, 3, 18)
    assert report["labels"] == list(shape.classes)


@pytest.mark.parametrize("name", [name for name in SHAPES if not SHAPES[name].options and "long" not in name])
def test_shapes_say_the_same(tmp_path: Path, name: str) -> None:
    shape = SHAPES[name]
    path = tmp_path / "labels.csv"
    path.write_bytes(shape.text.encode())
    assert said(read(path)) == {(t, w, shape.classes[k]) for t, w, k in judgments()}


def test_the_first_of_a_repeat_counts_and_repeats_are_said(tmp_path: Path) -> None:
    recording = read(write(tmp_path, FIELD_CASE))
    assert said(recording) == {("u1", "w1", "0"), ("u1", "w2", "1"), ("u2", "w1", "1"), ("u2", "w2", "1")}
    (note,) = recording.notes
    assert "1 row repeats a person's judgment of a task, 1 of them with another content" in note
    assert "line 4 repeats line 2" in note
    result = run(tmp_path, "--seeds", 1)
    assert result.exit_code == 0 and note in result.stderr


def test_adding_one_to_every_code_changes_no_figure(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    rows = [(t, w, int(random.integers(3))) for t in range(40) for w in range(5)]
    truth = [(t, t % 3) for t in range(40)]
    reports = []
    for shift in (0, 1, 7):
        folder = tmp_path / str(shift)
        folder.mkdir()
        labels = "".join(f"t{t},w{w},{k + shift}\n" for t, w, k in rows)
        write(folder, "task,worker,label\n" + labels, "task,truth\n" + "".join(f"t{t},{k + shift}\n" for t, k in truth))
        report = json.loads(run(folder, "--seeds", 2, "--allocate", "--json").stdout)
        assert report.pop("labels") == [str(k + shift) for k in range(3)]
        reports.append(report)
    assert reports[0] == reports[1] == reports[2]


def test_classes_that_differ_only_in_capitals_and_truths_nobody_gives_are_warned_about(tmp_path: Path) -> None:
    folder = write(tmp_path, "task,worker,label\na,x,Cat\na,y,cat\nb,x,dog\n", "task,truth\na,cat\nb,dgo\n")
    recording = read(folder)
    assert recording.classes == ["Cat", "cat", "dgo", "dog"]
    assert any("'Cat' (1 row) and 'cat' (1 row) differ only in capitals" in note for note in recording.notes)
    assert any(
        "truth: 'dgo' is never given as a label; the labels are 'Cat', 'cat', 'dog'" in n for n in recording.notes
    )


def test_minus_one_and_one_are_two_classes(tmp_path: Path) -> None:
    recording = read(write(tmp_path, "task,worker,label\na,x,-1\na,y,1\nb,x,-1\n"))
    assert recording.classes == ["-1", "1"] and not recording.notes


def test_truth_may_stand_in_the_row_or_in_a_file_of_its_own(tmp_path: Path) -> None:
    inside = tmp_path / "inside.csv"
    inside.write_text("task,worker,label,gold\na,x,1,1\nb,x,0,\nb,y,1,0\n")
    assert read(inside).truth.tolist() == [1, 0]
    outside, truth = tmp_path / "outside.csv", tmp_path / "known.csv"
    outside.write_text("task,worker,label\na,x,1\nb,x,0\n")
    truth.write_text("task,label\na,1\nb,1\n")
    assert read(outside, truth).truth.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("labels", "truth", "message"),
    [
        ("task,label\na,1\nb,1\n", None, "a file of judgments needs the column annotator, got task, label"),
        ("", None, "expected a header and rows, got an empty file"),
        ("task,worker,label\n", None, "expected at least one judgment"),
        ("task,worker,label\na,x,1\nb,x\n", None, "labels.csv:3: expected 3 cells as in the header"),
        ("task,worker,label\na,x,1\nb,,1\n", None, "labels.csv:3: annotator: expected a value, such as ana;"),
        (
            "task,worker,label,timestamp\na,x,1,noon\nb,x,1,later\n",
            None,
            "labels.csv:2: at: expected a time, such as 2024-03-01T10:00:00Z, 1709287200 (Unix seconds) or "
            "1709287200000 (milliseconds); got 'noon' (also in line 3)",
        ),
        ("task,worker,label,timestamp\na,x,1,nan\n", None, "labels.csv:2: at: expected a time"),
        ("task,worker,label\na,x,1,2\n", None, "labels.csv:2: expected 3 cells"),
        (
            "task,worker,label\na,x,1\n",
            "task,truth\nz,1\n",
            "truth.csv: expected tasks that labels.csv has, such as 'a'; none of its 1 is there, the first is 'z'",
        ),
        ("task,worker,label\na,x,1\n", "task,right\na,1\n", "truth.csv:1: a file of truth needs the column truth"),
        ("task,worker,label,duration_s\na,x,1,inf\n", None, "labels.csv:2: duration_s: expected a number, such as 4.5"),
        ("task,worker,label,colour\na,x,1,red\n", None, "has no column colour; what stands there would be lost"),
        ("task,worker,label\na,x,1\n", "task,truth\na,1\na,0\n", "truth.csv:3: truth: expected one truth a task"),
        ('task,worker,label\na,"x,1\nb,y,1\n', None, "labels.csv:2: expected cells separated by commas"),
        ("foo,bar,baz\na,x,1\n", None, "labels.csv:1: expected the names of columns"),
        ("task,worker,annotator,label\na,x,y,1\n", None, "a file of judgments has no column worker"),
        ("task,worker,rater,label\na,x,y,1\n", None, "a file of judgments has no column rater"),
    ],
)
def test_a_bad_file_is_refused_with_line_column_value_and_example(
    tmp_path: Path, labels: str, truth: str | None, message: str
) -> None:
    with pytest.raises(FileProblem) as caught:
        read(write(tmp_path, labels, truth))
    assert message in str(caught.value)
    result = run(tmp_path)
    assert result.exit_code == 1 and message in result.output


def test_a_thousand_lines_with_one_fault_are_one_message(tmp_path: Path) -> None:
    rows = "".join(f"t{n},x,1,yesterday\n" for n in range(1000)) + "t9999,x,1,2024-01-01,\n" + "t1,x\n"
    with pytest.raises(FileProblem) as caught:
        read(write(tmp_path, "task,worker,label,date\n" + rows))
    first, second = str(caught.value).splitlines()
    assert first.endswith("got 'yesterday' (also in line 3, 4, 5 and 996 more)")
    assert ":1003: expected 4 cells as in the header" in second


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04rest", "an Excel workbook"),
        (b"\x1f\x8brest", "packed with gzip"),
        (b"task,worker,label\na\0,x,1\n", "NUL"),
        (b"task,worker,label\n\x81\x8d,x,1\n", "bytes that are neither"),
    ],
)
def test_bytes_that_are_no_text_are_named(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(FileProblem, match=words):
        read(write(tmp_path, data))


def test_a_missing_file_and_a_folder_in_its_place_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="expected a file, found none"):
        read(tmp_path)
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(FileProblem, match="expected a file that can be read"):
        read(tmp_path)


ALIKE = [
    "task,worker,label\nt 1,x,ja\nt 2,x,Bär\n",
    "\ufefftask,worker,label\r\nt 1,x,ja\r\nt 2,x,Bär\r\n",
    " Task, Worker, Label \nt 1 , x, ja\n\n t 2,x,Ba\u0308r\n",
    '"task","worker","label"\n"t 1","x","ja"\n"t 2","x","Bär"\n',
    "task;worker;label\nt 1;x;ja\nt 2;x;Bär\n;;\n",
    "Task ID\tWorker-ID\tLABEL\nt 1\tx\tja\nt 2\tx\tBär\n",
    "task|annotator|answer\nt 1|x|ja\nt 2|x|Bär\n",
    "sep=;\nitem;rater;class\nt 1;x;ja\nt 2;x;Bär\n",
]
WESTERN = [text for text in ALIKE if text.encode("cp1252", "ignore").decode("cp1252") == text]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [*((t, "utf-8") for t in ALIKE), *((t, "utf-16") for t in ALIKE), *((t, "cp1252") for t in WESTERN)],
)
def test_files_of_other_programs_are_read_alike(tmp_path: Path, text: str, encoding: str) -> None:
    recording = read(write(tmp_path, text.encode(encoding), "task,truth\nt 1,ja\nnobody,ja\n"))
    assert said(recording) == {("t 1", "x", "ja"), ("t 2", "x", "Bär")}
    assert recording.unjudged == 1
    hints = [note for note in recording.notes if "read as Windows-1252" in note]
    assert len(hints) == (encoding == "cp1252")
    for hint in hints:
        line = text[: text.index("ä")].count("\n") + 1
        assert f"labels.csv:{line}: " in hint


def test_an_encoding_that_is_said_wins(tmp_path: Path) -> None:
    data = "task,worker,label\na,x,Łódź\nb,x,nie\n".encode("cp1250")
    assert read(write(tmp_path, data), reading=Reading(encoding="cp1250")).classes == ["nie", "Łódź"]
    with pytest.raises(FileProblem, match="an encoding that Python knows"):
        read(tmp_path, reading=Reading(encoding="klingon"))


def test_times_are_seconds_milliseconds_or_iso(tmp_path: Path) -> None:
    times = (
        "1709287200", "1709287200000", "1709287200.0", "2024-03-01T10:00:00Z", "2024-03-01 10:00:00",
        "2024-03-01 10:00:00 UTC", "2024-03-01T11:00:00+01:00",
    )  # fmt: skip
    rows = "\n".join(f"t{i},x,1,{time}" for i, time in enumerate(times))
    assert read(write(tmp_path, f"task,worker,label,timestamp\n{rows}\n")).at.tolist() == [1709287200.0] * len(times)


def test_decimal_commas_are_numbers_where_commas_don_t_separate(tmp_path: Path) -> None:
    read(write(tmp_path, "task;worker;label;duration_s\na;x;1;4,5\nb;x;1;1.234,5\n"))


def test_a_file_without_a_header_is_read_when_its_third_column_repeats(tmp_path: Path) -> None:
    recording = read(write(tmp_path, "a\tx\tyes\nb\tx\tno\nb\ty\tyes\n"))
    assert said(recording) == {("a", "x", "yes"), ("b", "x", "no"), ("b", "y", "yes")}
    assert any("no header: the columns are taken as task, annotator, label" in note for note in recording.notes)
    other = read(tmp_path, reading=Reading(header=("annotator", "task", "label")))
    assert other.annotators == ["a", "b"]
    with pytest.raises(FileProblem, match="--header names 2 columns"):
        read(tmp_path, reading=Reading(header=("task", "label")))


def test_a_column_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, "id,who,topic,verdict\n7,ana,x,yes\n8,bo,y,no\n")
    named = Reading(columns={"annotator": "who", "label": "verdict"}, ignore_extra=True)
    assert said(read(tmp_path, reading=named)) == {("7", "ana", "yes"), ("8", "bo", "no")}
    with pytest.raises(FileProblem, match="--column names answer, which is no column here"):
        read(tmp_path, reading=Reading(columns={"label": "answer"}))
