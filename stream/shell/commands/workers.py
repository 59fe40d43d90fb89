"""Whether workers run, and how far behind they are, as the broker's group coordinator knows it."""

import asyncio
from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupIdNotFoundError,
    NotCoordinatorError,
)

from stream.settings import Settings
from stream.shell.commands.failures import PersonNeeded
from stream.shell.kafka import topic_admin
from stream.topics import INPUTS

#: a broker that has just started doesn't know its groups yet
NOT_YET = (
    CoordinatorLoadInProgressError, CoordinatorNotAvailableError, GroupIdNotFoundError, NotCoordinatorError,
)  # fmt: skip


def members(admin: Any, app_id: str) -> int:
    """How many workers are in a deployment's group."""
    try:
        return len(admin.describe_groups([app_id])[app_id]["members"])
    except NOT_YET:
        return 0


async def workers_of(settings: Settings) -> int:
    """How many workers are in the deployment's group."""

    def ask() -> int:
        admin = topic_admin.connect(settings)
        try:
            return members(admin, settings.app_id)
        finally:
            admin.close()

    return await asyncio.to_thread(ask)


class Lag:
    """What the workers have not yet acknowledged of both inputs.

    Parameters
    ----------
    settings : Settings

    Raises
    ------
    PersonNeeded
        An input topic doesn't exist.
    """

    def __init__(self, settings: Settings) -> None:
        self._group = settings.app_id
        self._admin = topic_admin.connect(settings)
        self._partitions = [
            TopicPartition(row["name"], partition["partition_index"])
            for row in self._admin.describe_topics(list(INPUTS))
            for partition in row["partitions"]
        ]
        missing = set(INPUTS) - {place.topic for place in self._partitions}
        if missing:
            self._admin.close()
            raise PersonNeeded(f"there is no topic {', '.join(sorted(missing))}: create them: allocator topics apply")

    def close(self) -> None:
        """Close the connection."""
        self._admin.close()

    def workers(self) -> int:
        """How many workers are in the group."""
        return members(self._admin, self._group)

    def cluster(self) -> str:
        """The id of the Kafka cluster."""
        return str(self._admin.describe_cluster()["cluster_id"])

    def now(self) -> int:
        """Offsets of both inputs that are not acknowledged."""
        try:
            committed: dict[Any, Any] = self._admin.list_group_offsets(self._group)[self._group]
        except NOT_YET:
            committed = {}  # nothing is known to be worked on, so whoever asks waits
        starts = self._admin.list_partition_offsets(dict.fromkeys(self._partitions, OffsetSpec.EARLIEST))
        ends = self._admin.list_partition_offsets(dict.fromkeys(self._partitions, OffsetSpec.LATEST))
        lag = 0
        for place in self._partitions:
            offset = getattr(committed.get(place), "offset", -1)
            lag += max(0, ends[place].offset - max(offset, starts[place].offset))
        return lag
