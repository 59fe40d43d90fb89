"""What is known of a development broker is never mistaken for another process."""

import os
from pathlib import Path

import msgspec
import pytest

from stream.local import KafkaUnavailable, daemon
from stream.local.daemon import Daemon


def remember(folder: Path, state: Daemon) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kafka.json").write_bytes(msgspec.json.encode(state))


def test_a_folder_without_a_broker_is_known_as_that(tmp_path: Path) -> None:
    assert daemon.read(tmp_path) is None
    assert daemon.stop(tmp_path) is None


def test_a_process_that_took_over_the_number_is_neither_reported_nor_stopped(tmp_path: Path) -> None:
    remember(tmp_path, Daemon(port=9092, controller_port=9093, pid=os.getpid()))
    known = daemon.read(tmp_path)
    assert known is not None
    assert known.pid is None
    assert daemon.stop(tmp_path) is None


def test_a_known_broker_keeps_its_port(tmp_path: Path) -> None:
    remember(tmp_path, Daemon(port=9092, controller_port=9093))
    with pytest.raises(KafkaUnavailable, match="has port 9092, asked for 9094"):
        daemon.start(tmp_path, 9094)
