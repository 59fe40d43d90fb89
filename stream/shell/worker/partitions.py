"""The partitions of this worker, through rebalances.

    revoked: every loop ends after its round ──► assigned: lost ones are dropped, kept ones go on,
                                                 new ones are taken over, all at once, within a deadline

Faust gives the same partition numbers of all topics to one worker (same count, same group of consumers), and
calls each table's store in turn; the state of a partition is one thing, so all stores share this object.

A kept partition needs no second fencing. Another owner in between would have fenced this producer, and the
next transaction would fail and end the process: the producer's epoch is the proof of ownership. Its
input is sought anew, since Faust has emptied its queues.
"""

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor

from faust.types import TP

from stream.settings import Settings
from stream.shell.kafka.transport import Batch, Consumer
from stream.shell.process import steps
from stream.shell.process.exits import leave_for
from stream.shell.process.log_lines import Log
from stream.shell.process.metrics import Metrics
from stream.shell.snapshots.changelogs import Changelogs
from stream.shell.snapshots.reading import SnapshotReader
from stream.shell.worker.partition import Partition
from stream.shell.worker.takeover import ShardFactory, take_over
from stream.topics import INPUTS

log = Log("allocator.partitions")


class Partitions:
    """Owned partitions of one worker.

    Parameters
    ----------
    settings : Settings
    metrics : Metrics
    make_shard : callable
        ``make_shard(partition, settings)`` returns an empty shard.
    """

    def __init__(self, settings: Settings, metrics: Metrics, make_shard: ShardFactory) -> None:
        self._settings = settings
        self._metrics = metrics
        self._make_shard = make_shard
        self._executor = ThreadPoolExecutor(max(2, os.cpu_count() or 1), thread_name_prefix="round")
        self._running: dict[int, Partition] = {}
        self.snapshots = SnapshotReader(settings, metrics, Changelogs(settings))
        self._assigned: frozenset[int] = frozenset()
        self._is_assigned = False
        self.consumer: Consumer | None = None
        #: monotonic; while there is no assignment, or its partitions are not all running
        self.unready_since: float | None = time.monotonic()

    # ------------------------------------------------------------------ rebalance

    async def pause(self) -> None:
        """End all loops after the rounds under way (a rebalance or a drain has begun)."""
        self._is_assigned = False
        self.unready_since = time.monotonic()
        await asyncio.gather(*(partition.stop() for partition in self._running.values()))
        steps.reach("rebalance.revoked")
        self._show()

    async def assign(self, owned: set[int]) -> None:
        """Own exactly the partitions `owned`: returns when all of them are recovered."""
        self.unready_since = time.monotonic()
        self._assigned = frozenset(owned)
        steps.reach("rebalance.assigned")
        lost = [self._running.pop(number) for number in list(self._running) if number not in owned]
        await asyncio.gather(*(partition.stop() for partition in lost))
        await asyncio.gather(*(partition.producer.close() for partition in lost))
        numbers = sorted(partition.number for partition in lost)
        del lost  # their state leaves memory before that of others comes
        for number in numbers:
            self._metrics.forget(number)
        kept = list(self._running.values())
        await asyncio.gather(*(partition.stop() for partition in kept))
        await asyncio.gather(*(self._take_over(number) for number in sorted(owned - self._running.keys())))
        self.snapshots.forget()
        for partition in self._running.values():
            partition.start()
        self._is_assigned = True
        self.unready_since = None
        self._show()
        log.info(
            "partitions_assigned", owned=sorted(owned), kept=len(kept), lost=numbers
        )

    async def _take_over(self, number: int) -> None:
        try:
            shard, producer = await take_over(
                self._settings, number, self._make_shard, self._executor, self.snapshots
            )
        except Exception as error:
            leave_for(error, "takeover_failed", partition=number)
        self._metrics.takeovers.inc()
        self._running[number] = Partition(
            number, shard, producer, self._settings, self._metrics, self._executor, self._resume,
            self._make_shard,
        )

    async def close(self) -> None:
        """End all loops after their rounds and close the producers."""
        await self.pause()
        await asyncio.gather(*(partition.producer.close() for partition in self._running.values()))
        self._running.clear()
        self._show()

    def _show(self) -> None:
        self._metrics.owned.set(len(self._assigned) if self._is_assigned else 0)
        self._metrics.ready.set(len(self._running) if self._is_assigned else 0)

    # ------------------------------------------------------------------ input

    async def put(self, batch: Batch) -> None:
        """Hand a range to its partition; seek back when it leaves a hole."""
        partition = self._running.get(batch.partition)
        if partition is None or not self._is_assigned:
            return
        missing = partition.put(batch.topic, batch.start, batch.end, batch.records)
        if missing is not None and self.consumer is not None:
            self._metrics.holes.labels(batch.topic).inc()
            log.warning(
                "input_hole", topic=batch.topic, partition=batch.partition, start=missing, end=batch.start
            )
            async with asyncio.timeout(self._settings.commit_deadline_s):
                await self.consumer.seek_back(TP(batch.topic, batch.partition), missing)

    def expect(self, topic: str, number: int, records: int) -> bool:
        """Whether that partition has room for more than these records. Called by the consumer's thread."""
        partition = self._running.get(number)
        return partition is None or partition.expect(topic, records)

    def answered(self, topic: str, number: int, sent: float, end: int) -> None:
        """Note the answer of a fetch. Called by the consumer's thread."""
        partition = self._running.get(number)
        if partition is not None:
            partition.horizons[topic].answered(sent, end)

    def _resume(self, topic: str, number: int) -> None:
        if self.consumer is not None:
            self.consumer._thread.resume_fetching(TP(topic, number))

    # ------------------------------------------------------------------ views

    def positions(self) -> dict[TP, int]:
        """Next offset to apply, for every input of every owned partition."""
        return {
            TP(topic, number): partition.position[topic]
            for number, partition in self._running.items()
            for topic in INPUTS
        }

    @property
    def is_ready(self) -> bool:
        """Whether the group has assigned partitions (possibly none) and all of them run."""
        return self._is_assigned

    def running(self) -> list[Partition]:
        """The running partitions."""
        return list(self._running.values())

    def refresh_lag(self) -> None:
        """Bring the gauge of the position lag up to date (at a scrape)."""
        self._metrics.lag.clear()
        for partition in self.running():
            for topic in INPUTS:
                self._metrics.lag.labels(topic, partition.number).set(partition.lag(topic))
