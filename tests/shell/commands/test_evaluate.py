"""`allocator evaluate` on files as people have them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from stream.shell.commands.evaluate import evaluate
from stream.shell.commands.labels import LabelFileError, read


def folder(path: Any, labels: Any, truth: Any = None) -> Any:
    (path / "labels.csv").write_text(labels, encoding="utf-8")
    if truth is not None:
        (path / "truth.csv").write_text(truth, encoding="utf-8")
    return path


@pytest.fixture
def recorded(tmp_path: Path) -> Any:
    random = np.random.default_rng(1)
    names = ["bird", "cat", "dog"]
    rows, truths = ["task,worker,label,timestamp,duration_s"], ["task,truth"]
    for t in range(60):
        truth = random.choice(3)
        truths.append(f"picture {t},{names[truth]}")
        for w in range(6):
            label = truth if random.random() < (0.9 if w < 4 else 0.4) else random.choice(3)
            rows.append(f"picture {t},ann-{w},{names[label]},{1_700_000_000 + t},4.5")
    return folder(tmp_path, "\n".join(rows), "\n".join(truths))


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(evaluate, [str(a) for a in arguments])


def test_text_names_accuracy_practice_and_people(recorded: Any) -> None:
    result = run(recorded, "--seeds", 2, "--allocate")
    assert result.exit_code == 0, result.output
    for words in ("accuracy ", "majority vote", "two + tie-break", "fixed 5", "ann-0", "90 % intervals"):
        assert words in result.output


def test_json_is_one_object_with_the_ids_of_the_file(recorded: Any) -> None:
    result = run(recorded, "--seeds", 2, "--gold", 10, "--order", "file", "--json")
    report = json.loads(result.output)
    assert report["classes"] == 3
    assert report["gold"] == 10
    assert {p["annotator"] for p in report["people"]} == {f"ann-{w}" for w in range(6)}
    assert report["model"]["accuracy"] > 0.8
    assert report["allocation"] is None


def test_without_truth_there_is_a_report_but_no_score(recorded: Any) -> None:
    (recorded / "truth.csv").unlink()
    result = run(recorded, "--seeds", 1)
    assert result.exit_code == 0, result.output
    assert "without truth.csv" in result.output
    assert run(recorded, "--allocate").exit_code == 1


def test_whole_numbers_keep_their_value_and_gaps(tmp_path: Path) -> None:
    recording = read(
        folder(tmp_path, "task,annotator,label\na,x,0\na,y,3\nb,x,3\n", "task,truth\nb,1\nz,2\n")
    )
    assert recording.labels.classes == 4
    assert recording.labels.label.tolist() == [0, 3, 3]
    assert recording.labels.truth.tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("labels", "truth", "message"),
    [
        ("task,label\na,1\n", None, "labels.csv:1: expected a column worker or annotator, got task, label"),
        ("", None, "labels.csv:1: expected a column task, got nothing"),
        ("task,worker,label\n", None, "expected at least one judgment"),
        ("task,worker,label\na,x,1\nb,x\n", None, "labels.csv:3: expected 3 fields"),
        ("task,worker,label\na,x,1\nb,,1\n", None, "labels.csv:3: expected 3 fields"),
        (
            "task,worker,label\na,x,1\na,x,0\n",
            None,
            "labels.csv:3: expected one judgment per task and annotator",
        ),
        (
            "task,worker,label,timestamp\na,x,1,noon\n",
            None,
            "labels.csv:2: expected Unix seconds or an ISO 8601 time in timestamp, got 'noon'",
        ),
        ("task,worker,label,timestamp\na,x,1,nan\n", None, "labels.csv:2: expected Unix seconds"),
        ("task;worker;label\na;x;1\n", None, "are the fields separated by ';'?"),
        ("task,worker,label\na,x,1,2\n", None, "labels.csv:2: expected 3 fields"),
        (
            "task,worker,label\na,x,1\n",
            "task,truth\nz,1\n",
            "truth.csv: expected tasks that labels.csv has, such as 'a'; none of its 1 is there, the first is 'z'",
        ),
        ("task,worker,label\na,x,1\n", "task,answer\na,1\n", "truth.csv:1: expected a column truth, got task, answer"),
        ("task,worker,label,duration_s\na,x,1,inf\n", None, "labels.csv:2: expected a number in duration_s"),
        ("task,worker,label\na,x,5000\n", None, "expected at most 1000 classes, got 5001"),
        ("task,worker,label\na,x,1\n", "task,truth\na,1\na,0\n", "truth.csv:3: expected one truth per task"),
    ],
)
def test_a_bad_file_is_refused_with_file_line_and_reason(tmp_path: Path, labels: Any, truth: Any, message: Any) -> None:
    with pytest.raises(LabelFileError) as caught:
        read(folder(tmp_path, labels, truth))
    assert message in str(caught.value)
    result = run(tmp_path)
    assert result.exit_code == 1
    assert message in result.output


def test_a_missing_file_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelFileError, match="expected a file, found none"):
        read(tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"task,worker,label\n\xff\xfe,x,1\n")
    with pytest.raises(LabelFileError, match="saved as UTF-8"):
        read(tmp_path)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(LabelFileError, match="expected a file that can be read"):
        read(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "task,worker,label\nt 1,x,1\nt 2,x,0\n",
        "\ufefftask,worker,label\r\nt 1,x,1\r\nt 2,x,0\r\n",
        " Task, Worker, Label \nt 1 , x, 1\n\n t 2,x,0\n",
        '"task","worker","label"\n"t 1","x","1"\n"t 2","x","0"\n',
        "task,worker,label\nt 1,x,1.0\nt 2,x,0.0\n",
    ],
)
def test_files_of_other_programs_are_read_alike(tmp_path: Path, text: Any) -> None:
    recording = read(folder(tmp_path, text, "task,truth\nt 1,1\nnobody,0\n"))
    assert recording.tasks == ["t 1", "t 2"]
    assert recording.annotators == ["x"]
    assert recording.labels.label.tolist() == [1, 0]
    assert recording.labels.truth.tolist() == [1, -1]
    assert recording.labels.classes == 2
    assert recording.unjudged == 1


def test_times_are_seconds_milliseconds_or_iso(tmp_path: Path) -> None:
    times = ("1709287200", "1709287200000", "2024-03-01T10:00:00Z", "2024-03-01 10:00:00", "2024-03-01T11:00:00+01:00")
    rows = "\n".join(f"t{i},x,1,{time}" for i, time in enumerate(times))
    recording = read(folder(tmp_path, f"task,worker,label,timestamp\n{rows}\n"))
    assert recording.labels.at.tolist() == [1709287200.0] * 5


def test_more_than_twenty_classes_work(tmp_path: Path) -> None:
    rows = [f"t{t},w{w},{(t if w < 3 else t + w) % 25}" for t in range(50) for w in range(4)]
    result = run(folder(tmp_path, "task,worker,label\n" + "\n".join(rows)), "--seeds", 1)
    assert result.exit_code == 0, result.output
    assert "25 classes" in result.output


def test_a_picture_that_cannot_be_written_is_refused(recorded: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("out.xyz", "nowhere/out.png"):
        result = run(recorded, "--seeds", 1, "--plot", tmp_path / name)
        assert result.exit_code == 1
        assert "expected a file that can be written" in result.output


def test_a_picture_without_matplotlib_or_truth_says_what_is_missing(recorded: Any, tmp_path: Path) -> None:
    (recorded / "truth.csv").unlink()
    result = run(recorded, "--seeds", 1, "--plot", tmp_path / "out.png")
    assert result.exit_code == 1
    assert "--plot needs" in result.output
