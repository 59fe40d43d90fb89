"""The snapshots of a worker: when they are written, and which may be used.

    every `snapshot_s`, one partition after the other:   portion ─ pause ─ portion ─ … ─ file
    at the end of a drain:                               all partitions that have changed, without pauses
    at a start:                                          files are read while kernels are loaded and the group is joined
    at a takeover:                                       file ─ check ─ rows, then the changelogs from its offsets
    when a person was erased:                            the file is removed and written anew, within a second

A portion is made while its partition is between two rounds, and takes about a millisecond; the pause after it is
several times as long. Writing, checksums and syncing are a thread's business. Whatever fails is logged and counted and
then forgotten: a worker without snapshots works as well, its restart only takes longer.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import stream
from stream.core.rows import VERSION, Row
from stream.settings import Settings
from stream.shell.kafka import clients
from stream.shell.process import clock
from stream.shell.process.log import Log
from stream.shell.process.metrics import Metrics
from stream.shell.snapshots.snapshot import FORMAT, Header, Identity, Unusable, Writer, check, read
from stream.topics import TABLES, changelog

if TYPE_CHECKING:
    from stream.shell.worker.partition import Partition
    from stream.shell.worker.partitions import Partitions

log = Log("allocator.snapshots")

PORTION = 512  # rows: about a millisecond
PAUSE = 4.0  # of the time of a portion: what a snapshot leaves to the rounds
LEAST_PAUSE_S = 0.005
ASK_AGAIN_S = 60.0
SWEEP_S = 3600.0  # how often files are looked for that nobody can use any more
TURN_S = 1.0  # how often somebody looks whether a snapshot is due


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker says about the changelogs."""

    identity: Identity
    tombstones_s: float


def ask(settings: Settings) -> Deployment:
    """Ask the broker which topics the changelogs are, and for how long they keep tombstones.

    Raises
    ------
    BrokerUnreachable, KafkaError, LookupError
        It doesn't say.
    """
    from kafka.admin import ConfigResource, ConfigResourceType  # noqa: PLC0415  (slow to import, needed once)

    from stream.shell.kafka.topic_admin import connect  # noqa: PLC0415

    names = {table: changelog(settings, table) for table in TABLES}
    admin = connect(settings)
    try:
        cluster = admin.describe_cluster()["cluster_id"]
        ids = {row["name"]: str(row["topic_id"]) for row in admin.describe_topics(list(names.values()))}
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name, {"delete.retention.ms": None}) for name in ids]
        found = admin.describe_configs(wanted, config_filter="all")["topic"]
        kept_ms = min(float(found[name]["delete.retention.ms"]["value"]) for name in names.values())
    finally:
        admin.close()
    return Deployment(
        identity=Identity(cluster=cluster, topics={table: ids[name] for table, name in names.items()}),
        tombstones_s=kept_ms / 1000.0,
    )


Early = dict[int, "Future[tuple[Header, dict[bytes, bytes]]]"]


def _folder(settings: Settings) -> Path:
    return Path(settings.state_dir or Path(settings.data_dir) / "state")


def _path(settings: Settings, partition: int) -> Path:
    return _folder(settings) / f"{settings.app_id}-{partition}.snapshot"


def read_early(settings: Settings) -> Early:
    """Begin to read the snapshots that are here, before anything else is known: most likely they will be wanted."""
    if not settings.snapshot_s:
        return {}
    pool = ThreadPoolExecutor(2, thread_name_prefix="read-snapshot")
    files = {partition: _path(settings, partition) for partition in range(settings.partitions)}
    reading = {partition: pool.submit(read, file) for partition, file in files.items() if file.exists()}
    pool.shutdown(wait=False)
    return reading


