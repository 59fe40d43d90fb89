"""Events by hand: looked at before they are sent, their fate said; short forms of what the runbook says to do."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from load.system.worker_process import Worker
from stream.events import ProjectSet, TaskSettled, decode, decode_result
from stream.settings import PREFIX, Settings
from stream.shell.commands.cli import main
from stream.topics import CONSENSUS, TASKS
from tests.shell.harness import read

EVENTS: list[dict[str, Any]] = [
    {"type": "project_set", "pool": "p", "project": "j", "budget": 7, "labels": ["cat", "dog"],
     "defaults": {"skill": "s", "classes": 2, "overlap": 1}},
    *({"type": "task_created", "pool": "p", "task": f"t{n}", "project": "j"} for n in range(3)),
    {"type": "annotator_set", "pool": "p", "annotator": "ana", "skills": ["s"]},
    {"type": "judgment_submitted", "pool": "p", "task": "t0", "annotator": "ana", "label": 1},
]  # fmt: skip


def run(*words: str | Path, given: str | None = None) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in words], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def lines(path: Path, *events: object) -> Path:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


@pytest.mark.kafka
@pytest.mark.slow
def test_events_are_sent_and_their_fate_is_said(settings: Settings, worker: Worker, tmp_path: Path) -> None:
    done = run("send", lines(tmp_path / "events.jsonl", *EVENTS))
    assert (done.exit_code, done.stdout) == (0, "6 events took effect (judgments: 1 unsolicited)\n"), done.output
    again = run("send", json.dumps(EVENTS[-1]))
    assert again.stdout == "judgment_submitted of pool p took effect: duplicate\n"
    wrong = run("send", json.dumps(EVENTS[-1] | {"label": 5, "task": "t1"}))
    assert wrong.exit_code == 1
    assert wrong.stdout == "0 events took effect\n"
    assert "1 row became a dead letter: invalid" in wrong.stderr and "event: " in wrong.stderr
    waits = run("send", json.dumps(EVENTS[-1] | {"task": "nobody made it"}))
    assert waits.exit_code == 1 and "unknown_task" in waits.stderr
    assert run("send", "-", "--wait", "sent", given=json.dumps(EVENTS[1])).stdout == "1 events sent; not waited for\n"

    assert run("pool", "pause", "p").stdout == "pool p is paused\n"
    assert run("pool", "resume", "p").stdout == "pool p gets offers again\n"
    assert run("annotator", "present", "p", "ana", "--for", "2h").stdout == "ana is present for 2 h\n"
    assert run("annotator", "present", "p", "--all").stdout == "ana is present for 8 h\n"
    assert run("annotator", "gone", "p", "ana").stdout == "ana is gone\n"
    assert run("project", "pause", "p", "j").stdout == "project j is paused\n"
    sent = [decode(record.value) for record in read(settings.kafka_bootstrap, TASKS)]
    paused = [event for event in sent if isinstance(event, ProjectSet)][-1]
    assert (paused.state, paused.budget, paused.labels) == ("paused", 7, ("cat", "dog"))
    assert paused.defaults.overlap == 1, "a pause says nothing else anew"
    assert run("task", "truth", "p", "t1", "dog").stdout == "the truth of t1 is dog\n"
    assert run("task", "cancel", "p", "t2").stdout == "t2 is cancelled\n"
    assert run("annotator", "erase", "p", "ana", "--yes").stdout == "ana is erased from p\n"
    assert run("project", "close", "p", "j", "--yes").stdout == "project j is closed; its open tasks are cancelled\n"
    ends = [decode_result(record.value) for record in read(settings.kafka_bootstrap, CONSENSUS)]
    settled = {e.task: (e.outcome, e.label) for e in ends if isinstance(e, TaskSettled)}
    assert settled.keys() == {"t0", "t1", "t2"}
    assert (settled["t1"], settled["t2"]) == (("complete", 1), ("cancelled", None))

    for words, said in (
        (["pool", "pause", "q"], "there is no pool q"),
        (["project", "pause", "p", "k"], "there is no project k in the pool p: there are j"),
        (["annotator", "erase", "p", "bo", "--yes"], "there is no annotator bo in the pool p"),
        (["task", "truth", "p", "t9", "dog"], "there is no task t9 in the pool p"),
        (["task", "truth", "p", "t1", "horse"], "expected one of the classes cat, dog; got 'horse'"),
    ):
        done = run(*words)
        assert done.exit_code == 1 and f"error: {said}" in done.stderr, done.output


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"type": "pool_pausd", "pool": "p"}', "did you mean pool_paused?"),
        ('{"pool": "p"}', 'expected an object with a "type"'),
        ('{"type": "pool_paused"}', "pool_paused: Expected an id in the field `pool`, got nothing"),
        ('{"type": "truth_set", "pool": "p", "task": "t", "label": 20}', "a whole number from 0 to 19, got 20"),
        ('{"type": "pool_paused", "pool": "a\\u0000b"}', "expected an id without NUL"),
        ('{"type": ', "Expected an event in JSON"),
        ("nowhere.jsonl", "expected a file of events, or an event in braces"),
    ],
)
def test_an_unusable_event_is_refused_before_anything_is_sent(text: str, said: str) -> None:
    done = run("send", text, "--dry-run")
    assert done.exit_code == 1 and said in done.stderr, done.output


def test_lines_of_a_file_are_named_once_a_kind(tmp_path: Path) -> None:
    path = lines(tmp_path / "events.jsonl", EVENTS[1], {"type": "x"}, [], {"type": "pool_paused"}, {"type": "x"})
    done = run("send", path, "--dry-run")
    assert done.exit_code == 1
    assert done.stderr.count(f"error: {path}:") == 3 and "(also in line 5)" in done.stderr
    assert done.stderr.endswith("error: nothing was sent\n")
    assert run("send", lines(path, EVENTS[1]), "--dry-run").stdout == "1 events: every one is usable\n"


def test_without_a_broker_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}KAFKA_BOOTSTRAP", "127.0.0.1:1")
    done = run("send", '{"type": "pool_paused", "pool": "p"}')
    assert done.exit_code == 2 and "no broker answers" in done.stderr
