"""The demo's settings against the real core, in memory: does the policy reach what bench-demo asks for?

One seed and a coarse clock keep it quick; the bar is bench-demo's minus the spread between seeds (.005).
"""

import pytest

from load.bench.bench_demo import ACCURACY, JUDGMENTS
from load.replay.session import Setting, market_of
from load.world.crowd import read
from load.world.dry_run import Rehearsal, rehearse
from load.world.usual import UsualPractice
from tests.load.bench.in_memory import InMemory

SETTING = Setting()
SECONDS = 36.0
SPREAD = 0.005


@pytest.fixture(scope="module")
def run() -> tuple[InMemory, Rehearsal]:
    allocator = InMemory(market_of(SETTING))
    figures = rehearse(
        allocator,
        read("rte"),
        SETTING.rule,
        habits=SETTING.habits,
        seed=SETTING.seed,
        speed=SETTING.speed,
        lease_s=SETTING.lease_s,
        seconds=SECONDS,
        step_s=0.1,
    )
    return allocator, figures


@pytest.mark.slow
def test_accuracy_and_spend_keep_to_the_bar_of_bench_demo(run: tuple[InMemory, Rehearsal]) -> None:
    _, figures = run
    assert figures.accuracy >= ACCURACY - SPREAD
    assert figures.received <= JUDGMENTS


@pytest.mark.slow
def test_every_task_ends_and_nothing_is_a_dead_letter(run: tuple[InMemory, Rehearsal]) -> None:
    allocator, figures = run
    assert figures.settled == figures.tasks == 800
    assert allocator.dead_letters == []


@pytest.mark.slow
def test_the_spammer_judges_a_small_part_of_what_is_open_to_it(run: tuple[InMemory, Rehearsal]) -> None:
    _, figures = run
    assert 0 < figures.spammer < 0.1 * figures.tasks


@pytest.mark.slow
def test_it_is_more_accurate_than_the_usual_practice(run: tuple[InMemory, Rehearsal]) -> None:
    _, figures = run
    usual = UsualPractice(
        read("rte"), SETTING.habits, SETTING.seed, start=0.0, speed=SETTING.speed, lease_s=SETTING.lease_s
    )
    usual.advance(SECONDS)
    assert figures.accuracy > usual.accuracy + 0.02


@pytest.mark.slow
def test_every_round_states_a_gap_within_the_markets_target(run: tuple[InMemory, Rehearsal]) -> None:
    allocator, _ = run
    gaps = [pool.gap for completed in allocator.rounds for pool in completed.pools if pool.offers]
    assert gaps
    assert max(gaps) <= market_of(SETTING).gap


@pytest.mark.slow
def test_biased_people_are_seen_through_with_a_quarter_of_their_judgments() -> None:
    """On bluebird a majority vote of all 39 answers per task is right on .759; by seed it is .70 to .85 here."""
    bluebird = read("bluebird")
    runs = [
        rehearse(
            InMemory(market_of(SETTING)),
            bluebird,
            SETTING.rule,
            habits=SETTING.habits,
            seed=seed,
            speed=SETTING.speed,
            lease_s=SETTING.lease_s,
            seconds=30.0,
            step_s=0.1,
        )
        for seed in range(1, 7)
    ]
    assert sum(run.accuracy for run in runs) / len(runs) > 0.759
    assert max(run.received for run in runs) < 10 * len(bluebird.answers)
