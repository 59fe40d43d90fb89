"""What a deployment knows, from its committed state: projects, tasks, people, classes. No worker is asked.

The rows of the pools' partitions are read from the changelogs up to their present ends and linked as a worker does it
at a takeover. `up_to_date` first waits until the workers have applied what lies before them.
"""

import asyncio
import time
from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np

from kernels.lifecycle.codes import OPEN
from stream.core.intake.partitioning import partition_of
from stream.core.saved.restore import read_position
from stream.core.saved.rows import POSITION
from stream.core.shard import Shard
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState
from stream.events import ProjectSet, TaskDefaults
from stream.settings import Settings
from stream.shell.commands.failures import PersonNeeded
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import Place, TopicReader
from stream.shell.commands.workers import workers_of
from stream.topics import INPUTS, TABLES, changelog

STATES = {1: "active", 2: "paused", 3: "closed"}
LOOK_EVERY_S = 0.3
PATIENCE_S = 60.0


class Task(NamedTuple):
    """A task that is known: its project and its number of classes (0: none)."""

    project: str
    classes: int


class Known:
    """The committed state of some partitions, to be asked by pool.

    Parameters
    ----------
    settings : Settings
    shards : dict
        By partition.
    """

    def __init__(self, settings: Settings, shards: dict[int, Shard]) -> None:
        self.settings, self.shards = settings, shards

    def pool(self, name: str) -> PoolState | None:
        """A pool's state; None when nothing about it has been committed."""
        return self.shards[partition_of(name.encode(), self.settings.partitions)].pools.get(name)

    def pools(self) -> list[str]:
        """Names of all pools that were read."""
        return [name for shard in self.shards.values() for name in shard.pools]

    def task(self, pool: str, task: str) -> Task | None:
        """A task; None when there is none of this id."""
        state = self.pool(pool)
        slot = None if state is None else state.tasks.slots.get(task)
        if state is None or slot is None:
            return None
        record = state.columns.tasks.records[slot]
        return Task(state.projects.ids[int(record["project"])] or "", int(record["classes"]))

    def has_gone(self, pool: str, task: str) -> bool:
        """Whether a task of this id has settled so long ago that its books are closed."""
        state = self.pool(pool)
        return state is not None and task in state.gone

    def has_annotator(self, pool: str, annotator: str) -> bool:
        """Whether somebody of this id has a profile, or has been heard of."""
        state = self.pool(pool)
        return state is not None and annotator in state.annotators.slots

    def project(self, pool: str, name: str, at: float) -> ProjectSet | None:
        """A project as the event that would make it what it is; None when there is none of this name."""
        state = self.pool(pool)
        slot = None if state is None else state.projects.slots.get(name)
        if state is None or slot is None:
            return None
        record = state.columns.projects.records[slot]
        limit = None if int(record["limited"]) < 0 else int(record["cap"])
        return ProjectSet(
            pool=pool,
            at=at,
            project=name,
            state=STATES[int(record["state"])],  # type: ignore[arg-type]
            weight=float(record["weight"]),
            budget=None if record["budget"] < 0 else int(record["budget"]),
            max_per_annotator=None if limit is None or limit == np.iinfo(np.int32).max else limit,
            gold_rate=float(record["gold_rate"]),
            deadline=None if np.isinf(record["deadline"]) else float(record["deadline"]),
            defaults=state.defaults[slot],
            labels=state.labels.get(slot),
            note=state.notes.get(slot),
        )

    def defaults(self, pool: str, project: str) -> TaskDefaults:
        """What a project presets for its tasks; nothing when it is unknown."""
        state = self.pool(pool)
        slot = None if state is None else state.projects.slots.get(project)
        return TaskDefaults() if state is None or slot is None else state.defaults[slot]

    def labels(self, pool: str, project: str) -> tuple[str, ...] | None:
        """Names of a project's classes; None when it has none."""
        state = self.pool(pool)
        slot = None if state is None else state.projects.slots.get(project)
        return None if state is None or slot is None else state.labels.get(slot)

    def projects(self, pool: str) -> list[str]:
        """Names of a pool's projects."""
        state = self.pool(pool)
        return [] if state is None else list(state.projects.slots)

    def open_tasks(self, pool: str) -> int:
        """How many tasks of a pool are open."""
        state = self.pool(pool)
        if state is None:
            return 0
        return int(np.count_nonzero(state.columns.tasks.records["state"][: state.tasks.used] == OPEN))

    def people(self, pool: str) -> list[str]:
        """The people whom a pool knows."""
        state = self.pool(pool)
        return [] if state is None else sorted(state.annotators.slots)

    def present(self, pool: str, now: float) -> int:
        """How many people of a pool may be offered work at a time."""
        state = self.pool(pool)
        if state is None:
            return 0
        return int(np.count_nonzero(_present(state.columns.annotators.records[: state.annotators.used], now)))

    def is_present(self, pool: str, slot: int, now: float) -> bool:
        """Whether one of them may be offered work at a time."""
        state = self.pool(pool)
        return state is not None and bool(_present(state.columns.annotators.records[slot : slot + 1], now)[0])


