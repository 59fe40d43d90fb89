"""A worker that meets an error of the program, on a real Kafka: the culprit is put aside, the rest goes on exactly."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from stream import events as wire
from stream.core.intake.partitioning import partition_of
from stream.settings import Settings
from stream.shell.commands import audit_command
from stream.topics import ANNOTATORS, ASSIGNMENTS, TASKS, dead_letters
from tests.shell.harness import PARTITIONS, Worker, is_applied, make_topics, read, rounds, send, settings_for, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

POOL, SICK = "captions", "moderation"


class Scene:
    """One worker in which an error is planted, and who sends events to it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.worker = Worker(
            settings, "worker", "load/planted/__main__.py",
            ALLOCATOR_FAULT_EVENT="culprit", ALLOCATOR_FAULT_SOLVE="broken",
        )  # fmt: skip
        self.at = 1_700_000_000.0

    def send(self, topic: str, *events: dict[str, Any]) -> None:
        for event in events:
            self.at += 1.0
            stated = {"pool": POOL, "at": self.at} | event
            pool = stated["pool"].encode()
            value = msgspec.json.encode(stated)
            wire.decode(value)
            send(self.settings.kafka_bootstrap, topic, partition_of(pool, PARTITIONS), value, key=pool)

    def task(self, name: str, **fields: Any) -> dict[str, Any]:
        given = {"type": "task_created", "task": name, "project": "j", "skill": "s", "classes": 2, "overlap": 1}
        return given | fields

    def person(self, name: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            {"type": "annotator_set", "annotator": name, "skills": ["*"]} | fields,
            {"type": "annotator_online", "annotator": name, "capacity": 20, "ttl_s": 9e8} | fields,
        ]

    def offered(self, pool: str) -> set[str]:
        found = [json.loads(record.value) for record in read(self.settings.kafka_bootstrap, ASSIGNMENTS)]
        return {one["task"] for one in found if one["type"] == "assignment_offered" and one["pool"] == pool}

    def violations(self) -> list[str]:
        report = audit_command.run(self.settings)
        assert report.rounds
        return [str(violation) for violation in report.violations]


@pytest.fixture(scope="module")
def scene(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    settings = settings_for(kafka, tmp_path_factory.mktemp("worker"), app_id="isolation")
    make_topics(settings)
    scene = Scene(settings)
    scene.worker.start()
    until(lambda: len(scene.worker.owned()) == PARTITIONS, 300, "the worker runs")  # it may have to compile
    yield scene
    scene.worker.kill()


def test_culprits_are_put_aside_and_everything_else_of_their_batch_goes_on(scene: Scene) -> None:
    scene.send(ANNOTATORS, *scene.person("ann"))
    names = [f"t{i}" for i in range(12)]
    marked = {"t3": "culprit-3", "t4": "culprit-4", "t11": "culprit-11"}
    scene.send(TASKS, *(scene.task(name, **{"event_id": marked[name]} if name in marked else {}) for name in names))
    until(lambda: is_applied(scene.settings), 60, "all is applied")
    letters = read(scene.settings.kafka_bootstrap, dead_letters(TASKS))
    assert {json.loads(letter.value)["task"] for letter in letters} == set(marked)
    for letter in letters:
        headers = dict(letter.headers)
        assert headers["reason"] == b"internal"
        assert b"planted on event" in headers["__streams.errors.message"]
    assert scene.offered(POOL) - {"elsewhere"} == set(names) - set(marked)
    text = scene.worker.text()
    assert "core_raised" in text and "culprit_isolated" in text and "PlantedFault" in text
    metrics = scene.worker.get("/metrics")[1]
    assert 'allocator_dead_letters_total{reason="internal",topic="labeling.tasks.v1-dlt"} 3.0' in metrics
    assert "allocator_isolations_total" in metrics
    assert scene.violations() == []


def test_a_pool_that_cannot_be_solved_stalls_is_published_and_goes_on_when_mended(scene: Scene) -> None:
    sick = {"pool": SICK}
    scene.send(TASKS, scene.task("broken", **sick), scene.task("sound", **sick))
    scene.send(ANNOTATORS, *scene.person("bob", **sick))
    scene.send(ANNOTATORS, *scene.person("ann"))
    scene.send(TASKS, scene.task("elsewhere"))
    until(lambda: is_applied(scene.settings), 60, "all is applied")
    assert scene.offered(SICK) == set()
    assert "elsewhere" in scene.offered(POOL)
    stalled = json.loads(scene.worker.get("/readyz")[1])["stalled"]
    assert stalled == {str(partition_of(SICK.encode(), PARTITIONS)): [SICK]}
    assert (
        f'allocator_stalled_pools{{partition="{partition_of(SICK.encode(), PARTITIONS)}"}} 1.0'
        in (scene.worker.get("/metrics")[1])
    )
    scene.send(TASKS, {"type": "task_cancelled", "task": "broken"} | sick)
    until(lambda: scene.offered(SICK) == {"sound"}, 30, "the pool goes on")
    assert json.loads(scene.worker.get("/readyz")[1])["stalled"] == {}
    published = rounds(scene.settings.kafka_bootstrap)[partition_of(SICK.encode(), PARTITIONS)]
    assert [one.pool for one in next(r for r in published if r.stalled).stalled] == [SICK]
    assert not published[-1].stalled
    assert scene.violations() == []
