"""The operator's commands, told as histories: start, look, apply, look again, stop."""

import json
import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from kafka import KafkaProducer

from stream.local.broker import free_port
from stream.settings import Settings
from stream.shell.commands.admin import doctor, kafka, topics
from stream.shell.commands.doctor import check_folders, check_variables
from stream.topics import TASKS, dead_letters
from stream.topics import topics as wanted_topics


class Operator:
    """Runs commands with an environment of its own and tells what each said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.monkeypatch = monkeypatch
        for name in [name for name in os.environ if name.startswith("ALLOCATOR_") and "JAVA" not in name]:
            monkeypatch.delenv(name)
        self.given(DATA_DIR=str(folder), KAFKA_BOOTSTRAP="127.0.0.1:1", REPLICATION="1", PARTITIONS="2")

    def given(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(f"ALLOCATOR_{name}", value)

    def run(self, command: click.Command, *arguments: str) -> Result:
        result = CliRunner().invoke(command, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    def verdicts(self) -> dict[str, set[str]]:
        """Verdicts of the doctor by check."""
        found: dict[str, set[str]] = {}
        for finding in json.loads(self.run(doctor, "--json").output):
            found.setdefault(finding["check"], set()).add(finding["verdict"])
        return found


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Operator:
    return Operator(monkeypatch, tmp_path)


@pytest.mark.kafka
def test_from_nothing_to_a_broker_with_all_topics_and_back(operator: Operator) -> None:
    port = free_port()
    started = operator.run(kafka, "start", "--port", str(port))
    try:
        assert started.exit_code == 0, started.output
        assert f"export ALLOCATOR_KAFKA_BOOTSTRAP=127.0.0.1:{port}" in started.output
        operator.given(KAFKA_BOOTSTRAP=f"127.0.0.1:{port}")
        assert operator.run(kafka, "start").output == operator.run(kafka, "start").output
        assert operator.run(kafka, "start", "--port", str(port + 1)).exit_code == 2

        wanted = wanted_topics(Settings(partitions=2, replication=1))
        before = operator.run(topics, "check")
        assert before.exit_code == 1
        assert before.output.count("create it: allocator topics apply") == len(wanted)
        assert operator.verdicts()["topics"] == {"wrong"}
        assert operator.run(doctor).exit_code == 1

        applied = operator.run(topics, "apply")
        assert applied.exit_code == 0, applied.output
        assert applied.output.count("created ") == len(wanted)
        assert json.loads(operator.run(topics, "check", "--json").output) == []
        verdicts = operator.verdicts()
        assert verdicts.pop("workers") == {"look"}  # nobody has started one
        assert set().union(*verdicts.values()) == {"fine"}
        assert operator.run(doctor).exit_code == 0

        producer = KafkaProducer(bootstrap_servers=f"127.0.0.1:{port}")
        producer.send(TASKS, b"{}", key=b"pool", timestamp_ms=1).get(30)
        producer.send(dead_letters(TASKS), b"{}").get(30)
        producer.close()
        verdicts = operator.verdicts()
        assert verdicts["lag"] == {"look"}
        assert verdicts["dead letters"] == {"look"}, "one finding a reason, of both topics"
        assert verdicts["clock"] == {"fine"}

        operator.given(PARTITIONS="4", REPLICATION="2")
        check = operator.run(topics, "check")
        assert check.exit_code == 1
        assert check.output.count("ALLOCATOR_PARTITIONS=2") == len(wanted)
        assert check.output.count("ALLOCATOR_REPLICATION=1") == len(wanted)
        assert operator.verdicts()["brokers"] == {"wrong"}
    finally:
        assert operator.run(kafka, "stop").output == f"stopped Kafka at 127.0.0.1:{port}\n"
    assert operator.run(kafka, "stop").output == "no local broker runs\n"
    unreachable = operator.run(topics, "check")
    assert unreachable.exit_code == 2
    assert "start one with `allocator up`" in unreachable.stderr


def test_without_a_broker_the_doctor_says_how_to_get_one(operator: Operator) -> None:
    result = operator.run(doctor)
    assert result.exit_code == 2, "as every command without a broker"
    assert "no broker answers (127.0.0.1:1:" in result.output
    assert "start one with `allocator up`" in result.output


def test_a_setting_out_of_bounds_is_wrong(operator: Operator) -> None:
    operator.given(PARTITIONS="0")
    assert operator.verdicts()["settings"] == {"fine", "wrong"}
    for command, name in ((topics, "apply"), (topics, "check"), (kafka, "start"), (kafka, "stop")):
        result = operator.run(command, name)
        assert result.exit_code == 2
        assert "ALLOCATOR_PARTITIONS" in result.stderr


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant() -> None:
    (finding,) = check_variables({"ALLOCATOR_PARTITION": "4", "PATH": "/bin"})
    assert (finding.verdict, finding.remedy) == ("look", "did you mean ALLOCATOR_PARTITIONS?")


def test_a_secret_in_a_file_is_a_known_setting() -> None:
    (finding,) = check_variables({"ALLOCATOR_KAFKA_BOOTSTRAP_FILE": "/run/secrets/kafka"})
    assert finding.verdict == "fine"


def test_folders_that_cannot_be_written_are_found(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    data, cache = check_folders(
        Settings(data_dir=str(blocked / "run")), {"NUMBA_CACHE_DIR": str(blocked / "cache")}
    )
    assert (data.verdict, cache.verdict) == ("wrong", "look")
    data, cache = check_folders(Settings(data_dir=str(tmp_path / "new")), {"NUMBA_CACHE_DIR": str(tmp_path)})
    assert (data.verdict, cache.verdict) == ("fine", "fine")
    assert not (tmp_path / "new").exists()
