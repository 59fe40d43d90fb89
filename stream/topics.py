"""The table of topics: name, what it is for, how long it keeps its records.

All topics have the same number of partitions, fixed for life: partition ``p`` of every topic belongs to the
worker that owns partition ``p`` of the inputs. Changelogs are compacted and carry the state; event topics keep
their records for a time. Outputs, dead letters and changelogs accept records 64 KiB larger than the inputs.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from stream.settings import Settings

TASKS = "labeling.tasks.v1"
ANNOTATORS = "labeling.annotators.v1"
INPUTS = (TASKS, ANNOTATORS)

ASSIGNMENTS = "labeling.assignments.v1"
DECISIONS = "labeling.decisions.v1"
JUDGMENTS = "labeling.judgments.v1"
CONSENSUS = "labeling.consensus.v1"
ROUNDS = "labeling.rounds.v1"
OUTPUTS = (ASSIGNMENTS, DECISIONS, JUDGMENTS, CONSENSUS, ROUNDS)

TABLES = ("tasks", "annotators", "skills")

OVERHEAD_BYTES = 64 << 10

#: Header of a mark in a dead-letter topic: the letter at this offset of the same partition has been replayed.
REPLAYED = "__streams.replayed.offset"
#: Header of a replayed input record: the name of the dead letter it was.
REPLAY_OF = "__streams.replay.of"
DAY_MS = 86_400_000
# a row is replaced or removed for good within a day, the tombstone that removes it a day later: that long the id of
# a person who was erased may stay; what is still being written to is not compacted, so segments end early
COMPACTION = {
    "cleanup.policy": "compact",
    "max.compaction.lag.ms": str(DAY_MS),
    "delete.retention.ms": str(DAY_MS),
    "segment.bytes": str(128 << 20),
}


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One topic as it must exist on the broker."""

    name: str
    kind: Literal["input", "output", "dead_letters", "changelog"]
    content: str
    partitions: int
    replication: int
    config: dict[str, str]


def dead_letters(topic: str) -> str:
    """Name of the topic that keeps the unusable records of an input topic."""
    return f"{topic}-dlt"


def is_mark(headers: Iterable[tuple[str, bytes]]) -> bool:
    """Whether a record of a dead-letter topic is no letter but the mark that one has been replayed."""
    names = {name for name, _ in headers}
    return REPLAYED in names and "__streams.errors.offset" not in names


def changelog(settings: Settings, table: str) -> str:
    """Name of the topic that carries a table's rows (Faust's naming)."""
    return f"{settings.app_id}-{table}-changelog"


def topics(settings: Settings) -> list[Topic]:
    """All topics of one deployment."""
    insync = str(min(2, settings.replication))
    larger = str(settings.input_bytes + OVERHEAD_BYTES)

    def topic(name: str, kind: str, content: str, days: float | None, max_bytes: str) -> Topic:
        config = {"max.message.bytes": max_bytes, "min.insync.replicas": insync}
        if days is None:
            config |= COMPACTION
        else:
            config |= {"cleanup.policy": "delete", "retention.ms": str(int(days * DAY_MS))}
        return msgspec.convert(
            {
                "name": name,
                "kind": kind,
                "content": content,
                "partitions": settings.partitions,
                "replication": settings.replication,
                "config": config,
            },
            Topic,
        )

    keep, out = settings.input_retention_days, settings.output_retention_days
    inputs = [
        topic(TASKS, "input", "events of tasks, projects, pools", keep, str(settings.input_bytes)),
        topic(ANNOTATORS, "input", "events of annotators", keep, str(settings.input_bytes)),
    ]
    for one in inputs:
        # senders may compress as they like, and neither of our clients reads lz4, snappy or zstd: the broker unpacks it
        one.config["compression.type"] = "uncompressed"
    outputs = [
        topic(ASSIGNMENTS, "output", "offers, leases, ends", out, larger),
        topic(DECISIONS, "output", "why each offer was made", out, larger),
        topic(JUDGMENTS, "output", "what became of each judgment", out, larger),
        topic(CONSENSUS, "output", "what is known of each task's label", out, larger),
        topic(ROUNDS, "output", "the record of each round", out, larger),
    ]
    letters = [
        topic(dead_letters(name), "dead_letters", f"unusable records of {name}", keep, larger) for name in INPUTS
    ]
    changelogs = [
        topic(changelog(settings, table), "changelog", f"rows of the table {table}", None, larger) for table in TABLES
    ]
    return inputs + outputs + letters + changelogs
