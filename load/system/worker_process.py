"""A worker as a process of its own: start, wait until ready, kill, start again, stop.

The command is the one a user would type (`allocator worker`), told everything by `ALLOCATOR_…` variables.
Its output goes to a log file that is quoted when something goes wrong.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

READY_LIMIT_S = 300.0  # the first start on a machine compiles the kernels
STOP_LIMIT_S = 25.0
COMMAND_LIMIT_S = 90.0


class WorkerFailed(RuntimeError):
    """The worker ended by itself or did not become ready; the message quotes the end of its log."""


def allocator(arguments: Sequence[str]) -> list[str]:
    """Return the command line of `allocator` in this installation."""
    beside = Path(sys.executable).with_name("allocator")
    found = str(beside) if beside.exists() else shutil.which("allocator")
    if found is None:
        raise WorkerFailed("no command `allocator` beside this Python; install the project: pip install -e .")
    return [found, *arguments]


def command(arguments: Sequence[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run `allocator …` to its end; return exit code and what it printed."""
    try:
        done = subprocess.run(
            allocator(arguments),
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WorkerFailed(f"`allocator {arguments[0]}` took longer than {COMMAND_LIMIT_S:.0f} s") from error
    return done.returncode, (done.stdout + (done.stderr if done.returncode else "")).strip()


class Worker:
    """One worker process that can be killed and started again with the same settings.

    Parameters
    ----------
    environment : mapping
        Variables beside those of this process.
    web_port : int
        Where the worker answers `/readyz`.
    log : Path
    """

    def __init__(self, environment: Mapping[str, str], web_port: int, log: Path) -> None:
        self.environment = {**os.environ, **environment, "ALLOCATOR_WEB_PORT": str(web_port)}
        self.ready_url = f"http://127.0.0.1:{web_port}/readyz"
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; returns at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                allocator(["worker"]), env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def ready(self) -> bool:
        """Whether the worker says that its partitions are assigned and recovered.

        Raises
        ------
        WorkerFailed
            When the process has ended.
        """
        self.check()
        try:
            with urllib.request.urlopen(self.ready_url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def page(self, path: str) -> str:
        """Text of one of the worker's pages; empty while nobody answers."""
        try:
            with urllib.request.urlopen(self.ready_url.replace("/readyz", path), timeout=2) as answer:
                return str(answer.read().decode())
        except (urllib.error.URLError, OSError):
            return ""

    def check(self) -> None:
        """Raise `WorkerFailed` when the process has ended."""
        code = self._process.poll() if self._process else None
        if code is not None:
            raise WorkerFailed(f"the worker ended with code {code}; its last words:\n{self.last_words()}")

    def wait_until_ready(self, limit_s: float = READY_LIMIT_S) -> None:
        """Wait for `/readyz`.

        Raises
        ------
        WorkerFailed
            When the process ends or isn't ready in time.
        """
        end = time.monotonic() + limit_s
        while not self.ready:
            if time.monotonic() > end:
                raise WorkerFailed(f"the worker isn't ready after {limit_s:.0f} s:\n{self.last_words()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill -9, no goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int | None:
        """Ask the process to drain and leave (SIGTERM), kill it when it doesn't; return its exit code."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        return process.wait()

    def last_words(self) -> str:
        """Return the end of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-15:]) or "(empty)"
