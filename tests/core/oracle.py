"""The rules of docs/architecture.md once more: one event at a time, in plain Python.

`Oracle.round` takes the input of a round and the pairs that the market chose to offer, and says everything
else that the round must publish, byte for byte, and which records must be dead letters. No batch, no
column, no kernel except the skill model's, called in the same order so that floats agree. It refuses an
offer that breaks a rule.
"""

from collections import Counter, defaultdict
from typing import Any, NamedTuple

import msgspec

from kernels.hashing import mix
from stream import events as wire
from stream import topics
from stream.core.intake.partitioning import partition_of
from stream.settings import Market
from tests.core.book import INF, PERSON, Annotator, Rejection, Task, Waiting
from tests.core.market import Book

#: events about a person that are no act of theirs
QUIET = wire.AnnotatorSet, wire.AnnotatorOnline, wire.AnnotatorOffline, wire.JudgmentScored, wire.SkillSeeded


class Said(NamedTuple):
    """What a round publishes beside its offers: encoded outputs by topic, dead letters by record, what pools run by."""

    outputs: dict[str, list[bytes]]
    rejected: dict[tuple[str, int], str]
    policies: list[tuple[str, int, dict[str, float], dict[str, float]]]
    odd: dict[str, int]
    short: list[tuple[str, str, int, int]]  # pool, project, promised, budget
    ignored: dict[str, int]  # events that changed nothing, by type


