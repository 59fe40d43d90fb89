"""The commands for whoever runs the allocator: `kafka start|stop`, `topics apply|check`, `doctor`.

Every command says what it found and what to do, exits 0 when all is well, 1 when something is left to do,
2 when it could not look, and prints JSON instead of words with `--json`.
"""

import sys
from pathlib import Path

import click
import msgspec

from stream import settings as settings_module
from stream.local import daemon
from stream.settings import Settings
from stream.shell.commands import doctor as doctor_module
from stream.shell.commands.failures import FINE, OPERATOR, WRONG, plain_errors
from stream.shell.kafka import topic_admin
from stream.shell.kafka.topic_admin import Drift
from stream.topics import topics as wanted_topics

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")


def _print_json(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def _folder(settings: Settings) -> Path:
    return Path(settings.data_dir) / "kafka"


@click.group()
def kafka() -> None:
    """A local development broker that keeps running."""


@kafka.command("start")
@click.option("--port", type=click.IntRange(1024, 65535), help="Port on 127.0.0.1 (9092 at first).")
def kafka_start(port: int | None) -> None:
    """Start the local broker and wait until it answers; its data stay in the data folder."""
    with plain_errors():
        settings = settings_module.load()
        running = daemon.start(_folder(settings), port)
    click.echo(f"Kafka runs at {running.bootstrap} (process {running.pid}), data in {_folder(settings)}")
    if settings.kafka_bootstrap != running.bootstrap:
        click.echo(f"  export ALLOCATOR_KAFKA_BOOTSTRAP={running.bootstrap}")
    if settings.replication > 1:
        click.echo("  export ALLOCATOR_REPLICATION=1    # one broker")
    click.echo("  allocator topics apply && allocator worker")


@kafka.command("stop")
def kafka_stop() -> None:
    """Stop the local broker; its data stay."""
    with plain_errors():
        stopped = daemon.stop(_folder(settings_module.load()))
    click.echo(f"stopped Kafka at {stopped.bootstrap}" if stopped else "no local broker runs")


@click.group()
def topics() -> None:
    """Create the topics, or check them against what they should be."""


def _print_drift(drift: list[Drift]) -> None:
    for one in drift:
        click.echo(f"{one.topic}: {one.what} is {one.found}, expected {one.expected}\n    {one.remedy}")


@topics.command("apply")
@json_option
def topics_apply(as_json: bool) -> None:
    """Create missing topics and set their settings; never changes partitions or replication."""
    with plain_errors():
        settings = settings_module.load()
        admin = topic_admin.connect(settings)
        try:
            applied = topic_admin.apply(admin, wanted_topics(settings))
        finally:
            admin.close()
    if as_json:
        _print_json(applied)
    else:
        for name in applied.created:
            click.echo(f"created {name}")
        for one in applied.changed:
            click.echo(f"set {one.topic}: {one.what} from {one.found} to {one.expected}")
        _print_drift(applied.left)
        if not applied.left:
            click.echo(f"all {len(wanted_topics(settings))} topics are as they should be")
    sys.exit(WRONG if applied.left else FINE)


@topics.command("check")
@json_option
def topics_check(as_json: bool) -> None:
    """Report every difference between the topics and what they should be."""
    with plain_errors():
        settings = settings_module.load()
        admin = topic_admin.connect(settings)
        try:
            drift = topic_admin.find_drift(admin, wanted_topics(settings))
        finally:
            admin.close()
    if as_json:
        _print_json(drift)
    else:
        _print_drift(drift)
        if not drift:
            click.echo(f"all {len(wanted_topics(settings))} topics are as they should be")
    sys.exit(WRONG if drift else FINE)


@click.command()
@click.option("--pools", is_flag=True, help="Look into the pools also when they are large.")
@json_option
def doctor(pools: bool, as_json: bool) -> None:
    """Look at settings, broker, topics, clock, workers, caches and pools, and say what to do.

    Exit code 1: something is wrong; 2: it could not look (no broker, unusable settings).
    """
    findings = doctor_module.examine(whole=pools)
    if as_json:
        _print_json(findings)
    else:
        for finding in findings:
            click.echo(f"{finding.verdict:>7}  {finding.check}: {finding.found}")
            if finding.remedy:
                click.echo(f"{'':>9}{finding.remedy}")
    wrong = {finding.check for finding in findings if finding.verdict == "wrong"}
    sys.exit(OPERATOR if wrong & {"broker", "settings"} else WRONG if wrong else FINE)
