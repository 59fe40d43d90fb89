"""The generator's own books: what was sent, and what must have become of it.

Every record carries its number in the ledger as the header `n`. A record may lie in the log more than once (a
duplicate on purpose, a send that was repeated because the broker died before it answered): what is promised is
promised per record of the log, so the check walks over all offsets that a reader of committed data sees.

    judgment   exactly one settlement or exactly one dead letter, naming this judgment
    event      no settlement, at most one dead letter
    a reason   exactly one dead letter with this reason, no settlement
    aborted    never visible to anyone
    refused    likewise: the broker did not take it

The check reads the input, judgment and dead-letter topics and nothing else; it knows no rule of the market.
"""

import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from stream.events import JudgmentSettled, decode_result
from stream.topics import INPUTS, JUDGMENTS, dead_letters

EVENT, JUDGMENT, ABORTED, REFUSED = "event", "judgment", "aborted", "refused"
REASONS = ("malformed", "wrong_key", "wrong_partition", "clock", "invalid", "not_supported_yet", "internal")
KINDS = (EVENT, JUDGMENT, ABORTED, REFUSED, *REASONS)
#: dead letters that may befall a well-formed judgment or event: its task is unknown, or long settled
EXCUSED = ("unknown_task", "unknown_annotator", "too_many_waiting", "too_old")
HEADER = "n"
SHOWN = 20


