"""Pacing: a sender pauses while more than so many events lie before the workers, so that live work is not buried."""

import asyncio
import time

from stream.shell.commands.failures import PersonNeeded
from stream.shell.commands.resume import Progress
from stream.shell.commands.telling import Tell
from stream.shell.commands.workers import Lag

LAG_EVERY_S = 1.0
LAG_POLL_S = 0.2
PATIENCE_S = 600.0


class Pause:
    """Holds an import up while more than so many events lie before the workers."""

    def __init__(self, lag: Lag, most: int, tell: Tell, progress: Progress) -> None:
        self._lag, self._most, self._tell, self._progress = lag, most, tell, progress
        self._looked = -LAG_EVERY_S
        self._sure_until = 0  # rows sent, before which the lag can't be above the limit by this import alone
        self.waited_s = 0.0

    async def wait(self) -> None:
        """Return when the lag is at most the limit; it is looked at once a second, or when it may be above.

        Raises
        ------
        PersonNeeded
            The workers don't keep up at all.
        """
        if time.monotonic() - self._looked < LAG_EVERY_S and self._progress.sent < self._sure_until:
            return
        began = moved = time.monotonic()
        lowest = waiting = await asyncio.to_thread(self._lag.now)
        while waiting > self._most:
            self._tell(f"{self._progress.sent:,} rows sent; waiting, {waiting:,} events lie before the workers")
            if waiting < lowest:
                lowest, moved = waiting, time.monotonic()
            elif time.monotonic() - moved > PATIENCE_S:
                raise PersonNeeded(
                    f"{waiting:,} events wait and none has been worked on for {PATIENCE_S:.0f} s: does a worker run? "
                    f"{self._progress.sent:,} of {self._progress.rows:,} rows are sent; the same command goes on there"
                )
            await asyncio.sleep(LAG_POLL_S)
            waiting = await asyncio.to_thread(self._lag.now)
        self.waited_s += time.monotonic() - began
        self._looked = time.monotonic()
        self._sure_until = self._progress.sent + self._most - waiting
