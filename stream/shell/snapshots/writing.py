"""Writing the snapshots of a worker.

    every `snapshot_s`, one partition after the other:   portion ─ pause ─ portion ─ … ─ file
    at the end of a drain:                               all partitions that have changed, without pauses
    when a person was erased:                            the file is removed and written anew, within a second

A portion is made while its partition is between two rounds, and takes about a millisecond; the pause after it is
several times as long. Writing, checksums and syncing are a thread's business. Whatever fails is logged and counted and
then forgotten: a worker without snapshots works as well, its restart only takes longer.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

import stream
from stream.core.saved.rows import VERSION, Row
from stream.core.shard import Shard
from stream.settings import Settings
from stream.shell.kafka.transaction import Producer
from stream.shell.process import clock
from stream.shell.process.log_lines import Log
from stream.shell.process.metrics import Metrics
from stream.shell.snapshots.changelogs import Changelogs
from stream.shell.snapshots.snapshot import FORMAT, Header, Writer, folder_of, path_of

log = Log("allocator.snapshots")

PORTION = 512  # rows: about a millisecond
PAUSE = 4.0  # of the time of a portion: what a snapshot leaves to the rounds
LEAST_PAUSE_S = 0.005
ASK_AGAIN_S = 60.0
SWEEP_S = 3600.0  # how often files are looked for that nobody can use any more
TURN_S = 1.0  # how often somebody looks whether a snapshot is due

T = TypeVar("T")


class Owned(Protocol):
    """An owned partition, as far as its snapshot is concerned."""

    number: int
    shard: Shard
    producer: Producer
    erasures: int

    async def between_rounds(self, look: Callable[[], T]) -> T:
        """Call `look` while the shard is as committed."""


Running = Callable[[], Sequence[Owned]]


class SnapshotWriter:
    """Writes the snapshots of one worker.

    Parameters
    ----------
    settings : Settings
        ``snapshot_s`` 0 switches snapshots off.
    metrics : Metrics
    changelogs : Changelogs
    """

    def __init__(self, settings: Settings, metrics: Metrics, changelogs: Changelogs) -> None:
        self._settings = settings
        self._metrics = metrics
        self._changelogs = changelogs
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._erased: dict[int, int] = {}  # partition -> erasures that its snapshot knows of
        self._written: dict[int, tuple[float, dict[str, int]]] = {}  # partition -> monotonic time, offsets

    def _path(self, partition: int) -> Path:
        return path_of(self._settings, partition)

    async def run(self, running: Running) -> None:
        """Write a snapshot of each running partition every `snapshot_s`; never returns.

        Parameters
        ----------
        running : callable
            Returns the partitions that run now.
        """
        if not self._settings.snapshot_s:
            return
        while await self._changelogs.known() is None:  # noqa: ASYNC110  (nobody would set an event: the broker is asked)
            await asyncio.sleep(ASK_AGAIN_S)
        started = swept = time.monotonic()
        await asyncio.to_thread(self._sweep)
        while True:
            await asyncio.sleep(min(TURN_S, self._settings.snapshot_s))
            if time.monotonic() - swept > SWEEP_S:
                swept = time.monotonic()
                await asyncio.to_thread(self._sweep)
            owned = {partition.number: partition for partition in running()}
            for number in self._written.keys() - owned.keys():
                del self._written[number]
            for number, partition in owned.items():
                written_at, offsets = self._written.get(number, (started, {}))
                is_due = time.monotonic() - written_at >= self._settings.snapshot_s
                if partition.erasures != self._erased.get(number, 0):
                    self._erased[number] = partition.erasures
                    await asyncio.to_thread(self._remove, self._path(number))
                    is_due, offsets = True, {}
                if is_due and offsets != partition.producer.ends:
                    await self._write(partition, running)
                del partition

    async def _write(self, partition: Owned, running: Running) -> None:
        """One snapshot in portions between rounds; given up when the partition is no longer here."""
        began = time.monotonic()
        shard, erasures = partition.shard, partition.erasures
        loop = asyncio.get_running_loop()

        def start() -> tuple[Header, Iterator[list[Row]], list[Row] | None]:
            return self._header(partition), (left := shard.portions(PORTION)), next(left, None)

        header, left, rows = await partition.between_rounds(start)
        writer = None
        try:
            writer = await loop.run_in_executor(self._thread, Writer, self._path(partition.number), header)
            while rows is not None:
                gone = partition not in running() or partition.shard is not shard
                if gone or partition.erasures != erasures:
                    await loop.run_in_executor(self._thread, writer.abandon)
                    return
                await loop.run_in_executor(self._thread, writer.write, rows)
                begun = time.perf_counter()
                rows = await partition.between_rounds(lambda: next(left, None))
                took_s = time.perf_counter() - begun
                await asyncio.sleep(max(LEAST_PAUSE_S, PAUSE * took_s))
            size = await loop.run_in_executor(self._thread, writer.finish)
            if partition.erasures != erasures:
                await loop.run_in_executor(self._thread, self._remove, self._path(partition.number))
                return
        except asyncio.CancelledError:
            if writer is not None:
                writer.abandon()
            raise
        except OSError as error:
            self._failed(partition.number, writer, error)
            # not again at once: a full disk stays full for a while
            self._written[partition.number] = (time.monotonic(), {})
            return
        self._finished(partition.number, header, writer.rows, size, began)

    def write_all(self, partitions: Iterable[Owned], until: float) -> None:
        """Write a snapshot of every stopped partition that has changed since its last one; for a thread.

        Parameters
        ----------
        partitions : iterable of Owned
        until : float
            Monotonic time after which no further portion is written.
        """
        if self._changelogs.said is None:
            return
        for partition in partitions:
            if self._written.get(partition.number, (0.0, {}))[1] == partition.producer.ends:
                continue
            began = time.monotonic()
            header = self._header(partition)
            writer = None
            try:
                writer = Writer(self._path(partition.number), header)
                for rows in partition.shard.portions(8 * PORTION):
                    if time.monotonic() > until:
                        raise OSError("no time is left in this drain")
                    writer.write(rows)
                size = writer.finish()
            except OSError as error:
                self._failed(partition.number, writer, error)
                continue
            self._finished(partition.number, header, writer.rows, size, began)

    def _header(self, partition: Owned) -> Header:
        deployment = self._changelogs.said
        assert deployment is not None
        return Header(
            format=FORMAT, rows=VERSION, identity=deployment.identity, partition=partition.number,
            begun=clock.unix_s(), offsets=dict(partition.producer.ends), software=stream.__version__,
        )  # fmt: skip

    def _finished(self, partition: int, header: Header, rows: int, size: int, began: float) -> None:
        self._written[partition] = (time.monotonic(), header.offsets)
        self._metrics.snapshots.inc()
        log.info(
            "snapshot_written", partition=partition, rows=rows, bytes=size,
            seconds=round(time.monotonic() - began, 3),
        )  # fmt: skip

    def _failed(self, partition: int, writer: Writer | None, error: OSError) -> None:
        if writer is not None:
            writer.abandon()
        self._metrics.snapshot_failures.inc()
        log.warning(
            "snapshot_failed", partition=partition, file=str(self._path(partition)),
            error=error.strerror or str(error), so="work goes on, a restart reads more of the changelogs",
        )  # fmt: skip

    def _sweep(self) -> None:
        """Remove files of this deployment that nobody can use any more: they hold ids of people."""
        deployment = self._changelogs.said
        assert deployment is not None
        for file in folder_of(self._settings).glob(f"{self._settings.app_id}-*.snapshot*"):
            limit_s = 3600.0 if file.suffix == ".tmp" else deployment.tombstones_s
            try:
                is_old = time.time() - file.stat().st_mtime > limit_s
            except FileNotFoundError:
                continue
            if is_old:
                self._remove(file)

    @staticmethod
    def _remove(file: Path) -> None:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("snapshot_not_removed", file=str(file), error=error.strerror or str(error))
