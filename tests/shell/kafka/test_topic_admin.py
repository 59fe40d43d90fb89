"""`topics apply` makes the topics what they should be; `topics check` sees every difference."""

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType

from stream.settings import Settings
from stream.shell.kafka import topic_admin
from stream.shell.kafka.clients import BrokerUnreachable
from stream.shell.kafka.topic_admin import TopicsRefused
from stream.topics import TASKS, Topic, topics

pytestmark = pytest.mark.kafka


@pytest.fixture
def admin(kafka: str) -> Iterator[KafkaAdminClient]:
    client = topic_admin.connect(Settings(kafka_bootstrap=kafka))
    yield client
    client.close()


@pytest.fixture
def topic() -> Callable[..., Topic]:
    """A wanted topic under a name that no other test uses."""

    def make(**changes: Any) -> Topic:
        topic = Topic(
            name=f"admin-{uuid.uuid4().hex[:8]}",
            kind="input",
            content="nothing",
            partitions=2,
            replication=1,
            config={"cleanup.policy": "delete", "retention.ms": "60000", "max.message.bytes": "2048"},
        )
        return msgspec.structs.replace(topic, **changes)

    return make


def test_what_is_missing_is_created_as_wanted(
    admin: KafkaAdminClient, topic: Callable[..., Topic]
) -> None:
    wanted = [topic(), topic(partitions=3, config={"cleanup.policy": "compact"})]
    assert [one.found for one in topic_admin.find_drift(admin, wanted)] == ["missing", "missing"]
    applied = topic_admin.apply(admin, wanted)
    assert applied.created == [one.name for one in wanted]
    assert applied.left == []
    assert topic_admin.find_drift(admin, wanted) == []


def test_what_senders_compress_is_stored_as_our_clients_can_read_it(
    admin: KafkaAdminClient, topic: Callable[..., Topic]
) -> None:
    """Neither aiokafka nor kafka-python reads lz4, snappy or zstd without more libraries: the broker must unpack it."""
    config = next(one for one in topics(Settings(replication=1)) if one.name == TASKS).config
    stored = {}
    for wanted in (topic(config=config, partitions=1), topic(config={}, partitions=1)):
        topic_admin.apply(admin, [wanted])
        producer = KafkaProducer(bootstrap_servers=admin.config["bootstrap_servers"], compression_type="gzip")
        producer.send(wanted.name, b"x" * 100_000).get(timeout=20)
        producer.close()
        (broker,) = admin.describe_log_dirs([wanted.name])
        stored[wanted.config == config] = str(broker)
    sizes = {kept: max(map(int, re.findall(r"'partition_size': (\d+)", said))) for kept, said in stored.items()}
    assert sizes[False] < 10_000
    assert sizes[True] > 100_000


def test_applying_again_changes_nothing(admin: KafkaAdminClient, topic: Callable[..., Topic]) -> None:
    wanted = [topic()]
    topic_admin.apply(admin, wanted)
    again = topic_admin.apply(admin, wanted)
    assert (again.created, again.changed, again.left) == ([], [], [])


@pytest.mark.parametrize("name", ["cleanup.policy", "retention.ms", "max.message.bytes"])
def test_every_setting_that_drifts_is_seen_and_set_back(
    admin: KafkaAdminClient, topic: Callable[..., Topic], name: str
) -> None:
    wanted = topic()
    topic_admin.apply(admin, [wanted])
    other = {"cleanup.policy": "compact", "retention.ms": "1000", "max.message.bytes": "4096"}[name]
    drifted = msgspec.structs.replace(wanted, config=wanted.config | {name: other})
    assert topic_admin.apply(admin, [drifted]).left == []
    (drift,) = topic_admin.find_drift(admin, [wanted])
    assert (drift.what, drift.expected, drift.found) == (name, wanted.config[name], other)
    applied = topic_admin.apply(admin, [wanted])
    assert applied.changed == [drift]
    assert applied.left == []


def test_settings_nobody_asked_about_are_left_alone(
    admin: KafkaAdminClient, topic: Callable[..., Topic]
) -> None:
    wanted = topic()
    topic_admin.apply(admin, [wanted])
    resource = ConfigResource(ConfigResourceType.TOPIC, wanted.name, {"segment.bytes": "1048576"})
    admin.alter_configs([resource])
    topic_admin.apply(admin, [msgspec.structs.replace(wanted, config={"retention.ms": "1000"})])
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, wanted.name)])
    assert found["topic"][wanted.name]["segment.bytes"]["value"] == "1048576"
    assert found["topic"][wanted.name]["retention.ms"]["value"] == "1000"


def test_another_number_of_partitions_is_reported_and_never_changed(
    admin: KafkaAdminClient, topic: Callable[..., Topic]
) -> None:
    wanted = topic()
    topic_admin.apply(admin, [wanted])
    more = msgspec.structs.replace(wanted, partitions=5)
    (drift,) = topic_admin.apply(admin, [more]).left
    assert (drift.what, drift.expected, drift.found) == ("partitions", "5", "2")
    assert "ALLOCATOR_PARTITIONS=2" in drift.remedy


def test_another_replication_is_reported_and_never_changed(
    admin: KafkaAdminClient, topic: Callable[..., Topic]
) -> None:
    wanted = topic()
    topic_admin.apply(admin, [wanted])
    (drift,) = topic_admin.find_drift(admin, [msgspec.structs.replace(wanted, replication=3)])
    assert (drift.what, drift.expected, drift.found) == ("replication", "3", "1")
    assert "ALLOCATOR_REPLICATION=1" in drift.remedy


def test_too_few_brokers_for_the_replication_are_named_with_the_way_out(
    admin: KafkaAdminClient, topic: Callable[..., Topic]
) -> None:
    brokers = len(admin.describe_cluster()["brokers"])
    with pytest.raises(TopicsRefused, match=f"ALLOCATOR_REPLICATION={brokers}"):
        topic_admin.apply(admin, [topic(replication=brokers + 1)])


def test_a_setting_the_broker_does_not_know_is_refused_aloud(
    admin: KafkaAdminClient, topic: Callable[..., Topic]
) -> None:
    with pytest.raises(TopicsRefused, match="no\\.such\\.setting"):
        topic_admin.apply(admin, [topic(config={"no.such.setting": "1"})])


def test_an_address_where_nobody_answers_says_what_to_do() -> None:
    with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:1:.*allocator up"):
        topic_admin.connect(Settings(kafka_bootstrap="127.0.0.1:1,nonsense"))
