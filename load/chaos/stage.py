"""What a fault may touch, and the two ways in which it may end badly."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from load.chaos.fleet import Fleet, Worker
from load.chaos.proxy import Proxy
from load.chaos.sender import Sender
from stream.local import LocalKafka

DEATH_LIMIT_S, RECOVERY_LIMIT_S = 90.0, 120.0


class Missed(Exception):
    """The fault had no effect; the message says what was expected."""


class NotRecovered(Exception):
    """A partition stood still for too long after a fault: the run has failed."""


@dataclass
class Stage:
    """What a fault may touch."""

    fleet: Fleet
    sender: Sender
    broker: LocalKafka
    proxy: Proxy
    rng: Random
    input_bytes: int
    commit_deadline_s: float

    def recovered(self, since: float, what: str) -> float:
        """Wait until every partition has shown a round since that monotonic time; returns the seconds until then.

        Raises
        ------
        NotRecovered
        """
        if not self.fleet.wait(lambda: self.sender.progress.since(since), RECOVERY_LIMIT_S):
            words = "\n".join(f"{worker.name}: {worker.last_words()}" for worker in self.fleet.workers)
            raise NotRecovered(f"partitions stand still {RECOVERY_LIMIT_S:.0f} s after {what}:\n{words}")
        return time.monotonic() - since

    def victim(self) -> Worker:
        """Some worker that runs partitions."""
        self.fleet.wait_until_ready()
        return self.rng.choice(self.fleet.ready())


#: does its damage and returns the evidence; raises `Missed` when there is none
Fault = Callable[[Stage], str]


def error_of(line: str) -> str:
    """What a line of the log says of its error, short."""
    start = line.find('"error"')
    return line[start if start >= 0 else 0 :][:160]
