"""The peer of bench-recovery: a plain Faust table recovers the same rows from a changelog of its own.

    python -m load.bench.plain_recovery BOOTSTRAP ROWS RESULT

The stock transport, the stock in-memory store, one partition. The changelog holds the rows without transactions: stock
recovery never ends on a log whose last record is a transaction's marker. When the table holds all rows, it writes to
the file `RESULT` how long that took, from the first row on, and leaves.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import faust

APP_ID = "bench-plain-recovery"
TABLE = "rows"
CHANGELOG = f"{APP_ID}-{TABLE}-changelog"
INPUT = f"{APP_ID}-input"


def build(bootstrap: str, folder: Path) -> tuple[Any, Any]:
    """Build the application and its table."""
    app = faust.App(
        APP_ID,
        broker=f"kafka://{bootstrap}",
        store="memory://",
        datadir=str(folder),
        topic_partitions=1,
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        stream_recovery_delay=0.0,
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
    )
    table = app.Table(TABLE, key_type=bytes, value_type=bytes, partitions=1)
    topic = app.topic(INPUT, key_type=bytes, value_type=bytes, value_serializer="raw", partitions=1)

    async def ignore(stream: Any) -> None:
        async for _ in stream:
            pass

    app.agent(topic, name="ignore")(ignore)
    return app, table


def watch(table: Any, rows: int, result: Path) -> None:
    """Wait for the rows, from outside, so that waiting costs the recovery nothing; then end the process."""
    while not len(table.data):
        time.sleep(0.002)
    began, cpu, at_first = time.perf_counter(), time.process_time(), len(table.data)
    while len(table.data) < rows:
        time.sleep(0.002)
    took, spent = time.perf_counter() - began, time.process_time() - cpu
    result.write_text(json.dumps({"rows": rows - at_first, "seconds": took, "cpu_s": spent}))
    os._exit(0)


def main() -> None:
    """Recover `ROWS` rows."""
    bootstrap, rows, result = sys.argv[1:]
    folder = Path(result).parent / "plain-recovery"
    folder.mkdir(exist_ok=True)
    app, table = build(bootstrap, folder)
    app.finalize()
    threading.Thread(target=watch, args=(table, int(rows), Path(result)), daemon=True).start()
    faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
