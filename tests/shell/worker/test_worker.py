"""Worker processes against a real Kafka: nothing is lost or doubled, whatever happens to them or to it."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from stream.local import LocalKafka
from stream.settings import Settings
from stream.topics import ANNOTATORS, JUDGMENTS, TASKS, dead_letters
from tests.shell.harness import (
    PARTITIONS,
    Load,
    Worker,
    account,
    is_applied,
    make_topics,
    members,
    read,
    rounds,
    send,
    settings_for,
    until,
)

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    # the load's client leaves a socket open when the broker dies under it; the collector finds it later
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Fleet:
    """The workers of a test; none outlives it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.workers: list[Worker] = []

    def start(self, **environ: str) -> Worker:
        worker = Worker(self.settings, f"worker-{len(self.workers)}", **environ)
        self.workers.append(worker)
        return worker.start()

    def owned(self) -> list[int]:
        """Partitions running anywhere, sorted; a partition owned twice is in it twice."""
        return sorted(p for worker in self.workers if worker.code is None for p in worker.owned())

    def wait_until_all_run(self, limit_s: float = 40.0) -> None:
        until(lambda: self.owned() == list(range(PARTITIONS)), limit_s, "all partitions run")

    def wait_until_applied(self, limit_s: float = 40.0) -> None:
        until(lambda: is_applied(self.settings), limit_s, "all input is applied")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def fleet(broker: LocalKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    settings = settings_for(broker.bootstrap, tmp_path, app_id=request.node.name[:60])
    make_topics(settings)
    fleet = Fleet(settings)
    yield fleet
    for worker in fleet.workers:
        worker.kill()


@pytest.fixture
def load(fleet: Fleet) -> Iterator[Load]:
    load = Load(fleet.settings.kafka_bootstrap)
    yield load
    if load.is_alive():
        load.stop()


def test_a_worker_killed_under_load_is_continued_exactly_by_its_successor(fleet: Fleet, load: Load) -> None:
    for _ in range(3):
        worker = fleet.start()
        if not load.is_alive():
            load.start()
        fleet.wait_until_all_run()
        sent = load.sent
        until(lambda sent=sent: load.sent > sent + 1500, 20, "load goes on")
        worker.kill()
    fleet.start()
    load.stop()
    fleet.wait_until_applied()
    assert account(fleet.settings.kafka_bootstrap) == load.sent


def test_workers_join_and_leave_under_load(fleet: Fleet, load: Load) -> None:
    first = fleet.start()
    load.start()
    fleet.wait_until_all_run()
    second = fleet.start()
    until(lambda: second.owned() and first.owned(), 40, "both own partitions")
    fleet.wait_until_all_run()
    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    fleet.wait_until_all_run()
    assert len(second.owned()) == PARTITIONS
    load.stop()
    fleet.wait_until_applied()
    assert account(fleet.settings.kafka_bootstrap) == load.sent
    # a partition that stayed where it was went on without a takeover
    kept = [line for line in first.text().splitlines() if "partitions_assigned" in line and "kept=2" in line]
    assert kept


def test_a_paused_process_that_wakes_up_is_fenced_and_exits(fleet: Fleet, load: Load) -> None:
    zombie = fleet.start()
    fleet.wait_until_all_run()
    load.start()
    until(lambda: load.sent > 1000, 20, "load runs")
    zombie.signal(signal.SIGSTOP)
    successor = fleet.start()
    until(lambda: len(successor.owned()) == PARTITIONS, 40, "the successor owns everything")
    zombie.signal(signal.SIGCONT)
    assert zombie.wait() == 70
    fleet.wait_until_all_run()
    load.stop()
    fleet.wait_until_applied()
    assert account(fleet.settings.kafka_bootstrap) == load.sent


def test_a_restart_of_the_broker_loses_nothing(fleet: Fleet, load: Load, broker: LocalKafka) -> None:
    fleet.start()
    load.start()
    fleet.wait_until_all_run()
    until(lambda: load.sent > 1000, 20, "load runs")
    broker.kill()
    broker.start()

    def recovered() -> bool:
        for worker in fleet.workers:
            if worker.code is not None:
                assert worker.code == 70, worker.text()[-2000:]
        if all(worker.code is not None for worker in fleet.workers):
            fleet.start()  # as an orchestrator would
        return fleet.owned() == list(range(PARTITIONS))

    until(recovered, 60, "all partitions run again")
    load.stop()
    until(lambda: recovered() and is_applied(fleet.settings), 60, "all input is applied")
    # the broker may have kept a record that it had no time to acknowledge and that was sent again
    assert account(fleet.settings.kafka_bootstrap) >= load.sent


@pytest.mark.parametrize("step", ["begin.after", "produce.during", "commit.during", "commit.after"])
def test_a_worker_that_dies_at_a_step_of_a_round_is_continued_exactly(fleet: Fleet, load: Load, step: str) -> None:
    load.start()
    worker = fleet.start(ALLOCATOR_FAULT_KILL=f"{step}:20")
    assert worker.wait(60) == -signal.SIGKILL
    assert "faults_armed" in worker.text()
    load.stop()
    fleet.start()
    fleet.wait_until_applied()
    assert account(fleet.settings.kafka_bootstrap) == load.sent


def test_a_takeover_that_lasts_longer_than_the_session_keeps_its_place_in_the_group(fleet: Fleet) -> None:
    slow_s = 1.5 * fleet.settings.session_timeout_s
    worker = fleet.start(COUNTING_RESTORE_S=str(slow_s))
    assert until(lambda: fleet.owned() == list(range(PARTITIONS)), 40, "all partitions run") > slow_s
    send(fleet.settings.kafka_bootstrap, TASKS, 0, b"x")
    fleet.wait_until_applied()
    assert "Heartbeat failed" not in worker.text()
    assert worker.text().count("partitions_assigned") == 1


def test_a_takeover_that_hangs_is_ended_by_the_watchdog(fleet: Fleet) -> None:
    impatient = msgspec.structs.replace(fleet.settings, watchdog_s=6.0)
    fleet.settings = impatient
    worker = fleet.start(ALLOCATOR_FAULT_TAKEOVER="block")
    assert worker.wait(60) == 70
    assert "no_progress" in worker.text()


def test_sigterm_commits_the_round_leaves_the_group_and_exits_0(fleet: Fleet, load: Load) -> None:
    worker = fleet.start()
    load.start()
    fleet.wait_until_all_run()
    until(lambda: load.sent > 1000, 20, "load runs")
    worker.signal(signal.SIGTERM)
    assert worker.wait(fleet.settings.drain_deadline_s) == 0
    assert members(fleet.settings) == 0
    assert "drained" in worker.text()
    load.stop()
    fleet.start()
    fleet.wait_until_applied()
    assert account(fleet.settings.kafka_bootstrap) == load.sent


def test_a_deadline_wakes_a_partition_without_input_once_its_input_is_known_to_be_complete(
    fleet: Fleet,
) -> None:
    fleet.start()
    fleet.wait_until_all_run()
    send(fleet.settings.kafka_bootstrap, TASKS, 2, b"wake:0.7")

    def woken() -> list[dict[str, float]]:
        found = [json.loads(record.value) for record in read(fleet.settings.kafka_bootstrap, JUDGMENTS)]
        return [output for output in found if "woken" in output]

    until(woken, 15, "the deadline wakes the partition")
    (output,) = woken()
    assert 0.0 <= output["now"] - output["woken"] < 1.0
    last = rounds(fleet.settings.kafka_bootstrap)[2][-1]
    assert last.events == 0
    assert output["woken"] <= last.complete_until <= last.at


def test_dead_letters_metrics_and_pages(fleet: Fleet) -> None:
    worker = fleet.start()
    assert worker.get("/readyz")[0] in (0, 503)
    fleet.wait_until_all_run()
    send(fleet.settings.kafka_bootstrap, ANNOTATORS, 1, b"x", b"bad", b"y", key=b"pool")
    fleet.wait_until_applied()
    (letter,) = read(fleet.settings.kafka_bootstrap, dead_letters(ANNOTATORS))
    assert (letter.partition, letter.key, letter.value) == (1, b"pool", b"bad")
    assert ("reason", b"malformed") in letter.headers
    assert worker.get("/livez") == (200, "live\n")
    text = worker.get("/metrics")[1]
    assert 'allocator_events_total{topic="labeling.annotators.v1"} 3.0' in text
    assert 'allocator_dead_letters_total{reason="malformed",topic="labeling.annotators.v1-dlt"} 1.0' in text
    assert "allocator_event_to_commit_seconds_count 3.0" in text
    assert "allocator_owned_partitions 4.0" in text
    assert 'allocator_position_lag{partition="1",topic="labeling.annotators.v1"} 0.0' in text
    assert worker.get("/table/tasks/")[0] == 404


def test_a_worker_without_its_topics_says_what_to_do_and_exits_2(fleet: Fleet) -> None:
    other = msgspec.structs.replace(fleet.settings, app_id="unprepared")
    worker = Fleet(other).start()
    assert worker.wait() == 2
    assert "unprepared-tasks-changelog is missing" in worker.text()
    assert "allocator topics apply" in worker.text()
