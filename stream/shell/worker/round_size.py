"""How many events a round may take, from what rounds have cost.

The time of a round is modelled as t = a + b n: a for matching, b per event of n. Both are fitted by least
squares with forgetting, and a round may take

    n <= (limit - a) / b, but at least max(a, limit / 2) / b

because fewer events do not make the matching any cheaper: with less than that, most of the time would go into
matching the same market again and again. The time is that of the computing thread: that it had to wait for
other partitions doesn't make its rounds too long.
"""

from math import inf


class Budget:
    """Bound on the events of a round.

    Parameters
    ----------
    limit_s : float
        Seconds a round should take at most.
    most : int
        Events a round may take at most.
    """

    FORGET = 0.9
    FIRST = 5_000  # before anything is known
    LEAST = 256

    def __init__(self, limit_s: float, most: int) -> None:
        self._limit_s = limit_s
        self._most = most
        self._w = self._n = self._nn = self._t = self._nt = 0.0
        self._fixed = self._slope = 0.0
        self._is_known = False
        self.events = min(self.FIRST, most)

    def expected_s(self, events: int) -> float:
        """Seconds that a round of `events` is expected to take; infinite before any was seen."""
        return self._fixed + self._slope * events if self._is_known else inf

    def spent(self, events: int, seconds: float) -> None:
        """Learn from a round of `events` that took `seconds`; adjusts :attr:`events`."""
        keep, n = self.FORGET, float(events)
        self._w = keep * self._w + 1.0
        self._n = keep * self._n + n
        self._nn = keep * self._nn + n * n
        self._t = keep * self._t + seconds
        self._nt = keep * self._nt + n * seconds
        self._is_known = True
        self._fixed, self._slope = self._fit()
        if n < self.LEAST:
            return
        affordable = max(self._limit_s - self._fixed, self._fixed, self._limit_s / 2) / self._slope
        # at most doubled: the cost of larger rounds is not known yet
        most = min(affordable, 2.0 * max(n, self.events / 2), self._most)
        self.events = int(max(most, min(self.LEAST, self._most)))

    def _fit(self) -> tuple[float, float]:
        """Least squares (a, b); when all rounds are alike, the whole cost is laid on the events."""
        w, n, nn, t, nt = self._w, self._n, self._nn, self._t, self._nt
        if nn <= 0.0:
            return t / w, 0.0
        spread = w * nn - n * n
        slope = (w * nt - n * t) / spread if spread > 1e-3 * w * nn else 0.0
        if slope <= 0.0:
            slope = nt / nn
        return max(0.0, (t - slope * n) / w), slope
