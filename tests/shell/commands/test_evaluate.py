"""`allocator evaluate`: the report. How files are read is in tests/files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from stream.shell.commands.evaluate import evaluate


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
    refused = run(recorded, "--allocate")
    assert refused.exit_code == 1 and "--truth FILE" in refused.output


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
