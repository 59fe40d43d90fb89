"""Workers as processes, a load that keeps going, and an oracle that reads the topics from outside."""

import http.client
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from stream.events import RoundCompleted, decode_result
from stream.local.broker import free_port
from stream.settings import Secret, Settings, load
from stream.topics import INPUTS, JUDGMENTS, ROUNDS, topics

ROOT = Path(__file__).parents[2]
PARTITIONS = 4


def settings_for(bootstrap: str, folder: Path, **changes: Any) -> Settings:
    """Settings of a small deployment on that broker."""
    base = {
        "kafka_bootstrap": bootstrap, "partitions": PARTITIONS, "replication": 1, "data_dir": str(folder),
        "session_timeout_s": 6.0, "log_format": "text", "commit_deadline_s": 15.0, "watchdog_s": 20.0,
    }  # fmt: skip
    return msgspec.structs.replace(load({}), **base | changes)


def make_topics(settings: Settings) -> None:
    """Create all topics of the deployment, empty."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    old = [name for name in admin.list_topics() if not name.startswith("__")]
    if old:
        admin.delete_topics(old)
        until(lambda: not set(old) & set(admin.list_topics()), 20, "the old topics are gone")
    admin.create_topics(
        [NewTopic(t.name, t.partitions, t.replication, topic_configs=t.config) for t in topics(settings)]
    )
    admin.close()


def members(settings: Settings) -> int:
    """How many workers the group has, as the broker sees it."""
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    group = admin.describe_groups([settings.app_id])[settings.app_id]
    admin.close()
    return len(group["members"])


class Worker:
    """A worker process: with counting shards, or another program; `environ` holds planted faults."""

    def __init__(
        self, settings: Settings, name: str, program: str = "tests/shell/counting.py", **environ: str
    ) -> None:
        self.program, self.environ = program, environ
        self.port = free_port()
        self.settings = settings
        self.log = Path(settings.data_dir) / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Worker":
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "ALLOCATOR_WEB_PORT": str(self.port)}
        for field in Settings.__struct_fields__:
            if field not in ("market", "web_port"):
                value = getattr(self.settings, field)
                environ[f"ALLOCATOR_{field.upper()}"] = value.reveal() if isinstance(value, Secret) else str(value)
        environ |= self.environ
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / self.program)],
                stdout=log,
                stderr=log,
                env=environ,
                cwd=ROOT,
            )
        return self

    @property
    def code(self) -> int | None:
        """Exit code, None while it runs."""
        return None if self.process is None else self.process.poll()

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, limit_s: float = 30.0) -> int:
        assert self.process is not None
        return self.process.wait(limit_s)

    def kill(self) -> None:
        """As `kill -9`."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of one of the worker's pages; status 0 when it doesn't answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def owned(self) -> list[int]:
        """Partitions that run here now."""
        status, body = self.get("/readyz")
        return json.loads(body)["partitions"] if status == 200 else []

    def text(self) -> str:
        return self.log.read_text()


def until(claim: Callable[[], object], limit_s: float, what: str) -> float:
    """Wait until `claim` holds; returns the seconds it took."""
    started = time.monotonic()
    while not claim():
        if time.monotonic() - started > limit_s:
            raise AssertionError(f"not within {limit_s:.0f} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - started


class Load(threading.Thread):
    """Sends keyed records to both inputs at a steady rate until it is stopped."""

    def __init__(self, bootstrap: str, per_s: float = 1500.0) -> None:
        super().__init__(daemon=True)
        self._address, self._per_s = bootstrap, per_s
        self._end = threading.Event()
        self.sent = 0

    def run(self) -> None:
        producer = KafkaProducer(bootstrap_servers=self._address, linger_ms=2, acks="all")
        started = time.monotonic()
        while not self._end.wait(0.005):
            while self.sent < (time.monotonic() - started) * self._per_s:
                i = self.sent
                producer.send(
                    INPUTS[i % 2], key=f"k{i % 100}".encode(), value=b"x", partition=i % 100 % PARTITIONS
                )
                self.sent += 1
        producer.flush()
        producer.close()

    def stop(self) -> None:
        self._end.set()
        self.join(60)
        assert not self.is_alive()


def send(bootstrap: str, topic: str, partition: int, *values: bytes, key: bytes = b"k") -> None:
    """Send a few records and wait until they are there."""
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for value in values:
        producer.send(topic, key=key, value=value, partition=partition)
    producer.flush()
    producer.close()


def read(bootstrap: str, topic: str) -> list[Any]:
    """All committed records of a topic, in the order of their partitions."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False,
        auto_offset_reset="earliest", group_id=None,
    )  # fmt: skip
    tps = [TopicPartition(topic, p) for p in range(PARTITIONS)]
    consumer.assign(tps)
    ends = consumer.end_offsets(tps)
    consumer.seek_to_beginning(*tps)
    found: list[Any] = []
    while any(consumer.position(tp) < ends[tp] for tp in tps):
        for records in consumer.poll(timeout_ms=200).values():
            found += records
    consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))


def rounds(bootstrap: str) -> dict[int, list[RoundCompleted]]:
    """Records of all rounds, per partition, in order."""
    found: dict[int, list[RoundCompleted]] = defaultdict(list)
    for record in read(bootstrap, ROUNDS):
        completed = decode_result(record.value)
        assert isinstance(completed, RoundCompleted)
        found[record.partition].append(completed)
    return found


def account(bootstrap: str) -> int:
    """Prove that every input was applied exactly once, in order, on the state before it; return how many.

    Raises
    ------
    AssertionError
        With the first thing that is wrong.
    """
    inputs = {(r.topic, r.partition, r.offset): r.key for topic in INPUTS for r in read(bootstrap, topic)}
    counts: dict[tuple[int, bytes], int] = defaultdict(int)
    seen = set()
    last: dict[tuple[str, int], int] = {}
    for record in read(bootstrap, JUDGMENTS):
        output = json.loads(record.value)
        if "woken" in output:
            continue
        source = (output["topic"], record.partition, output["offset"])
        assert source not in seen, f"{source} was applied twice"
        seen.add(source)
        assert inputs[source] == record.key
        assert output["offset"] > last.get(source[:2], -1), f"{source} was applied out of order"
        last[source[:2]] = output["offset"]
        counts[record.partition, record.key] += 1
        assert output["count"] == counts[record.partition, record.key], (
            f"{source} was applied to an older state"
        )
    missing = inputs.keys() - seen
    assert not missing, f"{len(missing)} inputs were not applied, one is {min(missing)}"
    for partition, completed in rounds(bootstrap).items():
        assert [r.round for r in completed] == list(range(1, len(completed) + 1)), f"rounds of {partition}"
        for before, after in itertools.pairwise(completed):
            for topic in INPUTS:
                assert after.offsets[topic][0] == before.offsets[topic][1], f"positions of {partition}"
    return len(seen)


def is_applied(settings: Settings) -> bool:
    """Whether the rounds have reached the end of all inputs."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, group_id=None)
    tps = [TopicPartition(topic, p) for topic in INPUTS for p in range(PARTITIONS)]
    ends = consumer.end_offsets(tps)
    consumer.close()
    reached = rounds(settings.kafka_bootstrap)
    return all(
        not end or (reached[tp.partition] and reached[tp.partition][-1].offsets[tp.topic][1] >= end)
        for tp, end in ends.items()
    )
