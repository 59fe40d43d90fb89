"""How soon a partition of a million rows works again: recovery, restart, failover.

    python -m load.bench.bench_recovery

One partition holds all tasks, many of them with offers; the other one is small, so that a second worker has something
to own. Set-up: the events are written, a worker applies them. Then, on the same broker:

1. *recovery*: the worker restarts without a snapshot and reads the changelogs from their beginning. Rows per second are
   those of the takeover: fencing, reading, building the columns, checking the position. One Python process does this,
   on at most one core at a time. The peer (`load.bench.plain_recovery`) reads a part of the same rows.
2. *restart*: SIGTERM, which writes a snapshot, then from the start of the new process until `/readyz` says 200.
3. *after kill -9*: the same, with nobody to take over: the group must forget the dead worker first (session timeout).
4. *failover*: two workers, each with a disk of its own; kill -9 of the one that owns the large partition, until a
   read_committed reader has the first assignment of that partition by the other. People keep asking for work.

The last line is one JSON object; exit code 1 below a bar.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from load.bench.plain_recovery import CHANGELOG, INPUT
from load.system.deployment import Reader, deployment, pool_in
from load.system.worker_process import Worker
from stream.events import AnnotatorOnline, AnnotatorSet, AssignmentOffered, Event, ProjectSet, TaskCreated, encode
from stream.local import kafka_or_exit
from stream.local.broker import free_port
from stream.topics import ANNOTATORS, ASSIGNMENTS, TASKS

PARTITIONS = 2
POOLS, PEOPLE, CAPACITY = 8, 400, 16  # of the large partition
ROWS = 1_000_000
PLAIN_ROWS = 150_000
SESSION_S = 10.0
RATE_BAR, RATIO_BAR = 200_000.0, 8.0
RESTART_BAR_S, AFTER_KILL_BAR_S, FAILOVER_BAR_S = 6.0, SESSION_S + 6.0, SESSION_S + 5.0
LIMIT_S = 300.0

Said = tuple[str, Event]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Figures, bars, verdict."""

    table_rows: int
    log_rows: int
    recovery_s: float
    rows_per_s: float
    rows_per_s_bar: float
    plain_rows: int
    plain_rows_per_s: float
    ratio: float
    ratio_bar: float
    restart_s: float
    restart_bar_s: float
    snapshot_rows: int
    after_kill_s: float
    after_kill_bar_s: float
    failover_s: float
    failover_bar_s: float
    failover_recovery_s: float
    session_timeout_s: float
    ok: bool


def market(at: float, rows: int) -> Iterator[Said]:
    """A large partition of `rows` tasks and people, and a small one."""
    pools = [pool_in(0, PARTITIONS, nth) for nth in range(POOLS)]
    tasks = rows // POOLS - PEOPLE
    for pool, count in [*((pool, tasks) for pool in pools), (pool_in(1, PARTITIONS), 100)]:
        yield TASKS, ProjectSet(pool=pool, at=at, project="p")
        for number in range(count):
            yield (
                TASKS,
                TaskCreated(
                    pool=pool, at=at, task=f"{pool}-task-{number}", project="p", skill=f"s{number % 4}", classes=2,
                    overlap=2, max_overlap=4, confidence=0.95,
                ),
            )  # fmt: skip
        for number in range(PEOPLE):
            yield from arrival(pool, f"annotator-{number}", at)


def arrival(pool: str, who: str, at: float) -> list[Said]:
    """Somebody comes to work."""
    return [
        (ANNOTATORS, AnnotatorSet(pool=pool, at=at, annotator=who, skills=("*",))),
        (ANNOTATORS, AnnotatorOnline(pool=pool, at=at, annotator=who, capacity=CAPACITY, ttl_s=36000.0)),
    ]


