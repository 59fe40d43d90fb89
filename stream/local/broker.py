"""One node of Apache Kafka (KRaft: broker and controller in one JVM) on the loopback interface.

    stopped --start--> running --stop (SIGTERM) or kill (SIGKILL)--> stopped

Folder and ports survive stop and kill, so a later start is the same broker with the same data. Ports lie
below the system's ephemeral range: on a higher one a client's own socket may take the port while the
broker is down. *Running* means that an admin call is answered. Ready 2-3 s after start, about 300 MB.

The JVM dies with its parent, also when that is killed with -9 (Linux: PR_SET_PDEATHSIG). The signal comes
when the parent *thread* ends, so a thread of the broker's own starts the JVM and lives as long as it.

Anyone on this machine may connect, unless a `Locks` (`stream.local.locks`) is given: then TLS, users and access
lists as in production. Deliberately no replication, no durability beyond the process: for development and tests only.
"""

import base64
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from stream.local.jars import classpath
from stream.local.java import find_java
from stream.local.locks import Locks
from stream.local.unavailable import KafkaUnavailable
from stream.settings import load

HOST = "127.0.0.1"
BOOTSTRAP_VARIABLE = "ALLOCATOR_KAFKA_BOOTSTRAP"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    # internal topics as small as they go: they cost start time, files and a recovery each
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # after a kill the controller admits the broker only when its former session has ended: 9 s by default
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "500",
}

JVM_FLAGS = (
    "-Xms128m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)

# A step between this process and Java: what prctl asks for survives exec, and a Popen preexec_fn would run
# Python in a forked copy of a threaded process. The parent may be dead before prctl is called: then stop.
_DIE_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def tied(command: list[str]) -> list[str]:
    """The command of a process that dies when the calling one does, also by kill -9 (Linux; elsewhere as it is)."""
    if sys.platform != "linux":
        return command
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


def is_free(port: int) -> bool:
    """Return whether nobody listens on this loopback port; connections that linger do not count."""
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(below: int = 32768) -> int:
    """Return a free loopback port in [10000, `below`), below the ephemeral range of the system."""
    ports = list(range(10_000, below))
    random.SystemRandom().shuffle(ports)
    for port in ports[:1000]:
        if is_free(port):
            return port
    raise OSError(f"none of 1000 ports tried in [10000, {below}) is free on {HOST}")


class LocalKafka:
    """A broker on this machine that can be stopped, killed and started again with its data.

    Parameters
    ----------
    folder : Path
        Data, properties and log (`kafka.log`) live here; made when missing.
    port, controller_port : int, optional
        Free ports unless given; kept for the life of the object.
    properties : mapping, optional
        Broker properties beside or instead of the default ones.
    dies_with_parent : bool
        False for a broker that outlives this process (Linux only; elsewhere it always outlives it).
    locks : Locks, optional
        Users, certificates and access lists; none: everybody may do everything.

    Examples
    --------
    >>> with LocalKafka(Path("run/kafka")) as broker:       # doctest: +SKIP
    ...     broker.kill()
    ...     broker.start()
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        controller_port: int | None = None,
        properties: Mapping[str, str] | None = None,
        dies_with_parent: bool = True,
        locks: Locks | None = None,
    ) -> None:
        self.folder = Path(folder).resolve()
        self.port = port or free_port()
        self.controller_port = controller_port or free_port()
        self.dies_with_parent = dies_with_parent
        self._properties = dict(properties or {})
        self._locks = locks
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients, `host:port`."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id of the running JVM, or None."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        """Kafka's own log file (warnings and errors)."""
        return self.folder / "kafka.log"

    def __enter__(self) -> "LocalKafka":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, limit_s: float = START_LIMIT_S) -> None:
        """Start the JVM and wait until it answers; nothing happens when it already runs.

        Raises
        ------
        KafkaUnavailable
            When Java or the jars are missing, a port is taken, or the broker is not ready within `limit_s`
            seconds; then with the end of its log.
        """
        if self.pid:
            return
        for port in (self.port, self.controller_port):
            if not is_free(port):  # else whoever listens there would be taken for this broker
                raise KafkaUnavailable(f"port {port} on {HOST} is taken by another program; give another one")
        jvm = [find_java(), *JVM_FLAGS, "-cp", classpath()]
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self._write_properties()
        if not (self.folder / "data" / "meta.properties").exists():
            self._format([*jvm, "kafka.tools.StorageTool"], config)
        self._process = self._spawn([*jvm, "kafka.Kafka", str(config)])
        try:
            self._wait_until_ready(self._process, limit_s)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut down in good order (SIGTERM), then by force after 15 s. Data and ports stay."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_LIMIT_S)
        self.kill()

    def kill(self) -> None:
        """Kill the JVM as a crash would (SIGKILL). Data and ports stay."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop in good order, if running, and start again on the same ports with the same data."""
        self.stop()
        self.start()

    def _write_properties(self) -> Path:
        protocol = self._locks.protocol if self._locks else "PLAINTEXT"
        listen = f"{protocol}://{HOST}:{self.port}"
        properties = PROPERTIES | {
            "controller.quorum.bootstrap.servers": f"{HOST}:{self.controller_port}",
            "listeners": f"{listen},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": listen,
            "log.dirs": (self.folder / "data").as_posix(),
        }
        if self._locks:
            properties |= self._locks.properties()
        config = self.folder / "server.properties"
        config.touch(0o600)
        lines = (f"{name}={value}\n" for name, value in (properties | self._properties).items())
        config.write_text("".join(lines))
        return config

    def _format(self, tool: list[str], config: Path) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        cluster = "A" + cluster[1:] if cluster.startswith("-") else cluster  # else read as an option
        users = self._locks.format_arguments() if self._locks else []
        command = [*tool, "format", "--standalone", "-t", cluster, "-c", str(config), *users]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_LIMIT_S, check=False)
        if done.returncode:
            words = java_words(done.stdout + done.stderr)
            raise KafkaUnavailable(f"formatting {self.folder} failed: {words}")

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        if self.dies_with_parent:
            command = tied(command)
        started: list[subprocess.Popen[bytes] | OSError] = []
        ready = threading.Event()

        def keep() -> None:
            with self.log.open("ab") as log:
                try:
                    process = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                    )
                except OSError as error:
                    started.append(error)
                    ready.set()
                    return
            started.append(process)
            ready.set()
            process.wait()

        threading.Thread(target=keep, name="local-kafka", daemon=True).start()
        ready.wait()
        if isinstance(started[0], OSError):
            raise KafkaUnavailable(f"cannot start Java: {started[0]}")
        return started[0]

    def _wait_until_ready(self, process: subprocess.Popen[bytes], limit_s: float) -> None:
        end = time.monotonic() + limit_s
        access = self._locks.access() if self._locks else {}
        while not answers(self.bootstrap, access):
            if process.poll() is not None:
                code, words = process.returncode, java_words(self.log.read_text(errors="replace"))
                raise KafkaUnavailable(f"the broker ended with code {code} while starting: {words}")
            if time.monotonic() > end:
                words = java_words(self.log.read_text(errors="replace"))
                raise KafkaUnavailable(f"the broker is not ready after {limit_s:.0f} s: {words}")
            time.sleep(0.05)


