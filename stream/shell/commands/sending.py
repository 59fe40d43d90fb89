"""Sending input events: whole batches to the partition of their pool, in order, each once; where each of them lies.

A batch of a partition is on its way while the next one fills; records keep their order within a partition because the
producer is idempotent and batches of a partition follow one another.
"""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from stream.core.intake.partitioning import partition_of
from stream.settings import Settings
from stream.shell.kafka import clients


class Outgoing(NamedTuple):
    """An event to be sent; `number` is what its sender calls it."""

    pool: str
    value: bytes
    number: int


class Landed(NamedTuple):
    """Where an event lies."""

    partition: int
    offset: int
    number: int


class Sender:
    """Sends events to one input topic after the other.

    Parameters
    ----------
    settings : Settings
    producer : AIOKafkaProducer
    """

    def __init__(self, settings: Settings, producer: Any) -> None:
        self._settings, self._producer = settings, producer
        self._partitions: dict[str, int] = {}

    def partition(self, pool: str) -> int:
        """The partition of a pool."""
        found = self._partitions.get(pool)
        if found is None:
            found = self._partitions[pool] = partition_of(pool.encode(), self._settings.partitions)
        return found

    async def send(self, topic: str, events: Iterable[Outgoing]) -> list[Landed]:
        """Send events and wait until the brokers have them; returns where they lie, by partition in their order.

        Raises
        ------
        KafkaError
            The brokers did not take one.
        """
        batches: dict[int, Any] = {}
        numbers: dict[int, list[int]] = {}
        under_way: list[tuple[int, list[int], Any]] = []
        now_ms = int(time.time() * 1000)
        for event in events:
            partition = self.partition(event.pool)
            key = event.pool.encode()
            batch = batches.get(partition)
            if batch is None or batch.append(key=key, value=event.value, timestamp=now_ms) is None:
                if batch is not None:
                    under_way.append(await self._ship(topic, partition, batch, numbers.pop(partition)))
                batch = batches[partition] = self._producer.create_batch()
                assert batch.append(key=key, value=event.value, timestamp=now_ms) is not None
            numbers.setdefault(partition, []).append(event.number)
        for partition, batch in batches.items():
            under_way.append(await self._ship(topic, partition, batch, numbers.pop(partition)))
        landed = []
        for partition, named, future in under_way:
            base = (await future).offset
            landed += [Landed(partition, base + i, number) for i, number in enumerate(named)]
        return landed

    async def _ship(self, topic: str, partition: int, batch: Any, named: list[int]) -> tuple[int, list[int], Any]:
        batch.close()
        return partition, named, await self._producer.send_batch(batch, topic, partition=partition)


@asynccontextmanager
async def sender(settings: Settings) -> AsyncIterator[Sender]:
    """Connect, and hang up at the end.

    Raises
    ------
    BrokerUnreachable, AccessRefused
        See :func:`stream.shell.kafka.clients.knock`.
    """
    await clients.knock(settings)
    producer = clients.sender(settings)
    await producer.start()
    try:
        yield Sender(settings, producer)
    finally:
        await producer.stop()