async def write(bootstrap: str, said: Iterable[tuple[str, int, bytes, bytes]]) -> dict[tuple[str, int], int]:
    """Write (topic, partition, key, value) in large batches; return the end of every topic and partition written."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1 << 19)
    await producer.start()
    batches: dict[tuple[str, int], Any] = {}
    sent: dict[tuple[str, int], tuple[Any, int]] = {}

    async def send(place: tuple[str, int]) -> None:
        batch = batches.pop(place)
        batch.close()
        sent[place] = await producer.send_batch(batch, place[0], partition=place[1]), batch.record_count()

    for topic, partition, key, value in said:
        place = (topic, partition)
        batch = batches.get(place)
        if batch is None or batch.append(key=key, value=value, timestamp=None) is None:
            if batch is not None:
                await send(place)
            batches[place] = batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None)
    for place in list(batches):
        await send(place)
    ends = {place: (await delivery).offset + count for place, (delivery, count) in sent.items()}
    await producer.stop()
    return ends


async def copy(bootstrap: str, source: str, rows: int) -> int:
    """Copy the first `rows` keys of the large partition of a changelog into the peer's; return how many there are."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    consumer.assign([TopicPartition(source, 0)])
    found: dict[bytes, bytes] = {}
    end = time.monotonic() + LIMIT_S
    while len(found) < rows:
        if time.monotonic() > end:
            raise TimeoutError(f"{source} holds {len(found)} rows, {rows} are wanted")
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            found.update((record.key, record.value) for record in records if record.value is not None)
    await consumer.stop()
    await write(bootstrap, ((CHANGELOG, 0, key, value) for key, value in list(found.items())[:rows]))
    return min(rows, len(found))


