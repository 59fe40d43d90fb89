"""What became of events that a command has sent: applied, dead letters with their reasons, settled judgments.

    sent ──► the round that consumed it (labeling.rounds.v1) ──► its dead letter, its judgment_settled, or neither: it
                                                                took effect
    a judgment of an unknown task waits in the state until the task comes or its time is over

Everything is read from the topics, from where they ended before the first event was sent.
"""

import time
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from stream.events import JudgmentSettled, RoundCompleted, decode_result
from stream.files.complaints import plural
from stream.shell.commands.failures import PersonNeeded
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import Place, TopicReader, letter_at
from stream.topics import INPUTS, JUDGMENTS, ROUNDS, dead_letters, is_mark

SHOWN = 3
STILL_S = 60.0  # so long may no round come before somebody must look
LONGER_S = 15.0  # beyond the time an event may wait for its task: the round that gives it up must be seen

#: events that settle as judgments, by their tag
SETTLED = (b'"judgment_submitted"', b'"judgment_corrected"', b'"judgment_retracted"')
TOPICS = (ROUNDS, JUDGMENTS, *map(dead_letters, INPUTS))


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """One event that could not be used; `number` is what the sender calls it, a line of a file for example."""

    number: int
    reason: str
    message: str
    letter: str


class Fate(msgspec.Struct, kw_only=True):
    """What became of everything that was sent.

    ``outcomes`` counts judgments by what became of them, ``dead`` all dead letters by reason, ``first`` some of each.
    ``unsettled`` judgments were applied and have no outcome: their tasks are unknown.
    """

    sent: int = 0
    dead: dict[str, int] = {}
    first: list[Dead] = []
    outcomes: dict[str, int] = {}
    unsettled: int = 0

    @property
    def took_effect(self) -> int:
        """How many are no dead letters and wait for nothing."""
        return self.sent - sum(self.dead.values()) - self.unsettled


class Watch:
    """Follows what a command sends; made before anything is sent.

    Parameters
    ----------
    reader : TopicReader
        Used by nobody else while this one waits.
    """

    def __init__(self, reader: TopicReader) -> None:
        self.reader, self.settings = reader, reader.settings
        self._starts: dict[Place, int] = {}
        self._offsets: dict[Place, array[int]] = {}
        self._numbers: dict[Place, array[int]] = {}
        self._settles: Counter[Place] = Counter()

    async def start(self, waits: bool = True) -> "Watch":
        """Note where the topics end now; nothing if nobody will wait.

        Raises
        ------
        PersonNeeded
            A topic doesn't exist.
        """
        if waits:
            self._starts = await self.reader.ends(self.reader.places(TOPICS))
        return self

    def sent(self, topic: str, partition: int, offset: int, number: int, settles: bool = False) -> None:
        """Take note of an event that the broker has; offsets of a partition grow. `settles`: it is a judgment."""
        place = Place(topic, partition)
        self._offsets.setdefault(place, array("q")).append(offset)
        self._numbers.setdefault(place, array("q")).append(number)
        self._settles[place] += settles

    def _number(self, topic: str, partition: int, offset: int) -> int | None:
        """What the sender calls the event at this offset; None when it is somebody else's."""
        offsets = self._offsets.get(Place(topic, partition))
        if offsets is None:
            return None
        i = bisect_left(offsets, offset)
        if i == len(offsets) or offsets[i] != offset:
            return None
        return self._numbers[Place(topic, partition)][i]

    async def wait(self, tell: Tell, is_idle: Callable[[], bool] = lambda: False) -> Fate:
        """Wait until everything has been applied and its fate is known.

        Parameters
        ----------
        tell : Tell
        is_idle : callable
            Whether nobody is there who could apply it: then waiting is in vain.

        Raises
        ------
        PersonNeeded
            Nobody applies it.
        """
        course = _Course(self, self._number)
        partitions = {place.partition for place in self._offsets}
        starts = {place: offset for place, offset in self._starts.items() if place.partition in partitions}
        if not self._offsets:
            return course.fate
        heard, looked = time.monotonic(), time.monotonic()
        applied_at: float | None = None
        async for batches in self.reader.follow(starts):
            for place, records in batches:
                course.take(place, records)
            now = time.monotonic()
            if any(place.topic == ROUNDS for place, _ in batches):
                heard = now
            if applied_at is None and course.left() == 0:
                applied_at = now
                ends = await self.reader.ends(starts)
            if applied_at is not None:
                if not await self._is_read(ends):
                    continue
                if not course.unsettled() or now - applied_at > self.settings.market.reference_wait_s + LONGER_S:
                    return course.done()
                ends = {}
                tell(
                    f"{course.unsettled():,} judgments are of tasks that nobody has created yet: waiting up to "
                    f"{self.settings.market.reference_wait_s:.0f} s for these"
                )
                continue
            tell(f"{course.left():,} of {course.fate.sent:,} events are not applied yet")
            if now - looked > 2.0:
                looked = now
                if is_idle():
                    raise PersonNeeded(
                        f"{course.fate.sent:,} events are sent, but no worker runs, so {course.left():,} of them have "
                        "not taken effect yet. They lie in the topic; start one: allocator up, or allocator worker"
                    )
            if now - heard > STILL_S:
                raise PersonNeeded(
                    f"{course.left():,} of {course.fate.sent:,} events have not been applied: no round came for "
                    f"{STILL_S:.0f} s. See the worker's log; the events lie in the topic"
                )
        raise AssertionError("following never ends")

    async def _is_read(self, ends: dict[Place, int]) -> bool:
        return all([await self.reader.position(place) >= end for place, end in ends.items()])


