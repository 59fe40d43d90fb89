"""A person at a terminal: what they type becomes labels, skips and breaks, and they have left at the end."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from load.system.wire import Wire
from load.system.worker_process import Worker, allocator
from stream.events import (
    AnnotatorOffline,
    AnnotatorPaused,
    AnnotatorResumed,
    AnnotatorSet,
    AssignmentAccepted,
    AssignmentDeclined,
    AssignmentEnded,
    JudgmentSubmitted,
    ProjectSet,
    TaskCreated,
    TaskDefaults,
    decode,
    decode_result,
)
from stream.files.complaints import FileProblem
from stream.settings import Settings
from stream.shell.commands.sit import label_of, read_texts
from stream.topics import ANNOTATORS, ASSIGNMENTS, INPUTS, dead_letters
from tests.shell.harness import PARTITIONS, is_applied, read, until

AT = 1_709_287_200.0
TASKS = 4


@pytest.fixture
def pool(settings: Settings, worker: Worker) -> Settings:
    """Four tasks, each for one judgment, and two people."""
    defaults = TaskDefaults(skill="s", classes=2, overlap=1)
    with Wire(settings.kafka_bootstrap, PARTITIONS, (ASSIGNMENTS,)) as wire:
        wire.send_tasks(
            [
                ProjectSet(pool="p", at=AT, project="j", defaults=defaults, labels=("cat", "dog")),
                *(AnnotatorSet(pool="p", at=AT, annotator=who, skills=("s",)) for who in ("ana", "bo")),
                *(TaskCreated(pool="p", at=AT, task=f"t{n}", project="j") for n in range(TASKS)),
            ]
        )
        wire.flush()
        until(lambda: is_applied(settings), 60, "it is applied")
    return settings


def sit(*words: str, typed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        allocator(["sit", *words]), input=typed, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.kafka
@pytest.mark.slow
def test_two_people_work_in_a_terminal(pool: Settings, tmp_path: Path) -> None:
    texts = tmp_path / "texts.csv"
    texts.write_text("ID;Title\n" + "".join(f"t{n};Title of {n}\n" for n in range(TASKS)))
    # a slip, a label by its first letter, a skip, a break, a label by its number
    shown = ("--tasks", str(texts), "--text", "Title")
    first = sit("p", "--as", "ana", *shown, "--most", "2", typed="horse\nc\ns\nb\n\n1\n")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("ana, you sit in p. label: its name, number or first letters")
    assert "\nTitle of " in first.stdout and "  0 cat   1 dog\n" in first.stdout
    assert "'horse' is none of cat, dog. label:" in first.stdout
    assert "A break. Press Enter to go on.\n" in first.stdout
    assert first.stdout.endswith("2 labels given. Goodbye.\n")
    until(lambda: is_applied(pool), 60, "it is applied")

    # the rest is for the other one, who leaves with the end of the input
    second = sit("p", "--as", "bo", typed="dog\ndog\n")
    assert second.returncode == 0, second.stderr
    assert second.stdout.endswith("2 labels given. Goodbye.\n")
    until(lambda: is_applied(pool), 60, "it is applied")

    sent = [decode(record.value) for record in read(pool.kafka_bootstrap, ANNOTATORS)]
    given = [(e.annotator, e.label) for e in sent if isinstance(e, JudgmentSubmitted)]
    assert given == [("ana", 0), ("ana", 1), ("bo", 1), ("bo", 1)]
    assert all(e.duration_s is not None and 0 <= e.duration_s < 60 for e in sent if isinstance(e, JudgmentSubmitted))
    assert [e.annotator for e in sent if isinstance(e, AnnotatorPaused)] == ["ana"]
    assert [e.annotator for e in sent if isinstance(e, AnnotatorResumed)] == ["ana", "ana", "bo"]
    assert [(e.annotator, e.reason) for e in sent if isinstance(e, AssignmentDeclined)] == [("ana", "other")]
    assert [e.annotator for e in sent if isinstance(e, AnnotatorOffline)] == ["ana", "bo"]
    held = Counter((e.annotator, e.task) for e in sent if isinstance(e, AssignmentAccepted))
    assert set(held.values()) == {1}, "what lay before the eyes is held once, also over a break"
    ended = [decode_result(record.value) for record in read(pool.kafka_bootstrap, ASSIGNMENTS)]
    outcomes = Counter(e.outcome for e in ended if isinstance(e, AssignmentEnded))
    assert (outcomes["submitted"], outcomes["declined"]) == (TASKS, 1)
    assert not any(read(pool.kafka_bootstrap, dead_letters(topic)) for topic in INPUTS)


@pytest.mark.kafka
def test_who_sits_in_no_pool_is_told(settings: Settings) -> None:
    done = sit("q", "--as", "ana", typed="")
    assert (done.returncode, done.stderr) == (1, "error: there is no pool q with a project: there are none yet\n")


def test_a_file_and_its_column_belong_together(tmp_path: Path) -> None:
    done = sit("p", "--as", "ana", "--text", "Title", typed="")
    assert done.returncode == 1 and "--tasks FILE and --text COLUMN belong together" in done.stderr
    path = tmp_path / "texts.csv"
    path.write_text("task,Title\nt1,one\n")
    assert read_texts(path, "Title") == {"t1": "one"}
    with pytest.raises(FileProblem, match="there is no column Text, there are task, Title"):
        read_texts(path, "Text")


def test_a_label_is_meant_by_name_number_or_what_only_it_begins_with() -> None:
    names = ("cat", "cow", "skip it")
    assert [label_of(said, names) for said in ("cow", "1", "ca", "c", "", "3", "s")] == [1, 1, 0, None, None, None, 2]
    assert label_of("7", ()) == 7, "without names any number is a class"
