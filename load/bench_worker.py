"""What the benches of a whole worker share: a deployment of one worker, and pools placed where wanted."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka.partitioner.default import murmur2

from load.session import command, require_empty
from load.worker import Worker, WorkerFailed
from stream.local.broker import free_port


def pool_in(partition: int, partitions: int, nth: int = 0) -> str:
    """Name of the `nth` pool, counted from 0, that belongs to `partition` of `partitions`.

    >>> pool_in(0, 1), pool_in(0, 1, 2)
    ('pool-0', 'pool-2')
    """
    names = (f"pool-{number}" for number in itertools.count())
    there = (name for name in names if (murmur2(name.encode()) & 0x7FFFFFFF) % partitions == partition)
    return next(itertools.islice(there, nth, None))


@contextmanager
def deployment(bootstrap: str, partitions: int, folder: Path, **market: float) -> Iterator[Worker]:
    """Topics on an empty broker and a worker that is not yet started; stopped at the end.

    Parameters
    ----------
    bootstrap : str
    partitions : int
    folder : Path
        For the worker's log and data.
    market : float
        Settings of the market by their names.

    Raises
    ------
    NotEmpty
        The broker holds records already.
    WorkerFailed
        The topics can't be made.
    """
    require_empty(bootstrap)
    environment = {
        "ALLOCATOR_KAFKA_BOOTSTRAP": bootstrap,
        "ALLOCATOR_APP_ID": "bench",
        "ALLOCATOR_PARTITIONS": str(partitions),
        "ALLOCATOR_REPLICATION": "1",
        "ALLOCATOR_DATA_DIR": str(folder),
        **{f"ALLOCATOR_MARKET_{name.upper()}": str(value) for name, value in market.items()},
    }
    code, said = command(["topics", "apply"], environment)
    if code:
        raise WorkerFailed(f"`allocator topics apply` ended with code {code}: {said}")
    worker = Worker(environment, free_port(), folder / "worker.log")
    try:
        yield worker
    finally:
        worker.stop()
