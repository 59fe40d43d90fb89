"""Which deployment a command means: the one of a flag, of the environment, or of a folder on this machine.

    --folder DIR, ALLOCATOR_FOLDER        the deployment that `allocator up --folder DIR` runs
    ALLOCATOR_KAFKA_BOOTSTRAP is set      the one of the environment; no folder is looked at
    otherwise                             the one that runs in this checkout's `run/up` (or `run/demo`), or ran last

What `up` needs to know again, and what others need to find it, lies in `deployment.json` of its folder; whether it runs
is said by a lock that dies with its process, never by a process id that may be another's by now.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import IO

import msgspec

from stream.settings import PREFIX

ROOT = Path(__file__).resolve().parents[2]
#: names the folder; set for the commands that take their settings from one, so that they can say so
FOLDER_VARIABLE = f"{PREFIX}FOLDER"
BOOTSTRAP = f"{PREFIX}KAFKA_BOOTSTRAP"


class NoDeployment(ValueError):
    """The folder that was named holds no deployment."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What `deployment.json` says; ``settings`` are variables beside those that follow from the rest."""

    port: int
    controller_port: int
    web_port: int
    partitions: int
    app_id: str = "allocator"
    settings: dict[str, str] = {}
    pid: int | None = None
    since: float = 0.0
    ready: bool = False

    @property
    def bootstrap(self) -> str:
        """Address of the broker."""
        return f"127.0.0.1:{self.port}"

    @property
    def page(self) -> str:
        """Address of the worker's pages."""
        return f"http://127.0.0.1:{self.web_port}"

    def environment(self, folder: Path) -> dict[str, str]:
        """The `ALLOCATOR_…` variables of every process of the deployment."""
        return {
            **self.settings,
            BOOTSTRAP: self.bootstrap,
            f"{PREFIX}APP_ID": self.app_id,
            f"{PREFIX}PARTITIONS": str(self.partitions),
            f"{PREFIX}REPLICATION": "1",
            f"{PREFIX}DATA_DIR": str(folder / "worker"),
            f"{PREFIX}WEB_PORT": str(self.web_port),
            FOLDER_VARIABLE: str(folder),
        }


def home() -> Path:
    """Where deployments of this checkout lie; below the working directory where the program is no checkout."""
    return (ROOT if (ROOT / "Makefile").exists() else Path.cwd()) / "run"


def default_folder() -> Path:
    """The folder of `allocator up`."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given).absolute() if given else home() / "up"


def demo_folder() -> Path:
    """The folder of `allocator up --demo` and `allocator demo --keep`."""
    return home() / "demo"


def program() -> str:
    """What to type for the command line: its name where it is on the path, else where this checkout has it."""
    script = ROOT / "allocator"
    if shutil.which("allocator") or not script.exists():
        return "allocator"
    return "./allocator" if Path.cwd() == ROOT else str(script)


def read(folder: Path) -> Kept | None:
    """What is kept of the deployment in a folder; None when there is none."""
    try:
        return msgspec.json.decode((folder / "deployment.json").read_bytes(), type=Kept)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        where = folder / "deployment.json"
        raise NoDeployment(f"{where}: expected what `allocator up` keeps there ({error})") from None


def write(folder: Path, kept: Kept) -> None:
    """Keep it: all of the file or the one before."""
    fresh = folder / "deployment.json.new"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
    fresh.replace(folder / "deployment.json")


def lock(folder: Path) -> IO[bytes] | None:
    """Take the folder's lock, which is held as long as the file is open; None when another process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def is_running(folder: Path) -> bool:
    """Whether the deployment of a folder runs, or is just starting or stopping."""
    if not (folder / "lock").exists():
        return False
    with contextlib.suppress(OSError):
        held = lock(folder)
        if held is None:
            return True
        held.close()
    return False