def java_words(output: str) -> str:
    """Return the last 1,000 characters of what a Java program wrote, without the lines of its stacks."""
    lines = (line for line in output.splitlines() if line.strip() and not line.startswith("\tat "))
    return "\n".join(lines)[-1000:] or "it said nothing"


def answers(bootstrap: str, access: Mapping[str, Any] | None = None) -> bool:
    """Return whether a broker answers an admin call at `bootstrap` (`host:port`), to a client with this `access`."""
    from kafka import KafkaAdminClient  # noqa: PLC0415  (0.3 s to import: not for those who start nothing)
    from kafka.errors import KafkaError  # noqa: PLC0415

    host, _, port = bootstrap.rpartition(":")
    try:
        socket.create_connection((host, int(port)), 0.5).close()  # the client would retry for seconds
        admin = KafkaAdminClient(
            bootstrap_servers=bootstrap, bootstrap_timeout_ms=3000, request_timeout_ms=3000, **(access or {})
        )
    except (OSError, KafkaError):
        return False
    try:
        admin.list_topics()
    except (OSError, KafkaError):
        return False
    finally:
        admin.close()
    return True


@contextlib.contextmanager
def local_kafka(properties: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield the address of a broker: the configured one, else one that lives as long as the block.

    With ALLOCATOR_KAFKA_BOOTSTRAP set, that address is yielded and nothing is started. Otherwise a broker
    with a temporary folder and free ports is started and removed at the end.

    Raises
    ------
    KafkaUnavailable
        When none is configured and none can be started.
    """
    if BOOTSTRAP_VARIABLE in os.environ or f"{BOOTSTRAP_VARIABLE}_FILE" in os.environ:
        yield load().kafka_bootstrap
        return
    folder = Path(tempfile.mkdtemp(prefix="allocator-kafka-"))
    broker = LocalKafka(folder, properties=properties)
    try:
        broker.start()
        yield broker.bootstrap
    finally:
        broker.kill()  # its data is removed: nothing to shut down in good order
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def kafka_or_exit(properties: Mapping[str, str] | None = None) -> Iterator[str]:
    """Like `local_kafka`, for commands: exit 2 with cause and help when there is none; SIGTERM exits 143.

    Without the handler SIGTERM would end this process before the temporary folder is removed.
    """

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        raise SystemExit(143)

    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, on_sigterm) if in_main else None
    try:
        with local_kafka(properties) as bootstrap:
            yield bootstrap
    except KafkaUnavailable as unavailable:
        print(f"error: {unavailable}", file=sys.stderr)
        raise SystemExit(unavailable.exit_code) from None
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)
