"""Kafka, as an annotation tool sees it: send input events, read committed outputs.

The key of every event is its pool; kafka-python's partitioner is Kafka's default one (murmur2). Outputs are
read with `read_committed` and without a group, committing nothing. TLS and user are those of the environment.

Deliberately has no retries of its own and hides no error: a lost send raises at `flush`.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from stream.events import Event, Result, decode_result, encode
from stream.security import client_arguments
from stream.settings import load
from stream.topics import ANNOTATORS, INPUTS, TASKS

POLL_RECORDS = 5000


class Received(NamedTuple):
    """An output and the wall-clock time at which this reader first saw it."""

    output: Result
    seen: float


class Wire:
    """One producer and one consumer of the outputs.

    Parameters
    ----------
    bootstrap : str
        `host:port` of a broker.
    partitions : int
        Number of partitions of every topic.
    outputs : sequence of str
        Output topics to read: what is published from now on.
    """

    def __init__(self, bootstrap: str, partitions: int, outputs: Sequence[str]) -> None:
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0, **client_arguments(load()))
        self._consumer = _consumer(bootstrap, outputs, partitions)
        self._consumer.seek_to_end()
        for place in self._consumer.assignment():
            self._consumer.position(place)  # now, not at the first poll
        self._futures: list[object] = []
        self.sent = 0

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close(timeout=5)
        self._consumer.close()

    def send(self, topic: str, events: Iterable[Event]) -> None:
        """Send `events` to an input topic; returns before the broker has them."""
        for event in events:
            self._futures.append(self._producer.send(topic, key=event.pool.encode(), value=encode(event)))
            self.sent += 1

    def send_tasks(self, events: Iterable[Event]) -> None:
        """Send events of projects and tasks."""
        self.send(TASKS, events)

    def send_annotators(self, events: Iterable[Event]) -> None:
        """Send events of annotators."""
        self.send(ANNOTATORS, events)

    def flush(self, limit_s: float = 10.0) -> None:
        """Wait until the broker has everything that was sent.

        Raises
        ------
        KafkaError
            When a record could not be delivered.
        """
        self._producer.flush(timeout=limit_s)
        for future in self._futures:
            future.get(timeout=limit_s)  # type: ignore[attr-defined]  # kafka-python has no types
        self._futures.clear()

    def poll(self, wait_s: float) -> list[Received]:
        """Return what has been published since the last call, waiting at most `wait_s` for it."""
        batches = self._consumer.poll(timeout_ms=int(wait_s * 1000), max_records=POLL_RECORDS)
        seen = time.time()
        return [Received(decode_result(record.value), seen) for batch in batches.values() for record in batch]


def _consumer(bootstrap: str, topics: Sequence[str], partitions: int) -> KafkaConsumer:
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        **client_arguments(load()),
    )
    places = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
    consumer.assign(places)
    consumer.seek_to_beginning()
    return consumer


class Sent(NamedTuple):
    """Where and when an input record was written; `at` is the producer's clock, Unix seconds."""

    topic: str
    partition: int
    offset: int
    at: float


def inputs(bootstrap: str, partitions: int) -> Iterator[Sent]:
    """Yield every record of the input topics, up to the ends at the time of the call."""
    consumer = _consumer(bootstrap, INPUTS, partitions)
    try:
        ends = consumer.end_offsets(list(consumer.assignment()))
        while any(consumer.position(place) < end for place, end in ends.items()):
            for place, batch in consumer.poll(timeout_ms=1000, max_records=POLL_RECORDS).items():
                for record in batch:
                    yield Sent(place.topic, place.partition, record.offset, record.timestamp / 1000)
    finally:
        consumer.close()


def records(bootstrap: str, topics: Sequence[str]) -> int:
    """Return how many offsets the existing ones of `topics` hold: 0 means that nobody has written there."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, **client_arguments(load()))
    try:
        places = [
            TopicPartition(topic, number)
            for topic in set(topics) & set(consumer.topics())
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        return sum(consumer.end_offsets(places).values()) if places else 0
    finally:
        consumer.close()
