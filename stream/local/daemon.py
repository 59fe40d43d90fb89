"""A development broker that outlives the command that starts it: `allocator kafka start` and `stop`.

The folder holds the data, the log and `kafka.json` (process id and ports), so that a stopped broker comes
back on the same ports with the same data. A process id alone proves nothing after a reboot: the process
must have this folder's properties file on its command line.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import msgspec

from stream.local.broker import STOP_LIMIT_S, LocalKafka, free_port
from stream.local.unavailable import KafkaUnavailable


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """What `kafka.json` says: ports for life, and the process id while it runs."""

    port: int
    controller_port: int
    pid: int | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients, `host:port`."""
        return f"127.0.0.1:{self.port}"


def _state(folder: Path) -> Path:
    return folder / "kafka.json"


def _command_line(pid: int) -> str:
    proc = Path(f"/proc/{pid}/cmdline")
    if proc.parent.parent.joinpath("self").exists():
        try:
            return proc.read_text(errors="replace")
        except OSError:
            return ""
    listed = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout


def read(folder: Path) -> Daemon | None:
    """Return what is known of the broker in `folder`; `pid` only if that very process still runs."""
    folder = folder.resolve()
    try:
        daemon = msgspec.json.decode(_state(folder).read_bytes(), type=Daemon)
    except FileNotFoundError:
        return None
    if daemon.pid and str(folder / "server.properties") in _command_line(daemon.pid):
        return daemon
    return msgspec.structs.replace(daemon, pid=None)


def start(folder: Path, port: int | None = None) -> Daemon:
    """Start the broker of `folder`, or return the one that runs.

    Parameters
    ----------
    folder : Path
        Made when missing.
    port : int, optional
        9092 for a new folder, the former port for a known one.

    Raises
    ------
    KafkaUnavailable
        When it cannot be started, or runs on another port than the one asked for.
    """
    folder = folder.resolve()
    known = read(folder)
    if known and port not in (None, known.port):
        raise KafkaUnavailable(
            f"the broker in {folder} has port {known.port}, asked for {port}; give another folder or port"
        )
    if known and known.pid:
        return known
    ports = known or Daemon(port=port or 9092, controller_port=free_port())
    broker = LocalKafka(folder, ports.port, ports.controller_port, dies_with_parent=False)
    broker.start()
    daemon = msgspec.structs.replace(ports, pid=broker.pid)
    _state(folder).write_bytes(msgspec.json.encode(daemon))
    return daemon


def stop(folder: Path) -> Daemon | None:
    """Stop the broker of `folder` and wait for its end; return what was stopped, None when nothing ran."""
    daemon = read(folder)
    if daemon is None or daemon.pid is None:
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(daemon.pid, signal.SIGTERM)
        end = time.monotonic() + STOP_LIMIT_S
        while _command_line(daemon.pid):
            if time.monotonic() > end:
                os.kill(daemon.pid, signal.SIGKILL)
            time.sleep(0.05)
    _state(folder).write_bytes(msgspec.json.encode(msgspec.structs.replace(daemon, pid=None)))
    return daemon
