"""A short course of the proof under faults: what `make chaos` does at length, on a real Kafka."""

from pathlib import Path

import pytest

from load.chaos.run import PLANTED, Outcome, Plan, Run
from load.chaos.verdict import judge

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.slow,
    # clients leave sockets open when the broker dies under them; the collector finds them later
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FAULTS = (
    "input duplicated",
    "input reordered",
    "input malformed",
    "input misplaced",
    "upstream aborts",
    "kill at commit.during",
    "pause past the session",
    "broker dies",
)


def outcome(folder: Path, faults: tuple[str, ...], events: int, seconds: float, **environment: str) -> Outcome:
    plan = Plan(
        seed=11, partitions=4, workers=2, events=events, seconds=seconds, faults=faults, environment=environment
    )
    return Run(plan, folder, print).run()


def test_a_deployment_under_faults_breaks_no_promise_and_settles_every_judgment_once(tmp_path: Path) -> None:
    found = outcome(tmp_path, FAULTS, 12_000, 30.0, **PLANTED)
    assert found.is_clean, found
    assert found.ledger is not None
    assert found.bitten.keys() == set(FAULTS), found.faults
    assert found.events >= 12_000 and found.offers > 0
    assert found.ledger.records >= found.ledger.judgments > 1000
    assert judge(found, [], {}, 1.0).ok is False  # short of the bars, and nobody was found guilty


def test_the_auditor_convicts_a_worker_that_offers_something_twice(tmp_path: Path) -> None:
    found = outcome(tmp_path, (), 2_000, 5.0, ALLOCATOR_FAULT_DOUBLE_OFFER="2")
    assert found.violations, found
