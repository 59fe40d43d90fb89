"""From the records of many topics to rounds in order, and each round through the state machine.

The round records say which inputs belong to a round; every output says its round. A round is followed once
its inputs have arrived and every output topic has shown a later round or its end. Topics are read at their
own pace: `starving` says which ones the next round waits for, so that a reader can pause the others.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from stream.audit.books import Pool
from stream.audit.consensus import publish
from stream.audit.inputs import follow
from stream.audit.limits import begin, close
from stream.audit.money import spend
from stream.audit.overdue import forget, lapse
from stream.audit.promises import offer
from stream.audit.proofs import check_worth
from stream.audit.records import Record, Violation
from stream.audit.round import Case, Round, dead_letter
from stream.audit.uninvited import drop_all_doubted
from stream.events import Output, RoundCompleted, decode_result
from stream.topics import ASSIGNMENTS, CONSENSUS, DECISIONS, INPUTS, JUDGMENTS, ROUNDS, dead_letters, is_mark

LETTERS = tuple(dead_letters(topic) for topic in INPUTS)
NUMBERED = (ASSIGNMENTS, DECISIONS, JUDGMENTS, CONSENSUS, *LETTERS)
TOPICS = (*INPUTS, *NUMBERED, ROUNDS)


class IncompleteLog(ValueError):
    """The log does not reach back to its first round, so the state before it is unknown."""


class _Number(msgspec.Struct):
    round: int


_number = msgspec.json.Decoder(_Number).decode


class Audit:
    """Check one partition of a deployment.

    Parameters
    ----------
    partition : int
        The partition whose records are fed.
    partitions : int
        How many partitions every topic has.

    Examples
    --------
    >>> audit = Audit(partition=0, partitions=1)
    >>> audit.feed([])
    >>> audit.finish()
    []
    """

    def __init__(self, partition: int, partitions: int) -> None:
        self.partition = partition
        self.rounds = 0
        self.records = 0
        self._queues: dict[str, deque[Record]] = {topic: deque() for topic in TOPICS}
        self._reached: dict[str, float] = dict.fromkeys(TOPICS, 0)
        self._rounds: deque[Round] = deque()
        self._position: dict[str, int] = {}
        self._previous: Round | None = None
        self._violations: list[Violation] = []
        self._numbers: dict[str, deque[int]] = {topic: deque() for topic in NUMBERED}
        nothing = Round(Record(ROUNDS, partition, -1, None, None), _before(partition))
        self._case = Case(partition, partitions, self._report, nothing)

    def feed(self, records: Iterable[Record]) -> None:
        """Take records: of each topic in the order of their offsets, topics in any order, in any chunks."""
        for record in records:
            self.records += 1
            self._reached[record.topic] = max(self._reached[record.topic], record.offset + 1)
            if record.topic == ROUNDS:
                self._open(record)
                continue
            if record.topic in LETTERS and is_mark(record.headers):
                continue  # an operator has put a letter's record back; the record itself is input like any other
            if record.topic in self._numbers:
                self._numbers[record.topic].append(self._number(record))
            self._queues[record.topic].append(record)

    def reached(self, topic: str, offset: int) -> None:
        """Everything of a topic before this offset was fed (what follows the last record are markers)."""
        self._reached[topic] = max(self._reached[topic], offset)

    def ended(self, topic: str) -> None:
        """Everything of a topic that is to be checked was fed."""
        self._reached[topic] = float("inf")

    def starving(self) -> set[str]:
        """Topics that must be read on before the next round can be checked."""
        if not self._rounds:
            return {ROUNDS} if self._reached[ROUNDS] != float("inf") else set()
        return {
            topic for topic in TOPICS if topic != ROUNDS and not self._is_complete(topic, self._rounds[0])
        }

    def buffered(self, topic: str) -> int:
        """How many records of a topic wait for their round."""
        return len(self._rounds) if topic == ROUNDS else len(self._queues[topic])

    @property
    def pools(self) -> dict[str, Pool]:
        """The books: what the auditor holds in memory."""
        return self._case.pools

    @property
    def assumed(self) -> int:
        """How many rounds have records that are older than policies: there the limits are those that nobody set."""
        return self._case.assumed

    @property
    def waiting(self) -> int:
        """How many events wait for their task."""
        return sum(map(len, self._case.waiting.values()))

    def check(self) -> list[Violation]:
        """Follow all rounds that are complete; return the violations found since the last call."""
        while self._rounds and not self.starving():
            self._follow(self._rounds.popleft())
        found, self._violations = self._violations, []
        return found

    def finish(self) -> list[Violation]:
        """Declare every topic ended and check the rest. Work still open is fine, and so is unread input."""
        for topic in TOPICS:
            self.ended(topic)
        return self.check()

    def _report(self, promise: int, what: str, *records: Record | str) -> None:
        names = [record.name if isinstance(record, Record) else record for record in records]
        self._violations.append(
            Violation(promise, what, tuple(name for name in dict.fromkeys(names) if name))
        )

    def _number(self, record: Record) -> int:
        try:
            if record.topic in LETTERS:
                return dead_letter(record).round
            return _number(record.value or b"").round
        except (msgspec.MsgspecError, ValueError, KeyError, RecursionError) as error:
            self._report(0, f"an output whose round nobody can tell: {error!r}", record)
            return -1

    def _open(self, record: Record) -> None:
        try:
            event = decode_result(record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            self._report(0, f"a round record that nobody can read: {error}", record)
            return
        if isinstance(event, Output):
            self._report(0, "an output among the round records", record)
            return
        self._rounds.append(Round(record, event))

    def _is_complete(self, topic: str, of: Round) -> bool:
        if topic in INPUTS:
            return self._reached[topic] >= of.completed.offsets.get(topic, (0, 0))[1]
        numbers = self._numbers[topic]
        return self._reached[topic] == float("inf") or bool(numbers and numbers[-1] > of.completed.round)

    def _follow(self, this: Round) -> None:
        self.rounds += 1
        case, case.round = self._case, this
        self._chain(this)
        for topic in NUMBERED:
            self._collect(topic, this)
        this.letters = len(this.dead)
        begin(case)
        for topic in INPUTS:
            for record in self._inputs(topic, this):
                follow(case, record)
        drop_all_doubted(case)
        close(case)
        lapse(case)
        spend(case)
        publish(case)
        forget(case)
        offer(case)
        for words, record in this.untold.values():
            self._report(1, words, record)
        for promise, record, what in this.left():
            self._report(promise, what, record)
        self._sums(this)
        for what in check_worth(this):
            self._report(6, what, this.record)
        self._previous = this

    def _chain(self, this: Round) -> None:
        now, previous = this.completed, self._previous
        if previous is None:
            if now.round not in (0, 1):
                raise IncompleteLog(
                    f"{this.record.name} is of round {now.round}: the rounds before it are gone"
                )
        else:
            before = previous.completed
            if now.round != before.round + 1:
                self._report(
                    0, f"round {now.round} follows round {before.round}", previous.record, this.record
                )
            if now.at < before.at or now.epoch < before.epoch:
                self._report(0, "time or epoch runs backwards", previous.record, this.record)
        if now.partition != self.partition or this.record.partition != self.partition:
            self._report(0, f"a round of partition {now.partition}", this.record)
        for topic, (start, end) in now.offsets.items():
            expected = self._position.get(topic, start)
            lost = now.lost.get(topic)
            if lost is not None:  # an operator has given it up
                if lost[0] != expected or lost[1] < lost[0]:
                    self._report(0, f"{topic} from {lost[0]} to {lost[1]} is lost, it stood at {expected}", this.record)
                expected = lost[1]
            if topic not in INPUTS or start != expected or end < start:
                records = [this.record] if previous is None else [previous.record, this.record]
                self._report(0, f"{topic} from {start} to {end}, expected from {expected}", *records)
            self._position[topic] = max(end, expected)

    def _collect(self, topic: str, this: Round) -> None:
        queue, numbers = self._queues[topic], self._numbers[topic]
        while numbers and numbers[0] <= this.completed.round:
            record, number = queue.popleft(), numbers.popleft()
            if number == -1:
                continue
            if number < this.completed.round:
                self._report(
                    0, f"an output of round {number}, which has no record or was over", record, this.record
                )
            if topic in LETTERS:
                letter = dead_letter(record)
                if letter.source in this.dead or f"{letter.source[0]}-dlt" != topic:
                    self._report(5, f"{letter.source} is a dead letter twice or of another topic", record)
                this.dead[letter.source] = letter
            else:
                this.add(record, self._report, self._case.partitions)

    def _inputs(self, topic: str, this: Round) -> Iterable[Record]:
        start, end = this.completed.offsets.get(topic, (0, 0))
        queue = self._queues[topic]
        while queue and queue[0].offset < end:
            record = queue.popleft()
            if record.offset >= start:
                yield record

    def _sums(self, this: Round) -> None:
        if this.completed.dead_letters != this.letters:
            said = this.completed.dead_letters
            self._report(0, f"{said} dead letters according to the round, {this.letters} found", this.record)
        if this.completed.ignored != +this.ignored:
            told, seen = this.completed.ignored, dict(+this.ignored)
            self._report(0, f"events that changed nothing: {told} according to the round, {seen} found", this.record)
        for pool in this.completed.pools:
            found = self._case.pool(pool.pool).at_risk
            if pool.at_risk != found:
                self._report(0, f"{pool.at_risk} leases at risk in {pool.pool!r}, {found} found", this.record)
        if this.completed.odd != this.odd:
            said_odd, found_odd = this.completed.odd, dict(this.odd)
            self._report(0, f"odd fields {said_odd} according to the round, {found_odd} found", this.record)
        offers = {pool.pool: pool.offers for pool in this.completed.pools}
        for name in {event.pool for _, event in this.offers} | set(offers):
            found = sum(event.pool == name for _, event in this.offers)
            if offers.get(name, 0) != found:
                self._report(
                    0,
                    f"{offers.get(name, 0)} offers in {name!r} according to the round, {found} found",
                    this.record,
                )


def _before(partition: int) -> RoundCompleted:
    return RoundCompleted(
        partition=partition,
        round=-1,
        epoch=0,
        at=0.0,
        seed=0,
        offsets={},
        caught_up=True,
        complete_until=0.0,
        events=0,
        dead_letters=0,
        pools=[],
        durations_ms={},
        software="",
    )
