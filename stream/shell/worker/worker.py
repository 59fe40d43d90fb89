"""The worker process: check, warm up, join the group, run, drain.

    topics fit? ──► kernels compiled ──► application started ──► SIGTERM ──► current rounds commit ──► group
    left

Kernels are compiled before the group is joined: a compilation holds the interpreter, and with it the
heartbeats.
"""

import asyncio
import contextlib
import gc
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import click
import prometheus_client
import uvloop
from aiokafka.errors import KafkaConnectionError

from stream import topics
from stream.settings import Settings, SettingsError, load
from stream.shell.kafka import clients
from stream.shell.process.exits import CRASH, DRAINED, OPERATOR, OperatorNeeded, leave, leave_for
from stream.shell.process.log_lines import Log, configure
from stream.shell.snapshots.reading import Early, read_early
from stream.shell.snapshots.writing import SnapshotWriter
from stream.shell.worker.app import App, create_app, make_shard
from stream.shell.worker.takeover import ShardFactory
from stream.shell.worker.watchdog import Watchdog

log = Log("allocator.worker")

BROKER_WAIT_S = 15.0


async def check_topics(settings: Settings) -> None:
    """Compare the topics of the broker with those this deployment needs.

    Raises
    ------
    OperatorNeeded
        The broker can't be reached or refuses this user, or a topic is missing or has another number of partitions.
    """
    client = clients.client(settings)
    last = ""
    try:
        async with asyncio.timeout(BROKER_WAIT_S):
            while True:
                try:
                    await clients.knock(settings)
                    await client.bootstrap()
                    break
                except (clients.BrokerUnreachable, OSError, KafkaConnectionError) as error:
                    last = str(error)
                    await asyncio.sleep(0.5)
            cluster = await client.fetch_all_metadata()
    except clients.AccessRefused as error:
        raise OperatorNeeded(str(error)) from error
    except TimeoutError as error:
        raise OperatorNeeded(
            f"no Kafka broker answers at {settings.kafka_bootstrap}: is it running? `allocator doctor` looks closer"
            + (f". The last attempt: {last}" if last else "")
        ) from error
    finally:
        await client.close()
    wrong = []
    for topic in topics.topics(settings):
        found = len(cluster.partitions_for_topic(topic.name) or ())
        if found != topic.partitions:
            is_missing = (
                f"has {found} partitions, not {topic.partitions}" if found else "is missing or hidden from this user"
            )
            wrong.append(f"{topic.name} {is_missing}")
    if wrong:
        raise OperatorNeeded(
            "topics don't fit: "
            + "; ".join(wrong)
            + ". Missing ones are made by `allocator topics apply`; the "
            "number of partitions (ALLOCATOR_PARTITIONS) is fixed for the life of a deployment"
        )


def check_port(settings: Settings) -> None:
    """Raise :class:`OperatorNeeded` when the web server's port is taken."""
    if not settings.web_port:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.web_host, settings.web_port))
        except OSError as error:
            raise OperatorNeeded(
                f"{settings.web_host}:{settings.web_port} can't be bound ({error.strerror}): give this "
                f"worker another ALLOCATOR_WEB_PORT"
            ) from error


def warm_up(settings: Settings) -> None:
    """Compile all kernels, or load them from Numba's cache; then settle the garbage collector."""
    # numba is slow to import, and only a worker needs it
    from kernels.__main__ import precompile  # noqa: PLC0415
    from stream.shell.worker.rehearsal import rehearse  # noqa: PLC0415

    started = time.monotonic()
    precompile()
    rehearse(settings.market)
    # what was loaded so far stays; a round allocates by the hundred thousand, hardly ever in cycles
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    log.info("kernels_ready", seconds=round(time.monotonic() - started, 1))


async def _run(settings: Settings, shards: ShardFactory, early: Early) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = create_app(settings, shards)
    watchdog = Watchdog(app.partitions, settings.watchdog_s)
    watchdog.start()
    app.finalize()
    log.info("worker_started", app_id=settings.app_id, bootstrap=settings.kafka_bootstrap)
    app.partitions.snapshots.early = early
    writer = SnapshotWriter(settings, app.metrics, app.partitions.snapshots.changelogs)
    snapshots = asyncio.ensure_future(writer.run(app.partitions.running))
    start = asyncio.ensure_future(app.start())
    await asyncio.wait({start, asyncio.ensure_future(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.is_set():
        await start  # raises what failed
        await stop.wait()
    snapshots.cancel()
    await _drain(app, settings, watchdog, writer)


async def _drain(app: App, settings: Settings, watchdog: Watchdog, writer: SnapshotWriter) -> None:
    log.info("draining", limit_s=settings.drain_deadline_s)
    until = time.monotonic() + settings.drain_deadline_s
    partitions = app.partitions.running()
    try:
        async with asyncio.timeout(settings.drain_deadline_s):
            await app.partitions.close()
            app.is_draining = True
            await app.consumer.leave()
    except TimeoutError:
        leave(CRASH, "drain_too_slow", limit_s=settings.drain_deadline_s)
    watchdog.stop()
    # nobody waits for these partitions any more: what is left of the time makes the next start quick
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()):
            await asyncio.to_thread(writer.write_all, partitions, until)
    leave(DRAINED, "drained")


def run(
    settings: Settings, shards: ShardFactory = make_shard, prepare: Callable[[Settings], None] = warm_up
) -> None:
    """Run a worker until it is told to stop; ends the process, see :mod:`stream.shell.process.exits`.

    Parameters
    ----------
    settings : Settings
    shards : callable, optional
        See :func:`stream.shell.worker.app.create_app`.
    prepare : callable, optional
        ``prepare(settings)``: what to do before the group is joined.
    """
    configure(settings.log_format, settings.log_level)
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    Path(settings.data_dir).mkdir(parents=True, exist_ok=True)
    # until there is something to drain
    signal.signal(signal.SIGTERM, lambda *_: leave(DRAINED, "drained"))
    early = read_early(settings)
    try:
        check_port(settings)
        asyncio.run(check_topics(settings))
    except OperatorNeeded as error:
        leave_for(error, "cannot_start")
    except SettingsError as error:
        leave(OPERATOR, "cannot_start", error=str(error))
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # the consumer's thread makes a loop of its own
    try:
        prepare(settings)
        asyncio.run(_run(settings, shards, early))
    except Exception as error:
        leave_for(error, "worker_failed")


def start(shards: ShardFactory = make_shard, prepare: Callable[[Settings], None] = warm_up) -> None:
    """Run a worker with settings from the environment; `shards` and `prepare` as in `run`."""
    try:
        settings = load()
    except SettingsError as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(OPERATOR) from None
    run(settings, shards, prepare)


@click.command(help="Run a worker until SIGTERM. Example: ALLOCATOR_WEB_PORT=6067 allocator worker")
def worker() -> None:
    """Run a worker with settings from the environment."""
    start()
