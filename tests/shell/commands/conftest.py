"""A small deployment for the commands: a broker a module, fresh topics a test, a worker where one is asked for."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from load.system.worker_process import Worker
from stream.local import LocalKafka, folder
from stream.local.broker import free_port
from stream.settings import PREFIX, Settings
from stream.topics import topics


@pytest.fixture(autouse=True)
def no_deployment_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find no deployment that somebody runs, or ran, in this checkout."""
    monkeypatch.setattr(folder, "home", lambda: tmp_path / "nothing runs here")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def settings(broker: LocalKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    # kafka-python warns when it is imported, which pytest lets pass only once it has read its settings
    from stream.shell.kafka import topic_admin  # noqa: PLC0415
    from tests.shell.harness import make_topics, settings_for  # noqa: PLC0415

    settings = settings_for(broker.bootstrap, tmp_path)
    make_topics(settings)
    admin = topic_admin.connect(settings)
    admin.wait_for_topics([topic.name for topic in topics(settings)])
    admin.close()
    for name in [name for name in os.environ if name.startswith(PREFIX) and "JAVA" not in name]:
        monkeypatch.delenv(name)
    for name in ("KAFKA_BOOTSTRAP", "PARTITIONS", "REPLICATION", "DATA_DIR", "SESSION_TIMEOUT_S", "LOG_FORMAT"):
        monkeypatch.setenv(f"{PREFIX}{name}", str(getattr(settings, name.lower())))
    monkeypatch.setenv(f"{PREFIX}MARKET_REFERENCE_WAIT_S", "3")
    return settings


@pytest.fixture
def worker(settings: Settings, tmp_path: Path) -> Iterator[Worker]:
    worker = Worker({}, free_port(), tmp_path / "worker.log")
    worker.start()
    try:
        worker.wait_until_ready()
        yield worker
    finally:
        worker.stop()