class Bench:
    """One run on one broker."""

    def __init__(self, bootstrap: str, folder: Path, worker: Worker, rows: int) -> None:
        self._bootstrap, self._folder, self._worker, self._rows = bootstrap, folder, worker, rows
        worker.environment |= {"ALLOCATOR_LOG_FORMAT": "json", "ALLOCATOR_SESSION_TIMEOUT_S": str(SESSION_S)}

    def run(self) -> Verdict:
        """Set up, then the four measurements."""
        self._fill()
        full = self._recovery()
        click.echo(f"recovered {full['rows']} rows in {full['seconds']} s; now a plain Faust table")
        plain = self._plain()
        restart_s, taken = self._restart()
        click.echo(f"ready {restart_s:.2f} s after the start, {taken['from_snapshot']} rows from a snapshot")
        after_kill_s = self._after_kill()
        click.echo(f"ready {after_kill_s:.2f} s after kill -9 and a start at once; now a second worker")
        failover_s, moved = self._failover()
        rate, plain_rate = full["rows"] / full["seconds"], plain["rows"] / plain["seconds"]
        return Verdict(
            table_rows=self._rows,
            log_rows=int(full["rows"]),
            recovery_s=full["seconds"],
            rows_per_s=rate,
            rows_per_s_bar=RATE_BAR,
            plain_rows=int(plain["rows"]),
            plain_rows_per_s=plain_rate,
            ratio=rate / plain_rate,
            ratio_bar=RATIO_BAR,
            restart_s=restart_s,
            restart_bar_s=RESTART_BAR_S,
            snapshot_rows=int(taken["from_snapshot"]),
            after_kill_s=after_kill_s,
            after_kill_bar_s=AFTER_KILL_BAR_S,
            failover_s=failover_s,
            failover_bar_s=FAILOVER_BAR_S,
            failover_recovery_s=moved["seconds"],
            session_timeout_s=SESSION_S,
            ok=rate >= RATE_BAR
            and rate >= RATIO_BAR * plain_rate
            and restart_s <= RESTART_BAR_S
            and taken["from_snapshot"] >= self._rows
            and after_kill_s <= AFTER_KILL_BAR_S
            and failover_s <= FAILOVER_BAR_S,
        )

    def _fill(self) -> None:
        """A worker applies the market: the rows are its own."""
        partition_of = {pool_in(0, PARTITIONS, nth): 0 for nth in range(POOLS)} | {pool_in(1, PARTITIONS): 1}
        said = (
            (topic, partition_of[event.pool], event.pool.encode(), encode(event))
            for topic, event in market(time.time(), self._rows)
        )
        ends = asyncio.run(write(self._bootstrap, said))
        click.echo(f"{sum(ends.values())} events are written")
        began = time.monotonic()
        self._worker.environment["ALLOCATOR_SNAPSHOT_S"] = "0"
        self._worker.start()
        self._worker.wait_until_ready()
        self._until(lambda: self._applied() >= sum(ends.values()), "the worker applies the events")
        click.echo(f"applied in {time.monotonic() - began:.1f} s")
        self._worker.stop()

    def _applied(self) -> float:
        """Input records that this process of the worker has applied."""
        lines = self._worker.page("/metrics").splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("allocator_events_total{"))

    def _recovery(self) -> dict[str, float]:
        self._worker.start()
        self._worker.wait_until_ready()
        return self._taken_over(self._worker)

    def _taken_over(self, worker: Worker) -> dict[str, float]:
        """The worker's own figures of its last takeover of the large partition."""
        lines = (json.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{"))
        found = [line for line in lines if line.get("event") == "partition_taken_over" and line["partition"] == 0]
        last: dict[str, float] = found[-1]
        return last

    def _plain(self) -> dict[str, float]:
        self._worker.stop()
        admin = KafkaAdminClient(bootstrap_servers=self._bootstrap)
        admin.create_topics(
            [NewTopic(CHANGELOG, 1, 1, topic_configs={"cleanup.policy": "compact"}), NewTopic(INPUT, 1, 1)]
        )
        admin.close()
        rows = asyncio.run(copy(self._bootstrap, "bench-tasks-changelog", min(PLAIN_ROWS, self._rows // 2)))
        result = self._folder / "plain-recovery.json"
        with (self._folder / "plain-recovery.log").open("wb") as log:
            subprocess.run(
                [sys.executable, "-m", "load.bench.plain_recovery", self._bootstrap, str(rows), str(result)],
                stdout=log,
                stderr=log,
                check=True,
                timeout=LIMIT_S,
            )
        found: dict[str, float] = json.loads(result.read_text())
        return found

    def _restart(self) -> tuple[float, dict[str, float]]:
        del self._worker.environment["ALLOCATOR_SNAPSHOT_S"]
        self._worker.start()
        self._worker.wait_until_ready()
        self._worker.stop()
        seconds = self._start(self._worker)
        return seconds, self._taken_over(self._worker)

    def _start(self, worker: Worker) -> float:
        began = time.monotonic()
        worker.start()
        worker.wait_until_ready()
        return time.monotonic() - began

    def _after_kill(self) -> float:
        self._worker.kill()
        return self._start(self._worker)

    def _failover(self) -> tuple[float, dict[str, float]]:
        (self._folder / "other").mkdir()
        other = Worker(
            {**self._worker.environment, "ALLOCATOR_DATA_DIR": str(self._folder / "other")}, free_port(),
            self._folder / "other.log",
        )  # fmt: skip
        other.start()
        try:
            self._until(lambda: self._owns_one(self._worker) and self._owns_one(other), "both workers own a partition")
            owner, heir = (self._worker, other) if 0 in self._owned(self._worker) else (other, self._worker)
            for file in (self._folder / "state").glob("*.snapshot"):
                file.unlink()  # the heir may be the worker that has had the rows before
            return self._hand_over(owner, heir)
        finally:
            other.stop()

    def _hand_over(self, owner: Worker, heir: Worker) -> tuple[float, dict[str, float]]:
        reader = Reader(self._bootstrap, (ASSIGNMENTS,), PARTITIONS, from_end=True)
        pool = pool_in(0, PARTITIONS)
        owner.kill()
        began = time.monotonic()
        asked, offers = 0, 0

        def offered() -> bool:
            nonlocal asked, offers
            if time.monotonic() - began > asked * 0.5:
                asked += 1
                come = arrival(pool, f"late-{asked}", time.time())
                asyncio.run(write(self._bootstrap, ((t, 0, pool.encode(), encode(event)) for t, event in come)))
            found = [output for output in reader.poll() if isinstance(output, AssignmentOffered)]
            offers += sum(output.partition == 0 for output in found)
            return offers > 0

        self._until(offered, "the heir makes an offer", heir)
        seconds = time.monotonic() - began
        reader.close()
        return seconds, self._taken_over(heir)

    def _owned(self, worker: Worker) -> list[int]:
        if not worker.ready:
            return []
        owned: list[int] = json.loads(worker.page("/readyz"))["partitions"]
        return owned

    def _owns_one(self, worker: Worker) -> bool:
        return len(self._owned(worker)) == 1

    def _until(self, claim: Callable[[], bool], what: str, worker: Worker | None = None) -> None:
        end = time.monotonic() + LIMIT_S
        while not claim():
            (worker or self._worker).check()
            if time.monotonic() > end:
                raise TimeoutError(f"not within {LIMIT_S:.0f} s: {what}")
            time.sleep(0.02)


@click.command()
@click.option("--rows", default=ROWS, show_default=True, help="Tasks and people of the large partition.")
def main(rows: int) -> None:
    """Measure recovery, restart and failover, and judge them.

    Example: python -m load.bench.bench_recovery --rows 100000
    """
    with kafka_or_exit() as bootstrap, tempfile.TemporaryDirectory(prefix="bench-recovery-") as folder:
        hours = 36000.0
        with deployment(bootstrap, PARTITIONS, Path(folder), accept_s=hours, lease_s=hours) as worker:
            verdict = Bench(bootstrap, Path(folder), worker, rows).run()
    click.echo(msgspec.json.encode(verdict).decode())
    if not verdict.ok:
        sys.exit(1)


if __name__ == "__main__":
    main()
