"""Make the broker's topics what `stream.topics` says, and say where they are not.

    missing      created
    setting      set (cleanup, retention, size, in-sync replicas)
    partitions   never changed: a partition owns its pools for life, adding one would move pools
    replication  never changed here: moving replicas is an operator's decision

`find_drift` compares, `apply` repairs what may be repaired and returns what is left. Both are harmless to
repeat and to run at the same time from several places.
"""

import time
from collections.abc import Iterable

import msgspec
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import InvalidReplicationFactorError, KafkaError, TopicAlreadyExistsError

from stream.settings import Settings
from stream.shell.kafka import clients
from stream.topics import Topic

SETTLE_LIMIT_S = 10.0


class TopicsRefused(RuntimeError):
    """The cluster cannot hold the topics as they are asked for."""


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a topic is not what it should be, and what to do about it."""

    topic: str
    what: str
    expected: str
    found: str
    remedy: str


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What `apply` did, and the drift that it must not repair."""

    created: list[str]
    changed: list[Drift]
    left: list[Drift]


def connect(settings: Settings) -> KafkaAdminClient:
    """Return an admin client; close it.

    Raises
    ------
    BrokerUnreachable
        When none of the addresses answers within 5 s each.
    AccessRefused
        When user, password or certificate are not accepted.
    """
    clients.knock_now(settings)
    try:
        return KafkaAdminClient(**clients.admin(settings))
    except KafkaError as error:
        raise clients.BrokerUnreachable(f"{settings.kafka_bootstrap} does not answer as Kafka: {error}") from error


def find_drift(admin: KafkaAdminClient, wanted: Iterable[Topic]) -> list[Drift]:
    """Compare the broker's topics with the wanted ones; an empty list means that they agree."""
    wanted = list(wanted)
    names = [topic.name for topic in wanted]
    described = {row["name"]: row for row in admin.describe_topics(names) if row["error_code"] == 0}
    present = [topic for topic in wanted if topic.name in described]
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, topic.name, dict.fromkeys(topic.config)) for topic in present
    ]
    settings = admin.describe_configs(resources, config_filter="all")["topic"] if resources else {}
    drift = []
    for topic in wanted:
        if topic.name not in described:
            drift.append(
                Drift(
                    topic=topic.name,
                    what="topic",
                    expected=topic.content,
                    found="missing",
                    remedy="create it: allocator topics apply",
                )
            )
            continue
        drift += _shape_drift(topic, described[topic.name]["partitions"])
        found = {name: row["value"] for name, row in settings[topic.name].items()}
        drift += [
            Drift(
                topic=topic.name,
                what=name,
                expected=value,
                found=str(found.get(name)),
                remedy="set it: allocator topics apply",
            )
            for name, value in topic.config.items()
            if found.get(name) != value
        ]
    return drift


def _shape_drift(topic: Topic, partitions: list[dict[str, list[int]]]) -> list[Drift]:
    drift = []
    if len(partitions) != topic.partitions:
        drift.append(
            Drift(
                topic=topic.name,
                what="partitions",
                expected=str(topic.partitions),
                found=str(len(partitions)),
                remedy=f"the number is fixed for life: set ALLOCATOR_PARTITIONS={len(partitions)} if every"
                " topic has that many, else delete the topic (its records are lost) and apply again",
            )
        )
    replication = min(len(partition["replica_nodes"]) for partition in partitions)
    if replication != topic.replication:
        drift.append(
            Drift(
                topic=topic.name,
                what="replication",
                expected=str(topic.replication),
                found=str(replication),
                remedy="move replicas with kafka-reassign-partitions.sh,"
                f" or set ALLOCATOR_REPLICATION={replication}",
            )
        )
    return drift


def _repairable(drift: Drift) -> bool:
    return drift.what not in ("partitions", "replication")


def apply(admin: KafkaAdminClient, wanted: Iterable[Topic]) -> Applied:
    """Create missing topics and set drifted settings.

    Raises
    ------
    TopicsRefused
        When the cluster has too few brokers, or refuses a topic or a setting.
    """
    wanted = list(wanted)
    by_name = {topic.name: topic for topic in wanted}
    drift = find_drift(admin, wanted)
    missing = [by_name[one.topic] for one in drift if one.what == "topic"]
    if missing:
        _create(admin, missing)
    changed = [one for one in drift if _repairable(one) and one.what != "topic"]
    if changed:
        resources: dict[str, dict[str, str]] = {}
        for one in changed:
            resources.setdefault(one.topic, {})[one.what] = one.expected
        done = admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name, config) for name, config in resources.items()]
        )
        refused = {name: said for name, said in done["topic"].items() if said != "OK"}
        if refused:
            raise TopicsRefused(f"the broker refused settings: {refused}")
    left = find_drift(admin, wanted)
    end = time.monotonic() + SETTLE_LIMIT_S
    while any(_repairable(one) for one in left) and time.monotonic() < end:
        time.sleep(0.1)  # brokers learn of a change from the controller a moment later
        left = find_drift(admin, wanted)
    return Applied(created=[topic.name for topic in missing], changed=changed, left=left)


def _create(admin: KafkaAdminClient, missing: list[Topic]) -> None:
    specs = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": topic.replication,
            "configs": topic.config,
        }
        for topic in missing
    }
    try:
        admin.create_topics(specs, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        admin.wait_for_topics(list(specs))  # another `apply` was faster; what it left out shows as drift
    except InvalidReplicationFactorError as error:
        brokers = len(admin.describe_cluster()["brokers"])
        raise TopicsRefused(
            f"replication {missing[0].replication} needs as many brokers, the cluster has {brokers}:"
            f" set ALLOCATOR_REPLICATION={brokers} on a development broker, or add brokers"
        ) from error
    except KafkaError as error:
        raise TopicsRefused(f"the broker refused to create topics: {error}") from error
