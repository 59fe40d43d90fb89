"""Ends the process when it owns a partition and nothing moves; the successor will do better.

A thread of its own, because what is stuck may be the event loop. Three clocks, one limit (`watchdog_s`):

- the event loop has not run;
- the group has assigned nothing yet, or assigned partitions are not recovered and running;
- a partition has input that no commit has taken.
"""

import asyncio
import threading
import time

from stream.shell.process.exits import CRASH, leave
from stream.shell.worker.partitions import Partitions


class Watchdog:
    """Watches the partitions of this process from outside its event loop.

    Parameters
    ----------
    partitions : Partitions
    limit_s : float
        Longest time without progress.
    """

    def __init__(self, partitions: Partitions, limit_s: float) -> None:
        self._partitions = partitions
        self._limit_s = limit_s
        self._beat = time.monotonic()
        self._end = threading.Event()

    def start(self) -> None:
        """Begin to watch; must be called in the event loop."""
        loop = asyncio.get_running_loop()
        interval_s = min(1.0, self._limit_s / 4)

        def beat() -> None:
            self._beat = time.monotonic()
            loop.call_later(interval_s, beat)

        beat()
        threading.Thread(target=self._watch, args=(interval_s,), name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """No longer watch."""
        self._end.set()

    def _watch(self, interval_s: float) -> None:
        while not self._end.wait(interval_s):
            stuck = self.stuck(time.monotonic())
            if stuck is not None:
                leave(CRASH, "no_progress", stuck=stuck, limit_s=self._limit_s)

    def stuck(self, now: float) -> str | None:
        """What has not moved for longer than the limit, at monotonic time `now`."""

        def over(since: float | None) -> bool:
            return since is not None and now - since > self._limit_s

        if over(self._beat):
            return "event loop"
        if over(self._partitions.unready_since):
            return "joining the group or taking over"
        for partition in self._partitions.running():
            if over(partition.waiting_since):
                return f"partition {partition.number}"
        return None
