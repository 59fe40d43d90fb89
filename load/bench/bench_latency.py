"""How long an idle system takes from an event to its offer, beside the least Kafka itself needs.

    python -m load.bench.bench_latency

Every 50 ms a task is created in a pool of a random partition, where annotators have room; the sample is the
time from before the send to the moment a read_committed reader has the offer of that task. Half-way between
two events, a transaction of one record is written and seen by the same reader: the floor for whoever promises
that outputs are all there or not there. The bars: p50 at most 3 times, p99 at most 12 times the floor's
*p50*.

Both ways lead through the same machine, broker, reader and event loop; garbage collection is off in between.
The last line is one JSON object: figures, bars, verdict. Exit code 1 when below the bar.
"""

import asyncio
import gc
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from load.replay.latency import quantile
from load.system.deployment import deployment, pool_in
from stream.events import (
    AnnotatorOnline,
    AnnotatorSet,
    AssignmentOffered,
    Event,
    ProjectSet,
    TaskCreated,
    decode_result,
    encode,
)
from stream.local import kafka_or_exit
from stream.topics import ANNOTATORS, ASSIGNMENTS, TASKS

PARTITIONS = 4
FLOOR = "bench-latency-floor"
INTERVAL_S = 0.05
WARM_UP = 200
LATE_S = 2.0
PEOPLE, CAPACITY = 8, 1000
P50_BAR, P99_BAR = 3.0, 12.0


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """Quantiles of one way, milliseconds."""

    samples: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of both ways, their ratios to the floor's median, the bars."""

    event_to_offer: Way
    transaction: Way
    p50_ratio: float
    p99_ratio: float
    p50_bar: float
    p99_bar: float
    ok: bool


def way(waits_s: list[float]) -> Way:
    """Quantiles of waits in seconds."""
    p50, p90, p99, most = (1e3 * quantile(waits_s, share) for share in (0.5, 0.9, 0.99, 1.0))
    return Way(samples=len(waits_s), p50_ms=p50, p90_ms=p90, p99_ms=p99, max_ms=most)


def judge(events_s: list[float], floor_s: list[float]) -> Verdict:
    """Compare both ways with the bars."""
    ours, floor = way(events_s), way(floor_s)
    p50, p99 = ours.p50_ms / floor.p50_ms, ours.p99_ms / floor.p50_ms
    return Verdict(
        event_to_offer=ours,
        transaction=floor,
        p50_ratio=p50,
        p99_ratio=p99,
        p50_bar=P50_BAR,
        p99_bar=P99_BAR,
        ok=p50 <= P50_BAR and p99 <= P99_BAR,
    )


class Bench:
    """Sender, floor and reader in one event loop."""

    def __init__(self, bootstrap: str, samples: int, seed: int) -> None:
        self._bootstrap, self._samples = bootstrap, samples
        self._draw = random.Random(seed)
        self._pools = [pool_in(partition, PARTITIONS) for partition in range(PARTITIONS)]
        self._sent: dict[str, float] = {}
        self._seen: dict[str, float] = {}

    async def run(self) -> tuple[list[float], list[float]]:
        """Waits of the events and of the floor's transactions, in seconds, in order."""
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all")
        floor = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, transactional_id=FLOOR, retry_backoff_ms=2
        )
        reader = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await asyncio.gather(producer.start(), floor.start(), reader.start())
        reader.assign([TopicPartition(t, p) for t in (ASSIGNMENTS, FLOOR) for p in range(PARTITIONS)])
        reading = asyncio.create_task(self._read(reader))
        try:
            await self._populate(producer)
            await self._sample(producer, floor)
            await asyncio.sleep(LATE_S)  # for the last ones
        finally:
            reading.cancel()
            await asyncio.gather(producer.stop(), floor.stop(), reader.stop())
        missing = self._sent.keys() - self._seen.keys()
        if missing:
            raise TimeoutError(
                f"{len(missing)} of {len(self._sent)} samples never arrived, one is {min(missing)}"
            )
        waits = {name: self._seen[name] - sent for name, sent in self._sent.items()}
        kept = [name for name in waits if int(name[1:]) >= WARM_UP]
        return [waits[n] for n in kept if n[0] == "t"], [waits[n] for n in kept if n[0] == "f"]

    async def _populate(self, producer: Any) -> None:
        at = time.time()
        for pool in self._pools:
            await self._send(producer, TASKS, ProjectSet(pool=pool, at=at, project="p"))
            for number in range(PEOPLE):
                who = f"a{number}"
                await self._send(
                    producer, ANNOTATORS, AnnotatorSet(pool=pool, at=at, annotator=who, skills=("s",))
                )
                online = AnnotatorOnline(pool=pool, at=at, annotator=who, capacity=CAPACITY, ttl_s=36000.0)
                await self._send(producer, ANNOTATORS, online)

    async def _send(self, producer: Any, topic: str, event: Event) -> None:
        await producer.send_and_wait(topic, key=event.pool.encode(), value=encode(event))

    async def _sample(self, producer: Any, floor: Any) -> None:
        gc.collect()
        gc.disable()
        start = time.perf_counter() + 1.0
        for index in range(self._samples + WARM_UP):
            await self._until(start + index * INTERVAL_S)
            partition = self._draw.randrange(PARTITIONS)
            task = TaskCreated(
                pool=self._pools[partition],
                at=time.time(),
                task=f"t{index}",
                project="p",
                skill="s",
                classes=2,
                overlap=1,
            )
            self._sent[task.task] = time.perf_counter()
            await self._send(producer, TASKS, task)
            await self._until(start + (index + 0.5) * INTERVAL_S)
            self._sent[f"f{index}"] = time.perf_counter()
            await floor.begin_transaction()
            await floor.send(FLOOR, value=b"%d" % index, partition=partition)
            await floor.commit_transaction()
        gc.enable()

    async def _until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))

    async def _read(self, reader: Any) -> None:
        while True:
            found = await reader.getmany(timeout_ms=1000)
            now = time.perf_counter()
            for place, records in found.items():
                for record in records:
                    if place.topic == FLOOR:
                        self._seen[f"f{int(record.value)}"] = now
                        continue
                    output = decode_result(record.value)
                    if isinstance(output, AssignmentOffered):
                        self._seen[output.task] = now


@click.command()
@click.option("--samples", default=2000, show_default=True, help="Events, and as many transactions.")
@click.option("--seed", default=1, show_default=True)
def main(samples: int, seed: int) -> None:
    """Measure an idle system and judge it."""
    with kafka_or_exit() as bootstrap, tempfile.TemporaryDirectory(prefix="bench-latency-") as folder:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        admin.create_topics([NewTopic(FLOOR, PARTITIONS, 1)])
        admin.close()
        # nobody accepts here: offers must outlive the run
        with deployment(bootstrap, PARTITIONS, Path(folder), accept_s=36000.0) as worker:
            worker.start()
            worker.wait_until_ready(limit_s=300.0)
            bench = Bench(bootstrap, samples, seed)
            verdict = judge(*asyncio.run(bench.run(), debug=False))
    click.echo(msgspec.json.encode(verdict).decode())
    if not verdict.ok:
        sys.exit(1)


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    main()
