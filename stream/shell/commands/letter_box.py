"""Reading dead letters: unusable input records with the reason, and the marks of those that were put back.

Topics are read twice, first for the marks and then for the letters, so that memory does not grow with what the
letters hold. Both readings go to where the topics ended, open transactions included, and see committed records only.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition

from stream.letters import Letter, letter_of
from stream.settings import Settings
from stream.shell.commands.failures import NotRight, PersonNeeded
from stream.shell.kafka import clients
from stream.topics import INPUTS, REPLAYED, dead_letters, is_mark

TOPICS = tuple(dead_letters(topic) for topic in INPUTS)
PATIENCE_S = 60.0


class UnknownLetter(NotRight):
    """There is no dead letter of this name; the message says why that may be."""


class LettersStuck(PersonNeeded):
    """The dead-letter topics could not be read to their ends."""


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters are meant; what is empty or None does not matter."""

    reasons: frozenset[str] = frozenset()
    pool: str | None = None
    since: float = 0.0
    until: float = float("inf")
    topics: tuple[str, ...] = TOPICS

    def fits(self, letter: Letter) -> bool:
        """Whether the letter is meant."""
        return (
            letter.topic in self.topics
            and (not self.reasons or letter.reason in self.reasons)
            and (self.pool is None or letter.pool == self.pool)
            and self.since <= letter.at < self.until
        )


class Letters:
    """A reader of the dead-letter topics as they were when it was made.

    Parameters
    ----------
    settings : Settings
    topics : tuple of str
        Which of the two.

    Raises
    ------
    UnknownLetter
        There are no such topics.
    """

    def __init__(self, settings: Settings, topics: tuple[str, ...] = TOPICS) -> None:
        self._settings = settings
        self._ends = {place: end for topic in topics for place, end in self._ends_of(topic).items()}

    def _ends_of(self, topic: str) -> dict[Any, int]:
        # the very end: a committed reader's end would stop before a transaction that is still open
        with self._consumer("read_uncommitted") as consumer:
            found = consumer.partitions_for_topic(topic)
            if not found:
                raise UnknownLetter(f"there is no topic {topic}: try `allocator topics check`")
            ends: dict[Any, int] = consumer.end_offsets([TopicPartition(topic, number) for number in sorted(found)])
            return ends

    @contextmanager
    def _consumer(self, isolation: str) -> Iterator[Any]:
        consumer = KafkaConsumer(**clients.audience(self._settings, isolation))
        try:
            yield consumer
        finally:
            consumer.close()

    def marks(self) -> set[str]:
        """Names of the letters that have been replayed."""
        return {
            f"{record.topic}-{record.partition}-{value.decode()}"
            for record in self._records()
            if is_mark(record.headers)
            for name, value in record.headers
            if name == REPLAYED
        }

    def all(self, wanted: Filter) -> Iterator[Letter]:
        """Yield the letters that are meant, by partition, in their order."""
        for record in self._records():
            if not is_mark(record.headers):
                letter = letter_of(record)
                if wanted.fits(letter):
                    yield letter

    def one(self, name: str) -> Letter:
        """Return the letter of this name.

        Raises
        ------
        UnknownLetter
            There is none, or not any more.
        """
        topic, _, place = name.rpartition("-")
        topic, _, partition = topic.rpartition("-")
        if topic not in TOPICS or not (place.isdecimal() and partition.isdecimal()):
            raise UnknownLetter(f"{name!r} is not the name of a dead letter; one looks like {TOPICS[0]}-3-17")
        at = TopicPartition(topic, int(partition))
        for record in self._read(at, int(place)):
            if record.offset == int(place) and not is_mark(record.headers):
                return letter_of(record)
            break
        raise UnknownLetter(f"there is no dead letter {name}: never, or retention has removed it")

    def _records(self) -> Iterator[Any]:
        for place in sorted(self._ends):
            yield from self._read(place, None)

    def _read(self, place: Any, start: int | None) -> Iterator[Any]:
        end = self._ends.get(place, 0)
        if not end or (start is not None and start >= end):
            return
        with self._consumer("read_committed") as consumer:
            consumer.assign([place])
            if start is None:
                consumer.seek_to_beginning(place)
            else:
                consumer.seek(place, start)
            heard = time.monotonic()
            while consumer.position(place) < end:
                records = consumer.poll(timeout_ms=200).get(place, ())
                yield from (record for record in records if record.offset < end)
                if records:
                    heard = time.monotonic()
                elif time.monotonic() - heard > PATIENCE_S:
                    where = f"{place.topic} partition {place.partition}"
                    raise LettersStuck(f"no more of {where} before its end at {end}: is a broker down?")
