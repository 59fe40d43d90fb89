"""The local broker is a real Kafka that keeps its data, dies with its parent and fails in plain words."""

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from stream.local import KafkaUnavailable, LocalKafka, local_kafka
from stream.local.broker import answers, free_port, java_words
from stream.local.jars import cache_folder


def create_topic(bootstrap: str) -> str:
    name = f"local-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(name, 1, 1)])
    admin.close()
    return name


def produce(bootstrap: str, topic: str, value: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send(topic, value).get(timeout=30)
    producer.close()


def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=30_000
    )
    values = [record.value for record in itertools.islice(consumer, count)]
    consumer.close()
    return values


def wait_for(condition: Callable[[], bool], what: str, limit_s: float = 30.0) -> None:
    end, pause = time.monotonic() + limit_s, 0.02
    while not condition():
        assert time.monotonic() < end, f"not within {limit_s} s: {what}"
        time.sleep(pause)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.kafka
def test_a_record_produced_is_a_record_consumed(kafka: str) -> None:
    topic = create_topic(kafka)
    produce(kafka, topic, b"one")
    assert consume(kafka, topic, 1) == [b"one"]


@pytest.mark.kafka
def test_data_and_address_survive_kill_and_restart(own_kafka: LocalKafka) -> None:
    for port in (own_kafka.port, own_kafka.controller_port):  # below those the system gives to clients
        assert 10_000 <= port < 32_768
    bootstrap, topic = own_kafka.bootstrap, create_topic(own_kafka.bootstrap)
    produce(bootstrap, topic, b"before")
    own_kafka.kill()
    assert own_kafka.pid is None
    assert not answers(bootstrap)
    own_kafka.start()
    assert own_kafka.bootstrap == bootstrap
    produce(bootstrap, topic, b"between")
    own_kafka.restart()
    assert consume(bootstrap, topic, 2) == [b"before", b"between"]


@pytest.mark.kafka
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child when its parent dies")
def test_the_jvm_dies_with_its_parent_even_on_sigkill(tmp_path: Path) -> None:
    code = (
        "import pathlib, signal, sys, threading\n"
        "from stream.local import LocalKafka\n"
        "broker = LocalKafka(pathlib.Path(sys.argv[1]))\n"
        # the JVM must outlive the thread that asked for it
        "starter = threading.Thread(target=broker.start)\n"
        "starter.start(); starter.join()\n"
        "print(broker.pid, flush=True); signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        jvm = int(parent.stdout.readline())
        assert alive(jvm)
        os.kill(parent.pid, signal.SIGKILL)
        wait_for(lambda: not alive(jvm), "the JVM has ended")


def test_a_configured_broker_is_used_and_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOCATOR_KAFKA_BOOTSTRAP", "kafka.example:9092")
    monkeypatch.setenv("ALLOCATOR_KAFKA_JAVA", "/nonexistent/java")
    with local_kafka() as bootstrap:
        assert bootstrap == "kafka.example:9092"


def test_without_any_way_to_start_a_command_exits_2_at_once_with_cause_and_four_fixes(tmp_path: Path) -> None:
    code = (
        "import time; began = time.perf_counter()\n"
        "from stream.local import kafka_or_exit\n"
        "try:\n"
        "    with kafka_or_exit(): raise AssertionError('started')\n"
        "finally: print(time.perf_counter() - began)\n"
    )
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path), "ALLOCATOR_KAFKA_JAVA": str(tmp_path / "java")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    assert done.returncode == 2
    assert f"ALLOCATOR_KAFKA_JAVA={tmp_path / 'java'} does not run" in done.stderr
    for fix in ("ALLOCATOR_KAFKA_BOOTSTRAP=", "docker compose up", "KAFKA_HOME=", "HTTPS_PROXY="):
        assert fix in done.stderr
    assert float(done.stdout) < 1.0


@pytest.mark.kafka
@pytest.mark.parametrize(
    "properties", [{"process.roles": "nonsense"}, {"log.retention.check.interval.ms": "nonsense"}]
)
def test_a_broker_that_cannot_start_says_what_kafka_says(
    tmp_path: Path, properties: dict[str, str]
) -> None:
    broker = LocalKafka(tmp_path, properties=properties)
    with pytest.raises(KafkaUnavailable, match="Invalid value nonsense for configuration"):
        broker.start()
    assert broker.pid is None


def test_of_javas_words_the_stack_is_left_out() -> None:
    output = "Exception: a port is taken\n\tat a.B(C.java:1)\n\tat d.E(F.java:2)\nCaused by: x\n"
    assert java_words(output) == "Exception: a port is taken\nCaused by: x"
    assert java_words("\n") == "it said nothing"


def test_another_program_on_the_port_is_never_taken_for_the_broker(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        broker = LocalKafka(tmp_path, port=port)
        with pytest.raises(KafkaUnavailable, match=f"port {port} on 127.0.0.1 is taken"):
            broker.start()
    assert broker.pid is None


def test_a_free_port_is_free_to_take() -> None:
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 1
    assert all(10_000 <= port < 32_768 for port in ports)


def test_the_cache_of_jars_is_the_users_maven_cache_or_the_one_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M2_REPO", "/caches/maven")
    assert cache_folder() == Path("/caches/maven")
    monkeypatch.delenv("M2_REPO")
    monkeypatch.setenv("HOME", "/homes/ada")
    assert cache_folder() == Path("/homes/ada/.m2/repository")
