"""Every Kafka client of the shell is built here, so that what all of them need is said once.

For the worker: the group's consumer of the inputs, a transactional producer per partition, a reader of committed
records for recovery, and the producer that Faust insists on having. For commands, which have no event loop: arguments
of kafka-python's clients. All of them carry what `stream.security` says. Before any of them is built, `knock` connects
once and says in words why that fails, where the libraries would try again for ever or say only that they could not.

Figures that are not obvious:

- ``fetch_max_wait_ms`` 100: a partition that was paused for want of room is fetched again when the fetch
  under way returns; and an idle partition knows that often that its input is complete.
- ``retry_backoff_ms`` 2, and 1 ms in ``aiokafka.producer.sender.BACKOFF_OVERRIDE``: a transaction that begins
  while the coordinator still writes the markers of the one before waits this long (20 ms in the library).
- ``transaction_timeout_ms`` 15 s: how long a dead process may hold back read_committed readers when nobody
  takes its partition over.
"""

import asyncio
import ssl
from typing import Any

import aiokafka.producer.sender
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from stream.security import client_arguments
from stream.settings import Settings
from stream.shell.kafka import fetched, header_names
from stream.topics import OVERHEAD_BYTES

FETCH_BYTES = 8 << 20
TRANSACTION_TIMEOUT_MS = 15_000
MARKER_BACKOFF_S = 0.001
KNOCK_LIMIT_S = 5.0
HUNG_UP = (KafkaConnectionError, TimeoutError, ConnectionResetError, ConnectionAbortedError)

Client = Any  # aiokafka ships no types
Consumer = Any
Producer = Any


class BrokerUnreachable(RuntimeError):
    """No broker answers at the configured address."""


class AccessRefused(RuntimeError):
    """A broker answers and does not let this client in, or the client does not trust it: a person is needed."""


def servers(settings: Settings) -> list[str]:
    """Bootstrap addresses as a list of ``host:port``."""
    return [address.strip() for address in settings.kafka_bootstrap.split(",") if address.strip()]


def _common(settings: Settings, role: str) -> dict[str, Any]:
    return {
        "bootstrap_servers": servers(settings),
        "client_id": f"{settings.app_id}-{role}",
        **client_arguments(settings),
    }


async def knock(settings: Settings) -> None:
    """Connect to the first broker that answers, with all that the settings say, and hang up.

    Raises
    ------
    BrokerUnreachable
        None of the addresses answers as Kafka within 5 s each.
    AccessRefused
        User, password or mechanism are refused, or the broker's certificate is not trusted.
    SettingsError
        An address or the file of trusted certificates can't be used.
    """
    faults, hint = [], ""
    access = client_arguments(settings)
    for address in servers(settings):
        host, _, port = address.rpartition(":")
        try:
            await _knock_at(host, int(port), f"{settings.app_id}-knock", access)
            return
        except (OSError, ValueError, KafkaError, TimeoutError) as error:
            refusal = _refusal(settings, address, error)
            if refusal is not None:
                raise AccessRefused(refusal) from error
            faults.append(f"{address}: {str(error) or type(error).__name__}")
            if isinstance(error, HUNG_UP):
                hint = (
                    "; it hung up or kept silent, as a broker does that demands something else than "
                    f"ALLOCATOR_KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol}"
                )
    raise BrokerUnreachable(
        f"no broker answers ({'; '.join(faults)}); start one with `allocator up` or set ALLOCATOR_KAFKA_BOOTSTRAP{hint}"
    )


def knock_now(settings: Settings) -> None:
    """`knock`, for commands."""
    asyncio.run(knock(settings))


async def _knock_at(host: str, port: int, name: str, access: dict[str, Any]) -> None:
    limit_ms = int(KNOCK_LIMIT_S * 1000)
    async with asyncio.timeout(KNOCK_LIMIT_S):
        connection = AIOKafkaConnection(host, port, client_id=name, request_timeout_ms=limit_ms, **access)
        try:
            await connection.connect()
            # versions are told to anyone; whoever demands a user hangs up at the first real question
            await connection.send(MetadataRequest([]))
        finally:
            closed = connection.close()
            if connection._protocol is not None:  # else there never was a connection to wait for
                await asyncio.wait({closed}, timeout=1.0)


