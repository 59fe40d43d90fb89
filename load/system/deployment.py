"""A deployment for a bench or a proof: an empty broker, one worker, pools placed where wanted, outputs read back."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.partitioner.default import murmur2

from load.system.wire import records
from load.system.worker_process import Worker, WorkerFailed, command
from stream.events import Event, Result, decode_result, encode
from stream.local.broker import free_port
from stream.topics import INPUTS, OUTPUTS


class NotEmpty(RuntimeError):
    """The broker's topics hold records that aren't of this run."""


def pool_in(partition: int, partitions: int, nth: int = 0) -> str:
    """Name of the `nth` pool, counted from 0, that belongs to `partition` of `partitions`.

    >>> pool_in(0, 1), pool_in(0, 1, 2)
    ('pool-0', 'pool-2')
    """
    names = (f"pool-{number}" for number in itertools.count())
    there = (name for name in names if (murmur2(name.encode()) & 0x7FFFFFFF) % partitions == partition)
    return next(itertools.islice(there, nth, None))


class Reader:
    """Committed outputs of some topics, decoded.

    Parameters
    ----------
    bootstrap : str
    topics : sequence of str
    partitions : int
    from_end : bool
        Only what is published from now on.
    """

    def __init__(
        self, bootstrap: str, topics: Sequence[str], partitions: int, from_end: bool = False
    ) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 << 20,
        )
        self._places = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
        self._consumer.assign(self._places)
        (self._consumer.seek_to_end if from_end else self._consumer.seek_to_beginning)(*self._places)
        for place in self._places:
            self._consumer.position(place)  # now, not at the first poll

    def poll(self, wait_s: float = 0.1) -> list[Result]:
        """What has come, waiting at most `wait_s` for it."""
        found = self._consumer.poll(timeout_ms=int(wait_s * 1000), max_records=50_000)
        return [decode_result(record.value) for records in found.values() for record in records]

    def rest(self) -> list[Result]:
        """Everything up to the present end."""
        ends = self._consumer.end_offsets(self._places)
        found: list[Result] = []
        while any(self._consumer.position(place) < end for place, end in ends.items()):
            found += self.poll()
        return found

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


def fill(bootstrap: str, partitions: int, said: Iterable[tuple[str, Event]]) -> dict[tuple[str, int], int]:
    """Write events to their topics; return the end offset of every input (topic, partition)."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=20, batch_size=262_144)
    for topic, event in said:
        producer.send(topic, key=event.pool.encode(), value=encode(event))
    producer.flush()
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    ends = consumer.end_offsets([TopicPartition(t, p) for t in INPUTS for p in range(partitions)])
    consumer.close()
    return {(place.topic, place.partition): end for place, end in ends.items()}


def require_empty(bootstrap: str) -> None:
    """Raise `NotEmpty` when the topics hold records: a run would take them for its own."""
    if found := records(bootstrap, INPUTS + OUTPUTS):
        raise NotEmpty(
            f"the broker at {bootstrap} holds {found} records in the labeling topics already; this needs them"
            " empty. Unset ALLOCATOR_KAFKA_BOOTSTRAP and it starts a broker of its own."
        )


@contextmanager
def deployment(bootstrap: str, partitions: int, folder: Path, **market: float) -> Iterator[Worker]:
    """Topics on an empty broker and a worker that is not yet started; stopped at the end.

    Parameters
    ----------
    bootstrap : str
    partitions : int
    folder : Path
        For the worker's log and data.
    market : float
        Settings of the market by their names.

    Raises
    ------
    NotEmpty
        The broker holds records already.
    WorkerFailed
        The topics can't be made.
    """
    require_empty(bootstrap)
    environment = {
        "ALLOCATOR_KAFKA_BOOTSTRAP": bootstrap,
        "ALLOCATOR_APP_ID": "bench",
        "ALLOCATOR_PARTITIONS": str(partitions),
        "ALLOCATOR_REPLICATION": "1",
        "ALLOCATOR_DATA_DIR": str(folder),
        **{f"ALLOCATOR_MARKET_{name.upper()}": str(value) for name, value in market.items()},
    }
    code, said = command(["topics", "apply"], environment)
    if code:
        raise WorkerFailed(f"`allocator topics apply` ended with code {code}: {said}")
    worker = Worker(environment, free_port(), folder / "worker.log")
    try:
        yield worker
    finally:
        worker.stop()