def mark(pool: str, task: str, annotator: str) -> int:
    """Return a checksum of what a judgment is about."""
    return zlib.crc32(f"{pool}\0{task}\0{annotator}".encode())


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the check found; `problems` are in words, the first of many."""

    records: int
    judgments: int
    settled: int
    dead_letters: dict[str, int]
    outcomes: dict[str, int]
    repeated: int
    problems: int
    words: list[str]


class Ledger:
    """Append-only books; the number of an entry is its index.

    Examples
    --------
    >>> ledger = Ledger()
    >>> ledger.enter(EVENT), ledger.enter(JUDGMENT, mark("p", "t", "a"))
    (0, 1)
    >>> ledger.acknowledge(1)
    >>> ledger.kind(1), len(ledger)
    ('judgment', 2)
    """

    def __init__(self) -> None:
        self._kinds = bytearray()
        self._acknowledged = bytearray()
        self._marks = array("L")

    def __len__(self) -> int:
        """Entries so far."""
        return len(self._kinds)

    def enter(self, kind: str, about: int = 0) -> int:
        """Open an entry; returns its number."""
        self._kinds.append(KINDS.index(kind))
        self._acknowledged.append(0)
        self._marks.append(about)
        return len(self._kinds) - 1

    def acknowledge(self, number: int) -> None:
        """The broker has this record."""
        self._acknowledged[number] = 1

    def kind(self, number: int) -> str:
        """What was entered."""
        return KINDS[self._kinds[number]]

    def about(self, number: int) -> int:
        """Checksum of what a judgment is about."""
        return self._marks[number]

    def unacknowledged(self) -> int:
        """Entries that the broker should have and has not acknowledged."""
        hidden = (KINDS.index(ABORTED), KINDS.index(REFUSED))
        return sum(not done and kind not in hidden for kind, done in zip(self._kinds, self._acknowledged, strict=True))

    def acknowledged(self) -> Iterator[int]:
        """Numbers of the entries that the broker must show to readers of committed data."""
        hidden = (KINDS.index(ABORTED), KINDS.index(REFUSED))
        for number, (kind, done) in enumerate(zip(self._kinds, self._acknowledged, strict=True)):
            if done and kind not in hidden:
                yield number


class Check:
    """Compares the topics with the ledger; take all records, then ask for the verdict."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._numbers: dict[tuple[str, int, int], int] = {}
        self._seen = bytearray(len(ledger))
        self._settled: Counter[tuple[str, int, int]] = Counter()
        self._dead: dict[tuple[str, int, int], list[str]] = {}
        self._outcomes: Counter[str] = Counter()
        self._words: list[str] = []
        self._problems = 0
        self._repeated = 0

    def _wrong(self, words: str) -> None:
        self._problems += 1
        if len(self._words) < SHOWN:
            self._words.append(words)

    def take_input(self, record: Any) -> None:
        """Take a record of an input topic."""
        place = f"{record.topic}-{record.partition}-{record.offset}"
        number = next((int(value) for name, value in record.headers if name == HEADER), None)
        if number is None or number >= len(self._ledger):
            self._wrong(f"{place} is none of the generator's")
            return
        kind = self._ledger.kind(number)
        if kind in (ABORTED, REFUSED):
            self._wrong(f"{place} is visible although it was {kind}")
        self._repeated += self._seen[number]
        self._seen[number] = 1
        self._numbers[record.topic, record.partition, record.offset] = number

    def take_judgment(self, record: Any) -> None:
        """Take a record of the judgments topic."""
        output = decode_result(record.value)
        if not isinstance(output, JudgmentSettled):
            self._wrong(f"{record.topic}-{record.partition}-{record.offset} is no settlement")
            return
        source = output.source.topic, output.source.partition, output.source.offset
        self._settled[source] += 1
        self._outcomes[output.outcome] += 1
        number = self._numbers.get(source)
        if number is None or self._ledger.kind(number) != JUDGMENT:
            return  # the verdict says what is wrong with that
        if self._ledger.about(number) != mark(output.pool, output.task, output.annotator):
            self._wrong(f"{source} settles as the judgment of {output.annotator!r} on {output.task!r}")

    def take_dead_letter(self, record: Any) -> None:
        """Take a record of a dead-letter topic."""
        headers = {name: value.decode() for name, value in record.headers if name != HEADER}
        source = (
            headers["__streams.errors.topic"],
            int(headers["__streams.errors.partition"]),
            int(headers["__streams.errors.offset"]),
        )
        self._dead.setdefault(source, []).append(headers["reason"])

    def verdict(self, is_whole: bool = True) -> Verdict:
        """Judge every visible input record, and what points at none.

        Parameters
        ----------
        is_whole : bool
            Whether everything acknowledged must still be in the log.
        """
        judgments = settled = 0
        for place, number in self._numbers.items():
            kind, letters, times = self._ledger.kind(number), self._dead.get(place, []), self._settled[place]
            if kind == JUDGMENT:
                judgments += 1
                settled += times
                if times + len(letters) != 1:
                    self._wrong(f"judgment {place} settled {times} times, dead letters {letters}")
                elif letters and letters[0] not in EXCUSED:
                    self._wrong(f"judgment {place} is a dead letter for the reason {letters[0]}")
            elif kind == EVENT:
                if times or len(letters) > 1 or (letters and letters[0] not in EXCUSED):
                    self._wrong(f"event {place} settled {times} times, dead letters {letters}")
            elif times or letters != [kind]:
                self._wrong(f"{place} should be one dead letter ({kind}), is {letters}, settled {times} times")
        for place in (self._settled.keys() | self._dead.keys()) - self._numbers.keys():
            self._wrong(f"something became of {place}, which nobody can see")
        lost = [number for number in self._ledger.acknowledged() if not self._seen[number]]
        if lost and is_whole:
            self._wrong(f"{len(lost)} acknowledged records are not in the log, one is number {lost[0]}")
        return Verdict(
            records=len(self._numbers),
            judgments=judgments,
            settled=settled,
            dead_letters=dict(Counter(reason for reasons in self._dead.values() for reason in reasons)),
            outcomes=dict(self._outcomes),
            repeated=self._repeated,
            problems=self._problems,
            words=self._words,
        )


class Read(NamedTuple):
    """A record and its place: what a client of this process yields need not say where it was."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


async def check(bootstrap: str, partitions: int, ledger: Ledger, is_whole: bool = True) -> Verdict:
    """Read the topics of a run that has come to rest and judge them."""
    found = Check(ledger)
    letters = [dead_letters(topic) for topic in INPUTS]
    for topics, take in (
        (INPUTS, found.take_input),
        ((JUDGMENTS,), found.take_judgment),
        (letters, found.take_dead_letter),
    ):
        consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",  # the latest, by default, may win over the seek
            isolation_level="read_committed",
            max_partition_fetch_bytes=4 << 20,
        )
        await consumer.start()
        try:
            places = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            await consumer.seek_to_beginning(*places)
            left = set(places)
            while left := {place for place in left if await consumer.position(place) < ends[place]}:
                for at, batch in (await consumer.getmany(*left, timeout_ms=200)).items():
                    for r in batch:
                        take(Read(at.topic, at.partition, r.offset, r.key, r.value, r.headers))
        finally:
            await consumer.stop()
    return found.verdict(is_whole)
