"""Up to when one input partition is known to be completely consumed.

A fetch that was *sent* at time s and reported the end offset h says: every record appended before s has an
offset below h. Once the position has reached h, the input is complete up to s. So

    complete_until(position) = max { s : (s, h) answered, h <= position }

The time of sending counts, not that of the answer: the broker looks at its log somewhere between the two, and
a record that arrives after the look and before the answer must not be missed. Clocks of producers play no
part.
"""

import threading
from collections import deque

KEPT = 64


class Horizon:
    """Answers of the fetches of one input partition: written by the consumer's thread, read by the runner."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: deque[tuple[float, int]] = deque(maxlen=KEPT)
        self._until = 0.0
        self.end: int | None = None

    def answered(self, sent: float, end: int) -> None:
        """Note that a fetch sent at Unix time `sent` reported the end offset `end`."""
        with self._lock:
            self.end = end
            if self._answers and self._answers[-1][1] == end:
                self._answers.pop()
            self._answers.append((sent, end))

    def complete_until(self, position: int) -> float:
        """Unix time up to which the input is complete once `position` is reached; 0 if unknown."""
        with self._lock:
            while self._answers and self._answers[0][1] <= position:
                self._until = self._answers.popleft()[0]
            return self._until

    def reached(self, position: int) -> bool:
        """Whether nothing was waiting behind `position` when the broker last answered."""
        return self.end is not None and self.end <= position
