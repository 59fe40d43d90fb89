"""What the broker says about the changelogs: a snapshot stands for a part of them, and must know which they are."""

import asyncio

import msgspec

from stream.settings import Settings
from stream.shell.kafka import clients
from stream.shell.process.log_lines import Log
from stream.shell.snapshots.snapshot import Identity
from stream.topics import TABLES, changelog

log = Log("allocator.snapshots")


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker says about the changelogs."""

    identity: Identity
    tombstones_s: float


def ask(settings: Settings) -> Deployment:
    """Ask the broker which topics the changelogs are, and for how long they keep tombstones.

    Raises
    ------
    BrokerUnreachable, KafkaError, LookupError
        It doesn't say.
    """
    from kafka.admin import ConfigResource, ConfigResourceType  # noqa: PLC0415  (slow to import, needed once)

    from stream.shell.kafka.topic_admin import connect  # noqa: PLC0415

    names = {table: changelog(settings, table) for table in TABLES}
    admin = connect(settings)
    try:
        cluster = admin.describe_cluster()["cluster_id"]
        ids = {row["name"]: str(row["topic_id"]) for row in admin.describe_topics(list(names.values()))}
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name, {"delete.retention.ms": None}) for name in ids]
        found = admin.describe_configs(wanted, config_filter="all")["topic"]
        kept_ms = min(float(found[name]["delete.retention.ms"]["value"]) for name in names.values())
    finally:
        admin.close()
    return Deployment(
        identity=Identity(cluster=cluster, topics={table: ids[name] for table, name in names.items()}),
        tombstones_s=kept_ms / 1000.0,
    )


class Changelogs:
    """What the broker says, asked until it has said it once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asking = asyncio.Lock()
        #: None until the broker has said it
        self.said: Deployment | None = None

    async def known(self) -> Deployment | None:
        """What the broker says; None where it does not, or snapshots are switched off."""
        async with self._asking:
            if self.said is None and self._settings.snapshot_s:
                from kafka.errors import KafkaError  # noqa: PLC0415

                try:
                    self.said = await asyncio.to_thread(ask, self._settings)
                except (clients.BrokerUnreachable, KafkaError, LookupError, TypeError, ValueError) as error:
                    log.warning("snapshots_off", error=f"{type(error).__name__}: {error}")
            return self.said
