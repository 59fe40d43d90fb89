"""Reading the snapshots of a worker: early, and whether they may be used.

    at a start:      files are read while kernels are loaded and the group is joined
    at a takeover:   file ─ check ─ rows, then the changelogs from its offsets

Whatever is wrong with one is logged and counted, and the changelogs are read in full.
"""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import get_args

from stream.settings import Settings
from stream.shell.process import clock
from stream.shell.process.log_lines import Log
from stream.shell.process.metrics import Metrics
from stream.shell.snapshots.changelogs import Changelogs
from stream.shell.snapshots.snapshot import Flaw, Header, Unusable, check, path_of, read

log = Log("allocator.snapshots")

Early = dict[int, "Future[tuple[Header, dict[bytes, bytes]]]"]


def read_early(settings: Settings) -> Early:
    """Begin to read the snapshots that are here, before anything else is known: most likely they will be wanted."""
    if not settings.snapshot_s:
        return {}
    pool = ThreadPoolExecutor(2, thread_name_prefix="read-snapshot")
    files = {partition: path_of(settings, partition) for partition in range(settings.partitions)}
    reading = {partition: pool.submit(read, file) for partition, file in files.items() if file.exists()}
    pool.shutdown(wait=False)
    return reading


class SnapshotReader:
    """Reads the snapshots of one worker.

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
        for flaw in get_args(Flaw):  # there at 0, so that the first is seen as an increase
            metrics.snapshots_ignored.labels(flaw)
        self.changelogs = changelogs
        #: what `read_early` has begun to read
        self.early: Early = {}

    def forget(self) -> None:
        """Drop what was read early and is not wanted: other workers own these partitions."""
        for reading in self.early.values():
            reading.cancel()
        self.early.clear()

    async def load(self, partition: int) -> tuple[Header, dict[bytes, bytes]] | None:
        """Read the snapshot of a partition, if there is one that is whole."""
        if await self.changelogs.known() is None:
            return None
        try:
            early = self.early.pop(partition, None)
            if early is not None:
                return await asyncio.wrap_future(early)
            return await asyncio.to_thread(read, path_of(self._settings, partition))
        except FileNotFoundError:
            return None
        except Unusable as unusable:
            self.ignore(partition, unusable)
            return None

    async def is_usable(self, partition: int, header: Header, ranges: dict[str, tuple[int, int]]) -> bool:
        """Whether a snapshot may stand for the changelogs before its offsets; says so if not."""
        found = self.changelogs.said
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
            "snapshot_ignored", partition=partition, file=str(path_of(self._settings, partition)),
            reason=unusable.reason, found=str(unusable), so="the changelogs are read in full",
        )  # fmt: skip
