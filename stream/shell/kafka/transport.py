"""A Faust transport whose messages are ranges: all that one fetch brought of one partition, read committed.

A range covers the offsets [start, end) without a hole. ``end`` is the consumer's position after the fetch, so
control markers, aborted records and compacted offsets lie inside although they are not among the records.

Where the input stands is part of the state of a partition, not of the group: the consumer seeks to the
position of the shard, and the offsets committed to the group only follow it, for those who watch the lag.
Acknowledgements therefore mean nothing here, and Faust's bookkeeping of gaps between them is switched off
(with ranges it would count a message's own offset as missing).

A partition whose inbox is full is paused in aiokafka itself. Not asking for it would leave fetched records in
the fetcher, and those hold up the fetches of every other partition of that broker.

The overridden names are private to faust and aiokafka; their versions are pinned and the tests in
``tests/shell`` run against a real Kafka.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import NoOffsetForPartitionError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from stream.shell.kafka import clients
from stream.shell.process.exits import leave_for
from stream.shell.process.log_lines import Log
from stream.topics import INPUTS

log = Log("allocator.transport")

Assignment = Any


class Batch:
    """A range in the form of a consumer record, as Faust expects it; its value is the range itself."""

    __slots__ = ("end", "offset", "partition", "records", "start", "timestamp", "topic")
    timestamp_type = 1
    headers: tuple[()] = ()
    key = checksum = None
    serialized_key_size = serialized_value_size = 0

    def __init__(self, tp: TP, start: int, end: int, records: Sequence[Any]) -> None:
        self.topic, self.partition = tp
        self.start, self.end, self.records = start, end, records
        self.offset = end - 1
        self.timestamp = records[-1].timestamp if records else None

    @property
    def value(self) -> "Batch":
        """The payload of the message."""
        return self


class Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The consumer's thread: fetches, notes what is complete, turns records into ranges."""

    def _create_worker_consumer(self, transport: object) -> clients.Consumer:
        self._assignor = self.app.assignor
        return clients.group_consumer(self.app.settings, self._assignor)

    async def on_start(self) -> None:
        """Start the consumer, then listen to the answers of its fetches and to what the group refuses."""
        await super().on_start()
        # the library keeps such an error until somebody fetches, which nobody does before the group is joined
        self._consumer._coordinator._push_error_to_user = partial(leave_for, event="group_refused")
        fetcher = self._consumer._fetcher
        fetch = fetcher._proc_fetch_request

        async def listened(assignment: Assignment, node: int, request: Any) -> Any:
            sent = time.time()
            news = await fetch(assignment, node, request)
            if assignment.active:
                self._note_answers(assignment, request, sent)
            return news

        fetcher._proc_fetch_request = listened

    def _note_answers(self, assignment: Assignment, request: Any, sent: float) -> None:
        for topic, asked in request.topics:
            if topic not in INPUTS:
                continue
            for partition, *_ in asked:
                state = assignment.state_value(TP(topic, partition))
                if state is None or not state.timestamp or state.timestamp <= int(sent * 1000):
                    continue  # an error, or an answer to a position that is no longer ours
                self.app.partitions.answered(topic, partition, sent, state.highwater)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Never fetch the changelogs, which Faust has subscribed to for the assignment's sake.

        Returns when the new partitions are taken over. aiokafka would begin its heartbeats only then, and a
        takeover that lasted longer than the session would end with the member expelled, again and again.
        """
        self._consumer._coordinator._start_heartbeat_task()
        try:
            for tp in assigned:
                if tp.topic not in INPUTS:
                    self._consumer.pause(TopicPartition(*tp))
            await super().on_partitions_assigned(assigned, generation_id)
        except Exception as error:  # aiokafka would log it and go on
            leave_for(error, "assignment_failed")

    async def _seek_wait(self, consumer: clients.Consumer, partitions: Mapping[TP, int]) -> None:
        for tp, offset in partitions.items():
            consumer.seek(tp, offset)
            # what was fetched from elsewhere, or the error of having had no position
            consumer._fetcher._records.pop(tp, None)

    def _assignment(self, consumer: clients.Consumer) -> Assignment:
        subscription = consumer._subscription.subscription
        return subscription.assignment if subscription else None

    async def _fetch_records(
        self,
        consumer: clients.Consumer,
        active_partitions: Iterable[TP],
        timeout: float | None = None,  # noqa: ASYNC109  (the signature is Faust's)
        max_records: int | None = None,
    ) -> dict[TP, list[Batch]]:
        assignment = self._assignment(consumer)
        if assignment is None:
            return {}
        tps = [tp for tp in active_partitions or () if tp.topic in INPUTS]
        if not tps:  # to aiokafka, none asked for means all
            await asyncio.sleep(timeout or 0.0)
            return {}
        starts = {tp: _position(assignment, tp) for tp in tps}
        try:
            fetched = await super()._fetch_records(consumer, set(tps), timeout, None)
        except NoOffsetForPartitionError:
            return {}  # this call spans a rebalance, and the new partitions have not been sought yet
        if self._assignment(consumer) is not assignment:
            return {}  # positions are sought anew
        ranges: dict[TP, list[Batch]] = {}
        for tp in tps:
            start, end = starts[tp], _position(assignment, tp)
            records = fetched.get(tp, ())
            if records and (start is None or records[0].offset < start):
                start = records[0].offset  # a seek backwards came between
            if start is None or end is None or end <= start:
                continue
            ranges[tp] = [Batch(tp, start, end, records)]
            if not self.app.partitions.expect(tp.topic, tp.partition, len(records)):
                assignment.state_value(tp).pause()
        return ranges

    def resume_fetching(self, tp: TP) -> None:
        """Fetch from a paused partition again; may be called from any thread."""
        self.thread_loop.call_soon_threadsafe(self._resume_fetching, tp)

    def _resume_fetching(self, tp: TP) -> None:
        assignment = self._assignment(self._consumer) if self._consumer else None
        state = assignment.state_value(tp) if assignment is not None else None
        if state is not None and state.paused:
            state.resume()

    async def leave(self) -> None:
        """Leave the group now, so that others needn't wait for the session to end, and disconnect."""
        if self._consumer is not None:
            stopped = asyncio.run_coroutine_threadsafe(self._consumer.stop(), self.thread_loop)
            await asyncio.wrap_future(stopped)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's search for stuck streams only logs; the watchdog ends the process."""


