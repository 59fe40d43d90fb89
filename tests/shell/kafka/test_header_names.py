"""A header whose name is no UTF-8 costs nothing but that name, in both clients."""

import kafka.record
import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy as Builder
from aiokafka.record.memory_records import MemoryRecords

from stream.shell.kafka.fetched import BatchedRecords
from stream.shell.kafka.header_names import KeptRecords, install_for_kafka_python


class Latin(str):
    """A name that a sender in another language has written in another encoding."""

    def encode(self, *_: object) -> bytes:
        return super().encode("latin-1")


def batch(base: int, name: str, codec: int = 0) -> bytes:
    builder = Builder(2, codec, False, -1, -1, -1, 1 << 20)
    for index in range(3):
        headers = [(name if index == 1 else "plain", b"\xff\0"), ("none", None)]
        builder.append(index, 1000 + index, b"k%d" % index, b"v%d" % index, headers)
    data = builder.build()
    data[0:8] = base.to_bytes(8, "big")
    return bytes(data)


@pytest.mark.parametrize("codec", [0, 1])
def test_the_workers_client_reads_the_batch_with_a_mark_in_the_name(codec: int) -> None:
    data = batch(0, "fine", codec) + batch(3, Latin("schlüssel"), codec) + batch(6, "fine", codec)
    with pytest.raises(UnicodeDecodeError):
        records = MemoryRecords(data)
        while records.has_next():
            list(records.next_batch())
    args = ([], 0, None, None, True, fetcher.READ_COMMITTED)
    found = BatchedRecords(TopicPartition("t", 0), KeptRecords(data), *args).drain()
    assert [(r.offset, r.key, r.value) for r in found] == [(n, b"k%d" % (n % 3), b"v%d" % (n % 3)) for n in range(9)]
    assert [r.timestamp for r in found[3:6]] == [1000, 1001, 1002]
    assert found[4].headers == [("schl\ufffdssel", b"\xff\0"), ("none", None)]
    assert found[3].headers == [("plain", b"\xff\0"), ("none", None)]


def test_kafka_python_reads_it_likewise() -> None:
    install_for_kafka_python()
    records = kafka.record.MemoryRecords(batch(0, Latin("schlüssel")))
    found = list(records.next_batch())
    assert [record.value for record in found] == [b"v0", b"v1", b"v2"]
    assert found[1].headers == [("schl\ufffdssel", b"\xff\0"), ("none", None)]
