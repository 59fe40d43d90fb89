"""The command `position accept-loss`: go on behind input that retention has removed before it was applied.

    position of the state ─── removed ─── begin of the topic ─── …
            └── accept-loss: fence, read the position, write it anew as the begin, in one transaction

A worker never skips input: when its position lies before the topic's begin it ends and says so. A person decides,
here. The command writes the position row as the partition's own writer does (who is fenced by it, if one runs), with
what was lost; the next round states the loss in its record, where auditors find it, and goes on.
"""

import asyncio
import time

import click
import msgspec
from aiokafka import TopicPartition

from stream.core.saved.restore import read_position
from stream.core.saved.rows import POSITION, Position, RowError, position_row
from stream.settings import Settings, load
from stream.shell.commands.failures import NotRight, plain_errors
from stream.shell.kafka import clients
from stream.shell.kafka.transaction import Producer
from stream.topics import INPUTS, changelog

EXAMPLES = """
\b
Example:
  allocator position accept-loss --topic labeling.tasks.v1 --partition 3 --to 48112
"""


class NothingLost(NotRight):
    """There is no such loss to accept."""


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """Offsets [start, end) of an input that will never be applied."""

    topic: str
    partition: int
    start: int
    end: int
    round: int  # the last round before it


async def _newest(settings: Settings, reader: clients.Consumer, partition: int) -> Position | None:
    """The position row of a partition, None if it never had a round."""
    tp = TopicPartition(changelog(settings, "annotators"), partition)
    reader.assign([tp])
    end = (await reader.end_offsets([tp]))[tp]
    await reader.seek_to_beginning(tp)
    found: bytes | None = None
    while await reader.position(tp) < end:
        for records in (await reader.getmany(tp, timeout_ms=200)).values():
            found = next((record.value for record in reversed(records) if record.key == POSITION), found)
    if found is None:
        return None
    try:
        return read_position(found)
    except RowError as error:
        raise NothingLost(str(error)) from error


def _loss(settings: Settings, position: Position | None, begin: int, topic: str, partition: int, to: int) -> Loss:
    if not 0 <= partition < settings.partitions:
        raise NothingLost(f"Expected a partition in [0, {settings.partitions}), got {partition}")
    if position is None:
        raise NothingLost(f"partition {partition} never had a round: a worker begins where the topic does")
    start = position.offsets.get(topic, 0)
    if begin <= start:
        raise NothingLost(f"nothing of {topic} is lost in partition {partition}: the position is {start}, the topic "
                          f"begins at {begin}")  # fmt: skip
    if to != begin:
        raise NothingLost(f"Expected --to {begin}, where {topic} begins in partition {partition} now, got {to}: look "
                          f"again at what is lost, then repeat the command with --to {begin}")  # fmt: skip
    return Loss(topic=topic, partition=partition, start=start, end=begin, round=position.round)


async def find(settings: Settings, topic: str, partition: int, to: int) -> Loss:
    """Say what would be lost.

    Raises
    ------
    NothingLost
        Nothing, or something else than is stated.
    BrokerUnreachable, AccessRefused, KafkaError
        The topics can't be read.
    """
    await clients.knock(settings)
    reader = clients.reader(settings)
    try:
        await reader.start()
        tp = TopicPartition(topic, partition)
        if not 0 <= partition < settings.partitions:
            return _loss(settings, None, 0, topic, partition, to)
        begin = (await reader.beginning_offsets([tp]))[tp]
        return _loss(settings, await _newest(settings, reader, partition), begin, topic, partition, to)
    finally:
        await reader.stop()


async def accept(settings: Settings, topic: str, partition: int, to: int) -> Loss:
    """Write the position anew behind the loss; the partition's worker, if one runs, ends and is fenced.

    Raises
    ------
    NothingLost, BrokerUnreachable, AccessRefused, KafkaError, TimeoutError
        Nothing has changed.
    """
    async with asyncio.timeout(settings.takeover_deadline_s):
        producer = Producer(settings, partition)
        await producer.fence()
        reader = clients.reader(settings)
        try:
            await reader.start()
            begin = (await reader.beginning_offsets([TopicPartition(topic, partition)]))[
                TopicPartition(topic, partition)
            ]
            position = await _newest(settings, reader, partition)
            loss = _loss(settings, position, begin, topic, partition, to)
            assert position is not None
            earlier = position.lost.get(topic)
            lost = position.lost | {topic: (earlier[0] if earlier else loss.start, loss.end)}
            moved = msgspec.structs.replace(position, offsets=position.offsets | {topic: loss.end}, lost=lost)
            await producer.commit(producer.encode_rows({"annotators": [position_row(moved)]}, time.time()))
        finally:
            await reader.stop()
            await producer.close()
    return loss


@click.group()
def position() -> None:
    """Where a partition stands in its input."""


@position.command("accept-loss", epilog=EXAMPLES)
@click.option("--topic", type=click.Choice(INPUTS), required=True, help="The input topic.")
@click.option("--partition", type=int, required=True, help="The partition.")
@click.option("--to", type=click.IntRange(0), required=True, help="Where the topic begins now: the worker names it.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words; needs --yes.")
def accept_loss(topic: str, partition: int, to: int, yes: bool, as_json: bool) -> None:
    """Go on behind input that retention has removed before it was applied.

    A worker that finds its position removed ends with exit code 2 and prints this command. What is lost stays lost:
    raise the retention first (ALLOCATOR_INPUT_RETENTION_DAYS, `allocator topics apply`), and have the senders repeat
    what they can; repeats are harmless. The next round of the partition states the loss in its record. Then start the
    worker again. Exits 1 when there is no such loss, 2 when it could not look.
    """
    if as_json and not yes:
        raise click.UsageError("--json needs --yes: nobody is there to be asked")
    with plain_errors():
        settings = load()
        loss = asyncio.run(find(settings, topic, partition, to))
        if not yes:
            click.echo(
                f"{topic} partition {partition}: offsets {loss.start} to {loss.end - 1} were removed before they were "
                f"applied ({loss.end - loss.start} offsets, after round {loss.round})."
            )
            click.confirm("Their events are lost for good. Go on without them?", abort=True)
        loss = asyncio.run(accept(settings, topic, partition, to))
    if as_json:
        click.echo(msgspec.json.encode(loss).decode())
    else:
        click.echo(f"accepted: {topic} partition {partition} goes on at {loss.end}; start the worker again")
