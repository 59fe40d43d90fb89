"""`allocator up` in a terminal: found by every command, watches its worker, stops at Ctrl-C, goes on where it was."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.local import folder as folders
from stream.local.folder import BOOTSTRAP
from stream.settings import PREFIX
from tests.walk.people import until

ALLOCATOR = Path(sys.executable).with_name("allocator")
LIMIT_S = 200


class Terminal:
    """A terminal in which `up` runs, and another one beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder / "up"
        self.log = folder / "terminal.log"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX) or "JAVA" in k}
        self.process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        """Start it and wait until it says where everything is."""
        with self.log.open("wb") as log:
            words = [str(ALLOCATOR), "up", "--folder", str(self.place), "--partitions", "2"]
            process = subprocess.Popen(words, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        self.process = process
        until(lambda: "Ctrl-C stops it" in self.said() or process.poll() is not None, LIMIT_S, "it is up")
        assert process.poll() is None, self.said()

    def said(self) -> str:
        return self.log.read_text()

    def interrupt(self) -> int:
        """Ctrl-C."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(LIMIT_S)

    def run(self, *words: str, code: int = 0, **variables: str) -> str:
        """Run a command; returns all it said."""
        done = subprocess.run(
            [str(ALLOCATOR), *words], cwd=self.folder, env=self.environment | variables, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == code, (words, done.returncode, done.stdout)
        return done.stdout


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    terminal.up()
    try:
        yield terminal
    finally:
        if terminal.process is not None and terminal.process.poll() is None:
            terminal.process.terminate()
            terminal.process.wait(LIMIT_S)


@pytest.mark.kafka
@pytest.mark.slow
def test_up_runs_until_it_is_told_to_stop_and_is_found_meanwhile(terminal: Terminal) -> None:
    at = ("--folder", str(terminal.place))
    said = terminal.run(*at, "status")
    assert re.match(r"runs since \d+ min, 1 worker, 0 events wait\n", said)
    assert "Nothing is in it yet. Next: " in said and "import tasks.csv --pool team" in said
    terminal.run(*at, "send", '{"type": "annotator_set", "pool": "p", "annotator": "ana", "skills": ["s"]}')

    # the flag comes before the environment, and the folder's variable is as good as the flag
    origin = f"deployment: settings of the deployment in {terminal.place}, which runs\n"
    assert origin in terminal.run(*at, "doctor", code=0, **{BOOTSTRAP: "127.0.0.1:1"})
    assert origin in terminal.run("doctor", code=0, **{folders.FOLDER_VARIABLE: str(terminal.place)})
    assert terminal.run(*at, "audit", "--quiet").startswith("0 violations in ")
    assert "annotator" in terminal.run(*at, "skills", "p")
    assert terminal.run(*at, "why", "0-1-0", code=1).startswith("error: ")
    said = terminal.run("doctor", code=2, **{BOOTSTRAP: "127.0.0.1:1"})
    assert "deployment: settings of the environment\n" in said and "no broker answers (127.0.0.1:1" in said

    said = terminal.run("up", "--folder", str(terminal.place), code=2)
    assert f"the deployment in {terminal.place} runs already" in said
    said = terminal.run("up", code=2, **{BOOTSTRAP: "127.0.0.1:1"})
    assert f"{BOOTSTRAP} is set, so commands mean that broker" in said

    assert terminal.process is not None
    pids = subprocess.run(
        ["pgrep", "-P", str(terminal.process.pid), "-f", "worker"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(pids) == 1
    os.kill(int(pids[0]), signal.SIGKILL)
    until(lambda: "the worker ended with code -9; starting it again" in terminal.said(), 30, "it is missed")
    until(lambda: terminal.run(*at, "doctor").count("fine  workers: 1 in") == 1, LIMIT_S, "another one works")

    assert terminal.interrupt() == 0
    assert "Stopping: the worker commits and leaves\n" in terminal.said()
    assert f"Stopped. The data stay in {terminal.place}; " in terminal.said()
    assert not folders.is_running(terminal.place)
    said = terminal.run(*at, "status", code=1)
    assert said.startswith(f"down: the deployment in {terminal.place} is down; start it: ")
    said = terminal.run(*at, "doctor", code=2)
    assert "which is down" in said and f"the deployment in {terminal.place} is down; start it: " in said

    terminal.up()
    until(lambda: "pool p: 0 open tasks, 1 person, 0 present" in terminal.run(*at, "status"), 60, "it goes on")
    began = time.monotonic()
    assert terminal.run("down", *at) == f"stopped the deployment in {terminal.place}\n"
    assert terminal.process is not None and terminal.process.wait(LIMIT_S) == 0
    assert time.monotonic() - began < 60
    assert terminal.run("down", *at) == f"the deployment in {terminal.place} doesn't run\n"


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.skipif(folders.is_running(folders.demo_folder()), reason="somebody's demo runs in this checkout")
def test_replayed_people_work_in_a_demo_that_other_shells_find(tmp_path: Path) -> None:
    shell = Terminal(tmp_path)
    said = shell.run("up", "--demo", "--detach", "--seconds", "6")
    try:
        assert said.startswith("The allocator runs on this machine.\n  Kafka     127.0.0.1:")
        at = ("--folder", str(folders.demo_folder()))
        told = re.compile(r"pool rte-1: .* open tasks?, \d+ people")
        until(lambda: told.search(shell.run(*at, "status")) is not None, 60, "they come")
        until(lambda: shell.run(*at, "labels", "rte", "--settled").count("\n") > 5, 60, "labels come")
    finally:
        assert shell.run("down", *at) == f"stopped the deployment in {folders.demo_folder()}\n"
    shell.run("status", *at, code=1)
