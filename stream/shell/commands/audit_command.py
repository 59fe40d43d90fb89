"""The command `audit`: read the topics and check the promises from outside, see `stream.audit`.

One partition after another. What is checked ends where the log ended when its turn came: first the end of its
round records is noted (up to the last committed one), then the ends of the other topics, open transactions
included, which are then read until they are closed. So every output of the last round is there, whatever
happens meanwhile. Topics of which the next round needs nothing are paused, so memory stays small.

Exits 0 without a violation, 1 with one line per violation, 2 when it could not look.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from kafka import KafkaConsumer, TopicPartition

from stream import settings as settings_module
from stream.audit import Audit, IncompleteLog, Record, Violation
from stream.audit.log import TOPICS
from stream.settings import Settings
from stream.shell.commands.failures import FINE, WRONG, PersonNeeded, plain_errors
from stream.shell.kafka import clients
from stream.topics import ROUNDS

AHEAD = 5_000
PATIENCE_S = 60.0
POLL_MS = 200
BATCH = 2_000

EXAMPLES = """
\b
Examples:
  allocator audit
  allocator audit --partition 3 --partition 4
  allocator audit --bootstrap broker:9092 --json | jq '.violations[].records'
"""


class AuditStuck(PersonNeeded):
    """The topics could not be read to where they ended."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked and what was found.

    ``assumed`` is the number of rounds that are older than policies in the log: what they don't say is taken to be
    what a worker without settings brings.
    """

    partitions: list[int]
    rounds: int
    records: int
    assumed: int
    violations: list[Violation]


@contextmanager
def _consumer(settings: Settings, isolation: str) -> Iterator[Any]:
    consumer = KafkaConsumer(**clients.audience(settings, isolation), max_poll_records=BATCH)
    try:
        yield consumer
    finally:
        consumer.close()


def partitions_of(settings: Settings) -> list[int]:
    """Partitions of the topic of round records.

    Raises
    ------
    AuditStuck
        The topic does not exist.
    """
    with _consumer(settings, "read_committed") as consumer:
        found = consumer.partitions_for_topic(ROUNDS)
    if not found:
        raise AuditStuck(f"there is no topic {ROUNDS}: has a worker ever run? Try `allocator topics check`")
    return sorted(found)


def ends_of(settings: Settings, partition: int) -> dict[str, int]:
    """Where each topic ends: the committed end of the rounds first, then the very ends of the others."""
    rounds = TopicPartition(ROUNDS, partition)
    others = [TopicPartition(topic, partition) for topic in TOPICS if topic != ROUNDS]
    with _consumer(settings, "read_committed") as consumer:
        ends = consumer.end_offsets([rounds])
    with _consumer(settings, "read_uncommitted") as consumer:
        ends |= consumer.end_offsets(others)
    return {place.topic: end for place, end in ends.items()}


def read(settings: Settings, auditor: Audit, partition: int) -> Iterator[list[Violation]]:
    """Feed a partition to its auditor until every round is checked; yields what was found, batch by batch.

    Raises
    ------
    AuditStuck
        Nothing arrived for a minute although the topics are not read to their ends.
    """
    ends = ends_of(settings, partition)
    places = {topic: TopicPartition(topic, partition) for topic in TOPICS}
    with _consumer(settings, "read_committed") as consumer:
        consumer.assign(list(places.values()))
        consumer.seek_to_beginning(*places.values())
        heard = time.monotonic()
        open_topics = active = set(TOPICS)
        positions: dict[str, int] = {}
        while True:
            before = auditor.records, len(open_topics)
            added = [topic for topic in sorted(active) if places[topic] not in consumer.assignment()]
            if added or len(active) < len(consumer.assignment()):
                # not pause and resume: kafka-python 3.0 may never return to a partition that was paused while
                # fetched records of it were waiting
                consumer.assign([places[topic] for topic in sorted(active)])
                for topic in added:
                    consumer.seek(places[topic], positions[topic])
            for batch in consumer.poll(timeout_ms=POLL_MS).values():
                auditor.feed(_record(record) for record in batch if record.offset < ends[record.topic])
            for topic in sorted(active):
                positions[topic] = consumer.position(places[topic])
                auditor.reached(topic, min(positions[topic], ends[topic]))
                if positions[topic] >= ends[topic]:
                    auditor.ended(topic)
                    open_topics = open_topics - {topic}
            yield auditor.check()
            wanted = auditor.starving()
            if not wanted and ROUNDS not in open_topics:
                return
            ahead = {topic for topic in open_topics if topic not in wanted and auditor.buffered(topic) > AHEAD}
            active = open_topics - ahead or open_topics
            if before != (auditor.records, len(open_topics)):
                heard = time.monotonic()
            elif time.monotonic() - heard > PATIENCE_S:
                raise AuditStuck(
                    f"no more of {', '.join(sorted(wanted))} in {PATIENCE_S:.0f} s: is a broker down?"
                )


def _record(record: Any) -> Record:
    return Record(record.topic, record.partition, record.offset, record.key, record.value, record.headers)


def run(settings: Settings, wanted: tuple[int, ...] = (), progress: bool = False) -> Report:
    """Audit partitions, all of them by default.

    Raises
    ------
    AccessRefused, BrokerUnreachable, AuditStuck, IncompleteLog, KafkaError
        The topics can't be read, or not from their beginning.
    """
    clients.knock_now(settings)
    all_partitions = partitions_of(settings)
    rounds = records = assumed = 0
    violations: list[Violation] = []
    partitions = [number for number in all_partitions if not wanted or number in wanted]
    for partition in partitions:
        auditor = Audit(partition, len(all_partitions))
        for found in read(settings, auditor, partition):
            violations += found
            if progress:
                done = f"partition {partition}: {auditor.rounds} rounds, {auditor.records} records"
                click.echo(f"\r{done}, {len(violations)} violations", nl=False, err=True)
        if progress:
            click.echo(err=True)
        rounds, records = rounds + auditor.rounds, records + auditor.records
        assumed += auditor.assumed
    return Report(partitions=partitions, rounds=rounds, records=records, assumed=assumed, violations=violations)


@click.command(epilog=EXAMPLES)
@click.option("--bootstrap", help="Broker address; ALLOCATOR_KAFKA_BOOTSTRAP otherwise.")
@click.option("--partition", "wanted", type=int, multiple=True, help="Only this partition; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")
@click.option("--quiet", is_flag=True, help="No progress on the terminal.")
def audit(bootstrap: str | None, wanted: tuple[int, ...], as_json: bool, quiet: bool) -> None:
    """Check the promises from outside, by reading the topics.

    Follows every round with a state machine of its own, by the limits that the log says pools run by. Prints one line
    per violation, naming the promise and the records (topic-partition-offset) that show it. Exits 1 when there is one,
    2 when it could not look.
    """
    with plain_errors():
        settings: Settings = settings_module.load()
        if bootstrap:
            settings = msgspec.structs.replace(settings, kafka_bootstrap=bootstrap)
        progress = not quiet and not as_json and sys.stderr.isatty()
        try:
            report = run(settings, wanted, progress)
        except IncompleteLog as error:
            raise PersonNeeded(str(error)) from None
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        for violation in report.violations:
            click.echo(str(violation))
        if report.assumed:
            said = f"{report.assumed} rounds are older than policies in the log"
            click.echo(f"{said}: in them every limit is taken to be its default", err=True)
        followed = f"{report.rounds} rounds of {len(report.partitions)} partitions, {report.records} records"
        click.echo(f"{len(report.violations)} violations in {followed}")
    sys.exit(WRONG if report.violations else FINE)
