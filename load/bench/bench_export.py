"""`python -m load.bench.bench_export`: a million judgments taken out, beside reading their topic plainly.

Inputs and settled judgments are written as a worker would have left them. Then, turn about, in processes of their own:

    plain     aiokafka reads `labeling.judgments.v1` from beginning to end and does nothing with it
    export    `allocator judgments --out FILE`: reads inputs and judgments, joins them, writes the CSV

Bars: the export takes at most three times as long (medians), and its peak memory with all judgments is at most a
quarter above that with a tenth of them. The last line of the output is one JSON object. Exits 1 below a bar.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import click
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from load.system.worker_process import allocator
from stream.events import JudgmentSettled, JudgmentSubmitted, Source, encode
from stream.local import kafka_or_exit
from stream.topics import JUDGMENTS, TASKS

RATIO = 3.0
GROWTH = 1.25
PARTITIONS = 4
PER_TASK = 5
PEOPLE = 2_000
TURNS = 3
POOLS = ("pool-0", "pool-1", "pool-2", "pool-3")

PLAIN = """
import asyncio, sys
from load.bench.bench_export import plain
asyncio.run(plain(sys.argv[1]))
"""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Figures beside their bars; seconds and MB."""

    bench: str
    judgments: int
    plain_s: list[float]
    export_s: list[float]
    ratio: float
    ratio_bar: float
    tenth_mb: float
    all_mb: float
    growth: float
    growth_bar: float
    ok: bool


async def plain(bootstrap: str) -> int:
    """Read the topic of judgments and do nothing; returns the number of records."""
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest",
        isolation_level="read_committed", max_partition_fetch_bytes=8 << 20,
    )  # fmt: skip
    await consumer.start()
    places = [TopicPartition(JUDGMENTS, number) for number in range(PARTITIONS)]
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    ends, count = await consumer.end_offsets(places), 0
    while count < sum(ends.values()):
        found = await consumer.getmany(timeout_ms=200)
        count += sum(map(len, found.values()))
    await consumer.stop()
    return count


async def _write(bootstrap: str, judgments: int) -> None:
    """Inputs and what became of them: partition p holds pool p, whatever its key would say."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1 << 20)
    await producer.start()
    now = time.time()
    each = judgments // PARTITIONS
    for partition, pool in enumerate(POOLS):
        key = pool.encode()
        for topic in (TASKS, JUDGMENTS):
            batch, under_way = producer.create_batch(), []
            for n in range(each):
                task, who = f"task-{n // PER_TASK}", f"person-{(n * 7) % PEOPLE}"
                if topic == TASKS:
                    event: Any = JudgmentSubmitted(
                        pool=pool, at=now, task=task, annotator=who, label=n % 3, duration_s=4.5
                    )
                else:
                    event = JudgmentSettled(
                        pool=pool, partition=partition, round=n // 100, task=task, project="export", annotator=who,
                        source=Source(topic=TASKS, partition=partition, offset=n), outcome="counted", count=1,
                        duration_s=4.5, accepted_at=now,
                    )  # fmt: skip
                if batch.append(key=key, value=encode(event), timestamp=int(now * 1000)) is None:
                    batch.close()
                    under_way.append(await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                    batch.append(key=key, value=encode(event), timestamp=int(now * 1000))
            batch.close()
            under_way.append(await producer.send_batch(batch, topic, partition=partition))
            await asyncio.gather(*under_way)
    await producer.stop()


def _run(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and peak MB of a process."""
    began = time.monotonic()
    pid = os.posix_spawn(command[0], command, {**os.environ, **environment})
    _, status, used = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise click.ClickException(f"{' '.join(command[:3])} … ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - began, _mb(used)


def _mb(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / (1024 if sys.platform == "linux" else 1 << 20)


def measure(bootstrap: str, judgments: int, turns: int, folder: Path) -> tuple[list[float], list[float], float]:
    """Seconds of both, a turn each, and the largest peak of the export."""
    environment = {
        "ALLOCATOR_KAFKA_BOOTSTRAP": bootstrap, "ALLOCATOR_PARTITIONS": str(PARTITIONS), "ALLOCATOR_REPLICATION": "1",
    }  # fmt: skip
    prepare, settings = allocator(["topics", "apply"]), {**os.environ, **environment}
    done = subprocess.run(prepare, env=settings, capture_output=True, check=False)
    if done.returncode:
        raise click.ClickException(f"`allocator topics apply` failed: {done.stderr.decode()}")
    asyncio.run(_write(bootstrap, judgments))
    plains, exports, peak = [], [], 0.0
    for turn in range(turns):
        plains.append(_run([sys.executable, "-c", PLAIN, bootstrap], environment)[0])
        out = folder / f"{turn}.csv"
        seconds, mb = _run(allocator(["judgments", "--out", str(out)]), environment)
        exports.append(seconds)
        peak = max(peak, mb)
        with out.open("rb") as file:
            rows = sum(1 for _ in file) - 1
        if rows != judgments // PARTITIONS * PARTITIONS:
            raise click.ClickException(f"expected {judgments} rows, got {rows}")
        out.unlink()
    return plains, exports, peak


@click.command()
@click.option("--judgments", default=1_000_000, show_default=True, help="How many.")
@click.option("--turns", default=TURNS, show_default=True, help="Measurements of each, turn about.")
def main(judgments: int, turns: int) -> None:
    """Measure and judge."""
    with tempfile.TemporaryDirectory(prefix="allocator-export-") as folder:
        with kafka_or_exit() as bootstrap:
            _, _, tenth = measure(bootstrap, judgments // 10, 1, Path(folder))
        with kafka_or_exit() as bootstrap:
            plains, exports, peak = measure(bootstrap, judgments, turns, Path(folder))
    ratio, growth = median(exports) / median(plains), peak / tenth
    verdict = Verdict(
        bench="export", judgments=judgments, plain_s=plains, export_s=exports, ratio=ratio, ratio_bar=RATIO,
        tenth_mb=tenth, all_mb=peak, growth=growth, growth_bar=GROWTH, ok=ratio <= RATIO and growth <= GROWTH,
    )  # fmt: skip
    click.echo(msgspec.json.encode(verdict).decode())
    if not verdict.ok:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
