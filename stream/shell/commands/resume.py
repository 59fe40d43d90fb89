"""How far an import has come, kept beside the file: so that the same command goes on from there.

``FILE.import.json`` is written anew and renamed after each batch. It knows the file (its sha256) and where it goes: the
cluster, the deployment, the pool and what else was said. The same file on its way to somewhere else is another import,
and so is a file that has changed after all of it was sent.
"""

import hashlib
import os
from pathlib import Path

import msgspec

from stream.files.complaints import FileProblem
from stream.files.text import unreadable


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """Which import it is: equal courses are the same."""

    sha256: str
    cluster: str
    deployment: str
    kind: str
    said: str


class Progress(msgspec.Struct, kw_only=True):
    """What ``FILE.import.json`` says."""

    course: Course
    at: float
    sent: int = 0
    rows: int = 0


def digest(path: Path) -> str:
    """The file's sha256.

    Raises
    ------
    FileProblem
        It can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from None


def place_of(path: Path) -> Path:
    """Where the progress of a file's import is kept."""
    return path.with_name(path.name + ".import.json")


def recall(path: Path, course: Course) -> tuple[Progress | None, str | None]:
    """How far an earlier run of this import came, and what has to be said about another one.

    Raises
    ------
    FileProblem
        The file has changed while some of it was sent, or what was kept can't be read.
    """
    kept = place_of(path)
    try:
        progress = msgspec.json.decode(kept.read_bytes(), type=Progress)
    except FileNotFoundError:
        return None, None
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise FileProblem(
            f"{kept}: expected what an import has left there ({error}); --restart sends all, repeats are harmless"
        ) from None
    theirs, ours = progress.course, course
    if theirs == ours:
        return progress, None
    is_here = (theirs.cluster, theirs.deployment) == (ours.cluster, ours.deployment)
    if not is_here:
        where = f"an earlier import of it went to another deployment ({theirs.deployment})"
        return None, f"{path}: {where}: all of it is sent"
    if theirs.sha256 != ours.sha256 and progress.sent < progress.rows:
        raise FileProblem(
            f"{path} has changed since its import began ({progress.sent:,} of {progress.rows:,} rows sent); "
            "--restart sends all of it, repeats are harmless"
        )
    return None, None


def note(path: Path, progress: Progress) -> None:
    """Keep how far the import has come: all of the note or the one before, whatever happens."""
    kept = place_of(path)
    fresh = kept.with_name(kept.name + ".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(progress))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(kept)
