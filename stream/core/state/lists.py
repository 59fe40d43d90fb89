"""Lists of annotators whom tasks name, one behind the other in one column.

Where a list begins is in its task's record and in no row. So lists may move: when many have come since the last look,
those that tasks still have move together, and the rest is free.
"""

import numpy as np

from stream.core.state.growth import Array
from stream.core.state.tables import Columns

#: a look at what tasks have is worth its time when there are so many members, and twice as many as the last one left
FEW = 1024


class Lists:
    """The lists of one pool."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._many = FEW
        self.used = 0

    def take(self, more: int) -> int:
        """Take ``more`` places; returns the first."""
        start = self.used
        self.used = start + more
        self._columns.reserve("lists", self.used)
        return start

    def store(self, slots: list[int]) -> int:
        """Keep a list of annotator slots; returns where it starts."""
        start = self.take(len(slots))
        self._columns.pool.lists.members[start : start + len(slots)] = slots
        return start

    @property
    def is_crowded(self) -> bool:
        """Whether it is time to say which tasks there are (`keep`)."""
        return self.used > self._many

    def keep(self, tasks: Array) -> None:
        """Only the lists of these tasks (slots) are needed: they move together."""
        records, members = self._columns.pool.tasks.records, self._columns.pool.lists.members
        having = {field: tasks[records[f"{field}_n"][tasks] > 0] for field in ("only", "exclude")}
        starts = np.concatenate([records[field][whose] for field, whose in having.items()]).astype(np.int64)
        lengths = np.concatenate([records[f"{field}_n"][whose] for field, whose in having.items()]).astype(np.int64)
        places = np.cumsum(lengths) - lengths
        self.used = int(lengths.sum())
        members[: self.used] = members[np.repeat(starts - places, lengths) + np.arange(self.used)]
        for field, whose in having.items():
            records[field][whose], places = places[: len(whose)], places[len(whose) :]
        self._many = max(FEW, 2 * self.used)
