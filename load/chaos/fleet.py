"""Worker processes as an orchestrator would run them: whoever crashes is started again, and that is noted.

A worker's log comes through a pipe: a limit on the size of its files must not silence it. Its lines are kept
per process, so that a fault can look for the words that prove its effect.
"""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from load.system.worker_process import WorkerFailed
from stream.local.broker import free_port

CRASH, KILLED, OPERATOR, DRAINED = 70, -9, 2, 0
READY_LIMIT_S = 300.0
POLL_S = 0.05


class Worker:
    """One process from its start to its end; never started twice.

    Parameters
    ----------
    name : str
        Also of its log file.
    environment : mapping
        All `ALLOCATOR_…` variables, complete.
    folder : Path
        Where its log goes.
    """

    def __init__(self, name: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name, self.port = name, free_port()
        self.lines: list[str] = []
        self.started = time.monotonic()
        #: set by whoever ends it on purpose
        self.is_expected_to_end = False
        self.data = Path(environment["ALLOCATOR_DATA_DIR"])
        own = {key: value for key, value in os.environ.items() if not key.startswith("ALLOCATOR_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "load.planted"],
            env={**own, **environment, "ALLOCATOR_WEB_PORT": str(self.port), "ALLOCATOR_LOG_FORMAT": "json"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self.process.stdout, folder / f"{name}.log"), daemon=True
        )
        self._reader.start()

    def _read(self, source: IO[bytes], log: Path) -> None:
        with log.open("ab") as file, source:
            for line in source:
                self.lines.append(line.decode(errors="replace"))
                file.write(line)
                file.flush()

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def code(self) -> int | None:
        """Exit code, negative for a signal, None while it runs."""
        return self.process.poll()

    def tell(self, number: signal.Signals) -> None:
        """Send a signal."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def end(self, number: signal.Signals, limit_s: float = 60.0) -> int:
        """Send a signal that ends it, on purpose; returns the exit code."""
        self.is_expected_to_end = True
        self.tell(number)
        return self.wait(limit_s)

    def wait(self, limit_s: float) -> int:
        """Wait for the end; returns the exit code.

        Raises
        ------
        WorkerFailed
            When it still runs after `limit_s` seconds.
        """
        try:
            code = self.process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise WorkerFailed(f"{self.name} did not end within {limit_s:.0f} s:\n{self.last_words()}") from error
        self._reader.join(5.0)
        return code

    def said(self, words: str) -> str | None:
        """Return the first line of its log that holds `words`."""
        return next((line.strip() for line in list(self.lines) if words in line), None)

    def owned(self) -> list[int]:
        """Partitions that it runs now; none while it isn't ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                found: Any = json.loads(answer.read())
        except (OSError, ValueError):
            return []
        return list(found["partitions"])

    def metric(self, begin: str) -> float:
        """Sum of the series that begin so; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return 0.0
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(begin))

    def last_words(self) -> str:
        """Return the end of the log."""
        return "".join(self.lines[-15:]) or "(empty)"


class Fleet:
    """The workers of a run.

    Parameters
    ----------
    environment : mapping
        Variables of all of them.
    folder : Path
    size : int
        How many should run; `keep` starts those that are missing.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, size: int) -> None:
        self.environment, self.folder, self.size = dict(environment), folder, size
        self.workers: list[Worker] = []
        self.restarts = 0
        #: ends that nobody had planned, with exit codes that a worker must not have
        self.unexpected: list[str] = []
        self._started = 0

    def start(self, data: Path | None = None, **more: str) -> Worker:
        """Start one more worker, with variables beside those of all; `data`: where it finds its own files."""
        self._started += 1
        name = f"worker-{self._started}"
        used = {worker.data for worker in self.running()}
        data = data or next(path for path in self._places() if path not in used)
        own = {"ALLOCATOR_DATA_DIR": str(data), "ALLOCATOR_FAULT_CLOCK_FILE": str(self.clock_file(data))}
        environment = {**self.environment, **own, **more}
        worker = Worker(name, environment, self.folder)
        self.workers.append(worker)
        return worker

    def _places(self) -> Iterator[Path]:
        """Data folders: a worker gets the first that is free, with what its predecessor left there."""
        return (self.folder / f"data-{number}" for number in itertools.count())

    @staticmethod
    def clock_file(data: Path) -> Path:
        """Where a worker with that data folder finds by how much its clock is off."""
        return data.with_suffix(".clock")

    def set_clocks(self, offset_s: float) -> None:
        """Put the clocks of all workers, also of those yet to come, off by so much."""
        for data in itertools.islice(self._places(), 4 * self.size):
            self.clock_file(data).write_text(str(offset_s))

    def running(self) -> list[Worker]:
        """Workers whose processes live."""
        return [worker for worker in self.workers if worker.code is None]

    def ready(self) -> list[Worker]:
        """Workers that own partitions and run them, the oldest first."""
        return [worker for worker in self.running() if worker.owned()]

    def keep(self) -> None:
        """Bury the dead, and start as many as are missing."""
        for worker in [worker for worker in self.workers if worker.code is not None]:
            self.workers.remove(worker)
            if not worker.is_expected_to_end:
                self.restarts += 1
                if worker.code != CRASH:
                    self.unexpected.append(
                        f"{worker.name} ended by itself with code {worker.code}: {worker.last_words()[-600:]}"
                    )
        while len(self.workers) < self.size:
            self.start()

    def wait(self, claim: Callable[[], object], limit_s: float, keeps: bool = True) -> bool:
        """Wait until `claim` holds, restarting whoever crashes; False when it doesn't within `limit_s`."""
        end = time.monotonic() + limit_s
        while not claim():
            if time.monotonic() > end:
                return False
            if keeps:
                self.keep()
            time.sleep(POLL_S)
        return True

    def wait_until_ready(self, count: int = 1, limit_s: float = READY_LIMIT_S) -> None:
        """Wait until `count` workers own partitions.

        Raises
        ------
        WorkerFailed
            When they don't in time.
        """
        if not self.wait(lambda: len(self.ready()) >= count, limit_s):
            words = "\n".join(worker.last_words() for worker in self.workers)
            raise WorkerFailed(f"no {count} workers ready after {limit_s:.0f} s:\n{words}")

    def stop(self) -> None:
        """Kill whatever runs."""
        for worker in self.workers:
            worker.tell(signal.SIGCONT)
            worker.end(signal.SIGKILL)
        self.workers.clear()
