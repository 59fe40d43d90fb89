"""One Kafka transaction per round: rows, outputs and dead letters become visible together or not at all.

    fence ──► [ encode ──► begin ──► all batches ──► commit ]*

The transactional id belongs to the partition, so starting the successor's producer fences the predecessor and
ends what it left open. Batches are encoded outside the event loop, and all of them are handed over
without a pause in between: one request then announces all partitions to the coordinator.

There is no abort and no retry: whatever goes wrong, the process ends (see :mod:`stream.shell.process.exits`).
"""

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from stream.core.saved.rows import Row
from stream.core.shard import RoundResult
from stream.settings import Settings
from stream.shell.kafka import clients
from stream.shell.process import steps
from stream.topics import OVERHEAD_BYTES, TABLES, changelog

Records = Iterable[tuple[bytes | None, bytes | None]]


class Encoded(NamedTuple):
    """Batches of a round, ready to be sent: (topic, batch) in order."""

    batches: list[tuple[str, Any]]
    records: int


class Producer:
    """The transactional producer of one partition.

    Parameters
    ----------
    settings : Settings
    partition : int
        Partition of every topic that this producer writes to.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        self._settings = settings
        self._partition = partition
        self._producer: clients.Producer | None = None
        self._most_bytes = settings.input_bytes + OVERHEAD_BYTES
        self._tables = {changelog(settings, table): table for table in TABLES}
        #: offset in each table's changelog: what is committed lies before it, and nothing else will be written there
        self.ends: dict[str, int] = {}

    async def fence(self) -> None:
        """Become the only writer: end what earlier producers of this partition left open, and lock them out.

        Has no deadline of its own; the takeover has.
        """
        self._producer = clients.transactional_producer(self._settings, self._partition)
        await self._producer.start()

    def encode(self, result: RoundResult, at: float) -> Encoded:
        """Pack a round into record batches; pure computation, for any thread.

        Parameters
        ----------
        result : RoundResult
        at : float
            Unix time of the round; the timestamp of all its records.

        Raises
        ------
        ValueError
            When a record is larger than its topic takes: the broker would refuse it, and again after each restart.
        """
        stamp = int(at * 1000)
        batches: list[tuple[str, Any]] = []
        count = 0
        for table, rows in result.rows.items():
            if rows:
                count += len(rows)
                self._pack(batches, changelog(self._settings, table), rows, stamp)
        for topic, outputs in result.outputs.items():
            if outputs:
                count += len(outputs)
                self._pack(batches, topic, outputs, stamp)
        for letter in result.dead_letters:
            self._pack(batches, letter.topic, [(letter.key, letter.value)], stamp, letter.headers)
            count += 1
        for topic, batch in batches:  # only a record alone makes a batch that is larger than asked for
            if batch.size() > self._most_bytes:
                raise ValueError(f"a record for {topic} has {batch.size()} bytes, it takes {self._most_bytes}")
        return Encoded(batches, count)

    def encode_rows(self, rows: dict[str, list[Row]], at: float) -> Encoded:
        """Pack rows of tables alone."""
        batches: list[tuple[str, Any]] = []
        for table, changed in rows.items():
            self._pack(batches, changelog(self._settings, table), changed, int(at * 1000))
        return Encoded(batches, sum(map(len, rows.values())))

    def _pack(
        self,
        batches: list[tuple[str, Any]],
        topic: str,
        records: Records,
        stamp: int,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        assert self._producer is not None
        batch = next((b for t, b in reversed(batches) if t == topic), None) if headers else None
        if batch is None:
            batch = self._producer.create_batch()
            batches.append((topic, batch))
        # straight to the builder: the batch's own append costs more than twice as much, only to count
        offset, append, headers = batch._relative_offset, batch._builder.append, headers or []
        for key, value in records:
            if append(offset, stamp, key, value, headers) is None:
                batch._relative_offset = offset
                batch = self._producer.create_batch()
                batches.append((topic, batch))
                offset, append = 0, batch._builder.append
                append(offset, stamp, key, value, headers)
            offset += 1
        batch._relative_offset = offset

    async def commit(self, encoded: Encoded) -> None:
        """Write one transaction; returns when it is committed.

        Raises
        ------
        aiokafka.errors.KafkaError
            Fenced, refused or unknown: nothing may be concluded except that this process must end.
        TimeoutError
            No answer within `commit_deadline_s`.
        """
        producer = self._producer
        assert producer is not None
        async with asyncio.timeout(self._settings.commit_deadline_s):
            await producer.begin_transaction()
            steps.reach("begin.after")
            sent = []
            for topic, batch in encoded.batches:
                batch.close()
                sent.append(await producer.send_batch(batch, topic, partition=self._partition))
                steps.reach("produce.during")
            steps.reach("produce.after")
            steps.reach("commit.during")
            await producer.commit_transaction()
            for delivery, (topic, batch) in zip(sent, encoded.batches, strict=True):
                written = await delivery
                table = self._tables.get(topic)
                if table is not None:
                    self.ends[table] = written.offset + batch.record_count()

    async def close(self, limit_s: float = 5.0) -> None:
        """Close the connections; nothing is pending when this is called."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # the successor fences this producer; a connection that won't close must not hold up a rebalance
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await producer.stop()
