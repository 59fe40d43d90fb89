"""Committed records of topics up to where they ended, for commands: whole fetches, no group, and never for ever.

aiokafka with the fast path of `fetched`: a million records take some three seconds. Whoever waits for more than half a
minute for a record that must be there is told so.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from stream.letters import Letter, letter_of
from stream.settings import Settings
from stream.shell.commands.failures import PersonNeeded
from stream.shell.kafka import clients

PATIENCE_S = 30.0
POLL_MS = 200
FETCH_BYTES = 1 << 20  # of a partition at once: records take several times as much once they are objects
FETCHES_PER_SWEEP = 8


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class _Named:
    """A record of a fetch with its topic and partition, which the fast reader leaves out."""

    def __init__(self, place: Place, record: Any) -> None:
        self.topic, self.partition = place
        self.offset, self.timestamp = record.offset, record.timestamp
        self.key, self.value, self.headers = record.key, record.value, record.headers


@contextmanager
def swept_by_fetches() -> Iterator[Callable[[], None]]:
    """Search for circles of objects every few fetches only; call what it gives after each.

    A fetch makes some ten thousand objects that are no circles, and Python would search among all that are alive every
    few hundred of them, which takes a third of a large export. The Kafka client leaves a few circles that hold a whole
    fetch: without any search memory grows by half a gigabyte a million records.
    """
    was_on, fetches = gc.isenabled(), 0

    def fetched() -> None:
        nonlocal fetches
        fetches += 1
        if fetches % FETCHES_PER_SWEEP == 0:
            gc.collect(1)

    gc.disable()
    try:
        yield fetched
    finally:
        if was_on:
            gc.enable()


def letter_at(place: Place, record: Any) -> Letter:
    """The dead letter that a record of a fetch is."""
    return letter_of(_Named(place, record))


class TopicReader:
    """Reads what is committed; use it as an asynchronous context.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    BrokerUnreachable, AccessRefused
        On entering: see :func:`stream.shell.kafka.clients.knock`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._consumer: Any = None
        self._cluster: Any = None

    async def __aenter__(self) -> "TopicReader":
        await clients.knock(self.settings)
        client = clients.client(self.settings)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await client.bootstrap()
                self._cluster = await client.fetch_all_metadata()
        finally:
            await client.close()
        self._consumer = clients.reader(self.settings, FETCH_BYTES)
        await self._consumer.start()
        await asyncio.sleep(0)  # its tasks must have begun: else stopping it at once ends in their cancellation
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    def places(self, topics: Collection[str], partitions: Collection[int] | None = None) -> list[Place]:
        """Partitions of topics, all or those of some numbers.

        Raises
        ------
        PersonNeeded
            A topic doesn't exist.
        """
        found, missing = [], []
        for topic in topics:
            numbers = self._cluster.partitions_for_topic(topic) or ()
            if not numbers:
                missing.append(topic)
            found += [Place(topic, n) for n in sorted(numbers) if partitions is None or n in partitions]
        if missing:
            user = self.settings.kafka_username
            hidden = f", or the user {user!r} may not see it" if user else ""
            raise PersonNeeded(f"there is no topic {', '.join(missing)}{hidden}: create them: allocator topics apply")
        return found

    async def begins(self, places: Collection[Place]) -> dict[Place, int]:
        """First offset of each place that is still there."""
        return await self._offsets(self._consumer.beginning_offsets, places)

    async def ends(self, places: Collection[Place]) -> dict[Place, int]:
        """Offset behind the last committed record of each place."""
        return await self._offsets(self._consumer.end_offsets, places)

    async def spans(self, places: Collection[Place]) -> dict[Place, tuple[int, int]]:
        """Begin and end of each place: all that is there now."""
        begins, ends = await self.begins(places), await self.ends(places)
        return {place: (begins[place], ends[place]) for place in places}

    async def _offsets(self, ask: Any, places: Collection[Place]) -> dict[Place, int]:
        if not places:
            return {}
        found = await asyncio.wait_for(ask([TopicPartition(*place) for place in places]), PATIENCE_S)
        return {Place(tp.topic, tp.partition): offset for tp, offset in found.items()}

    async def read(self, ranges: Mapping[Place, tuple[int, int]]) -> AsyncIterator[tuple[Place, Sequence[Any]]]:
        """Yield the records of each place with offsets in [start, end), fetch by fetch.

        Raises
        ------
        PersonNeeded
            Nothing came for half a minute though the end was not reached.
        """
        ends = {TopicPartition(*place): end for place, (start, end) in ranges.items() if start < end}
        if not ends:
            return
        self._consumer.assign(list(ends))
        for tp in ends:
            self._consumer.seek(tp, ranges[Place(tp.topic, tp.partition)][0])
        waiting, heard = set(ends), time.monotonic()
        with swept_by_fetches() as fetched:
            while waiting:
                before = {tp: await self._consumer.position(tp) for tp in waiting}
                for tp, records in (await self._consumer.getmany(*waiting, timeout_ms=POLL_MS)).items():
                    end = ends[tp]
                    if records and records[-1].offset >= end:
                        records = [record for record in records if record.offset < end]  # noqa: PLW2901
                    if records:
                        yield Place(tp.topic, tp.partition), records
                    fetched()
                after = {tp: await self._consumer.position(tp) for tp in waiting}
                if after != before:
                    heard = time.monotonic()
                elif time.monotonic() - heard > PATIENCE_S:
                    tp = min(waiting)
                    raise PersonNeeded(
                        f"no more of {tp.topic} partition {tp.partition} in {PATIENCE_S:.0f} s, before its end at "
                        f"{ends[tp]}: is a broker down?"
                    )
                waiting = {tp for tp in waiting if after[tp] < ends[tp]}

    async def follow(self, starts: Mapping[Place, int]) -> AsyncIterator[list[tuple[Place, Sequence[Any]]]]:
        """Yield what comes from these offsets on, for ever, an empty list whenever nothing does for a while."""
        places = [TopicPartition(*place) for place in starts]
        self._consumer.assign(places)
        for tp in places:
            self._consumer.seek(tp, starts[Place(tp.topic, tp.partition)])
        while True:
            found = await self._consumer.getmany(*places, timeout_ms=POLL_MS)
            yield [(Place(tp.topic, tp.partition), records) for tp, records in found.items() if records]

    async def position(self, place: Place) -> int:
        """Offset of the next record that will be read."""
        return int(await self._consumer.position(TopicPartition(*place)))