class Oracle:
    """One partition."""

    def __init__(self, partition: int, market: Market, partitions: int) -> None:
        self.partition, self.market, self.partitions = partition, market, partitions
        self.books: dict[str, Book] = {}
        self.now, self.number = 0.0, 0
        self.seed = 0
        self.rejected: dict[tuple[str, int], str] = {}
        self.odd: dict[str, int] = defaultdict(int)  # of this round
        self.size = 0  # of the record at hand

    def round(
        self,
        tasks: Any,
        annotators: Any,
        now: float,
        complete_until: float,
        offered: list[tuple[str, str, str]],
    ) -> Said:
        """Follow a round in which the market offered these (pool, task, annotator), in order."""
        self.now, self.number, self.rejected = max(now, self.now), self.number + 1, {}
        self.odd.clear()
        self.seed = int(mix(self.number, self.partition)) >> 1
        for topic, given in ((topics.TASKS, tasks), (topics.ANNOTATORS, annotators)):
            for record in given.records if given else ():
                self.take(topic, record)
        horizon = min(self.now, complete_until)
        outputs: dict[str, list[Any]] = defaultdict(list)
        policies, short, ignored = [], [], Counter[str]()
        index = 0
        for name, book in sorted(self.books.items()):
            closed = book.advance(horizon)
            book.look_at_budgets()
            outputs[topics.ASSIGNMENTS] += book.assignments
            outputs[topics.JUDGMENTS] += book.judgments
            outputs[topics.CONSENSUS] += [*book.told(), *book.consensus()]
            for task in closed:
                book.close(task)
            book.bars, book.given = book.asked_for(), set()
            short += [(name, *one) for one in book.short]
            ignored.update(book.ignored)
            self.before_offers(book)
            for pool, task_name, to in offered:
                if pool == name:
                    assignment = f"{self.partition}-{self.number}-{index}"
                    outputs[topics.ASSIGNMENTS].append(book.offer(task_name, to, assignment))
                    index += 1
            outputs[topics.ASSIGNMENTS] += book.unavailable()
            book.forget()
            if book.is_empty:
                del self.books[name]
            else:
                policies += book.policies()
            book.clear()
        encoded = {topic: list(map(wire.encode, found)) for topic, found in outputs.items()}
        return Said(encoded, self.rejected, policies, dict(self.odd), short, dict(ignored))

    def before_offers(self, book: Book) -> None:
        """A pool as its matching finds it: for tests that want to know more than the rules say."""

    def take(self, topic: str, record: Any) -> None:
        headers = sum(8 + len(name.encode()) + len(text or b"") for name, text in record.headers)
        self.size = 96 + len(record.value or b"") + headers
        try:
            event = self.usable(record)
            book = self.books.setdefault(event.pool, Book(event.pool, self))
            self.apply(book, topic, record.offset, event)
        except Rejection as reason:
            self.rejected[topic, record.offset] = str(reason)

    def usable(self, record: Any) -> Any:
        if record.key is None:
            raise Rejection("wrong_key")
        if len(record.key) > wire.ID_BYTES:
            raise Rejection("wrong_key")
        if partition_of(record.key, self.partitions) != self.partition:
            raise Rejection("wrong_partition")
        try:
            event, odd = wire.read(record.value)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise Rejection("malformed") from None
        if event.pool.encode() != record.key:
            raise Rejection("wrong_key")
        if event.at > self.now + self.market.clock_ahead_s:
            raise Rejection("clock")
        if len(event.pool.encode()) > wire.ID_BYTES or "\0" in event.pool:
            raise Rejection("malformed")
        for field in odd:
            self.odd[field] += 1
        if isinstance(event, wire.NOT_SUPPORTED_YET):
            raise Rejection("not_supported_yet")
        return event

    def apply(self, book: Book, topic: str, offset: int, event: Any) -> None:
        """Apply one event; a `Rejection` of it is noted, never raised for an event that waited."""
        try:
            self._apply(book, topic, offset, event)
        except Rejection as reason:
            self.rejected[topic, offset] = str(reason)

    def _is_repeat(self, annotator: Annotator, event: Any) -> bool:
        return isinstance(event, wire.WorkRequested) and min(event.at, self.now) <= annotator.asked_at

    def _apply(self, book: Book, topic: str, offset: int, event: Any) -> None:
        task = None
        if hasattr(event, "task") and not isinstance(event, wire.TaskCreated):
            task = book.tasks.get(event.task)
            if task is None:
                return book.wait(Waiting(topic, offset, event, self.now + book.law.reference_wait_s, self.size))
        if isinstance(event, wire.AnnotatorErased):
            return book.erased(event.annotator)
        if hasattr(event, "annotator"):
            book.check_judgment(task, event)
        if book.is_by_nobody(event):
            return book.wait(
                Waiting(topic, offset, event, self.now + book.law.reference_wait_s, self.size), PERSON + event.annotator
            )
        annotator = book.annotator(event.annotator) if hasattr(event, "annotator") else None
        if annotator is not None and not isinstance(event, QUIET) and not self._is_repeat(annotator, event):
            book.heard(annotator)
        match event, task, annotator:
            case (wire.TaskCreated(), _, _):
                book.created(event)
            case (wire.ProjectSet(), _, _):
                book.project_set(event)
            case (wire.SettingsChanged(), _, _):
                book.settings_changed(event)
            case (wire.PoolSet(), _, _):
                book.noted(event)
            case (wire.PoolPaused() | wire.PoolResumed(), _, _):
                book.pool_set(event)
            case (wire.TaskUpdated(), Task(), _):
                book.updated(task, event)
                book.referred(task, event)
            case (wire.TaskCancelled(), Task(), _):
                book.settle(task, "cancelled", "cancel")
            case (wire.TruthSet(), Task(), _):
                book.truth(task, event)
            case (wire.AnnotatorSet(), _, Annotator()):
                book.described(annotator, event)
            case (wire.AnnotatorOnline(), _, Annotator()):
                book.online(annotator, event)
            case (wire.AnnotatorPaused(), _, Annotator()):
                book.pause(annotator, event.at, INF if event.until is None else event.until)
            case (wire.AnnotatorResumed(), _, Annotator()):
                book.resume(annotator, event.at)
            case (wire.AnnotatorOffline(), _, Annotator()):
                book.offline(annotator, event)
            case (wire.WorkRequested(), _, Annotator()):
                book.requested(annotator, event)
            case (wire.JudgmentScored(), Task(), Annotator()):
                book.scored(task, annotator, event)
            case (wire.SkillSeeded(), _, Annotator()):
                book.seeded(annotator, event)
            case (_, Task(), Annotator()) if "judgment" in type(event).__struct_config__.tag:
                book.judged(task, annotator, event, topic, offset)
            case (_, Task(), Annotator()):
                book.respond(task, annotator, event)
