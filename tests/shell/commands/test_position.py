"""Input that retention has removed before it was applied: nobody skips it but a person, and the log says so."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from stream.core.intake.partitioning import partition_of
from stream.settings import Settings
from stream.shell.commands import audit_command
from stream.topics import TASKS
from tests.shell.harness import PARTITIONS, ROOT, Worker, is_applied, make_topics, rounds, send, settings_for, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

POOL = "captions"
PARTITION = partition_of(POOL.encode(), PARTITIONS)


class Scene:
    """A deployment, who sends tasks to it, and who types commands."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sent = 0
        self.workers: list[Worker] = []

    def start(self) -> Worker:
        worker = Worker(self.settings, f"worker-{len(self.workers)}", "tests/shell/allocating.py")
        self.workers.append(worker)
        return worker.start()

    def run(self, worker: Worker) -> None:
        until(lambda: worker.code is not None or len(worker.owned()) == PARTITIONS, 300, "the worker runs")

    def tasks(self, count: int) -> None:
        event = {"type": "task_created", "pool": POOL, "at": 1.0, "project": "j", "skill": "s", "classes": 2}
        names = [f"t{self.sent + i}" for i in range(count)]
        values = [msgspec.json.encode(event | {"task": name}) for name in names]
        send(self.settings.kafka_bootstrap, TASKS, PARTITION, *values, key=POOL.encode())
        self.sent += count

    def remove(self, before: int) -> None:
        """As retention does."""
        admin = KafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap)
        admin.delete_records({TopicPartition(TASKS, PARTITION): before})
        admin.close()

    def command(self, *arguments: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
        environ = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "ALLOCATOR_REPLICATION": "1",
            "ALLOCATOR_KAFKA_BOOTSTRAP": self.settings.kafka_bootstrap, "ALLOCATOR_APP_ID": self.settings.app_id,
            "ALLOCATOR_PARTITIONS": str(PARTITIONS),
        }  # fmt: skip
        return subprocess.run(
            [str(ROOT / ".venv/bin/allocator"), *arguments],
            env=environ, input=answer, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def accept(self, to: int, *more: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
        return self.command(
            "position", "accept-loss", "--topic", TASKS, "--partition", str(PARTITION), "--to", str(to), *more,
            answer=answer,
        )  # fmt: skip


@pytest.fixture
def scene(kafka: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    settings = settings_for(kafka, tmp_path, app_id=f"position-{request.node.name[:30]}")
    make_topics(settings)
    scene = Scene(settings)
    yield scene
    for worker in scene.workers:
        worker.kill()


def last_words(worker: Worker) -> str:
    return " ".join(worker.text().split())[-1500:]


def test_a_loss_is_stopped_at_accepted_by_a_person_and_recorded(scene: Scene) -> None:
    first = scene.start()
    scene.run(first)
    refused = scene.accept(5)
    assert refused.returncode == 1
    assert "nothing of labeling.tasks.v1 is lost" in refused.stderr or "never had a round" in refused.stderr
    scene.tasks(10)
    until(lambda: is_applied(scene.settings), 60, "all is applied")
    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    scene.tasks(20)
    scene.remove(25)
    second = scene.start()
    assert second.wait(300) == 2
    assert f"allocator position accept-loss --topic {TASKS} --partition {PARTITION} --to 25" in last_words(second)

    wrong = scene.accept(24, "--yes")
    assert wrong.returncode == 1 and "Expected --to 25" in wrong.stderr
    declined = scene.accept(25, answer="n\n")
    assert declined.returncode == 1 and "offsets 10 to 24" in declined.stdout
    assert scene.start().wait(300) == 2, "nothing is accepted by looking"
    accepted = scene.accept(25, "--yes", "--json")
    assert accepted.returncode == 0, accepted.stderr
    loss: dict[str, Any] = json.loads(accepted.stdout)
    assert (loss["topic"], loss["partition"], loss["start"], loss["end"]) == (TASKS, PARTITION, 10, 25)
    assert scene.accept(25, "--yes").returncode == 1, "it is accepted"

    scene.run(scene.start())
    until(lambda: is_applied(scene.settings), 60, "the rest is applied")
    completed = rounds(scene.settings.kafka_bootstrap)[PARTITION]
    (stated,) = [one for one in completed if one.lost]
    assert stated.lost == {TASKS: (10, 25)} and stated.offsets[TASKS][0] == 25
    report = audit_command.run(scene.settings)
    assert [str(violation) for violation in report.violations] == []


def test_a_worker_that_is_overtaken_while_it_sleeps_ends_with_the_same_words(scene: Scene) -> None:
    worker = scene.start()
    scene.run(worker)
    scene.tasks(10)
    until(lambda: is_applied(scene.settings), 60, "all is applied")
    worker.signal(signal.SIGSTOP)
    scene.tasks(1)  # answers the fetch under way
    scene.tasks(19)
    scene.remove(25)
    worker.signal(signal.SIGCONT)
    code = worker.wait(120)
    if code == 70:  # an orchestrator starts it again
        worker = scene.start()
        code = worker.wait(300)
    assert code == 2
    assert f"accept-loss --topic {TASKS} --partition {PARTITION} --to 25" in last_words(worker)
