"""Bars: when pairs of a pool may meet again whose offers have run out, so that somebody looks at the pool then.

How long a bar is says `kernels.rules.barred`. What is kept here follows from the pairs: the end of every bar to come.
"""

import heapq
from collections.abc import Iterable

INF = float("inf")


class Bars:
    """The ends of the bars of a pool that are still to come."""

    def __init__(self) -> None:
        self._ends: list[float] = []

    def begin(self, ends: Iterable[float]) -> None:
        """Bars have begun that end then."""
        for at in ends:
            heapq.heappush(self._ends, float(at))

    def end(self, now: float) -> None:
        """It is so late."""
        while self._ends and self._ends[0] <= now:
            heapq.heappop(self._ends)

    def forget(self, ends: Iterable[float]) -> None:
        """Pairs have left memory whose bars end then, or have ended."""
        gone = [float(at) for at in ends if self._ends and at >= self._ends[0]]
        for at in gone:
            self._ends.remove(at)
        if gone:
            heapq.heapify(self._ends)

    @property
    def earliest(self) -> float:
        """When the next bar ends."""
        return self._ends[0] if self._ends else INF