def _position(assignment: Assignment, tp: TP) -> int | None:
    state = assignment.state_value(tp)
    return int(state.position) if state is not None and state.has_valid_position else None


class _NoOffsets(dict[TP, Any]):
    """Faust drops messages below its read offset; here nothing is dropped on the way."""

    def __getitem__(self, tp: TP) -> None:
        return None

    def __setitem__(self, tp: TP, offset: Any) -> None:
        return None

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Forget as well."""


class Consumer(driver.Consumer):  # type: ignore[misc]
    """A consumer whose positions are those of the shards (``app.partitions``)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NoOffsets()

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        """Nothing to recover for Faust: the store has read the changelogs when this is asked."""
        return dict.fromkeys(tps, 0)

    async def perform_seek(self) -> None:
        """Seek every owned input partition to the position of its shard."""
        positions = self.app.partitions.positions()
        wanted = {tp: positions[tp] for tp in self.assignment() if tp in positions}
        if wanted:
            await self.seek_wait(wanted)
        self._committed_offset.update(wanted)

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        self._gap[tp].clear()
        position: int | None = self.app.partitions.positions().get(tp)
        return position

    async def seek_back(self, tp: TP, offset: int) -> None:
        """Fetch again from `offset`: what lay behind it was lost on the way."""
        await self.seek_wait({tp: offset})

    async def leave(self) -> None:
        """Leave the group; nothing is fetched any more."""
        self.stop_flow()
        await self._thread.leave()

    def on_buffer_full(self, tp: TP) -> None:
        """The stock answer, to sleep for a second, is not needed: agents never block."""

    def on_buffer_drop(self, tp: TP) -> None:
        """See `on_buffer_full`."""


class Producer(driver.Producer):  # type: ignore[misc]
    """Faust starts a producer; nothing is sent through it."""

    def _new_producer(self, transactional_id: str | None = None) -> clients.Producer:
        return clients.plain_producer(self.app.settings)


class Transport(driver.Transport):  # type: ignore[misc]
    """``allocator://host:port``."""

    Consumer = Consumer
    Producer = Producer
