"""Fetched records without a detour: what a batch yields is handed on as it is.

aiokafka turns every record of a fetch into a ConsumerRecord of eleven fields, one at a time through two
generators: 2.7 µs each. The records that its parser yields already have all that anyone here asks for
(offset, key, value, timestamp, headers), and a whole batch goes into a list at once: 0.3 µs each.

What a reader of committed records must skip (control batches, aborted transactions, offsets below the
position) is skipped as in `aiokafka.consumer.fetcher.PartitionRecords`, whose name and whose result's name
these classes take.
"""

from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException

from stream.shell.kafka.header_names import KeptRecords


class BatchedRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of one partition in one fetch."""

    next_fetch_offset: int

    def drain(self) -> list[Any]:
        """All of them; moves `next_fetch_offset` behind the last batch."""
        found: list[Any] = []
        while self._records.has_next():
            batch = self._records.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"Invalid CRC - {self._tp}")
            if not self._is_skipped(batch):
                records = self._records.read(batch)
                if batch.base_offset < self.next_fetch_offset:
                    records = [record for record in records if record.offset >= self.next_fetch_offset]
                found += records
            self.next_fetch_offset = batch.next_offset
        return found

    def _is_skipped(self, batch: Any) -> bool:
        if self._isolation_level == fetcher.READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)


class BatchedResult(fetcher.FetchResult):  # type: ignore[misc]
    """What a fetch left for one partition; always taken as a whole."""

    _partition_records: BatchedRecords | None

    def getall(self, max_records: int | None = None) -> list[Any]:
        """All records of the fetch; `max_records` is not for callers of this process."""
        if not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        records = self._partition_records
        found = records.drain() if records is not None else []
        self._update_position()
        self._partition_records = None
        return found


def install() -> None:
    """Let every consumer of this process use these classes."""
    fetcher.MemoryRecords = KeptRecords
    fetcher.PartitionRecords = BatchedRecords
    fetcher.FetchResult = BatchedResult
