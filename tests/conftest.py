"""Fixtures of all tests: a real Apache Kafka, shared or of one's own, and Hypothesis without a stopwatch.

With `--quick` only what is quick, and no excuses: see `Quick`. Where Python runs the kernels (`make python-kernels`)
of each test the first four sets of parameters in the order of the run, which is drawn.
"""

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from numba.core import config as numba_config

from stream.local import LocalKafka, local_kafka

# only where indices are checked: `make bounds`
collect_ignore = [] if numba_config.BOUNDSCHECK else ["bounds"]

# the first example of a property may compile a kernel
settings.register_profile("allocator", deadline=None)
settings.load_profile("allocator")


QUICK_S = 2.0
INTERPRETED_SETS = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quick`."""
    parser.addoption("--quick", action="store_true", help="no Kafka, nothing slow, and nothing that ought to be")


def pytest_configure(config: pytest.Config) -> None:
    """Arrange for `--quick`; let pass the two warnings that importing kafka-python raises on Python 3.11 and 3.12."""
    if config.getoption("quick"):
        config.option.markexpr = "not kafka and not slow"
        config.pluginmanager.register(Quick())
    for name in ("read_text", "open_text"):
        config.addinivalue_line("filterwarnings", f"ignore:{name} is deprecated:DeprecationWarning")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a compiler, few sets of parameters of each test."""
    if not numba_config.DISABLE_JIT:
        return
    seen: Counter[str] = Counter()
    kept: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        name = item.nodeid.partition("[")[0]
        seen[name] += 1
        (kept if seen[name] <= INTERPRETED_SETS else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = kept


class Quick:
    """Fails whatever takes as long as a test that is marked slow: unless somebody says so, the quick run gets slower.

    What counts is the processor time of a test with its fixtures and processes, but for compiling and loading kernels:
    other processes of the machine cost a test nothing, and neither do the tests before which it is drawn.
    """

    def __init__(self) -> None:
        from numba.core import event  # noqa: PLC0415 - slow to import, and needed here alone

        self.compiling = event.TimingListener()
        event.register("numba:compiler_lock", self.compiling)

    def _spent(self) -> float:
        times = os.times()
        compiling = self.compiling.duration if self.compiling.done else 0.0
        return times.user + times.system + times.children_user + times.children_system - compiling

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self.begun = self._spent()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        result = yield
        spent = self._spent() - self.begun
        if spent > QUICK_S:
            pytest.fail(f"took {spent:.1f} s of the processor: mark it slow, or make it take less than {QUICK_S}")
        return result


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

    def start(**options: Any) -> LocalKafka:
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
