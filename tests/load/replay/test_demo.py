"""The demo from nothing to its figures, on a real Kafka of its own, with a small cut of the data."""

from collections.abc import Iterator

import msgspec
import pytest
from click.testing import CliRunner, Result

from load.replay.__main__ import replay
from load.replay.demo import demo
from load.replay.demo_report import report
from load.replay.session import PARTITIONS, Setting, new_app_id, run
from load.system.deployment import NotEmpty, require_empty
from load.world.figures import RunFigures
from load.world.live_market import Moment
from stream.local import LocalKafka

SETTING = Setting(data=("rte", "bluebird"), tasks=40, seconds=20.0, kill_at_s=6.0)


def silent(text: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    made = LocalKafka(tmp_path_factory.mktemp("kafka"))
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def moments() -> list[list[Moment]]:
    return []


@pytest.fixture(scope="module")
def replays() -> list[Result]:
    return []


def replay_at(broker: LocalKafka) -> Result:
    environment = {"ALLOCATOR_KAFKA_BOOTSTRAP": broker.bootstrap, "ALLOCATOR_PARTITIONS": str(PARTITIONS)}
    options = ["--tasks", "10", "--seconds", "4", "--scenario", "churn", "--copies", "2"]
    return CliRunner().invoke(replay, options, env=environment)


@pytest.fixture(scope="module")
def figures(broker: LocalKafka, moments: list[list[Moment]], replays: list[Result]) -> RunFigures:
    def watch(seconds: float, now: list[Moment], news: str) -> None:
        moments.append(now)

    def linger(_: RunFigures) -> None:
        replays.append(replay_at(broker))

    return run(broker.bootstrap, SETTING, new_app_id(), say=silent, watch=watch, linger=linger)


@pytest.mark.kafka
@pytest.mark.slow
def test_the_audit_finds_nothing_although_the_worker_was_killed_with_9(figures: RunFigures) -> None:
    assert figures.violations == 0, figures.audit
    assert figures.killed_at_s is not None
    assert figures.outage_s is not None


@pytest.mark.kafka
@pytest.mark.slow
def test_every_task_of_every_pool_settles(figures: RunFigures) -> None:
    assert [market.name for market in figures.markets] == ["rte", "bluebird"]
    for market in figures.markets:
        assert market.ours.settled == market.ours.tasks == 40
        assert sum(market.outcomes.values()) == 40


@pytest.mark.kafka
@pytest.mark.slow
def test_labels_are_better_than_chance_and_latency_was_measured(figures: RunFigures) -> None:
    # forty tasks of bluebird are too few to tell biased people from good ones: test_policy judges all of it
    assert figures.markets[0].name == "rte"
    assert figures.markets[0].ours.accuracy > 0.65
    assert figures.latency.samples > 100
    assert 0 < figures.latency.p50_ms <= figures.latency.p99_ms
    assert figures.rounds.gap_max <= 0.01
    assert figures.rounds.unproven < 0.01, "nearly all rounds look at every pair"


@pytest.mark.kafka
@pytest.mark.slow
def test_the_view_sees_both_lanes_grow(figures: RunFigures, moments: list[list[Moment]]) -> None:
    assert len(moments) > 10
    for first, last in zip(moments[0], moments[-1], strict=True):
        assert last.ours.judgments > first.ours.judgments
        assert last.usual.judgments >= first.usual.judgments


@pytest.mark.kafka
@pytest.mark.slow
def test_the_report_explains_a_decision_in_words(figures: RunFigures) -> None:
    text = report(figures)
    assert "Audit: 0 violations" in text
    assert "was offered the task" in " ".join(text.split())


@pytest.mark.kafka
@pytest.mark.slow
def test_figures_survive_json(figures: RunFigures) -> None:
    assert msgspec.json.decode(msgspec.json.encode(figures), type=RunFigures) == figures


@pytest.mark.kafka
@pytest.mark.slow
def test_a_broker_with_foreign_records_is_refused(figures: RunFigures, broker: LocalKafka) -> None:
    with pytest.raises(NotEmpty, match="needs them empty"):
        require_empty(broker.bootstrap)


@pytest.mark.kafka
@pytest.mark.slow
def test_the_command_refuses_such_a_broker_with_words_and_exit_code_1(
    figures: RunFigures, broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLOCATOR_KAFKA_BOOTSTRAP", broker.bootstrap)
    done = CliRunner().invoke(demo, ["--tasks", "5"])
    assert done.exit_code == 1
    assert "Unset ALLOCATOR_KAFKA_BOOTSTRAP" in done.output


@pytest.mark.kafka
@pytest.mark.slow
def test_a_replay_against_a_running_worker_settles_its_tasks(figures: RunFigures, replays: list[Result]) -> None:
    assert replays[0].exit_code == 0, replays[0].output
    told = [line for line in replays[0].output.splitlines() if "of 10 tasks settled" in line]
    assert [line.split("-")[1] for line in told] == ["1", "2"]
    assert all(line.startswith("rte-") and ": 10 of 10 tasks" in line for line in told)


@pytest.mark.kafka
@pytest.mark.slow
def test_a_replay_without_a_worker_says_so(figures: RunFigures, broker: LocalKafka) -> None:
    done = replay_at(broker)
    assert done.exit_code == 1
    assert "is a worker running?" in done.output
