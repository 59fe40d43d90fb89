"""The peer of bench-pipeline: a Faust agent as its documentation writes it, one table write per event.

    python -m load.bench.plain_faust BOOTSTRAP PARTITIONS EVENTS RESULT

Every event of both inputs is decoded and counted in a table under its pool, by the stock transport and the
stock in-memory store with its changelog. Buffers and batches are as large as helps it. After `EVENTS` events
it writes to the file `RESULT` how long they took, from the first to the last, and leaves.

It promises less than the allocator: no outputs, no matching, at-least-once.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import faust

from stream.events import decode
from stream.topics import INPUTS

APP_ID = "bench-plain"
TABLE = "events"
CHANGELOG = f"{APP_ID}-{TABLE}-changelog"


def build(bootstrap: str, partitions: int, events: int, result: Path) -> Any:
    """Build the application."""
    app = faust.App(
        APP_ID,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=str(result.parent / "plain"),
        topic_partitions=partitions,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        broker_commit_interval=1.0,
        stream_buffer_maxsize=65536,
        producer_max_batch_size=524288,
        producer_linger=0.005,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
    )
    table = app.Table(TABLE, key_type=bytes, value_type=bytes, partitions=partitions)
    seen = {"events": 0, "began": 0.0, "cpu": 0.0}

    async def count(stream: Any) -> None:
        async for event in stream.events():
            if not seen["events"]:
                seen["began"], seen["cpu"] = time.perf_counter(), time.process_time()
            decode(event.value)
            table[event.key] = str(int(table.get(event.key) or 0) + 1).encode()
            seen["events"] += 1
            if seen["events"] == events:
                took, cpu = time.perf_counter() - seen["began"], time.process_time() - seen["cpu"]
                leave(result, {"events": events, "seconds": took, "cpu_s": cpu})

    for name in INPUTS:
        topic = app.topic(
            name, key_type=bytes, value_type=bytes, value_serializer="raw", partitions=partitions
        )
        app.agent(topic, name=f"count.{name}")(count)
    return app


def leave(result: Path, figures: dict[str, float]) -> NoReturn:
    """Write the figures and end the process."""
    result.write_text(json.dumps(figures))
    os._exit(0)


def main() -> None:
    """Run until `EVENTS` events are counted."""
    bootstrap, partitions, events, result = sys.argv[1:]
    Path(result).parent.joinpath("plain").mkdir(exist_ok=True)
    app = build(bootstrap, int(partitions), int(events), Path(result))
    app.finalize()
    faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
