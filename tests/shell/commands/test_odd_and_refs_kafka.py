"""On a real Kafka: odd fields cost no work, doctor names them; references and notes reach the people they are for."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from load.system.worker_process import Worker
from stream.core.intake.partitioning import partition_of
from stream.settings import Settings
from stream.shell.commands.cli import main
from stream.topics import INPUTS, TASKS, dead_letters
from tests.shell.harness import PARTITIONS, is_applied, read, rounds, send, until

AT = 1_709_287_200.0
PLACE = partition_of(b"p", PARTITIONS)


def run(*words: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def table(*words: str) -> list[dict[str, str]]:
    done = run(*words)
    assert done.exit_code == 0, done.output
    return list(csv.DictReader(io.StringIO(done.stdout)))


def sent(settings: Settings, *events: dict[str, Any] | bytes) -> None:
    """Send records as clients do that we haven't written."""
    values = [e if isinstance(e, bytes) else json.dumps({"pool": "p", "at": AT} | e).encode() for e in events]
    send(settings.kafka_bootstrap, TASKS, PLACE, *values, key=b"p")
    until(lambda: is_applied(settings), 60, "it is applied")


def task(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "task_created", "task": name, "project": "j", "skill": "s", "classes": 2, "overlap": 1} | fields


def judged(task: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "judgment_submitted", "annotator": "ana", "task": task, "label": 1} | fields


@pytest.mark.kafka
@pytest.mark.slow
def test_odd_fields_cost_no_work_and_references_reach_the_exports(settings: Settings, worker: Worker) -> None:
    sent(
        settings,
        {"type": "project_set", "project": "j", "labels": ["cat", "dog"], "note": "Ask Bo"},
        {"type": "pool_set", "note": "closed on Mondays"},
        {"type": "annotator_set", "annotator": "ana", "skills": ["s"]},
        *(task(name, ref=f"https://tool/{name}") for name in ("t1", "t2", "4711")),
        task("t3"),
        {"type": "task_updated", "task": "t2", "ref": "https://tool/moved", "at": AT + 1},
    )
    sent(
        settings,
        judged("t1", duration_s=-0.2),
        judged("t2", label=1.0),
        judged(4711),
        b'\xef\xbb\xbf{"type":"judgment_submitted","pool":"p","at":1709287200,"annotator":"ana","task":"t3","label":0,'
        b'"comment":"caf\xe9","score":NaN}',
        judged("t1", annotator="bo", at=AT * 1000),
    )
    dead = [record for topic in INPUTS for record in read(settings.kafka_bootstrap, dead_letters(topic))]
    (letter,) = dead
    headers = dict(letter.headers)
    assert headers["reason"] == b"clock"
    assert b"it is in milliseconds: divide by 1000" in headers["__streams.errors.message"]
    counted: dict[str, int] = {}
    for completed in rounds(settings.kafka_bootstrap)[PLACE]:
        for name, count in completed.odd.items():
            counted[name] = counted.get(name, 0) + count
    assert counted == {"judgment_submitted.duration_s": 1}

    rows = {row["task"]: row for row in table("judgments", "j", "--ref")}
    assert {name: (row["label"], row["counts"], row["ref"]) for name, row in rows.items()} == {
        "t1": ("dog", "1", "https://tool/t1"),
        "t2": ("dog", "1", "https://tool/moved"),
        "4711": ("dog", "1", "https://tool/4711"),
        "t3": ("cat", "1", ""),
    }
    assert [row["ref"] for row in table("labels", "j", "--ref")] == [
        "https://tool/t1", "https://tool/moved", "https://tool/4711", ""
    ]  # fmt: skip
    assert "ref" not in table("labels", "j")[0]

    found = json.loads(run("doctor", "--json").stdout)
    odd = [one for one in found if one["check"] == "odd fields"]
    assert len(odd) == 1 and "judgment_submitted.duration_s: 1 of 5 recent ones" in odd[0]["found"]
    assert "such as -0.2" in odd[0]["found"]
    assert any(one["check"] == "senders" and "not in seconds" in one["found"] for one in found)
    notes = [one["found"] for one in found if one["found"].startswith("note")]
    assert notes == ["note: closed on Mondays", "note of the project j: Ask Bo"]
    assert run("pool", "note", "p", "").stdout == "pool p has no note\n"
    assert run("project", "note", "p", "j", "Ask Cy").stdout == "project j has a note\n"
    again = [one["found"] for one in json.loads(run("doctor", "--json").stdout) if one["found"].startswith("note")]
    assert again == ["note of the project j: Ask Cy"]


def test_send_names_what_will_count_as_left_out_and_refuses_milliseconds() -> None:
    event = {"type": "judgment_submitted", "pool": "p", "task": "t", "annotator": 17, "label": 1.0, "duration_s": -1}
    done = run("send", "--dry-run", json.dumps(event))
    assert (done.exit_code, done.stdout) == (0, "1 events: every one is usable\n")
    assert done.stderr == "note: judgment_submitted.duration_s holds what it may not and counts as left out\n"
    wrong = run("send", "--dry-run", json.dumps(event | {"at": AT * 1000}))
    assert wrong.exit_code == 1 and "by its size it is in milliseconds: divide by 1000" in wrong.stderr
    wrong = run("send", "--dry-run", json.dumps(event | {"type": "judgement_submited"}))
    assert wrong.exit_code == 1 and "did you mean judgment_submitted?" in wrong.stderr


def test_an_import_takes_references_and_leaves_odd_durations_out(tmp_path: Path) -> None:
    tasks, past = tmp_path / "tasks.csv", tmp_path / "past.csv"
    tasks.write_text("task,link\nt1,https://tool/1\nt2,\n")
    past.write_text("task,annotator,label,duration_s\nt1,ana,0,-3\nt2,ana,1,4\n")
    of = ("--pool", "p", "--project", "j", "--skill", "s", "--labels", "a,b")
    words = ("import", str(tasks), str(past), *of, "--dry-run")
    done = run(*words, "--ref", "link")
    assert done.exit_code == 0, done.output
    assert f"{past}: 1 duration_s that no duration can be: left out, the judgments count" in done.stderr
    wrong = run(*words, "--ref", "href", "--ignore-extra")
    assert wrong.exit_code == 1 and "--ref names the column href: no file of tasks has it" in wrong.stderr
    tasks.write_text(f"task,ref\nt1,{'é' * 257}\n")
    done = run(*words)
    assert done.exit_code == 1 and "expected text of at most 512 bytes" in done.stderr
