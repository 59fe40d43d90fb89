"""Putting dead letters back to where they came from, each exactly once.

Once means: however often, from however many places and with whatever crashes replay is run, at most one committed
record of the input topic comes from a letter, and when a run has said that it is done, exactly one.

    fence:   begin as the deployment's one replayer; a former one can commit nothing any more, and what it had begun is
             decided (Kafka commits or aborts it before it lets us in)
    look:    read the marks up to the very end of the dead-letter topics, so including all that it has committed
    replay:  in one transaction, the record to its input topic and the mark behind the letter: both or neither

So what was replayed is written where the letter is, atomically with the record itself; no other place has to be kept.
A run whose successor has begun ends with `ProducerFenced` and has changed nothing that the successor has not seen.

The record goes back with its key, value and headers, and one header more that names the letter. It goes to the
partition of its key, which may be another than it came from when that was what was wrong.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple

from kafka import KafkaProducer
from kafka.errors import KafkaError

from stream.core.intake.partitioning import partition_of
from stream.letters import Letter
from stream.settings import Settings
from stream.shell.commands.letter_box import Filter, Letters
from stream.shell.kafka import clients
from stream.topics import INPUTS, REPLAY_OF, REPLAYED, dead_letters

BATCH = 200
BATCH_BYTES = 4 << 20


class Replayed(NamedTuple):
    """What a run did."""

    replayed: int
    already: int
    unusable: list[str]


class Replay:
    """The one replayer of a deployment, for the length of a `with` block.

    Parameters
    ----------
    settings : Settings
    dry_run : bool
        Only look and count; leaves a replayer that is at work alone.
    """

    def __init__(self, settings: Settings, dry_run: bool = False) -> None:
        self._settings = settings
        self._producer: Any = None if dry_run else KafkaProducer(**clients.replayer(settings))

    def __enter__(self) -> "Replay":
        try:
            if self._producer is not None:
                self._producer.init_transactions()
            # only now: what a predecessor has committed lies before these ends
            self.letters = Letters(self._settings)
            self._marks = self.letters.marks()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=5)

    def chosen(self, names: Iterable[str], wanted: Filter | None) -> Iterable[Letter]:
        """Letters by name, or all that a filter means.

        Raises
        ------
        UnknownLetter
            No letter has this name.
        """
        if wanted is not None:
            return self.letters.all(wanted)
        return [self.letters.one(name) for name in dict.fromkeys(names)]

    def put_back(self, letters: Iterable[Letter], tell: Callable[[Letter], None]) -> Replayed:
        """Put the records of letters back that no run has put back before.

        Parameters
        ----------
        letters : iterable of Letter
        tell : callable
            Called with each letter that is (or would be) put back, after the commit of its transaction.

        Raises
        ------
        KafkaError
            A transaction could not be committed; run again, what was committed is not repeated.
        """
        already, done, unusable = 0, 0, []
        batch: list[Letter] = []
        size = 0

        def flush() -> None:
            nonlocal done, size
            if batch and self._producer is not None:
                self._commit(batch)
            done += len(batch)
            for letter in batch:
                tell(letter)
            batch.clear()
            size = 0

        for letter in letters:
            if letter.name in self._marks:
                already += 1
            elif not _has_home(letter):
                unusable.append(letter.name)
            else:
                batch.append(letter)
                self._marks.add(letter.name)
                size += len(letter.value or b"")
                if len(batch) >= BATCH or size > BATCH_BYTES:
                    flush()
        flush()
        return Replayed(done, already, unusable)

    def _commit(self, batch: list[Letter]) -> None:
        producer = self._producer
        producer.begin_transaction()
        try:
            for letter in batch:
                headers = [(name, value) for name, value in letter.headers if name != REPLAY_OF]
                producer.send(
                    letter.source_topic,
                    key=letter.key,
                    value=letter.value,
                    headers=[*headers, (REPLAY_OF, letter.name.encode())],
                    partition=self._home(letter),
                )
                mark = [(REPLAYED, b"%d" % letter.offset)]
                producer.send(
                    letter.topic, key=letter.key or b"", value=None, headers=mark, partition=letter.partition
                )
            producer.commit_transaction()
        except BaseException:
            with suppress(KafkaError):  # one that is fenced has nothing left to abort
                producer.abort_transaction()
            raise

    def _home(self, letter: Letter) -> int:
        if letter.key is None:
            return max(letter.source_partition, 0)
        return partition_of(letter.key, self._settings.partitions)


def _has_home(letter: Letter) -> bool:
    """Whether it says where it came from, and has a record that could go back; that of an erased person is left out."""
    if letter.reason == "erased":
        return False
    came_from_input = letter.source_topic in INPUTS and dead_letters(letter.source_topic) == letter.topic
    return came_from_input and not (letter.key is None and letter.value is None)
