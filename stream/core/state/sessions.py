"""Sessions: who has more than one, a tab each, say, and what they come to.

    default session alone    in the annotator's record, the kernel's (`kernels.lifecycle.presence`)
    another one was named    all of the person's are kept here; the kernel is told what they come to:

        present    while one session lives, until the last of them will have lapsed
        capacity   the largest of those that live
        mode       that which was stated last by one that lives; push if none has stated it

A session lives by its heartbeats and ends by its own offline. Its facts may come in any order: of each the newest
counts; an end counts before what is said at the same time, of equally new statements the larger, of equally new
heartbeats the one that ends first. So repeats change nothing.

A person's sessions are bounded: at most `MOST` named ones are remembered, the oldest goes, those first that are over;
and what has been over for `REMEMBERED_S` is forgotten when the person's client next says something.
"""

import heapq
from typing import NamedTuple

import msgspec

from stream.events import AnnotatorOffline, AnnotatorOnline

DEFAULT = ""
MOST = 20
REMEMBERED_S = 3600.0
INF = float("inf")
NEVER = -1.0
MODES = {"push": 0, "pull": 1}


class Session(msgspec.Struct, array_like=True):
    """What is known of one session; times of nothing are `NEVER`."""

    at: float = NEVER  # newest heartbeat
    expires: float = NEVER  # what it lives until
    ended_at: float = NEVER
    capacity: int = 1
    capacity_at: float = NEVER
    mode: int = 0
    mode_at: float = NEVER
    has_lapsed: bool = False

    @property
    def is_begun(self) -> bool:
        """Whether a heartbeat has come since it was ended last."""
        return self.at > self.ended_at

    @property
    def is_live(self) -> bool:
        """Whether it was neither ended nor has lapsed."""
        return self.is_begun and not self.has_lapsed

    @property
    def newest(self) -> float:
        """The time of the newest fact about it."""
        return max(self.at, self.ended_at)

    def online(self, event: AnnotatorOnline) -> bool:
        """Take a heartbeat; whether anything has changed."""
        at = event.at
        if at <= self.ended_at:
            return False
        before = self.at, self.expires, self.capacity, self.capacity_at, self.mode, self.mode_at
        if isinstance(event.capacity, int) and (at, event.capacity) > (self.capacity_at, self.capacity):
            self.capacity_at, self.capacity = at, event.capacity
        if isinstance(event.mode, str) and (at, MODES[event.mode]) > (self.mode_at, self.mode):
            self.mode_at, self.mode = at, MODES[event.mode]
        expires = min(at + event.ttl_s, INF if event.until is None else event.until)
        if not self.is_begun or (at, -expires) > (self.at, -self.expires):
            self.at, self.expires, self.has_lapsed = at, expires, False
        return before != (self.at, self.expires, self.capacity, self.capacity_at, self.mode, self.mode_at)

    def offline(self, event: AnnotatorOffline) -> bool:
        """Take its end; whether anything has changed."""
        if event.at <= self.ended_at:
            return False
        self.ended_at = event.at
        if self.capacity_at <= event.at:
            self.capacity, self.capacity_at = 1, NEVER
        if self.mode_at <= event.at:
            self.mode, self.mode_at = 0, NEVER
        return True


class Presence(NamedTuple):
    """What several sessions come to."""

    capacity: int
    mode: int
    expires: float


class Sessions:
    """The sessions of those people of a pool who have named one, by their slots."""

    def __init__(self) -> None:
        self.of: dict[int, dict[str, Session]] = {}
        self.dirty: set[int] = set()
        self.gone: set[int] = set()  # whose row is to go
        self._heap: list[tuple[float, int]] = []
        self._watched: dict[int, float] = {}  # when the entry in the heap that counts is due

    def __contains__(self, slot: object) -> bool:
        return slot in self.of

    def begin(self, slot: int, default: Session) -> None:
        """Somebody names a session for the first time; ``default`` is the one that they had."""
        self.of[slot] = {DEFAULT: default}

    def put(self, slot: int, sessions: dict[str, Session]) -> None:
        """Restore somebody's sessions."""
        self.of[slot] = sessions
        self._watch(slot)

    def forget(self, slot: int) -> None:
        """Somebody is erased."""
        if self.of.pop(slot, None) is not None:
            self.gone.add(slot)
        self._watched.pop(slot, None)
        self.dirty.discard(slot)

    def session(self, slot: int, name: str, now: float) -> Session:
        """One session of a person, whether it is known or begins; forgets those that have been over for long."""
        mine = self.of[slot]
        self.dirty.add(slot)
        for other in [other for other in mine if _is_past(other, mine[other], now)]:
            del mine[other]
        return mine.setdefault(name, Session())

    def changed(self, slot: int) -> None:
        """A session of a person has changed."""
        mine = self.of[slot]
        if len(mine) > MOST + 1:
            del mine[min((one.is_live, one.newest, name) for name, one in mine.items() if name != DEFAULT)[2]]
        self._watch(slot)

    def presence(self, slot: int) -> Presence | None:
        """What a person's sessions come to; None when none of them lives."""
        live = [one for one in self.of[slot].values() if one.is_live]
        if not live:
            return None
        _, mode = max((one.mode_at, one.mode) for one in live)
        return Presence(max(one.capacity for one in live), mode, max(one.expires for one in live))

    # ------------------------------------------------------------------ the clock
    def _next(self, slot: int) -> float:
        return min((one.expires for one in self.of.get(slot, {}).values() if one.is_live), default=INF)

    def _watch(self, slot: int) -> None:
        due = self._next(slot)
        if due < self._watched.get(slot, INF):
            self._watched[slot] = due
            heapq.heappush(self._heap, (due, slot))

    @property
    def earliest(self) -> float:
        """When a session will next have lapsed."""
        while self._heap:
            due, slot = self._heap[0]
            is_watched = self._watched.get(slot) == due
            if is_watched and self._next(slot) == due:
                return due
            heapq.heappop(self._heap)
            if is_watched:  # it lives longer by now
                del self._watched[slot]
                self._watch(slot)
        return INF

    def lapse(self, horizon: float) -> list[int]:
        """Let all lapse that are due; returns the slots of their people, in order."""
        due: set[int] = set()
        while self.earliest <= horizon:
            _, slot = heapq.heappop(self._heap)
            del self._watched[slot]
            for one in self.of[slot].values():
                one.has_lapsed |= one.is_live and one.expires <= horizon
            self._watch(slot)
            due.add(slot)
        self.dirty |= due
        return sorted(due)


def _is_past(name: str, one: Session, now: float) -> bool:
    last = max(one.newest, one.expires)
    return name != DEFAULT and not one.is_live and last + REMEMBERED_S <= now