class Snapshots:
    """Reads and writes the snapshots of one worker.

    Parameters
    ----------
    settings : Settings
        ``snapshot_s`` 0 switches snapshots off.
    metrics : Metrics
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._folder = _folder(settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._deployment: Deployment | None = None
        self._asking = asyncio.Lock()
        self._erased: dict[int, int] = {}  # partition -> erasures that its snapshot knows of
        #: what `read_early` has begun to read
        self.early: Early = {}
        self._written: dict[int, tuple[float, dict[str, int]]] = {}  # partition -> monotonic time, offsets

    def path(self, partition: int) -> Path:
        """Where the snapshot of a partition lies."""
        return _path(self._settings, partition)

    async def _known(self) -> Deployment | None:
        """What the broker says, asked until it has said it once."""
        async with self._asking:
            if self._deployment is None and self._settings.snapshot_s:
                from kafka.errors import KafkaError  # noqa: PLC0415

                try:
                    self._deployment = await asyncio.to_thread(ask, self._settings)
                except (clients.BrokerUnreachable, KafkaError, LookupError, TypeError, ValueError) as error:
                    log.warning("snapshots_off", error=f"{type(error).__name__}: {error}")
            return self._deployment

    # ------------------------------------------------------------------ reading

    def forget(self) -> None:
        """Drop what was read early and is not wanted: other workers own these partitions."""
        for reading in self.early.values():
            reading.cancel()
        self.early.clear()

    async def load(self, partition: int) -> tuple[Header, dict[bytes, bytes]] | None:
        """Read the snapshot of a partition, if there is one that is whole."""
        if await self._known() is None:
            return None
        try:
            early = self.early.pop(partition, None)
            if early is not None:
                return await asyncio.wrap_future(early)
            return await asyncio.to_thread(read, self.path(partition))
        except FileNotFoundError:
            return None
        except Unusable as unusable:
            self.ignore(partition, unusable)
            return None

    async def is_usable(self, partition: int, header: Header, ranges: dict[str, tuple[int, int]]) -> bool:
        """Whether a snapshot may stand for the changelogs before its offsets; says so if not."""
        found = self._deployment
        assert found is not None
        try:
            check(header, partition, found.identity, found.tombstones_s, clock.unix_s(), ranges)
        except Unusable as unusable:
            self.ignore(partition, unusable)
            return False
        return True

    def ignore(self, partition: int, unusable: Unusable) -> None:
        """Say that a snapshot is not used."""
        self._metrics.snapshots_ignored.labels(unusable.reason).inc()
        log.warning(
            "snapshot_ignored", partition=partition, file=str(self.path(partition)), reason=unusable.reason,
            found=str(unusable), so="the changelogs are read in full",
        )  # fmt: skip

    # ------------------------------------------------------------------ writing

    async def run(self, partitions: "Partitions") -> None:
        """Write a snapshot of each running partition every `snapshot_s`; never returns.

        Parameters
        ----------
        partitions : Partitions
        """
        if not self._settings.snapshot_s:
            return
        while await self._known() is None:  # noqa: ASYNC110  (nobody would set an event: the broker is asked)
            await asyncio.sleep(ASK_AGAIN_S)
        started = swept = time.monotonic()
        await asyncio.to_thread(self._sweep)
        while True:
            await asyncio.sleep(min(TURN_S, self._settings.snapshot_s))
            if time.monotonic() - swept > SWEEP_S:
                swept = time.monotonic()
                await asyncio.to_thread(self._sweep)
            running = {partition.number: partition for partition in partitions.running()}
            for number in self._written.keys() - running.keys():
                del self._written[number]
            for number, partition in running.items():
                written_at, offsets = self._written.get(number, (started, {}))
                is_due = time.monotonic() - written_at >= self._settings.snapshot_s
                if partition.erasures != self._erased.get(number, 0):
                    self._erased[number] = partition.erasures
                    await asyncio.to_thread(self._remove, self.path(number))
                    is_due, offsets = True, {}
                if is_due and offsets != partition.producer.ends:
                    await self._write(partition, partitions)
                del partition

    async def _write(self, partition: "Partition", partitions: "Partitions") -> None:
        """One snapshot in portions between rounds; given up when the partition is no longer here."""
        began = time.monotonic()
        shard, erasures = partition.shard, partition.erasures
        loop = asyncio.get_running_loop()

        def start() -> tuple[Header, Iterator[list[Row]], list[Row] | None]:
            return self._header(partition), (left := shard.portions(PORTION)), next(left, None)

        header, left, rows = await partition.between_rounds(start)
        writer = None
        try:
            writer = await loop.run_in_executor(self._thread, Writer, self.path(partition.number), header)
            while rows is not None:
                gone = partition not in partitions.running() or partition.shard is not shard
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
                await loop.run_in_executor(self._thread, self._remove, self.path(partition.number))
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

    def write_all(self, partitions: Iterable["Partition"], until: float) -> None:
        """Write a snapshot of every stopped partition that has changed since its last one; for a thread.

        Parameters
        ----------
        partitions : iterable of Partition
        until : float
            Monotonic time after which no further portion is written.
        """
        if self._deployment is None:
            return
        for partition in partitions:
            if self._written.get(partition.number, (0.0, {}))[1] == partition.producer.ends:
                continue
            began = time.monotonic()
            header = self._header(partition)
            writer = None
            try:
                writer = Writer(self.path(partition.number), header)
                for rows in partition.shard.portions(8 * PORTION):
                    if time.monotonic() > until:
                        raise OSError("no time is left in this drain")
                    writer.write(rows)
                size = writer.finish()
            except OSError as error:
                self._failed(partition.number, writer, error)
                continue
            self._finished(partition.number, header, writer.rows, size, began)

    def _header(self, partition: "Partition") -> Header:
        deployment = self._deployment
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
            "snapshot_failed", partition=partition, file=str(self.path(partition)),
            error=error.strerror or str(error), so="work goes on, a restart reads more of the changelogs",
        )  # fmt: skip

    def _sweep(self) -> None:
        """Remove files of this deployment that nobody can use any more: they hold ids of people."""
        deployment = self._deployment
        assert deployment is not None
        for file in self._folder.glob(f"{self._settings.app_id}-*.snapshot*"):
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
