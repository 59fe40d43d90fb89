"""What senders do wrong without noticing it, found in the newest records of the input topics.

    times     `at` of an event against the time at which its record was written, by type: ahead, behind, too late
    fields    what an event stated and was taken as left out, with an example

`at` is the clock of whoever saw the event, the record's time that of the producer or the broker. Both are usually one
machine's or a second apart; minutes between them are a clock that goes wrong, a queue on the way, or a wrong unit.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import msgspec
from aiokafka.errors import TopicAuthorizationFailedError

from stream.events import (
    AnnotatorOffline,
    AnnotatorOnline,
    AnnotatorPaused,
    AnnotatorResumed,
    Event,
    JudgmentScored,
    JudgmentSubmitted,
    SkillSeeded,
    TruthSet,
    read,
    wanted,
)
from stream.files.complaints import plural
from stream.second_reading import parse
from stream.shell.commands.finding import Finding
from stream.shell.commands.topic_reader import TopicReader
from stream.topics import INPUTS
from stream.wording import got, of_time

#: records of a partition that are looked at
RECENT = 5_000
AHEAD_S, BEHIND_S = 60.0, 120.0
#: older work is brought along from another system, which is no fault
BROUGHT_S = 86_400.0
BROUGHT = (JudgmentSubmitted, JudgmentScored, SkillSeeded, TruthSet)
#: types whose newest `at` holds for a person, by what they speak of
HOLDS = {AnnotatorOnline: "presence", AnnotatorOffline: "presence", AnnotatorPaused: "break", AnnotatorResumed: "break"}


class Odd(NamedTuple):
    """A field that has held what it may not: how often, and the first of it."""

    times: int
    example: str


class Senders:
    """Takes records one after another, as they came; `findings` says what is wrong with them.

    Parameters
    ----------
    clock_ahead_s : float
        What is further ahead becomes a dead letter.
    """

    def __init__(self, clock_ahead_s: float) -> None:
        self._clock_ahead_s = clock_ahead_s
        self._events: Counter[str] = Counter()
        self._gaps: dict[str, list[float]] = defaultdict(list)  # `at` less the record's time, where it is minutes
        self._units: dict[str, float] = {}  # an `at` of every type that is in another unit
        self._vain: Counter[tuple[str, str]] = Counter()
        self._odd: dict[str, Odd] = {}
        self._newest: dict[tuple[Any, ...], float] = {}

    def take(self, value: bytes | None, written_at: float) -> None:
        """Look at a record and when it was written, Unix seconds; what is no event is a dead letter already."""
        try:
            event, odd = read(value)
        except msgspec.ValidationError:
            return
        tag = str(event.__struct_config__.tag)
        self._events[tag] += 1
        if odd:
            given = parse(value)
            for name in odd:
                known = self._odd.get(name) or Odd(0, got(given[name.partition(".")[2]]))
                self._odd[name] = known._replace(times=known.times + 1)
        if of_time(event.at):
            self._units.setdefault(tag, event.at)
            return
        gap = event.at - written_at
        is_brought = isinstance(event, BROUGHT) and gap < -BROUGHT_S
        if gap > AHEAD_S or (gap < -BEHIND_S and not is_brought):
            self._gaps[tag].append(gap)
        if gap <= self._clock_ahead_s and (why := self._in_vain(event, written_at)):
            self._vain[tag, why] += 1

    def _in_vain(self, event: Event, written_at: float) -> str:
        """Why an event came too late to have an effect; empty when it had one."""
        of = HOLDS.get(type(event))
        if of is None:
            return ""
        about = of, event.pool, getattr(event, "annotator", ""), getattr(event, "session", None)
        newest = self._newest.get(about, float("-inf"))
        self._newest[about] = max(newest, event.at)
        if event.at < newest:
            return "a later one of the same person had come before"
        until = getattr(event, "until", None)
        ends = min(event.at + getattr(event, "ttl_s", float("inf")), float("inf") if until is None else until)
        return "what it says was over by then" if ends <= written_at else ""

    def findings(self) -> Iterator[Finding]:
        """One line a type and fault; one that all is well if it is."""
        found = [*self._of_units(), *self._of_gaps(), *self._of_vain(), *self._of_odd()]
        events = sum(self._events.values())
        if not found:
            seen = f"{plural(events, 'recent event')}: times and fields are as they should be"
            yield Finding(check="senders", verdict="fine", found=seen if events else "no recent events")
        yield from found

    def _of_units(self) -> Iterator[Finding]:
        for tag, at in sorted(self._units.items()):
            found = f"{tag}: `at` is {at:.0f}, which is not in seconds: each of these is a dead letter `clock`"
            yield Finding(check="senders", verdict="wrong", found=found, remedy=of_time(at))

    def _of_gaps(self) -> Iterator[Finding]:
        for tag, gaps in sorted(self._gaps.items()):
            for side, some in (("after", [g for g in gaps if g > 0]), ("before", [-g for g in gaps if g < 0])):
                if not some:
                    continue
                half, most = sorted(some)[len(some) // 2], max(some)
                is_dead = side == "after" and most > self._clock_ahead_s
                found = (
                    f"{tag}: {len(some):,} of {self._events[tag]:,} recent ones state a time {_span(half)} {side} "
                    f"their record's (at most {_span(most)})"
                )
                ahead = "synchronise the sender's clock"
                if is_dead:
                    ahead += f"; more than {self._clock_ahead_s:.0f} s ahead is a dead letter `clock`"
                behind = "synchronise the sender's clock, or find where events wait on their way"
                remedy = ahead if side == "after" else behind
                yield Finding(check="senders", verdict="wrong" if is_dead else "look", found=found, remedy=remedy)

    def _of_vain(self) -> Iterator[Finding]:
        for (tag, why), count in sorted(self._vain.items()):
            found = f"{tag}: {count:,} of {self._events[tag]:,} recent ones came too late to have an effect: {why}"
            remedy = "send each event when it happens, with the time at which it happened"
            yield Finding(check="senders", verdict="look", found=found, remedy=remedy)

    def _of_odd(self) -> Iterator[Finding]:
        for name, (count, example) in sorted(self._odd.items()):
            tag, _, field = name.partition(".")
            found = (
                f"{name}: {count:,} of {self._events[tag]:,} recent ones held what it may not, such as {example}: the "
                "event counts, the field as left out"
            )
            remedy = f"send {wanted(tag, field)} as {field}, or leave it out"
            yield Finding(check="odd fields", verdict="look", found=found, remedy=remedy)


def _span(seconds: float) -> str:
    """A length of time as people say it: 90 s, 12 min, 3 h, 4 days."""
    for size, unit, most in ((1, "s", 120), (60, "min", 7200), (3600, "h", 172_800)):
        if seconds < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


async def check_senders(reader: TopicReader) -> AsyncIterator[Finding]:
    """Look at the newest records of every input partition."""
    senders = Senders(reader.settings.market.clock_ahead_s)
    try:
        spans = await reader.spans(reader.places(INPUTS))
        recent = {place: (max(begin, end - RECENT), end) for place, (begin, end) in spans.items()}
        async for _, records in reader.read(recent):
            for record in records:
                senders.take(record.value, record.timestamp / 1000)
    except TopicAuthorizationFailedError:
        found = f"not looked at: the user {reader.settings.kafka_username!r} may not read the inputs"
        remedy = "ask as a user with Read on them: docs/security.md, Access lists"
        yield Finding(check="senders", verdict="look", found=found, remedy=remedy)
        return
    for finding in senders.findings():
        yield finding
