"""The Faust application: what joins the group, which topics and tables belong together, who gets the input.

    transport ──ranges──► agents ──► partitions ──► rounds, each in a transaction

Faust does membership, the assignment of partitions, the identity of the tables and the web server. Delivery
per event, writing of changelogs and their recovery are ours (transport, partition, takeover). Agents only
pass on.
"""

import asyncio
import time
from typing import Any

import faust
from mode import CrashingSupervisor

from stream.core.shard import Shard
from stream.settings import Settings
from stream.shell.kafka import clients
from stream.shell.kafka.store import Tables
from stream.shell.kafka.transport import Batch
from stream.shell.process.exits import leave_for
from stream.shell.process.metrics import Metrics
from stream.shell.worker import web
from stream.shell.worker.partitions import Partitions
from stream.shell.worker.takeover import ShardFactory
from stream.topics import INPUTS, TABLES


def make_shard(partition: int, settings: Settings) -> Shard:
    """The shard of a partition, empty."""
    return Shard(partition, settings.market, settings.partitions, time.perf_counter)


class App(faust.App):  # type: ignore[misc]
    """A Faust application whose partitions are run by :class:`~stream.shell.worker.partitions.Partitions`."""

    settings: Settings
    metrics: Metrics
    partitions: Partitions
    is_draining = False

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> Any:
        """Queues that keep what arrives while Faust resumes its flow; by default it would be dropped."""
        return super().FlowControlQueue(maxsize, clear_on_resume=False)

    def _crash(self, reason: BaseException) -> None:
        if self.is_draining:
            return  # the consumer has been closed under Faust's feet; all rounds are committed
        # Faust would stop gracefully, and a graceful stop after a failure can wait for ever
        leave_for(reason, "worker_failed")


def create_app(settings: Settings, shards: ShardFactory = make_shard) -> App:
    """Build the application; connects to nothing.

    Parameters
    ----------
    settings : Settings
    shards : callable, optional
        ``shards(partition, settings)`` returns an empty shard: another core behind the same shell.
    """
    app = App(
        settings.app_id,
        broker=[f"allocator://{address}" for address in clients.servers(settings)],
        store="allocator://",
        TableManager=Tables,
        datadir=settings.data_dir,
        agent_supervisor=CrashingSupervisor,
        broker_session_timeout=settings.session_timeout_s,
        broker_request_timeout=max(settings.session_timeout_s, settings.commit_deadline_s),
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        recovery_consistency_check=False,
        stream_recovery_delay=0.0,
        stream_wait_empty=False,
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        topic_partitions=settings.partitions,
        web_bind=settings.web_host,
        web_port=settings.web_port,
        web_host=settings.web_host,
        web_router_enabled=False,
        web_tables_enabled=False,
    )
    app.settings = settings
    app.metrics = Metrics()
    app.partitions = Partitions(settings, app.metrics, shards)
    for name in INPUTS:
        topic = app.topic(
            name, key_type=bytes, value_type=bytes, value_serializer="raw", partitions=settings.partitions
        )
        app.agent(topic, name=f"pass_on.{name}")(_agent(app))
    for name in TABLES:
        app.Table(name, key_type=bytes, value_type=bytes, partitions=settings.partitions)

    async def pause(*_: object, **__: object) -> None:
        async with asyncio.timeout(settings.commit_deadline_s + settings.watchdog_s):
            await app.partitions.pause()

    app.on_partitions_revoked.connect(pause, weak=False)
    web.add_pages(app.web.web_app, app.metrics, app.partitions)
    return app


def _agent(app: App) -> Any:
    async def pass_on(stream: Any) -> None:
        app.partitions.consumer = app.consumer
        batch: Batch
        async for batch in stream:
            await app.partitions.put(batch)

    return pass_on