def _refusal(settings: Settings, address: str, error: BaseException) -> str | None:
    """Why a broker that is there and this client don't come together; None if it may be a matter of time."""
    mechanism, protocol = settings.kafka_sasl_mechanism, settings.kafka_security_protocol
    match error:
        case SaslAuthenticationFailed():
            return (
                f"{address} refuses the user {settings.kafka_username!r} ({mechanism}): check "
                f"ALLOCATOR_KAFKA_USERNAME and ALLOCATOR_KAFKA_PASSWORD"
            )
        case UnsupportedSaslMechanismError():
            return f"{address} does not offer {mechanism}: set ALLOCATOR_KAFKA_SASL_MECHANISM to one that it offers"
        case IllegalSaslStateError():
            return f"{address} asks for no user, but ALLOCATOR_KAFKA_SECURITY_PROTOCOL is {protocol}"
        case ssl.SSLCertVerificationError():
            return (
                f"the certificate of {address} is not trusted: {error.verify_message}; "
                f"ALLOCATOR_KAFKA_TLS_CA names the file with its issuer's certificate"
            )
        case ssl.SSLError():
            return f"{address} does not speak TLS ({error.reason}), but ALLOCATOR_KAFKA_SECURITY_PROTOCOL is {protocol}"
    return None


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
        # others learn of a rebalance with their next heartbeat: it is a part of every failover
        heartbeat_interval_ms=int(settings.session_timeout_s * 1000 / 12),
        rebalance_timeout_ms=int((settings.takeover_deadline_s + settings.commit_deadline_s) * 1000),
        max_poll_interval_ms=int((settings.takeover_deadline_s + settings.watchdog_s) * 1000),
        request_timeout_ms=int(max(settings.session_timeout_s, settings.commit_deadline_s) * 1000),
    )


def reader(settings: Settings, fetch_bytes: int = FETCH_BYTES) -> Consumer:
    """A consumer outside any group that reads what is committed, from positions it is given."""
    fetched.install()
    return AIOKafkaConsumer(
        **_common(settings, "reader"),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=fetch_bytes,
        request_timeout_ms=int(settings.commit_deadline_s * 1000),
        # it is told the topics one at a time, by an error each, and pauses so long after every one (default: 100)
        retry_backoff_ms=10,
    )


def history(settings: Settings) -> dict[str, Any]:
    """Arguments of a kafka-python consumer of what is committed: for commands, which have no event loop."""
    header_names.install_for_kafka_python()
    return {
        **_common(settings, "history"),
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "fetch_max_wait_ms": 50,
        "request_timeout_ms": 15_000,
    }


def audience(settings: Settings, isolation: str) -> dict[str, Any]:
    """Arguments of the auditor's kafka-python consumer; `isolation` as Kafka names it."""
    header_names.install_for_kafka_python()
    return {
        **_common(settings, "audit"),
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": isolation,
        "allow_auto_create_topics": False,
        "fetch_max_wait_ms": 50,
    }


def replayer(settings: Settings) -> dict[str, Any]:
    """Arguments of kafka-python's transactional producer that puts dead letters back; there is one at a time."""
    return {
        **_common(settings, "replay"),
        "transactional_id": f"{settings.app_id}-replay",
        "transaction_timeout_ms": TRANSACTION_TIMEOUT_MS,
        "acks": "all",
        "linger_ms": 5,
        "max_request_size": settings.input_bytes + OVERHEAD_BYTES,
        "allow_auto_create_topics": False,
    }


def sender(settings: Settings) -> Producer:
    """A producer of input events for commands: in order, each once."""
    return AIOKafkaProducer(
        **_common(settings, "send"),
        acks="all",
        enable_idempotence=True,
        max_batch_size=262_144,
        max_request_size=settings.input_bytes + OVERHEAD_BYTES,
        request_timeout_ms=int(settings.commit_deadline_s * 1000),
    )


def admin(settings: Settings) -> dict[str, Any]:
    """Arguments of a kafka-python admin client."""
    return {**_common(settings, "admin"), "bootstrap_timeout_ms": int(KNOCK_LIMIT_S * 1000)}


def transactional_id(settings: Settings, partition: int) -> str:
    """The name under which every writer of a partition fences the one before."""
    return f"{settings.app_id}-{partition}"


def transactional_producer(settings: Settings, partition: int) -> Producer:
    """The only writer of a partition; starting it fences whoever was the writer before."""
    aiokafka.producer.sender.BACKOFF_OVERRIDE = MARKER_BACKOFF_S
    return AIOKafkaProducer(
        **_common(settings, f"partition-{partition}"),
        transactional_id=transactional_id(settings, partition),
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
