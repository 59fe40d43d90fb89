"""A worker that suffers: the product's own, with faults planted when it is ready to join the group."""

from collections.abc import Callable

import click
import msgspec

from load.planted import in_core, in_shell
from load.planted.faults import Faults, take
from stream.settings import Settings, SettingsError
from stream.shell.process.exits import OPERATOR
from stream.shell.process.log_lines import Log
from stream.shell.worker.app import make_shard
from stream.shell.worker.worker import start, warm_up

log = Log("allocator.planted")

Prepare = Callable[[Settings], None]


def then_plant(prepare: Prepare, faults: Faults) -> Prepare:
    """What a worker does before it joins the group, and then the planting.

    Not sooner: the market of the rehearsal makes offers too, and its shard makes rounds.
    """

    def prepare_and_plant(settings: Settings) -> None:
        prepare(settings)
        if faults != Faults():
            log.warning("faults_armed", faults=msgspec.to_builtins(faults))
        in_shell.plant(faults)
        in_core.plant(faults)

    return prepare_and_plant


def main() -> None:
    """Run a worker with settings and faults from the environment."""
    try:
        faults = take()
    except SettingsError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(OPERATOR) from None
    start(in_core.suffering(faults, make_shard), then_plant(warm_up, faults))
