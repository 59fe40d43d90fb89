"""`python -m load.replay`: the people and tasks of a label set against workers that already run.

For looking at a deployment under a known load: no worker is started, killed or audited, nothing is
reset. Broker and number of partitions come from the `ALLOCATOR_…` variables, as for a worker. Pools are
named after the set, the seed and the time, so a replay never meets the tasks of an earlier one;
`--copies` plays the same set in several pools, with other seeds.

    steady   people come and go as recorded
    surge    everybody is there from the first second
    churn    sessions of a quarter of the length, one offer in five is declined, ignored or dropped half-way
"""

import sys
import time

import click
import msgspec

from load.replay.course import Course, Plan
from load.replay.live import View
from load.replay.session import Setting
from load.system.wire import Wire
from load.world.crowd import DataError, read
from load.world.habits import Habits
from load.world.live_market import Market
from stream.settings import SettingsError, load
from stream.topics import OUTPUTS

SCENARIOS = {
    "steady": Habits(),
    "surge": Habits(presence=1.0),
    "churn": Habits(
        session_s=75.0, decline=0.08, ignore=0.05, leave=0.04, vanish=0.02, late=0.01, skip_accept=0.2
    ),
}


@click.command()
@click.option("--data", default="rte", show_default=True, help="A label set: name or folder.")
@click.option("--scenario", type=click.Choice(list(SCENARIOS)), default="steady", show_default=True)
@click.option("--copies", type=click.IntRange(1, 64), default=1, help="Pools side by side.")
@click.option("--seed", default=1, show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="Most seconds of the replay.")
@click.option("--tasks", type=click.IntRange(1), help="Only the first N tasks.")
def replay(**options: object) -> None:
    """Replay a label set through the broker that ALLOCATOR_KAFKA_BOOTSTRAP names."""
    chosen = msgspec.convert(options, Options)
    try:
        settings, crowd = load(), read(chosen.data)
    except (SettingsError, DataError) as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    crowd = crowd.cut(chosen.tasks) if chosen.tasks else crowd
    default = Setting()
    begun = time.time()
    markets = [
        Market(
            crowd,
            msgspec.structs.replace(default.rule, lease_s=default.lease_s / default.speed),
            SCENARIOS[chosen.scenario],
            seed,
            pool=f"{crowd.name}-{seed}-{begun:.0f}",
            start=begun,
            speed=default.speed,
            lease_s=default.lease_s,
        )
        for seed in range(chosen.seed, chosen.seed + chosen.copies)
    ]
    view = View(sys.stdout, [market.pool for market in markets])
    with Wire(settings.kafka_bootstrap, settings.partitions, OUTPUTS) as wire:
        course = Course(wire, None, markets, Plan(seconds=chosen.seconds, kill_at_s=None), view.show)
        seconds = course.run()
    for market in markets:
        ours = market.look(time.time()).ours
        click.echo(
            f"{market.pool}: {ours.settled} of {ours.tasks} tasks settled with {ours.judgments} judgments in"
            f" {seconds:.0f} s, accuracy {ours.accuracy:.3f}"
        )
    if not any(market.score.received for market in markets):
        click.echo("error: nothing came back; is a worker running? Try `allocator doctor`", err=True)
        raise SystemExit(1)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line said."""

    data: str
    scenario: str
    copies: int
    seed: int
    seconds: float
    tasks: int | None


if __name__ == "__main__":
    replay()
