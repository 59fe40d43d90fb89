"""One pool's turn in a round: the events that reach it, what they change, and what comes of it.

    event ──► dispatch ──► handler ──┬─ packs it behind the others ──► flush: one kernel call for all of them
                                     ├─ changes the pool at once, behind what is packed: apply_now
                                     └─ refuses it: reject, or raises Invalid or IdRefused

Whatever a kernel says has come of it (``emissions``) waits here for the results. A turn knows no handler: whoever
opens it says how events are dispatched. So handlers know the turn, and nothing here knows them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from kernels.buffers import Overrun, first_room
from kernels.lifecycle import EVENT, TASK, apply
from kernels.lifecycle.pool_columns import NOW
from stream import events as wire
from stream.core.batch import Applied, Invalid, Place, Reason, Rejected, Source
from stream.core.state.growth import Array
from stream.core.state.pools import PoolState
from stream.core.state.waiting import Headers, IdRefused, Waiting

NOTHING: Mapping[Place, str] = {}
NO_TASKS = np.zeros(1, TASK)
NO_TASKS.flags.writeable = False  # as the records read from bytes are: one type, one compilation
NOWHERE = Source("", -1, b"", ())


class Short(NamedTuple):
    """A project whose budget is less than what it has promised."""

    project: str
    promised: int
    budget: int


class Rejections:
    """The records that a round can't use, in the order in which that shows; shared by its turns.

    Parameters
    ----------
    refused : mapping of (topic, offset) to str
        Records that make the core raise and what it said: never looked at.
    """

    def __init__(self, refused: Mapping[Place, str] = NOTHING) -> None:
        self.refused = refused
        self.rejected: list[Rejected] = []
        self.waited: dict[Place, Headers] = {}  # of records of earlier rounds

    def add(
        self, topic: str, offset: int, key: bytes | None, value: bytes | None, reason: Reason, message: str
    ) -> None:
        """Put a record among the dead letters."""
        self.rejected.append(Rejected(topic, offset, key, value, reason, message))


class Turn:
    """One pool in one round.

    Parameters
    ----------
    pool : PoolState
    now : float
        The round's time.
    dispatch : callable
        ``dispatch(turn, event)`` lets the event take effect.
    rejections : Rejections
        Of the round.
    has_input : bool
        Whether it is an event that has opened it, and not the clock.
    """

    __slots__ = (
        "applied", "created", "dispatch", "emissions", "erased", "has_input", "is_resumed", "judgments", "now",
        "packed", "policy", "pool", "rejections", "short", "source",
    )  # fmt: skip

    def __init__(
        self,
        pool: PoolState,
        now: float,
        dispatch: "Dispatch",
        rejections: Rejections,
        has_input: bool = True,
    ) -> None:
        self.pool = pool
        self.policy = pool.policy  # what it ran by when the round began
        self.now = now
        self.dispatch = dispatch
        self.rejections = rejections
        self.has_input = has_input
        self.source = NOWHERE  # the record at hand
        self.packed: list[bytes] = []
        self.created: list[bytes] = []
        self.judgments = 0  # among the packed events
        self.applied: list[Applied] = []  # events that the results will speak of
        self.emissions: list[Array] = []
        self.short: list[Short] = []
        self.erased = 0  # persons
        self.is_resumed = False  # an operator wants it to go on

    # ------------------------------------------------------------------ events
    def take(self, event: wire.Event) -> None:
        """Let the event of the record at hand take effect, or put the record among the dead letters."""
        try:
            self.dispatch(self, event)
        except IdRefused as error:
            self.reject("malformed", str(error))
        except Invalid as error:
            self.reject("invalid", str(error))

    def take_waiting(self, waiting: list[Waiting]) -> None:
        """Let events that have waited take effect, as if they came now."""
        at_hand, refused = self.source, self.rejections.refused
        for w in waiting:
            self.rejections.waited[w.topic, w.offset] = w.headers
            self.source = Source(w.topic, w.offset, w.value, w.headers)
            if (w.topic, w.offset) in refused:
                self.reject("internal", refused[w.topic, w.offset])
            else:
                self.take(wire.decode(w.value))
        self.source = at_hand

    def reject(self, reason: Reason, message: str) -> None:
        """Put the record at hand among the dead letters."""
        source = self.source
        self.rejections.add(source.topic, source.offset, self.pool.key, source.value, reason, message)

    def classes_of(self, task: int) -> int:
        """How many classes a task has, by its slot; 0 without any."""
        if not self.pool.columns.tasks.records[task]["state"]:
            self.flush()  # it was created a moment ago
        return int(self.pool.columns.tasks.records[task]["classes"])

    @property
    def policies(self) -> list[wire.PoolPolicy]:
        """What this round must say of the pool's policy, see `wire.RoundCompleted`."""
        told = [] if self.pool.is_policy_told else [self.policy]
        return told if self.pool.policy is self.policy else [*told, self.pool.policy]

    # ------------------------------------------------------------------ kernels
    def flush(self) -> None:
        """Apply the packed events."""
        n = len(self.packed)
        if not n:
            return
        pool = self.pool
        events = np.frombuffer(b"".join(self.packed), EVENT)
        created = np.frombuffer(b"".join(self.created), TASK) if self.created else NO_TASKS
        # what nearly every run needs; where it is too little, the kernel stops and goes on
        pool.reserve_pairs(first_room(self.judgments))
        pool.reserve_seats(first_room(self.judgments))
        pool.reserve_emissions(first_room(8 * n + 2 * pool.live + 64))
        self.packed, self.created, self.judgments = [], [], 0
        at, stopped = 0, -1
        while True:
            at = int(apply(pool.columns, pool.fit, events, created, self.now, pool.in_force, at))
            self.collect()
            if at == n:
                break
            if at == stopped:
                raise Overrun(f"Pool {pool.name!r}: expected room for event {at} of {n}: it was made")
            stopped = at
            pool.reserve_event()

    def apply_now(self, kernel: Callable[..., int], *given: Any) -> None:
        """Call a kernel on the pool, behind all that is packed, until it lacks no room, and take what it says.

        Parameters
        ----------
        kernel : callable
            ``kernel(columns, *given)``; returns how many emissions it lacks room for, before it has changed anything.
        """
        self.flush()
        self.pool.columns.clock[NOW] = self.now
        while True:
            lacking = int(kernel(self.pool.columns, *given))
            self.collect()
            if not lacking:
                break
            self.pool.reserve_emissions(lacking)

    def collect(self) -> None:
        """Take what the last kernel call emitted."""
        emissions = self.pool.take_emissions()
        if len(emissions):
            self.emissions.append(emissions)

    def emitted(self) -> Array | None:
        """All that kernels have emitted since the last call, in order."""
        emissions, self.emissions = self.emissions, []
        return np.concatenate(emissions) if emissions else None


Dispatch = Callable[[Turn, Any], None]
