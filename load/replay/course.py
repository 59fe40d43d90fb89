"""The course of a demo run: replay the markets, kill the worker once, wait until everything is done.

    opening --> replay --(all settled | nobody can go on | time is up)--> closing --> drained
                  |  at the stated second: kill -9, start again

One loop on the wall clock: read outputs, let people react, send what they say. Closing means that the
projects' deadline is set to now, as a team lead would: what is open settles with what is known.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from load.system.wire import Received, Wire
from load.system.worker_process import Worker
from load.world.live_market import Market, Moment
from stream.events import AssignmentOffered, DecisionMade, Event, Output, RoundCompleted

WAIT_S = 0.01
TICK_S = 0.5
CLOSING_LIMIT_S = 10.0
QUIET_S = 3.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long the replay may take and when the worker is killed, in wall seconds from its start."""

    seconds: float
    kill_at_s: float | None


class Choice(NamedTuple):
    """A decision that could be explained."""

    assignment: str
    pool: str
    price: float
    seen: float


class Course:
    """What happened; filled while it happens.

    Parameters
    ----------
    wire, worker, markets, plan
        Connections and what to do; without a worker of our own none is watched or killed.
    watch : callable
        Called twice a second with seconds since the start, the moments of all markets and one line of news.
    """

    def __init__(
        self,
        wire: Wire,
        worker: Worker | None,
        markets: Sequence[Market],
        plan: Plan,
        watch: Callable[[float, list[Moment], str], None],
    ) -> None:
        self.wire, self.worker, self.markets, self.plan, self.watch = wire, worker, markets, plan, watch
        self.rounds: list[RoundCompleted] = []
        self.offers_seen: dict[tuple[int, int], float] = {}
        self.choices: list[Choice] = []
        self.killed: float | None = None
        self.back: float | None = None
        self.news = "people arrive"
        self._epochs: dict[int, int] = {}
        self._next_tick = 0.0
        self._progress = 0.0

    def run(self) -> float:
        """Replay until the end; return the seconds it took.

        Raises
        ------
        WorkerFailed
            When the worker ends by itself.
        KafkaError
            When an event could not be sent.
        """
        start = time.time()
        for market in self.markets:
            self.wire.send_tasks(market.opening(start))
        self._progress = start
        while not self._over(start):
            if self._kill_is_due(start):
                self._kill()
            self._step(start)
        for market in self.markets:
            if not market.finished:
                self.wire.send_tasks([market.closing(time.time())])
        limit = time.time() + CLOSING_LIMIT_S
        self.news = "closing what is open"
        while time.time() < limit and not self._drained():
            self._step(start)
        self.wire.flush()
        return time.time() - start

    @property
    def outage(self) -> tuple[float, float] | None:
        """From the kill to the first round of the successor that was read; Unix times."""
        return (self.killed, self.back) if self.killed is not None and self.back is not None else None

    def _over(self, start: float) -> bool:
        now = time.time()
        if all(market.finished for market in self.markets) or now >= start + self.plan.seconds:
            return True
        if self.killed is not None and self.back is None:
            return False
        return now - self._progress > QUIET_S and now > start + self.plan.seconds / 2

    def _drained(self) -> bool:
        return all(
            market.finished
            and not market.people.working
            and market.score.received == market.people.activity.judgments
            for market in self.markets
        )

    def _kill_is_due(self, start: float) -> bool:
        at = self.plan.kill_at_s
        return at is not None and self.killed is None and time.time() >= start + at

    def _kill(self) -> None:
        self._epochs = {}
        for completed in self.rounds:
            self._epochs[completed.partition] = max(completed.epoch, self._epochs.get(completed.partition, 0))
        if self.worker is None:
            raise ValueError("kill_at_s needs a worker of our own")
        self.worker.kill()
        self.killed = time.time()
        self.worker.start()
        self.news = "worker killed with -9 and started again"

    def _step(self, start: float) -> None:
        now = time.time()
        due = min(market.people.next_due for market in self.markets)
        received = self.wire.poll(max(0.001, min(WAIT_S, due - now)))
        self._note(received)
        now = time.time()
        for market in self.markets:
            outputs: list[Output] = [
                item.output
                for item in received
                if not isinstance(item.output, RoundCompleted) and item.output.pool == market.pool
            ]
            market.take(outputs, now)
            said: list[Event] = market.advance(now)
            self.wire.send_annotators(said)
            if market.people.working:
                self._progress = now
        if now >= self._next_tick:
            self._next_tick = now + TICK_S
            if self.worker is not None:
                self.worker.check()
            self.watch(now - start, [market.look(now) for market in self.markets], self.news)

    def _note(self, received: Sequence[Received]) -> None:
        for output, seen in received:
            if isinstance(output, AssignmentOffered):
                self.offers_seen.setdefault((output.partition, output.round), seen)
            elif isinstance(output, DecisionMade):
                if output.runner_up is not None:
                    self.choices.append(Choice(output.assignment, output.pool, output.price, seen))
            elif isinstance(output, RoundCompleted):
                self.rounds.append(output)
                newer = output.epoch > self._epochs.get(output.partition, 0)
                if self.killed is not None and self.back is None and newer:
                    self.back = self._progress = seen
                    self.news = f"worker is back after {seen - self.killed:.1f} s"
