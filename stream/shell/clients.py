"""Every Kafka client of the shell is built here, so that what all of them need is said once.

Four kinds: the worker's group consumer of the inputs, a transactional producer per partition, a reader of
committed records for recovery and for people's questions, and the producer that Faust insists on having.

Figures that are not obvious:

- ``fetch_max_wait_ms`` 100: a partition that was paused for want of room is fetched again when the fetch
  under way returns; and an idle partition knows that often that its input is complete.
- ``retry_backoff_ms`` 2, and 1 ms in ``aiokafka.producer.sender.BACKOFF_OVERRIDE``: a transaction that begins
  while the coordinator still writes the markers of the one before waits this long (20 ms in the library).
- ``transaction_timeout_ms`` 15 s: how long a dead process may hold back read_committed readers when nobody
  takes its partition over.
"""

from typing import Any

import aiokafka.producer.sender
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient

from stream.settings import Settings
from stream.shell import faults, fetched
from stream.topics import OVERHEAD_BYTES

FETCH_BYTES = 8 << 20
TRANSACTION_TIMEOUT_MS = 15_000
MARKER_BACKOFF_S = 0.001

Client = Any  # aiokafka ships no types
Consumer = Any
Producer = Any


def servers(settings: Settings) -> list[str]:
    """Bootstrap addresses as a list of ``host:port``."""
    return [address.strip() for address in settings.kafka_bootstrap.split(",") if address.strip()]


def _common(settings: Settings, role: str) -> dict[str, Any]:
    return {"bootstrap_servers": servers(settings), "client_id": f"{settings.app_id}-{role}"}


def group_consumer(settings: Settings, assignor: object) -> Consumer:
    """The worker's consumer of both inputs; membership of the group, positions from the state.

    ``auto_offset_reset`` none: a position that retention has removed is an error, never a silent jump.
    """
    fetched.install()
    return AIOKafkaConsumer(
        **_common(settings, "worker"),
        group_id=settings.app_id,
        partition_assignment_strategy=[assignor],
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=FETCH_BYTES,
        check_crcs=True,
        session_timeout_ms=int(settings.session_timeout_s * 1000),
        heartbeat_interval_ms=int(settings.session_timeout_s * 1000 / 6),
        rebalance_timeout_ms=int((settings.takeover_deadline_s + settings.commit_deadline_s) * 1000),
        max_poll_interval_ms=int((settings.takeover_deadline_s + settings.watchdog_s) * 1000),
        request_timeout_ms=int(max(settings.session_timeout_s, settings.commit_deadline_s) * 1000),
    )


def reader(settings: Settings) -> Consumer:
    """A consumer outside any group that reads what is committed, from positions it is given."""
    fetched.install()
    return AIOKafkaConsumer(
        **_common(settings, "reader"),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=FETCH_BYTES,
        request_timeout_ms=int(settings.commit_deadline_s * 1000),
    )


def history(settings: Settings) -> dict[str, Any]:
    """Arguments of a kafka-python consumer of what is committed: for commands, which have no event loop."""
    return {
        **_common(settings, "history"),
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "fetch_max_wait_ms": 50,
        "request_timeout_ms": 15_000,
    }


def transactional_producer(settings: Settings, partition: int) -> Producer:
    """The only writer of a partition; starting it fences whoever was the writer before."""
    aiokafka.producer.sender.BACKOFF_OVERRIDE = MARKER_BACKOFF_S
    return AIOKafkaProducer(
        **_common(settings, f"partition-{partition}"),
        transactional_id=faults.transactional_id(f"{settings.app_id}-{partition}"),
        transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
        acks="all",
        max_batch_size=settings.input_bytes,
        max_request_size=settings.input_bytes + OVERHEAD_BYTES,
        retry_backoff_ms=2,
        request_timeout_ms=int(settings.commit_deadline_s * 1000),
    )


def client(settings: Settings) -> Client:
    """A bare connection, to ask for metadata."""
    return AIOKafkaClient(**_common(settings, "client"))


def plain_producer(settings: Settings) -> Producer:
    """The producer that a Faust application starts; nothing is ever sent through it."""
    return AIOKafkaProducer(**_common(settings, "faust"))
