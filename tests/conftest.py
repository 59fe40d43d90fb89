"""Fixtures of all tests: a real Apache Kafka, shared or of one's own, and Hypothesis without a stopwatch."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from numba.core import config

from stream.local import LocalKafka, local_kafka

# only where indices are checked: `make bounds`
collect_ignore = [] if config.BOUNDSCHECK else ["bounds"]

# the first example of a property may compile a kernel
settings.register_profile("allocator", deadline=None)
settings.load_profile("allocator")


def pytest_configure(config: pytest.Config) -> None:
    """Let pass the two warnings that importing kafka-python raises on Python 3.11 and 3.12."""
    for name in ("read_text", "open_text"):
        config.addinivalue_line("filterwarnings", f"ignore:{name} is deprecated:DeprecationWarning")


BrokerFactory = Callable[..., LocalKafka]


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Address of a broker shared by all tests: ALLOCATOR_KAFKA_BOOTSTRAP, else one started for this run.

    Tests keep apart by naming their topics, groups and applications themselves.
    """
    with local_kafka() as bootstrap:
        yield bootstrap


@pytest.fixture
def broker_factory(tmp_path: Path) -> Iterator[BrokerFactory]:
    """Start brokers that a test may stop, kill and restart: `broker_factory(**options_of_LocalKafka)`."""
    brokers: list[LocalKafka] = []

    def start(**options: object) -> LocalKafka:
        broker = LocalKafka(tmp_path / f"kafka-{len(brokers)}", **options)
        brokers.append(broker)
        broker.start()
        return broker

    yield start
    for broker in brokers:
        broker.kill()


@pytest.fixture
def own_kafka(broker_factory: BrokerFactory) -> LocalKafka:
    """A running broker of this test alone, on ports that stay its own while it is down."""
    return broker_factory()
