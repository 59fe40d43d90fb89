"""`python -m tests.core.recording [FOLDER]`: rows of this version of two random histories, for tests of later versions.

`rows-VERSION.SEED.msgpack.gz` holds the rows after 25 rounds, and the input of the 15 rounds behind them.
"""

import gzip
import sys
from pathlib import Path
from typing import Any

import msgspec

from stream.core.batch import Range
from stream.core.saved.rows import VERSION
from stream.topics import TABLES
from tests.core.histories import Writer
from tests.core.test_oracle import offered, started

SEEDS = (2, 6)
BEFORE, BEHIND = 25, 15


def _plain(part: Range | None) -> Any:
    if part is None:
        return None
    return part.start, part.end, [(one.offset, one.key, one.value, one.headers) for one in part.records]


def main(folder: Path) -> None:
    """Record."""
    for seed in SEEDS:
        writer = Writer(seed)
        shard = started(writer)
        rows: dict[str, Any] = {}
        behind = []
        for number, turn in enumerate(writer.turns(BEFORE + BEHIND)):
            if number == BEFORE:
                rows = {table: list(shard.rows(table)) for table in TABLES}
            if number >= BEFORE:
                behind.append((_plain(turn.tasks), _plain(turn.annotators), *turn[2:]))
            writer.told(offered(shard.round(*turn)))
        found = msgspec.msgpack.encode({"rows": rows, "turns": behind})
        (folder / f"rows-{VERSION}.{seed}.msgpack.gz").write_bytes(gzip.compress(found, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "recorded")