def _present(columns: Array, now: float) -> Array:
    there = (columns["online"] == 1) & (columns["paused"] == 0) & (columns["absent"] == 0)
    present: Array = there & (columns["expires"] > now)
    return present


async def read_state(reader: TopicReader, partitions: Iterable[int]) -> Known:
    """Read the committed state of some partitions.

    Raises
    ------
    PersonNeeded
        A changelog doesn't exist, or can't be read to its end.
    RowError
        A row was written by another version, or is damaged.
    """
    settings = reader.settings
    numbers = sorted(set(partitions))
    tables = {changelog(settings, table): table for table in TABLES}
    spans = await reader.spans(reader.places(tables, numbers))
    shards = {number: Shard(number, settings.market, settings.partitions) for number in numbers}
    async for place, records in reader.read(spans):
        rows = [(record.key, record.value) for record in records]
        shards[place.partition].restore_many(tables[place.topic], rows)
    for shard in shards.values():
        shard.restored()
    return Known(settings, shards)


async def state_of_pool(settings: Settings, pool: str) -> Known:
    """The committed state of a pool's partition, as it is now.

    Raises
    ------
    BrokerUnreachable, AccessRefused, PersonNeeded, RowError
        It can't be read.
    """
    async with TopicReader(settings) as reader:
        return await read_state(reader, [partition_of(pool.encode(), settings.partitions)])


async def applied(reader: TopicReader, partitions: Collection[int]) -> dict[Place, int]:
    """How far the workers have applied the inputs: the position in the state, per input topic and partition."""
    table = changelog(reader.settings, "annotators")
    spans = await reader.spans(reader.places([table], partitions))
    found = {Place(topic, number): 0 for topic in INPUTS for number in partitions}
    # the position is written with every round: its newest row lies near the end
    for back in (2_000, None):
        missing = [place for place in spans if not any(found[Place(topic, place.partition)] for topic in INPUTS)]
        ranges = {
            place: (max(begin, end - back) if back else begin, end)
            for place, (begin, end) in spans.items()
            if place in missing
        }
        async for place, records in reader.read(ranges):
            for record in records:
                if record.key == POSITION and record.value is not None:
                    for topic, offset in read_position(record.value).offsets.items():
                        found[Place(topic, place.partition)] = offset
    return found


async def up_to_date(reader: TopicReader, partitions: Collection[int], tell: Tell) -> Known:
    """The state, once all that lay in the inputs has been applied.

    Raises
    ------
    PersonNeeded
        No worker runs, or none gets on, and input waits.
    """
    inputs = await reader.spans(reader.places(INPUTS, partitions))
    heard, before = time.monotonic(), -1
    while True:
        reached = await applied(reader, partitions)
        waiting = sum(max(0, end - max(reached[place], begin)) for place, (begin, end) in inputs.items())
        if not waiting:
            return await read_state(reader, partitions)
        if waiting != before:
            heard, before = time.monotonic(), waiting
        if not await workers_of(reader.settings):
            raise PersonNeeded(
                f"{waiting:,} events wait and no worker runs, so what the deployment knows is not up to date. Start "
                "one: allocator up, or allocator worker"
            )
        if time.monotonic() - heard > PATIENCE_S:
            raise PersonNeeded(
                f"{waiting:,} events wait and none has been applied for {PATIENCE_S:.0f} s: see the worker's log"
            )
        tell(f"{waiting:,} events wait before the workers")
        await asyncio.sleep(LOOK_EVERY_S)
