"""Taking a partition over: fence, recover to the end, check the position.

    fence the predecessor ──► rows of a snapshot, if there is one that may be used
                          ──► read the three changelogs, committed rows only, from there (or the beginning) to the end
                          ──► link the state ──► does the input still hold the position?

The end offsets are taken after fencing, so nothing can be written behind them: what is read is complete by
construction. Rows are read by *position*, since control markers occupy offsets and are never delivered.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from operator import attrgetter
from typing import Any

from aiokafka import TopicPartition

from stream.core.saved.rows import RowError
from stream.core.shard import Shard
from stream.settings import Settings
from stream.shell.kafka import clients
from stream.shell.kafka.transaction import Producer
from stream.shell.process import steps
from stream.shell.process.exits import OperatorNeeded
from stream.shell.process.log_lines import Log
from stream.shell.snapshots.reading import SnapshotReader
from stream.shell.snapshots.snapshot import Header
from stream.topics import INPUTS, TABLES, changelog

log = Log("allocator.takeover")

KEY, VALUE = attrgetter("key"), attrgetter("value")

ShardFactory = Callable[[int, Settings], Shard]


async def take_over(
    settings: Settings, partition: int, make_shard: ShardFactory, executor: Executor, snapshots: SnapshotReader
) -> tuple[Shard, Producer]:
    """Become the owner of `partition`: return its recovered shard and the producer that may write for it.

    Raises
    ------
    TimeoutError
        Not done within `takeover_deadline_s`.
    OperatorNeeded
        The input no longer holds the position that the state has reached, a newer version wrote the state, or a row of
        it is damaged.
    """
    started = time.monotonic()
    async with asyncio.timeout(settings.takeover_deadline_s):
        producer = Producer(settings, partition)
        # read while fencing; whether it may be used is decided when the changelogs are known to be still
        snapshot, _ = await asyncio.gather(snapshots.load(partition), producer.fence())
        steps.reach("fence.after")
        reader = clients.reader(settings)
        try:
            await reader.start()
            tables = {TopicPartition(changelog(settings, table), partition): table for table in TABLES}
            begins = await reader.beginning_offsets(list(tables))
            producer.ends = {tables[tp]: end for tp, end in (await reader.end_offsets(list(tables))).items()}
            if snapshot is not None:
                ranges = {table: (begins[tp], producer.ends[table]) for tp, table in tables.items()}
                if not await snapshots.is_usable(partition, snapshot[0], ranges):
                    snapshot = None
            from_snapshot = len(snapshot[1]) if snapshot else 0
            shard, rows = await _recovered(settings, reader, partition, make_shard, executor, snapshot)
            steps.reach("recovery.after")
            await _check_position(reader, partition, shard, is_new=rows == 0)
        except RowError as error:
            raise OperatorNeeded(f"partition {partition}: {error}") from error
        finally:
            await reader.stop()
    log.info(
        "partition_taken_over", partition=partition, rows=rows, from_snapshot=from_snapshot,
        epoch=shard.epoch, round=shard.round_number, seconds=round(time.monotonic() - started, 3),
    )  # fmt: skip
    return shard, producer


async def rebuild(settings: Settings, partition: int, make_shard: ShardFactory, executor: Executor) -> Shard:
    """Recover the shard of an owned partition once more: an error has spoilt the one in memory.

    Whoever still owns the partition is found out by the next commit, as always.

    Raises
    ------
    TimeoutError
        Not done within `takeover_deadline_s`.
    """
    async with asyncio.timeout(settings.takeover_deadline_s):
        shard = make_shard(partition, settings)
        reader = clients.reader(settings)
        try:
            await reader.start()
            await _recover(settings, reader, partition, shard, executor, {})
            await asyncio.get_running_loop().run_in_executor(executor, shard.restored)
        finally:
            await reader.stop()
    return shard


async def _recovered(
    settings: Settings,
    reader: clients.Consumer,
    partition: int,
    make_shard: ShardFactory,
    executor: Executor,
    snapshot: tuple[Header, dict[bytes, bytes]] | None,
) -> tuple[Shard, int]:
    """The shard of a partition and how many rows it was made of."""
    loop = asyncio.get_running_loop()
    shard = make_shard(partition, settings)
    offsets: dict[str, int] = {}
    rows = 0
    if snapshot is not None:
        header, kept = snapshot
        offsets, rows = header.offsets, len(kept)
        await loop.run_in_executor(executor, shard.restore_many, "", kept)
    rows += await _recover(settings, reader, partition, shard, executor, offsets)
    await loop.run_in_executor(executor, shard.restored)
    return shard, rows


async def _recover(
    settings: Settings,
    reader: clients.Consumer,
    partition: int,
    shard: Shard,
    executor: Executor,
    offsets: Mapping[str, int],
) -> int:
    tables = {TopicPartition(changelog(settings, table), partition): table for table in TABLES}
    reader.assign(list(tables))
    ends = await reader.end_offsets(list(tables))
    await reader.seek_to_beginning(*tables)
    for tp, table in tables.items():
        if table in offsets:
            reader.seek(tp, offsets[table])
    loop = asyncio.get_running_loop()
    rows = 0
    waiting = {tp for tp, end in ends.items() if await reader.position(tp) < end}
    while waiting:
        for tp, records in (await reader.getmany(*waiting, timeout_ms=100)).items():
            rows += len(records)
            await loop.run_in_executor(executor, _restore, shard, tables[tp], records)
            steps.reach("recovery.during")
        waiting = {tp for tp in waiting if await reader.position(tp) < ends[tp]}
    return rows


def _restore(shard: Shard, table: str, records: list[Any]) -> None:
    shard.restore_many(table, zip(map(KEY, records), map(VALUE, records), strict=True))


async def _check_position(reader: clients.Consumer, partition: int, shard: Shard, is_new: bool) -> None:
    inputs = [TopicPartition(topic, partition) for topic in INPUTS]
    begins, ends = await reader.beginning_offsets(inputs), await reader.end_offsets(inputs)
    for tp in inputs:
        position, begin, end = shard.position.get(tp.topic, 0), begins[tp], ends[tp]
        if is_new:
            shard.position[tp.topic] = begin
        elif position < begin:
            raise OperatorNeeded(
                f"{tp.topic} partition {partition}: retention has removed offsets {position} to "
                f"{begin - 1} before they were applied; these events are lost. Raise the retention, then say "
                f"that the loss is accepted: allocator position accept-loss --topic {tp.topic} "
                f"--partition {partition} --to {begin}"
            )
        elif position > end:
            raise OperatorNeeded(
                f"{tp.topic} partition {partition} ends at {end}, but {position} offsets of it have been "
                f"applied: the topic was created anew or has lost records. Restore it, or begin with a new "
                f"ALLOCATOR_APP_ID"
            )
