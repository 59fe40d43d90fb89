"""What a round may hold: a record that its topic doesn't take is known before the broker refuses it."""

import asyncio
from pathlib import Path

import pytest

from stream.core.shard import RoundResult, Shard
from stream.settings import Market, Settings
from stream.shell.kafka import clients
from stream.shell.kafka.transaction import Encoded, Producer
from stream.topics import OVERHEAD_BYTES

INPUT_BYTES = 100_000


def encode(tmp_path: Path, size: int) -> Encoded:
    """Encode a round with one row of so many bytes."""
    settings = Settings(input_bytes=INPUT_BYTES, data_dir=str(tmp_path))
    shard = Shard(0, Market(), 1)
    shard.restored()
    result: RoundResult = shard.round(None, None, 1000.0, 1000.0, True)
    result.rows["tasks"].append((b"t", b"x" * size))

    async def run() -> Encoded:
        producer = Producer(settings, 0)
        producer._producer = clients.transactional_producer(settings, 0)
        try:
            return producer.encode(result, 1000.0)
        finally:
            await producer.close()

    return asyncio.run(run())


def test_a_record_that_its_topic_takes_gets_a_batch_of_its_own(tmp_path: Path) -> None:
    encoded = encode(tmp_path, INPUT_BYTES + OVERHEAD_BYTES - 200)
    sizes = {topic: batch.size() for topic, batch in encoded.batches}
    assert INPUT_BYTES < max(sizes.values()) <= INPUT_BYTES + OVERHEAD_BYTES


def test_a_record_that_its_topic_refuses_is_an_error_before_the_transaction(tmp_path: Path) -> None:
    """Isolation then finds the event behind it; a refusal by the broker would end the process, again and again."""
    with pytest.raises(ValueError, match=r"a record for allocator-tasks-changelog has \d+ bytes, it takes 165536"):
        encode(tmp_path, INPUT_BYTES + OVERHEAD_BYTES)
