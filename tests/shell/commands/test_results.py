"""Results from topics alone: labels by name, judgments as they stand, people, pay, agreement; killed exports go on."""

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from load.system.wire import Wire
from load.system.worker_process import Worker
from stream.events import (
    AnnotatorErased,
    AnnotatorSet,
    Event,
    JudgmentCorrected,
    JudgmentRetracted,
    JudgmentSubmitted,
    ProjectSet,
    TaskCancelled,
    TaskCreated,
    TaskDefaults,
)
from stream.settings import Settings
from stream.shell.commands import judgments_command as judgments_module
from stream.shell.commands import topic_reader
from stream.shell.commands.cli import main
from stream.topics import ASSIGNMENTS
from tests.shell.harness import PARTITIONS, is_applied, until

AT = 1_709_287_200.0  # 2024-03-01 10:00 UTC
POOL = "p"


def run(*words: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def table(*words: str | Path) -> list[dict[str, str]]:
    done = run(*words)
    assert done.exit_code == 0, done.output
    return list(csv.DictReader(io.StringIO(done.stdout)))


def judged(task: str, who: str, label: int, days: float = 0.0, spent: float | None = 4.0) -> Event:
    at = AT + 86400 * days
    return JudgmentSubmitted(pool=POOL, at=at, task=task, annotator=who, label=label, duration_s=spent)


@pytest.fixture
def history(settings: Settings, worker: Worker) -> Settings:
    """Tasks of work and gold, a dead letter; people of whom one corrects, one takes back, one is erased."""
    defaults = TaskDefaults(skill="s", classes=2, overlap=3)
    project = ProjectSet(pool=POOL, at=AT, project="j", defaults=defaults, labels=("cat", "dog"))
    people = [AnnotatorSet(pool=POOL, at=AT, annotator=who, skills=("s",)) for who in ("ana", "bo", "cy", "di")]
    tasks = [TaskCreated(pool=POOL, at=AT, task=f"t{n}", project="j") for n in range(4)]
    gold = TaskCreated(pool=POOL, at=AT, task="g", project="j", purpose="gold", label=1)
    dead = TaskCreated(pool=POOL, at=AT, task="dead", project="j", overlap=5, max_overlap=4, confidence=0.9)
    first: list[Event] = [
        judged("t0", "ana", 0), judged("t0", "bo", 0, 1), judged("t0", "di", 1, 2),
        judged("t1", "ana", 1, 40), judged("t1", "bo", 1, 40), judged("t1", "cy", 0, 40, None),
        judged("t2", "ana", 0), judged("t2", "bo", 1), judged("g", "ana", 1),
    ]  # fmt: skip
    later: list[Event] = [
        JudgmentCorrected(pool=POOL, at=AT + 5, task="t2", annotator="bo", label=0),
        JudgmentRetracted(pool=POOL, at=AT + 5, task="t2", annotator="ana"),
        judged("t0", "bo", 1, 3),
        TaskCancelled(pool=POOL, at=AT, task="t3"),
        AnnotatorErased(pool=POOL, at=AT + 6, annotator="di"),
    ]
    with Wire(settings.kafka_bootstrap, PARTITIONS, (ASSIGNMENTS,)) as wire:
        for part in ([project, *people, *tasks, gold, dead], first, later):
            wire.send_tasks(part)
            wire.flush()
            until(lambda: is_applied(settings), 60, "it is applied")
    return settings


@pytest.mark.kafka
@pytest.mark.slow
def test_everything_that_was_said_comes_out_as_it_stands(history: Settings, tmp_path: Path) -> None:
    rows = {row["task"]: row for row in table("labels", "j")}
    assert list(rows) == ["t0", "t1", "t2", "t3"], "in the order of the tasks; neither gold nor the dead letter"
    assert [(r["label"], r["judgments"], r["agreement"], r["outcome"]) for r in rows.values()] == [
        ("cat", "3", "0.6667", "complete"),
        ("dog", "3", "0.6667", "complete"),
        ("cat", "1", "1.0", "open"),
        ("", "0", "", "cancelled"),
    ]
    assert all(float(row["confidence"]) > 0.5 for row in list(rows.values())[:3])
    who = [json.loads(line) for line in run("labels", "j", "--jsonl", "--who", "--settled").stdout.splitlines()]
    assert [sorted(row["who"]) for row in who] == [["ana", "bo"], ["ana", "bo", "cy"], []]

    found = {(row["task"], row["annotator"]): row for row in table("judgments", "j")}
    assert {key: (row["label"], row["counts"]) for key, row in found.items()} == {
        ("t0", "ana"): ("cat", "1"), ("t0", "bo"): ("cat", "1"), ("t0", ""): ("dog", "1"),
        ("t1", "ana"): ("dog", "1"), ("t1", "bo"): ("dog", "1"), ("t1", "cy"): ("cat", "1"),
        ("t2", "ana"): ("cat", "0"), ("t2", "bo"): ("cat", "1"), ("g", "ana"): ("dog", "1"),
    }  # fmt: skip
    assert found["t0", "bo"]["at"] == "2024-03-02T10:00:00.000Z"
    assert (found["t0", "bo"]["duration_s"], found["t1", "cy"]["duration_s"]) == ("4.0", "")
    assert "di" not in run("judgments").stdout

    paid = {(row["annotator"], row["period"]): row for row in table("pay")}
    columns = ("counted", "seconds", "without_time", "not_counted")
    assert {key: tuple(row[name] for name in columns) for key, row in paid.items()} == {
        ("", "2024-03"): ("1", "4.0", "0", "0"),
        ("ana", "2024-03"): ("2", "8.0", "0", "1"),
        ("ana", "2024-04"): ("1", "4.0", "0", "0"),
        ("bo", "2024-03"): ("2", "8.0", "0", "0"),
        ("bo", "2024-04"): ("1", "4.0", "0", "0"),
        ("cy", "2024-04"): ("1", "0.0", "1", "0"),
    }
    assert [row["annotator"] for row in table("pay", "--since", "2024-04-01")] == ["ana", "bo", "cy"]

    people = {row["annotator"]: row for row in table("people", POOL)}
    assert set(people) == {"ana", "bo", "cy"}
    assert (people["ana"]["standing"], people["ana"]["gold"], people["ana"]["gold_right"]) == ("new", "1", "1")
    assert float(people["ana"]["low"]) < float(people["ana"]["accuracy"]) < float(people["ana"]["high"])
    assert people["cy"]["present"] == "no"

    agreed = json.loads(run("agreement", "j", "--json").stdout)
    assert (agreed["tasks"], agreed["judged_twice"], agreed["judgments"]) == (4, 2, 6)
    assert agreed["observed"] == pytest.approx(1 / 3)
    assert agreed["fleiss_kappa"] == pytest.approx((1 / 3 - 1 / 2) / (1 - 1 / 2))
    assert agreed["krippendorff_alpha"] == pytest.approx(1 - (4 / 6) / (18 / 30))

    excel = tmp_path / "labels.csv"
    assert run("labels", "j", "--excel", "--out", excel).exit_code == 0
    assert excel.read_bytes().startswith("\ufefftask;label;confidence".encode())
    assert not list(tmp_path.glob("*.export")) and not list(tmp_path.glob("*.part"))


@pytest.mark.kafka
@pytest.mark.slow
def test_an_export_that_was_killed_goes_on_and_writes_nothing_twice(
    history: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Wire(history.kafka_bootstrap, PARTITIONS, (ASSIGNMENTS,)) as wire:
        wire.send_tasks(TaskCreated(pool=POOL, at=AT, task=f"m{n}", project="j", overlap=1) for n in range(3000))
        wire.send_tasks(judged(f"m{n}", "ana", n % 2) for n in range(3000))
        wire.flush(60)
        until(lambda: is_applied(history), 60, "it is applied")
    monkeypatch.setattr(topic_reader, "FETCH_BYTES", 20_000)
    whole = tmp_path / "whole.csv"
    assert run("judgments", "--out", whole).exit_code == 0
    expected = whole.read_bytes()
    assert expected.count(b"\n") == 3010

    write = judgments_module.Rows.write
    fetches = 0

    class Killed(BaseException):
        pass

    def killed(rows: Any, found: Any) -> None:
        nonlocal fetches
        write(rows, found)
        fetches += 1
        if fetches % 2 == 0:
            raise Killed  # after the rows are in the file, before they are known to be

    monkeypatch.setattr(judgments_module.Rows, "write", killed)
    out = tmp_path / "out.csv"
    tries = 0
    while not out.exists():
        tries += 1
        assert tries < 100
        with contextlib.suppress(Killed):
            run("judgments", "--out", out)
    assert tries > 3, "it was killed on the way"
    assert out.read_bytes() == expected
    monkeypatch.setattr(judgments_module.Rows, "write", write)

    (tmp_path / "other.csv.export").mkdir()
    assert run("judgments", "--out", tmp_path / "other.csv").exit_code == 0
    monkeypatch.setattr(judgments_module.Rows, "write", killed)
    fetches = 1
    with pytest.raises(Killed):
        run("judgments", "--out", tmp_path / "third.csv")
    refused = run("judgments", "j", "--out", tmp_path / "third.csv")
    assert refused.exit_code == 1 and "holds another export that was interrupted" in refused.stderr


@pytest.mark.kafka
@pytest.mark.slow
def test_what_is_not_there_is_named(history: Settings, tmp_path: Path) -> None:
    for words, said in (
        (["labels", "nothing"], "there is no project nothing: there are j"),
        (["judgments", "nothing"], "there is no project nothing: there are j"),
        (["agreement", "j", "--pool", "q"], "there is no project j in the pool q: none has been committed yet"),
        (["people", "nowhere"], "there is no pool nowhere"),
        (["labels", "j", "--csv", "--jsonl"], "expected one format, got --csv and --jsonl"),
        (["labels", "j", "--parquet"], "--parquet is no text: say where it goes: --out labels.parquet"),
    ):
        done = run(*words)
        assert done.exit_code == 1 and f"error: {said}" in done.stderr, done.output


def test_parquet_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    done = run("labels", "j", "--parquet", "--out", tmp_path / "labels.parquet")
    assert done.exit_code == 1
    assert "--parquet needs pyarrow, which is not installed: uv pip install pyarrow" in done.stderr


@pytest.mark.kafka
@pytest.mark.slow
def test_parquet_holds_the_same_rows(history: Settings, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "judgments.parquet"
    assert run("judgments", "--parquet", "--out", out).exit_code == 0
    rows = parquet.read_table(out).to_pylist()
    assert len(rows) == len(table("judgments")) == 9
    assert {row["label"] for row in rows} == {"cat", "dog"}