def found() -> Path | None:
    """The folder whose deployment is meant when nothing says which: one that runs, else one that ran."""
    folders = [default_folder(), demo_folder()]
    running = [folder for folder in folders if is_running(folder)]
    if running:
        return running[0]
    return next((folder for folder in folders if (folder / "deployment.json").exists()), None)


def apply(environ: MutableMapping[str, str], folder: Path | None = None) -> None:
    """Put the settings of the meant deployment into the environment, in the order that this module states.

    Raises
    ------
    NoDeployment
        The folder that was named holds none.
    """
    if folder is None and environ.get(FOLDER_VARIABLE):
        folder = Path(environ[FOLDER_VARIABLE])
    if folder is not None:
        kept = read(folder.resolve())
        if kept is None:
            raise NoDeployment(f"there is no deployment in {folder}: start one: allocator up --folder {folder}")
        for name in [name for name in environ if name.startswith(f"{PREFIX}KAFKA_") and "JAVA" not in name]:
            del environ[name]  # a user and a password are of another deployment
        environ.update(kept.environment(folder.resolve()))
        return
    if BOOTSTRAP in environ or f"{BOOTSTRAP}_FILE" in environ:
        return
    folder = found()
    kept = None if folder is None else read(folder)
    if folder is not None and kept is not None:
        for name, value in kept.environment(folder).items():
            environ.setdefault(name, value)


def origin(environ: Mapping[str, str]) -> str:
    """Where the settings come from, in words."""
    folder = environ.get(FOLDER_VARIABLE)
    if folder is not None:
        state = "which runs" if is_running(Path(folder)) else "which is down: allocator up"
        return f"of the deployment in {folder}, {state}"
    given = BOOTSTRAP in environ or f"{BOOTSTRAP}_FILE" in environ
    return "of the environment" if given else "defaults: no deployment in a folder, no ALLOCATOR_KAFKA_BOOTSTRAP"


def hint(environ: Mapping[str, str]) -> str | None:
    """What to do about a broker that doesn't answer, where the settings come from a folder."""
    folder = environ.get(FOLDER_VARIABLE)
    if folder is None or is_running(Path(folder)):
        return None
    where = "" if Path(folder) in (default_folder(), demo_folder()) else f" --folder {folder}"
    demo = " --demo" if Path(folder) == demo_folder() else ""
    return f"the deployment in {folder} is down; start it: {program()} up{demo}{where}"


def settings_of(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Variables of an environment that a deployment takes over when it is started: all but those of a broker."""
    ours = {FOLDER_VARIABLE, f"{PREFIX}APP_ID", f"{PREFIX}PARTITIONS", f"{PREFIX}REPLICATION", f"{PREFIX}DATA_DIR"}
    for name, value in environ.items():
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}KAFKA_") and name not in ours:
            yield name, value


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without any setting of ours but Java's place."""
    return {k: v for k, v in environ.items() if not k.startswith(PREFIX) or k == f"{PREFIX}KAFKA_JAVA"}


@contextlib.contextmanager
def announced(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Let other shells find a deployment while it lives whose data lie elsewhere and go with it.

    Parameters
    ----------
    folder : Path
        Where they look; locked meanwhile.
    environment : mapping
        The variables of its worker; its broker is on this machine.
    """
    held = lock(folder)
    if held is None:
        raise NoDeployment(f"another deployment is announced in {folder}: allocator status --folder {folder}")
    kept = Kept(
        port=int(environment[BOOTSTRAP].rpartition(":")[2]),
        controller_port=0,
        web_port=int(environment[f"{PREFIX}WEB_PORT"]),
        partitions=int(environment[f"{PREFIX}PARTITIONS"]),
        app_id=environment[f"{PREFIX}APP_ID"],
        settings=dict(settings_of(environment)),
        pid=os.getpid(),
        since=time.time(),
        ready=True,
    )
    write(folder, kept)
    try:
        yield
    finally:
        (folder / "deployment.json").unlink(missing_ok=True)
        held.close()