class _Course:
    """Counts what the topics say about the events of a watch."""

    def __init__(self, watch: Watch, number: Callable[[str, int, int], int | None]) -> None:
        self._watch, self._number = watch, number
        self._last = {place: offsets[-1] for place, offsets in watch._offsets.items()}
        self._reached: dict[Place, int] = {}
        self._dead: Counter[str] = Counter()
        self._dead_judgments = 0
        self._outcomes: Counter[str] = Counter()
        self.fate = Fate(sent=sum(map(len, watch._offsets.values())), dead={}, first=[], outcomes={})

    def take(self, place: Place, records: Sequence[Any]) -> None:
        """Look at records of one of the topics."""
        for record in records:
            if place.topic not in (ROUNDS, JUDGMENTS):
                self._letter(place, record)
                continue
            output = decode_result(record.value)
            if isinstance(output, RoundCompleted):
                for topic, (_, end) in output.offsets.items():
                    self._reached[Place(topic, place.partition)] = end
            elif isinstance(output, JudgmentSettled):
                source = output.source
                if self._number(source.topic, source.partition, source.offset) is not None:
                    self._outcomes[output.outcome] += 1

    def _letter(self, place: Place, record: Any) -> None:
        if is_mark(record.headers):
            return
        letter = letter_at(place, record)
        number = self._number(letter.source_topic, letter.source_partition, letter.source_offset)
        if number is None:
            return
        self._dead[letter.reason] += 1
        self._dead_judgments += _is_judgment(record.value)
        if self._dead[letter.reason] <= SHOWN:
            self.fate.first.append(
                Dead(number=number, reason=letter.reason, message=letter.message, letter=letter.name)
            )

    def left(self) -> int:
        """How many events no round has consumed yet, about."""
        return sum(
            len(offsets) - bisect_left(offsets, self._reached.get(place, 0))
            for place, offsets in self._watch._offsets.items()
            if self._reached.get(place, 0) <= self._last[place]
        )

    def unsettled(self) -> int:
        """How many judgments have no outcome and are no dead letters."""
        sent = sum(self._watch._settles.values())
        return max(0, sent - sum(self._outcomes.values()) - self._dead_judgments) if sent else 0

    def done(self) -> Fate:
        """The fate as it is known now."""
        self.fate.dead, self.fate.outcomes = dict(self._dead), dict(self._outcomes)
        self.fate.unsettled = self.unsettled()
        return self.fate


def _is_judgment(value: bytes | None) -> bool:
    return value is not None and any(tag in value for tag in SETTLED)


def words(fate: Fate, what: Callable[[int], str]) -> list[str]:
    """Say what became dead letters, by reason, with the first ones and what to do; nothing when none did.

    Parameters
    ----------
    what : callable
        ``what(number)``: how the sender's numbers are called, ``tasks.csv:17`` for example.
    """
    said = []
    for reason, count in sorted(fate.dead.items(), key=lambda item: -item[1]):
        said.append(f"{plural(count, 'row')} became {'a dead letter' if count == 1 else 'dead letters'}: {reason}")
        said += [f"  {what(dead.number)}: {dead.message}" for dead in fate.first if dead.reason == reason]
        said.append(f"  why and what to do: docs/operations.md, {reason}; again: allocator dlt list --reason {reason}")
    if fate.unsettled:
        said.append(f"{fate.unsettled:,} judgments have no outcome yet: they wait for tasks that nobody has created")
    return said
