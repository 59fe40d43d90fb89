"""`allocator skills POOL`: what the allocator knows about people's skills, from the committed state.

The rows of the pool's partition are read from the changelogs up to their present end and linked as a worker does it
at a takeover; no worker is asked, none needs to run.
"""

from typing import Any

import click
import msgspec
from kafka import KafkaConsumer, TopicPartition

from stream.core.partitioning import partition_of
from stream.core.shard import Shard
from stream.core.skills import SkillReport, reports
from stream.settings import Settings, load
from stream.shell.commands.failures import NotRight, plain_errors
from stream.shell.kafka import clients
from stream.topics import TABLES, changelog

ROW = "{:<20} {:<20} {:>7} {:>6} {:>15} {:>7} {:>9} {:>6} {:>9}"
HEAD = ROW.format("annotator", "skill", "classes", "mean", "90 % interval", "n", "gold", "drift", "contained")


class UnknownPool(NotRight):
    """The state holds no such pool, or no such annotator in it."""


def recovered(settings: Settings, partition: int) -> Shard:
    """Read a partition's committed state.

    Raises
    ------
    RowError
        The state was written by another version, or is damaged.
    """
    clients.knock_now(settings)
    consumer: Any = KafkaConsumer(**clients.history(settings))
    shard = Shard(partition, settings.market, settings.partitions)
    try:
        for table in TABLES:
            tp = TopicPartition(changelog(settings, table), partition)
            consumer.assign([tp])
            end = consumer.end_offsets([tp])[tp]
            consumer.seek_to_beginning(tp)
            while consumer.position(tp) < end:
                records = consumer.poll(timeout_ms=200).get(tp, ())
                shard.restore_many(table, [(record.key, record.value) for record in records])
    finally:
        consumer.close()
    shard.restored()
    return shard


def find(settings: Settings, pool: str, annotator: str | None) -> list[SkillReport]:
    """What is known in a pool, or of one of its annotators.

    Raises
    ------
    UnknownPool
        There is no such pool or annotator.
    """
    partition = partition_of(pool.encode(), settings.partitions)
    state = recovered(settings, partition).pools.get(pool)
    if state is None:
        raise UnknownPool(f"there is no pool {pool!r} in partition {partition}; nothing about it has been committed")
    if annotator is not None and annotator not in state.annotators.slots:
        raise UnknownPool(f"there is no annotator {annotator!r} in the pool {pool!r}")
    return list(reports(state, annotator))


def line(report: SkillReport) -> str:
    """One row of the table."""
    between = f"{report.low:.3f} to {report.high:.3f}"
    tried = f"{report.gold_right}/{report.gold}"
    return ROW.format(
        report.annotator, report.skill, report.classes or "scored", f"{report.mean:.3f}", between,
        f"{report.judgments:.1f}", tried, f"{report.drift:.2f}", "yes" if report.contained else "no",
    )  # fmt: skip


HELP = """Print what is known about skills in POOL: accuracy, its 90 % interval, what it rests on, drift.

Example: allocator skills support --annotator ana

`n` is the effective number of judgments, prior and imports included; `gold` how many answers to tasks of known answer
were right; `drift` reaches 1 when an alarm is raised; somebody `contained` gets next to no work until they do better.
"""


@click.command(help=HELP)
@click.argument("pool")
@click.option("--annotator", help="Of this annotator only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def skills(pool: str, annotator: str | None, as_json: bool) -> None:
    """Print the table; exits 1 when there is no such pool or annotator."""
    with plain_errors():
        found = find(load(), pool, annotator)
    if as_json:
        for report in found:
            click.echo(msgspec.json.encode(report).decode())
    else:
        click.echo("\n".join([HEAD, *map(line, found)]))
