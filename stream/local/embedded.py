"""A whole deployment on this machine, for trying and developing: a local Kafka, its topics and one worker.

    start: lock ──► broker answers ──► topics are there ──► worker is ready ──► stay: until SIGTERM or Ctrl-C
    stop:  worker drains and leaves ──► broker shuts down ──► the data stay in the folder

Everything listens on the loopback interface. A worker that crashes is started again, as an operator's supervisor would
do; one that needs a person (exit code 2) ends the deployment with its last words. Broker and worker die with this
process, also when that is killed. Not for production: one broker, no replicas.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import msgspec

from stream.local import folder as folders
from stream.local.broker import LocalKafka, free_port, is_free, tied
from stream.local.folder import Kept

PARTITIONS = 4
BROKER_LIMIT_S = 180.0
READY_LIMIT_S = 300.0  # the first start on a machine compiles the kernels
STOP_LIMIT_S = 25.0
COMMAND_LIMIT_S = 90.0
LONGEST_PAUSE_S = 30.0
OPERATOR = 2
LAST_LINES = 15
LOCK_TRIES = 5

ALLOCATOR = [sys.executable, "-c", "from stream.shell.commands.cli import main; main()"]

Say = Callable[[str], None]


class DeploymentFailed(RuntimeError):
    """The deployment can't be started, or has ended by itself; the message says why."""


