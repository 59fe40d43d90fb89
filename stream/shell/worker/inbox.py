"""The input of one topic that a partition has received and not yet applied: ranges without a hole.

    end of what was put  >=  end of what was taken  =  position of the next round

The way from the fetcher to here drops ranges when Faust clears its queues in a rebalance, and repeats them
after a seek. A range that starts behind `end` is a hole: it is refused, and whoever put it seeks back to
`end`. What is already here is skipped.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import Any

from stream.core.batch import Range


class Inbox:
    """Ranges of one input topic of one partition, in order.

    Parameters
    ----------
    position : int
        Next offset to apply.
    """

    def __init__(self, position: int) -> None:
        self.position = position
        self.end = position
        self.records = 0
        self._ranges: deque[Range] = deque()

    def __len__(self) -> int:
        """Ranges waiting; a range without records counts too: it moves the position."""
        return len(self._ranges)

    def put(self, start: int, end: int, records: Sequence[Any]) -> bool:
        """Append a range; False, and nothing happens, when offsets before it are missing."""
        if start > self.end:
            return False
        if end <= self.end:
            return True
        if start < self.end:
            records = records[bisect_left(records, self.end, key=lambda record: int(record.offset)) :]
        self._ranges.append(Range(self.end, end, records))
        self.end = end
        self.records += len(records)
        return True

    def take(self, limit: int) -> Range | None:
        """Remove and return at most `limit` records as one range, None when nothing waits or `limit` is 0."""
        ranges = self._ranges
        if not ranges or limit <= 0:
            return None
        start, end = self.position, self.position
        taken: list[Any] = []
        while ranges and len(taken) < limit:
            first = ranges.popleft()
            room = limit - len(taken)
            if len(first.records) <= room:
                taken.extend(first.records)
                end = first.end
            else:
                taken.extend(first.records[:room])
                end = int(first.records[room].offset)
                ranges.appendleft(Range(end, first.end, first.records[room:]))
        self.records -= len(taken)
        self.position = end
        return Range(start, end, taken)

    def put_back(self, taken: Range) -> None:
        """Let a range that was taken last, or its end, wait again."""
        if taken.end > taken.start:
            self._ranges.appendleft(taken)
            self.records += len(taken.records)
        self.position = taken.start

    def oldest_ms(self) -> int | None:
        """Kafka timestamp (ms) of the oldest waiting record."""
        for waiting in self._ranges:
            if waiting.records:
                return int(waiting.records[0].timestamp)
        return None
