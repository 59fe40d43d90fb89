"""A seat at the table: what one person is offered, holds and says, as a client of the topics.

    sit down ──resumed, online, heartbeats──► offers come ──answer──► judgment_submitted    leave: the session ends
                                          ├─── skip ──► assignment_declined
                                          └─── break ─► annotator_paused … annotator_resumed

Offers and their ends are read from `labeling.assignments.v1` from the moment of sitting down; what was offered and not
ended before is found in the last hour of the topic. Every seat is a session of its own, so that somebody may have two.
Knows no terminal.
"""

import asyncio
import contextlib
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec import UNSET, UnsetType

from stream.core.intake.partitioning import partition_of
from stream.events import (
    AnnotatorOffline,
    AnnotatorOnline,
    AnnotatorPaused,
    AnnotatorResumed,
    AssignmentAccepted,
    AssignmentDeclined,
    AssignmentEnded,
    AssignmentOffered,
    Event,
    JudgmentSubmitted,
    decode_result,
    encode,
)
from stream.settings import Settings
from stream.shell.commands.sending import Outgoing, Sender, sender
from stream.shell.commands.topic_reader import Place, TopicReader
from stream.topics import ANNOTATORS, ASSIGNMENTS

TTL_S = 60.0
BEAT_S = 20.0
BACK = 20_000  # records of a partition that are looked at for offers of before


class Seat:
    """One person's place in a pool.

    Parameters
    ----------
    settings : Settings
    pool, annotator : str
    capacity : int
        How many works may lie before them at once.
    """

    def __init__(self, settings: Settings, pool: str, annotator: str, capacity: int = 1) -> None:
        self.settings, self.pool, self.annotator, self.capacity = settings, pool, annotator, capacity
        self.offers: OrderedDict[str, AssignmentOffered] = OrderedDict()
        self.session = f"seat-{secrets.token_hex(4)}"
        self.is_on_break = False
        self.judged = 0
        self._sender: Sender | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._held: set[str] = set()
        self._news = asyncio.Event()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator["Seat"]:
        """Sit down, and leave at the end."""
        async with sender(self.settings) as self._sender, TopicReader(self.settings) as reader:
            place = Place(ASSIGNMENTS, partition_of(self.pool.encode(), self.settings.partitions))
            begin, end = (await reader.spans([place]))[place]
            async for _, records in reader.read({place: (max(begin, end - BACK), end)}):
                self._take(records)
            # a break that nobody ended before ends with sitting down
            await self._say(AnnotatorResumed(pool=self.pool, at=time.time(), annotator=self.annotator))
            await self._say(self._online(self.capacity))
            self._tasks = [asyncio.create_task(work) for work in (self._follow(reader, place, end), self._beat())]
            try:
                yield self
            finally:
                for task in self._tasks:
                    task.cancel()
                for task in self._tasks:
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
                await self._say(
                    AnnotatorOffline(
                        pool=self.pool, at=time.time(), annotator=self.annotator, session=self.session
                    )
                )

    async def _follow(self, reader: TopicReader, place: Place, start: int) -> None:
        async for batches in reader.follow({place: start}):
            for _, records in batches:
                self._take(records)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self._say(self._online())

    def _online(self, capacity: int | UnsetType = UNSET) -> AnnotatorOnline:
        """A heartbeat; the capacity stays what the first has stated."""
        return AnnotatorOnline(
            pool=self.pool, at=time.time(), annotator=self.annotator, session=self.session, ttl_s=TTL_S,
            capacity=capacity,
        )  # fmt: skip

    def _take(self, records: Sequence[Any]) -> None:
        for record in records:
            output = decode_result(record.value)
            if isinstance(output, AssignmentOffered):
                if (output.pool, output.annotator) == (self.pool, self.annotator):
                    self.offers[output.assignment] = output
                    self._news.set()
            elif isinstance(output, AssignmentEnded):
                self.offers.pop(output.assignment, None)

    # ---------------------------------------------------------------- what a person does
    async def next(self, wait_s: float) -> AssignmentOffered | None:
        """The oldest offer that has not ended, waiting at most so long for one.

        Raises
        ------
        KafkaError
            The brokers have gone.
        """
        for task in self._tasks:
            if task.done():
                task.result()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not self.offers:
                    self._news.clear()
                    await self._news.wait()
        return next(iter(self.offers.values()), None)

    async def accept(self, offer: AssignmentOffered) -> None:
        """Take the offered task, once: it is held as long as its lease."""
        if offer.assignment in self._held:
            return
        self._held.add(offer.assignment)
        await self._say(
            AssignmentAccepted(pool=self.pool, at=time.time(), annotator=self.annotator, task=offer.task)
        )

    async def answer(self, offer: AssignmentOffered, label: int | None, duration_s: float) -> None:
        """Give a label."""
        self.offers.pop(offer.assignment, None)
        await self._say(
            JudgmentSubmitted(
                pool=self.pool, at=time.time(), annotator=self.annotator, task=offer.task, label=label,
                duration_s=round(duration_s, 1),
            )
        )  # fmt: skip
        self.judged += 1

    async def decline(self, offer: AssignmentOffered, reason: Any) -> None:
        """Return a task; it never comes back to this person."""
        self.offers.pop(offer.assignment, None)
        await self._say(
            AssignmentDeclined(
                pool=self.pool, at=time.time(), annotator=self.annotator, task=offer.task, reason=reason
            )
        )

    async def rest(self) -> None:
        """Take a break: no new work, unaccepted offers are withdrawn."""
        self.is_on_break = True
        await self._say(AnnotatorPaused(pool=self.pool, at=time.time(), annotator=self.annotator))

    async def come_back(self) -> None:
        """End the break."""
        self.is_on_break = False
        await self._say(AnnotatorResumed(pool=self.pool, at=time.time(), annotator=self.annotator))

    async def _say(self, event: Event) -> None:
        assert self._sender is not None
        await self._sender.send(ANNOTATORS, [Outgoing(event.pool, encode(event), 0)])
