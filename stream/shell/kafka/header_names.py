"""Header names that are not UTF-8: Kafka takes them, and its Python clients raise on a whole batch because of one.

A record with such a header would end every reader of its partition, again and again. Here it is read with U+FFFD in
place of what can't be read; value, key and all else are as they were.

Both clients read a record by slicing a buffer and move on only when all of it is read, so it can be read once more from
a buffer whose text is decoded leniently. aiokafka's compiled parser can't; its Python one reads the batch instead.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex

import kafka.record.default_records as of_kafka_python
from aiokafka.record.default_records import _DefaultRecordBatchPy as PythonBatch
from aiokafka.record.memory_records import MemoryRecords

HEAD = struct.Struct(">qi")  # of a batch: its first offset, the bytes that follow


class Lenient(bytearray):
    """A buffer whose slices decode whatever they hold."""

    def __getitem__(self, place: SupportsIndex | slice) -> Any:
        """A slice is lenient, too."""
        part: Any = super().__getitem__(place)
        return Lenient(part) if isinstance(place, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        """The text, with U+FFFD where there is none."""
        return bytes(self).decode(encoding, "replace")


class KeptRecords(MemoryRecords):  # type: ignore[misc]
    """The batches of a fetch, and the bytes they are read from."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data

    def read(self, batch: Any) -> Sequence[Any]:
        """The records of a batch of these."""
        try:
            return list(batch)
        except UnicodeDecodeError:
            again = PythonBatch(self._bytes_of(batch.base_offset))
            again._maybe_uncompress()
            again._buffer = Lenient(again._buffer)
            return list(again)

    def _bytes_of(self, wanted: int) -> bytes:
        at = 0
        while True:
            offset, size = HEAD.unpack_from(self._data, at)
            end = at + HEAD.size + size
            if offset == wanted:
                return bytes(self._data[at:end])
            at = end


def install_for_kafka_python() -> None:
    """Let every kafka-python consumer of this process read such records."""
    of_kafka_python.DefaultRecordBatch._read_msg = _read_msg


_read_strictly: Callable[[Any], Any] = of_kafka_python.DefaultRecordBatch._read_msg


def _read_msg(batch: Any) -> Any:
    try:
        return _read_strictly(batch)
    except UnicodeDecodeError:
        batch._buffer = Lenient(batch._buffer)
        return _read_strictly(batch)
