"""Batches handed on whole bring exactly what aiokafka's record by record brings."""

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from stream.shell.kafka.fetched import BatchedRecords
from stream.shell.kafka.header_names import KeptRecords

PLACE = TopicPartition("t", 0)


def batch(base: int, count: int, producer: int = -1, transactional: bool = False) -> bytes:
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=int(transactional), producer_id=producer, producer_epoch=0, base_sequence=0,
        batch_size=1 << 20,
    )  # fmt: skip
    for index in range(count):
        builder.append(index, 1000 + index, b"k", b"v%d" % (base + index), [])
    data = builder.build()
    data[0:8] = base.to_bytes(8, "big")  # the broker's part: not covered by the checksum
    return bytes(data)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    aborted=st.sets(st.integers(0, 5)),
    position=st.integers(0, 8),
)
def test_the_same_records_and_the_same_position(sizes: list[int], aborted: set[int], position: int) -> None:
    data, base, starts = b"", 0, []
    for number, size in enumerate(sizes):
        data += batch(base, size, producer=number, transactional=True)
        starts.append((number, base))
        base += size
    gone = [start for start in starts if start[0] in aborted]
    args = (gone, min(position, sizes[0] - 1), None, None, True, fetcher.READ_COMMITTED)
    theirs = fetcher.PartitionRecords(PLACE, MemoryRecords(data), *args)
    expected = [(r.offset, r.key, r.value, r.timestamp) for r in theirs]
    ours = BatchedRecords(PLACE, KeptRecords(data), *args)
    assert [(r.offset, r.key, r.value, r.timestamp) for r in ours.drain()] == expected
    assert ours.next_fetch_offset == theirs.next_fetch_offset


def test_a_damaged_batch_is_noticed() -> None:
    data = bytearray(batch(0, 3))
    data[-1] ^= 1
    records = BatchedRecords(
        PLACE, KeptRecords(bytes(data)), [], 0, None, None, True, fetcher.READ_COMMITTED
    )
    with pytest.raises(fetcher.Errors.CorruptRecordException):
        records.drain()