class Deployment:
    """The deployment of a folder.

    Parameters
    ----------
    folder : Path
        Data, logs and `deployment.json` lie here; made when missing.
    settings : mapping
        `ALLOCATOR_…` variables for its worker and for commands that find the folder, beside where it is.
    partitions : int
        Of a new deployment; fixed for life.
    app_id : str
        Of a new deployment.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        partitions: int = PARTITIONS,
        app_id: str = "allocator",
    ) -> None:
        self.folder = folder.resolve()
        self._settings = dict(settings or {})
        self._partitions, self._app_id = partitions, app_id
        self._lock: IO[bytes] | None = None
        self._broker: LocalKafka | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self.kept = Kept(port=0, controller_port=0, web_port=0, partitions=partitions)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of every process of this deployment."""
        return self.kept.environment(self.folder)

    @property
    def worker_log(self) -> Path:
        """What the worker has said."""
        return self.folder / "worker.log"

    # ---------------------------------------------------------------- start and stop
    def start(self, say: Say) -> None:
        """Start everything and wait until the worker is ready.

        Parameters
        ----------
        say : callable
            Told what is about to happen, a line each.

        Raises
        ------
        DeploymentFailed
            It runs already, a port is taken, or the worker doesn't become ready.
        KafkaUnavailable
            No broker can be started.
        """
        for _ in range(LOCK_TRIES):  # who only asks whether it runs holds the lock for a moment
            self._lock = folders.lock(self.folder)
            if self._lock is not None:
                break
            time.sleep(0.1)
        else:
            known = folders.read(self.folder)
            where = f" (process {known.pid})" if known and known.pid else ""
            raise DeploymentFailed(f"the deployment in {self.folder} runs already{where}: allocator status")
        try:
            self._start(say)
        except BaseException:
            self.stop()
            raise

    def _start(self, say: Say) -> None:
        self.kept = self._keep()
        say("Starting Kafka")
        self._broker = LocalKafka(self.folder / "kafka", self.kept.port, self.kept.controller_port)
        self._broker.start(BROKER_LIMIT_S)
        folders.write(self.folder, self.kept)
        code, text = self.command(["topics", "apply"])
        if code:
            raise DeploymentFailed(f"`allocator topics apply` ended with code {code}: {text}")
        say("Starting the worker (the first start on a machine compiles for some minutes)")
        self._start_worker()
        end = time.monotonic() + READY_LIMIT_S
        while not self.is_ready():
            code_ = self._worker.poll() if self._worker else None
            if code_ is not None:
                raise DeploymentFailed(f"the worker ended with code {code_}; its last words:\n{self.last_words()}")
            if time.monotonic() > end:
                raise DeploymentFailed(f"the worker isn't ready after {READY_LIMIT_S:.0f} s:\n{self.last_words()}")
            if self._stopped.wait(0.1):
                raise KeyboardInterrupt
        self.kept = msgspec.structs.replace(self.kept, ready=True)
        folders.write(self.folder, self.kept)

    def _keep(self) -> Kept:
        """What was kept, or a new deployment; the process that runs it from now on is this one."""
        known = folders.read(self.folder)
        if known is None:
            kafka = 9092 if is_free(9092) else free_port()
            known = Kept(
                port=kafka, controller_port=free_port(), web_port=6066, partitions=self._partitions, app_id=self._app_id
            )
        return msgspec.structs.replace(
            known,
            port=known.port if is_free(known.port) else free_port(),
            web_port=known.web_port if is_free(known.web_port) else free_port(),
            settings=self._settings,
            pid=os.getpid(),
            since=time.time(),
            ready=False,
        )

    def _start_worker(self) -> None:
        environment = {**folders.clean(os.environ), **self.environment, "ALLOCATOR_LOG_FORMAT": "text"}
        with self.worker_log.open("ab") as log:
            self._worker = subprocess.Popen(
                tied([*ALLOCATOR, "worker"]),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for this process, which then stops the worker in good order
            )

    def stop(self) -> None:
        """Let the worker commit and leave, shut the broker down; the data stay."""
        if self._worker is not None and self._worker.poll() is None:
            self._worker.send_signal(signal.SIGTERM)
            try:
                self._worker.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()
        if self._broker is not None:
            self._broker.stop()
        if self._lock is not None:
            if folders.read(self.folder) is not None:
                folders.write(self.folder, msgspec.structs.replace(self.kept, pid=None, ready=False))
            self._lock.close()
            self._lock = None

    # ---------------------------------------------------------------- while it runs
    def is_ready(self) -> bool:
        """Whether the worker says that its partitions run."""
        return page_answers(f"{self.kept.page}/readyz")

    def ask_to_stop(self) -> None:
        """Let `stay` return."""
        self._stopped.set()

    def stay(self, say: Say) -> None:
        """Watch broker and worker until somebody asks to stop.

        Raises
        ------
        DeploymentFailed
            The worker needs a person.
        """
        pause = 1.0
        while not self._stopped.wait(0.5):
            if self._broker is not None and self._broker.pid is None:
                say("Kafka has ended; starting it again")
                self._broker.start()
            code = self._worker.poll() if self._worker else None
            if code is None:
                continue
            if code == OPERATOR:
                raise DeploymentFailed(f"the worker needs a person (code {code}); its last words:\n{self.last_words()}")
            say(f"the worker ended with code {code}; starting it again in {pause:.0f} s (its log: {self.worker_log})")
            self._stopped.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
            if not self._stopped.is_set():
                self._start_worker()

    def command(self, words: list[str]) -> tuple[int, str]:
        """Run a command of `allocator` against this deployment; returns exit code and what it printed."""
        environment = {**folders.clean(os.environ), **self.environment}
        try:
            done = subprocess.run(
                [*ALLOCATOR, *words],
                env=environment,
                capture_output=True,
                text=True,
                timeout=COMMAND_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeploymentFailed(f"`allocator {words[0]}` took longer than {COMMAND_LIMIT_S:.0f} s") from None
        return done.returncode, (done.stdout + (done.stderr if done.returncode else "")).strip()

    def last_words(self) -> str:
        """The end of the worker's log."""
        text = self.worker_log.read_text(errors="replace") if self.worker_log.exists() else ""
        return "\n".join(text.splitlines()[-LAST_LINES:]) or "(nothing)"


def page_answers(url: str) -> bool:
    """Whether a page answers with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
