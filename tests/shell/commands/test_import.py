"""A file on its way into a real market: pauses for the workers, survives kill -9, loses and doubles nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from load.system.worker_process import Worker, allocator
from stream.events import JudgmentSettled, TaskSettled, decode_result
from stream.local import LocalKafka
from stream.local.broker import free_port
from stream.settings import PREFIX, Settings
from stream.shell.commands.import_command import import_
from stream.shell.commands.import_run import Lag, place_of
from stream.shell.kafka import topic_admin
from stream.topics import CONSENSUS, INPUTS, JUDGMENTS, dead_letters, topics
from tests.shell.harness import make_topics, read, settings_for, until

TASKS = 3000
PER_TASK = 2
POOLS = ("north", "south", "east")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def settings(broker: LocalKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = settings_for(broker.bootstrap, tmp_path)
    make_topics(settings)
    admin = topic_admin.connect(settings)
    admin.wait_for_topics([topic.name for topic in topics(settings)])
    admin.close()
    for name in [name for name in os.environ if name.startswith(PREFIX) and "JAVA" not in name]:
        monkeypatch.delenv(name)
    for name in ("KAFKA_BOOTSTRAP", "PARTITIONS", "REPLICATION", "DATA_DIR", "SESSION_TIMEOUT_S", "LOG_FORMAT"):
        monkeypatch.setenv(f"{PREFIX}{name}", str(getattr(settings, name.lower())))
    return settings


def run(*words: str | Path) -> Result:
    result = CliRunner().invoke(import_, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def outcome(*words: str | Path) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def write(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def pool_of(task: int) -> str:
    return POOLS[task % len(POOLS)]


def files(folder: Path) -> tuple[Path, Path, Path]:
    """Tasks, people and past judgments of three pools."""
    tasks = [f"{pool_of(t)},t{t},j,s,2,{PER_TASK}" for t in range(TASKS)]
    people = [f"{pool},a{a},s" for pool in POOLS for a in range(PER_TASK)]
    past = [f"{pool_of(t)},t{t},a{a},{t % 2},1700000000" for t in range(TASKS) for a in range(PER_TASK)]
    return (
        write(folder / "tasks.csv", "pool,task,project,skill,classes,overlap", tasks),
        write(folder / "people.csv", "pool,annotator,skills", people),
        write(folder / "past.csv", "pool,task,worker,label,timestamp", past),
    )


@pytest.mark.kafka
@pytest.mark.slow
def test_past_work_survives_a_kill_and_settles_once_as_unsolicited(settings: Settings, tmp_path: Path) -> None:
    tasks, people, past = files(tmp_path)
    assert outcome(tasks, "--max-lag", "1000000")["sent"] == TASKS
    assert outcome(people)["sent"] == PER_TASK * len(POOLS)

    # nobody works yet, so the import stands before its limit: killed there, it goes on when somebody does
    limit = TASKS + 2500
    sending = subprocess.Popen(
        allocator(["import", str(past), "--max-lag", str(limit)]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: place_of(past).exists() and kept(past) >= 2000, 60, "some of it is sent")
        lag = Lag(settings)
        until(lambda: lag.now() > limit, 60, "the import has reached its limit")
        stands = standing(past)
        ends = Counter(record.topic for topic in INPUTS for record in read(settings.kafka_bootstrap, topic))
        assert standing(past) == stands < TASKS * PER_TASK
        assert ends == Counter(record.topic for topic in INPUTS for record in read(settings.kafka_bootstrap, topic))
        sending.send_signal(signal.SIGKILL)
    finally:
        sending.kill()
        sending.wait()

    worker = Worker({}, free_port(), tmp_path / "worker.log")
    worker.start()
    try:
        worker.wait_until_ready()
        rest = outcome(past, "--max-lag", "500")
        assert (rest["resumed_from"], rest["sent"]) == (stands, TASKS * PER_TASK - stands)
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
    assert net == {(pool_of(t), f"t{t}", f"a{a}"): 1 for t in range(TASKS) for a in range(PER_TASK)}
    ends_of_tasks = Counter(
        (event.pool, event.task, event.outcome)
        for event in (decode_result(record.value) for record in read(settings.kafka_bootstrap, CONSENSUS))
        if isinstance(event, TaskSettled)
    )
    assert ends_of_tasks == {(pool_of(t), f"t{t}", "complete"): 1 for t in range(TASKS)}
    assert not any(read(settings.kafka_bootstrap, dead_letters(topic)) for topic in INPUTS)

    again = outcome(past)
    assert (again["sent"], again["resumed_from"]) == (0, TASKS * PER_TASK)


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
def test_a_dry_run_and_a_file_with_a_bad_line_send_nothing(settings: Settings, tmp_path: Path) -> None:
    good = write(tmp_path / "good.csv", "task,project", ["t1,j", "t2,j"])
    bad = write(tmp_path / "bad.csv", "task,project,overlap", ["t1,j,1", "t2,j,none", "t3,,1"])
    assert "2 tasks: every line is usable" in run(good, "--pool", "p", "--dry-run").output
    done = run(bad, "--pool", "p")
    assert done.exit_code == 1
    assert f"{bad}:3: " in done.stderr
    assert f"{bad}:4: expected a value in project, got none" in done.stderr
    assert "2 of 3 lines are unusable; nothing was sent" in done.stderr
    found = json.loads(run(bad, "--pool", "p", "--json").output)
    assert [fault["line"] for fault in found["faults"]] == [3, 4]
    assert not any(read(settings.kafka_bootstrap, topic) for topic in INPUTS)
    assert not place_of(good).exists() and not place_of(bad).exists()


@pytest.mark.kafka
def test_a_file_that_changed_on_the_way_is_not_continued(settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path / "tasks.csv", "task,project", ["t1,j"])
    assert outcome(path, "--pool", "p")["sent"] == 1
    assert "all sent before" in run(path, "--pool", "p").output
    refused = run(path, "--pool", "q")
    assert refused.exit_code == 1 and "--restart" in refused.stderr
    write(path, "task,project", ["t1,j", "t2,j"])
    refused = run(path, "--pool", "p")
    assert refused.exit_code == 1 and "has changed" in refused.stderr
    assert outcome(path, "--pool", "p", "--restart")["sent"] == 2
    place_of(path).write_text("{")
    refused = run(path, "--pool", "p")
    assert refused.exit_code == 1 and "cannot be read" in refused.stderr


def test_a_dry_run_needs_no_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}KAFKA_BOOTSTRAP", "127.0.0.1:1")
    path = write(tmp_path / "tasks.csv", "task,project", ["t1,j"])
    assert run(path, "--pool", "p", "--dry-run").exit_code == 0
    refused = run(path, "--pool", "p")
    assert refused.exit_code == 2 and "no broker answers" in refused.stderr


def test_on_a_terminal_there_is_a_bar(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom stream.shell.commands.import_command import _bar\n"
        "with _bar(10, 2, True) as tell:\n    tell(4, None); tell(4, 70); tell(10, None)\n"
    )
    shown, terminal = os.openpty()
    with os.fdopen(shown, "rb", 0) as reader:
        subprocess.run([sys.executable, "-c", program], stderr=terminal, check=True)
        os.close(terminal)
        text = b""
        try:
            while chunk := reader.read(4096):
                text += chunk
        except OSError:
            pass  # the other end of a terminal is closed
    assert b"10/10" in text
    assert b"waiting for the workers (70 events)" in text
