"""Files on their way into a real market: pauses, kills, resuming; what became of each row; what is refused before."""

import json
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from load.system.worker_process import Worker, allocator
from stream.events import (
    AnnotatorOnline,
    JudgmentSettled,
    JudgmentSubmitted,
    ProjectSet,
    TaskSettled,
    decode,
    decode_result,
)
from stream.local.broker import free_port
from stream.settings import PREFIX, Settings
from stream.shell.commands.cli import main
from stream.shell.commands.doctor import examine
from stream.shell.commands.import_command import import_
from stream.shell.commands.resume import place_of
from stream.shell.commands.workers import Lag
from stream.topics import ANNOTATORS, CONSENSUS, INPUTS, JUDGMENTS, TASKS, dead_letters
from tests.shell.harness import read, until

MANY = 3000
PER_TASK = 2
POOLS = ("north", "south", "east")


def run(*words: str | Path) -> Result:
    result = CliRunner().invoke(import_, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def outcomes(*words: str | Path, code: int = 0) -> list[dict[str, Any]]:
    result = run(*words, "--json")
    assert result.exit_code == code, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def write(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def pool_of(task: int) -> str:
    return POOLS[task % len(POOLS)]


def files(folder: Path) -> tuple[Path, Path, Path]:
    """Tasks, people and past judgments of three pools."""
    tasks = [f"{pool_of(t)},t{t},j,s,2,{PER_TASK}" for t in range(MANY)]
    people = [f"{pool},a{a},s" for pool in POOLS for a in range(PER_TASK)]
    past = [f"{pool_of(t)},t{t},a{a},{t % 2},1700000000" for t in range(MANY) for a in range(PER_TASK)]
    return (
        write(folder / "tasks.csv", "pool,task,project,skill,classes,overlap", tasks),
        write(folder / "people.csv", "pool,annotator,skills", people),
        write(folder / "past.csv", "pool,task,worker,label,timestamp", past),
    )


@pytest.mark.kafka
@pytest.mark.slow
def test_past_work_survives_a_kill_and_settles_once_as_unsolicited(settings: Settings, tmp_path: Path) -> None:
    tasks, people, past = files(tmp_path)
    blind = ("--no-wait", "--max-lag")
    assert outcomes(tasks, *blind, "1000000")[0]["sent"] == MANY
    assert outcomes(people, *blind, "1000000")[0]["sent"] == PER_TASK * len(POOLS)

    # nobody works yet, so the import stands before its limit: killed there, it goes on when somebody does
    limit = MANY + 2500
    sending = subprocess.Popen(
        allocator(["import", str(past), *blind, str(limit)]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    lag = Lag(settings)
    try:
        until(lambda: place_of(past).exists() and kept(past) >= 2000, 60, "some of it is sent")
        until(lambda: lag.now() > limit, 60, "the import has reached its limit")
        stands = standing(past)
        ends = Counter(record.topic for topic in INPUTS for record in read(settings.kafka_bootstrap, topic))
        assert standing(past) == stands < MANY * PER_TASK
        assert ends == Counter(record.topic for topic in INPUTS for record in read(settings.kafka_bootstrap, topic))
        sending.send_signal(signal.SIGKILL)
    finally:
        sending.kill()
        sending.wait()

    worker = Worker({}, free_port(), tmp_path / "worker.log")
    worker.start()
    try:
        worker.wait_until_ready()
        (rest,) = outcomes(past, *blind, "500")
        assert (rest["resumed_from"], rest["sent"]) == (stands, MANY * PER_TASK - stands)
        until(lambda: lag.now() == 0, 60, "all is applied")
    finally:
        worker.stop()
        lag.close()

    settled = [decode_result(record.value) for record in read(settings.kafka_bootstrap, JUDGMENTS)]
    net: Counter[tuple[str, str, str]] = Counter()
    for one in settled:
        assert isinstance(one, JudgmentSettled)
        assert one.outcome == ("unsolicited" if one.count else "duplicate")
        net[one.pool, one.task, one.annotator] += one.count
    assert net == {(pool_of(t), f"t{t}", f"a{a}"): 1 for t in range(MANY) for a in range(PER_TASK)}
    ends_of_tasks = Counter(
        (event.pool, event.task, event.outcome)
        for event in (decode_result(record.value) for record in read(settings.kafka_bootstrap, CONSENSUS))
        if isinstance(event, TaskSettled)
    )
    assert ends_of_tasks == {(pool_of(t), f"t{t}", "complete"): 1 for t in range(MANY)}
    assert not any(read(settings.kafka_bootstrap, dead_letters(topic)) for topic in INPUTS)

    (again,) = outcomes(past, *blind, "500")
    assert (again["sent"], again["resumed_from"]) == (0, MANY * PER_TASK)


def standing(path: Path) -> int:
    """Rows sent when the note beside a file has stopped growing."""
    while True:
        before = kept(path)
        time.sleep(1.5)  # the absence of something needs time to show
        if kept(path) == before:
            return before


def kept(path: Path) -> int:
    """Rows that the note beside a file says are sent."""
    found: int = json.loads(place_of(path).read_bytes())["sent"]
    return found


@pytest.mark.kafka
@pytest.mark.slow
def test_the_fate_of_every_row_is_said(settings: Settings, worker: Worker, tmp_path: Path) -> None:
    # the project's preset makes the worker refuse a row that looks right by itself
    rows = ["t1,,", "t2,2,0.9", "t3,,"]
    preset = {"type": "project_set", "pool": "p", "project": "j", "defaults": {"overlap": 3}}
    assert CliRunner().invoke(main, ["send", json.dumps(preset)]).exit_code == 0
    tasks = write(tmp_path / "tasks.csv", "task,max_overlap,confidence", rows)
    said = ("--pool", "p", "--project", "j", "--skill", "s", "--labels", "cat,dog")
    done = run(tasks, *said)
    assert done.exit_code == 1, done.output
    assert "tasks.csv: 3 tasks of the project j sent; 2 took effect\n" in done.stdout
    assert "  1 row became a dead letter: invalid\n" in done.stderr
    assert f"{tasks}:3: Expected a whole number of at least 3 (the overlap), got 2" in done.stderr
    assert "docs/operations.md, invalid; again: allocator dlt list --reason invalid" in done.stderr

    (letters,) = [finding for finding in examine() if finding.check == "dead letters"]
    assert (letters.verdict, letters.found) == ("look", "1 record could not be used: invalid")
    assert letters.remedy.startswith("allocator dlt list --reason invalid shows them")

    good = write(tmp_path / "good.csv", "task", ["t3", "t4"])
    past = write(tmp_path / "past.csv", "task,worker,label", ["t1,ana,dog", "t4,ana,1", "t4,bo,cat"])
    people = write(tmp_path / "people.csv", "annotator,present", ["ana,", "bo,-", "cy,2h"])
    done = run(people, past, good, *said, "--present", "30min")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        f"{good}: 2 tasks of the project j sent; 2 took effect (1 had been there before, unchanged: --update changes "
        "them)",
        f"{past}: 3 judgments sent; 3 took effect (3 count)",
        f"{people}: 3 people sent; 3 took effect (2 present)",
    ]
    again = run(past, *said, "--restart")
    assert f"{past}: 3 judgments sent; 3 took effect (3 had been given before)\n" == again.stdout

    unknown = write(tmp_path / "unknown.csv", "task,worker,label", ["t1,cy,cat", "t9,cy,cat"])
    refused = run(unknown, *said)
    assert refused.exit_code == 1
    assert f"error: {unknown}:3: task: expected a task that the pool p has" in refused.stderr
    assert "1 line is unusable, 1 is usable: nothing was sent" in refused.stderr

    change = write(tmp_path / "change.csv", "task,priority", ["t1,5", "t4,-5"])
    done = run(change, "--pool", "p", "--update")
    assert done.stdout == f"{change}: 2 tasks sent; 2 took effect\n", done.output

    inputs = [decode(record.value) for topic in INPUTS for record in read(settings.kafka_bootstrap, topic)]
    _, project = [event for event in inputs if isinstance(event, ProjectSet)]
    assert (project.labels, project.defaults) == (("cat", "dog"), msgspec.UNSET), "what was preset stays"
    online = {event.annotator: event.ttl_s for event in inputs if isinstance(event, AnnotatorOnline)}
    assert online == {"ana": 1800.0, "cy": 7200.0}


@pytest.mark.kafka
@pytest.mark.slow
def test_classes_are_the_projects_own(settings: Settings, worker: Worker, tmp_path: Path) -> None:
    tasks = write(tmp_path / "tasks.csv", "task", ["t1", "t2"])
    run(tasks, "--pool", "p", "--project", "j", "--skill", "s", "--labels", "1,2")
    past = write(tmp_path / "past.csv", "task,worker,label", ["t1,ana,1", "t2,ana,2"])
    assert run(past, "--pool", "p").exit_code == 0, "the names 1 and 2 are known, and are no numbers"
    settled = [decode(record.value) for record in read(settings.kafka_bootstrap, TASKS)]
    assert [event.label for event in settled if isinstance(event, JudgmentSubmitted)] == [0, 1]
    other = run(tasks, "--pool", "p", "--project", "j", "--skill", "s", "--labels", "2,1", "--restart")
    assert other.exit_code == 1
    assert "the project j has the classes 1, 2 in this order, --labels says 2, 1" in other.stderr
    more = write(tmp_path / "more.csv", "task", ["t3"])
    assert run(more, "--pool", "p", "--project", "k", "--skill", "s", "--labels", "cat,dog").exit_code == 0
    unclear = run(write(tmp_path / "later.csv", "task,worker,label", ["t3,ana,cat"]), "--pool", "p")
    assert unclear.exit_code == 1 and "say which is meant: --project NAME" in unclear.stderr


@pytest.mark.kafka
@pytest.mark.slow
def test_without_a_worker_that_is_said(settings: Settings, tmp_path: Path) -> None:
    tasks = write(tmp_path / "tasks.csv", "task,skill", ["t1,s"])
    sent = run(tasks, "--pool", "p", "--project", "j")
    assert sent.exit_code == 2
    assert "1 events are sent, but no worker runs, so 1 of them have not taken effect yet" in sent.stderr
    waits = run(tasks, "--pool", "p", "--project", "j", "--restart")
    assert waits.exit_code == 2
    assert "1 events wait and no worker runs, so what the deployment knows is not up to date" in waits.stderr


@pytest.mark.kafka
def test_a_dry_run_and_a_file_with_a_bad_line_send_nothing(settings: Settings, tmp_path: Path) -> None:
    good = write(tmp_path / "good.csv", "task,project", ["t1,j", "t2,j"])
    bad = write(tmp_path / "bad.csv", "task,project,overlap", ["t1,j,1", "t2,j,none", "t3,,1"])
    assert f"{good}: 2 tasks of the project j: every line is usable" in run(good, "--pool", "p", "--dry-run").output
    for way in ("--dry-run", "--no-wait"):
        done = run(bad, "--pool", "p", way)
        assert done.exit_code == 1
        assert f"{bad}:3: overlap: expected a whole number from 0 to 1000, such as 3; got 'none'" in done.stderr
        assert f"{bad}:4: project: expected an id" in done.stderr
        assert "2 lines are unusable, 1 is usable: nothing was sent" in done.stderr
    assert not any(read(settings.kafka_bootstrap, topic) for topic in INPUTS)
    assert not place_of(good).exists() and not place_of(bad).exists()


@pytest.mark.kafka
def test_an_import_knows_where_it_went(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "tasks.csv", "task,project", ["t1,j"])
    blind = ("--pool", "p", "--no-wait")
    assert outcomes(path, *blind)[0]["sent"] == 1
    assert "all sent before" in run(path, *blind).output
    assert outcomes(path, "--pool", "q", "--no-wait")[0]["sent"] == 1, "another pool is another import"
    write(path, "task,project", ["t1,j", "t2,j"])
    assert outcomes(path, *blind)[0]["sent"] == 2, "all of the former file was sent: this is a new one"

    half = json.loads(place_of(path).read_bytes()) | {"sent": 1}
    place_of(path).write_text(json.dumps(half))
    assert outcomes(path, *blind)[0]["resumed_from"] == 1
    place_of(path).write_text(json.dumps(half))
    write(path, "task,project", ["t1,j", "t2,j", "t3,j"])
    refused = run(path, *blind)
    assert refused.exit_code == 1 and "has changed since its import began (1 of 2 rows sent)" in refused.stderr
    assert outcomes(path, *blind, "--restart")[0]["sent"] == 3

    monkeypatch.setenv(f"{PREFIX}APP_ID", "another")
    (elsewhere,) = outcomes(path, *blind)
    assert elsewhere["sent"] == 3 and "went to another deployment (allocator)" in elsewhere["notes"][0]
    place_of(path).write_text("{")
    refused = run(path, *blind)
    assert refused.exit_code == 1 and "--restart sends all" in refused.stderr
    assert len(read(settings.kafka_bootstrap, TASKS)) + len(read(settings.kafka_bootstrap, ANNOTATORS)) == 11
