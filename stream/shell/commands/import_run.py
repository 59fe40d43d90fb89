"""Sending an imported file: as fast as the workers keep up with, and from where it stopped when it is run again.

    check every line ──► send a batch ──► wait until the brokers have it ──► note how far ──► is the lag above
    the limit? wait until it isn't ──► next batch

How far an import has come is kept in ``FILE.import.json`` beside the file, written anew and renamed after each batch.
It holds the file's sha256: a file that has changed is another import. A crash between a batch and its note sends that
batch again when the import is resumed, which changes nothing: a task id, a profile with the same `at`, an (annotator,
task) pair count once (a repeated judgment settles as `duplicate`).

The lag is what the workers have not yet acknowledged of both inputs, as the broker sees it.
"""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaProducer, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    NotCoordinatorError,
)

from stream.settings import Settings
from stream.shell.commands.import_rows import TOPIC, Fault, ImportFileError, Row, Table
from stream.shell.kafka import clients, topic_admin
from stream.topics import INPUTS

BATCH = 1000
LAG_EVERY_S = 1.0
LAG_POLL_S = 0.2
PATIENCE_S = 600.0
SEND_LIMIT_S = 60.0


Tell = Callable[[int, int | None], None]


class Stalled(Exception):
    """The lag has not fallen for ten minutes; the message says what to do."""


class Progress(msgspec.Struct, kw_only=True):
    """What ``FILE.import.json`` says."""

    sha256: str
    kind: str
    pool: str | None
    at: float
    sent: int = 0
    rows: int = 0


def digest(path: Path) -> str:
    """The file's sha256.

    Raises
    ------
    ImportFileError
        It can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ImportFileError(f"{path}: cannot be read: {error.strerror}") from None


def place_of(path: Path) -> Path:
    """Where the progress of a file's import is kept."""
    return path.with_name(path.name + ".import.json")


def recall(path: Path, sha256: str, restart: bool) -> Progress | None:
    """How far an earlier run came; None when there was none, or it does not matter.

    Raises
    ------
    ImportFileError
        The file has changed since, or what was kept can't be read.
    """
    kept = place_of(path)
    if restart or not kept.exists():
        return None
    try:
        progress = msgspec.json.decode(kept.read_bytes(), type=Progress)
    except (OSError, msgspec.MsgspecError, ValueError) as error:
        raise ImportFileError(f"{kept}: cannot be read ({error}); --restart sends all, repeats are harmless") from None
    if progress.sha256 != sha256:
        raise ImportFileError(
            f"{path} has changed since its import began ({progress.sent} of {progress.rows} rows sent); "
            f"--restart sends all of it, repeats are harmless"
        )
    return progress


def note(path: Path, progress: Progress) -> None:
    """Keep how far the import has come: all of the note or the one before, whatever happens."""
    kept = place_of(path)
    fresh = kept.with_name(kept.name + ".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(progress))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(kept)


def check(table: Table) -> tuple[int, list[Fault]]:
    """Number of usable rows and all faults of a file."""
    usable, faults = 0, []
    for row in table.rows():
        if isinstance(row, Fault):
            faults.append(row)
        else:
            usable += 1
    return usable, faults


class Lag:
    """What the workers have not yet acknowledged, asked of the broker at most once a second.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self._group = settings.app_id
        self._admin = topic_admin.connect(settings)
        self._partitions = [
            TopicPartition(row["name"], partition["partition_index"])
            for row in self._admin.describe_topics(list(INPUTS))
            for partition in row["partitions"]
        ]
        missing = set(INPUTS) - {place.topic for place in self._partitions}
        if missing:
            self._admin.close()
            raise ImportFileError(f"there is no topic {', '.join(sorted(missing))}: create it: allocator topics apply")

    def close(self) -> None:
        """Close the connection."""
        self._admin.close()

    def now(self) -> int:
        """Offsets of both inputs that are not acknowledged."""
        try:
            committed: dict[Any, Any] = self._admin.list_group_offsets(self._group)[self._group]
        except GroupIdNotFoundError:
            committed = {}
        except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
            committed = {}  # a broker has just started: nothing is known to be worked on, so the import waits
        starts = self._admin.list_partition_offsets(dict.fromkeys(self._partitions, OffsetSpec.EARLIEST))
        ends = self._admin.list_partition_offsets(dict.fromkeys(self._partitions, OffsetSpec.LATEST))
        lag = 0
        for place in self._partitions:
            offset = getattr(committed.get(place), "offset", -1)
            lag += max(0, ends[place].offset - max(offset, starts[place].offset))
        return lag


class Sender:
    """Sends the rows of one file.

    Parameters
    ----------
    settings : Settings
    table : Table
    progress : Progress
        How far it has come; kept up to date.
    most_lag : int
        Pause above it.
    tell : callable
        ``tell(sent, lag)``: rows that the brokers have, and the lag while it makes the import wait, else None.
    """

    def __init__(
        self, settings: Settings, table: Table, progress: Progress, most_lag: int, tell: Tell
    ) -> None:
        self._settings, self._table, self._progress = settings, table, progress
        self._most_lag, self._tell = most_lag, tell
        self._looked = -LAG_EVERY_S
        self._sure_until = 0  # rows sent, before which the lag can't be above the limit by this import alone
        self.waited_s = 0.0

    def run(self) -> None:
        """Send what has not been sent.

        Raises
        ------
        KafkaError
            The brokers did not take a record.
        Stalled
            The workers don't keep up at all.
        """
        lag = Lag(self._settings)
        try:
            producer = KafkaProducer(**clients.importer(self._settings))
            try:
                self._send_all(producer, lag)
            finally:
                producer.close(timeout=5)
        finally:
            lag.close()

    def _send_all(self, producer: Any, lag: Lag) -> None:
        batch: list[Row] = []
        for number, row in enumerate(self._table.rows()):
            if number < self._progress.sent:
                continue
            assert isinstance(row, Row), row  # the whole file has been checked, and has that sha256
            batch.append(row)
            if len(batch) == BATCH:
                self._send(producer, lag, batch)
        if batch:
            self._send(producer, lag, batch)

    def _send(self, producer: Any, lag: Lag, batch: list[Row]) -> None:
        self._wait(lag)
        topic = TOPIC[self._table.kind]
        futures = [producer.send(topic, key=row.pool, value=row.value) for row in batch]
        producer.flush(timeout=SEND_LIMIT_S)
        for future in futures:
            future.get(timeout=SEND_LIMIT_S)
        self._progress.sent += len(batch)
        batch.clear()
        note(self._table.path, self._progress)
        self._tell(self._progress.sent, None)

    def _wait(self, lag: Lag) -> None:
        """Return when the lag is at most the limit; it is looked at once a second, or when it may be above."""
        if time.monotonic() - self._looked < LAG_EVERY_S and self._progress.sent < self._sure_until:
            return
        began = moved = time.monotonic()
        lowest = waiting = lag.now()
        while waiting > self._most_lag:
            self._tell(self._progress.sent, waiting)
            if waiting < lowest:
                lowest, moved = waiting, time.monotonic()
            elif time.monotonic() - moved > PATIENCE_S:
                raise Stalled(
                    f"{waiting} events wait and none has been worked on for {PATIENCE_S:.0f} s: does a worker run? "
                    f"{self._progress.sent} of {self._progress.rows} rows are sent; the same command goes on from there"
                )
            time.sleep(LAG_POLL_S)
            waiting = lag.now()
        self.waited_s += time.monotonic() - began
        self._looked = time.monotonic()
        self._sure_until = self._progress.sent + self._most_lag - waiting
