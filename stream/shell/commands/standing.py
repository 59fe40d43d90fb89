"""Judgments as they stand: one of each person and task, with the class it has now and whether it counts.

What became of a judgment is in `labeling.judgments.v1`, which class it gave in the input it names as its source. Both
are read once in their order; inputs first, into a file (`Work.note_said`). Few judgments are ever corrected or taken
back, and the inputs say which may be: those are held until everything has been read, all others are told at once. Which
pairs to hold is remembered as bits of a map of fixed size; one that is held in vain is told later, nothing else.

Somebody who was erased has no name in what was settled before.
"""

import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from stream.events import JudgmentSettled, TaskCreated, TaskUpdated, decode
from stream.shell.commands.export_work import DEAD, JUDGMENT, SAID, Work
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import Place, TopicReader, letter_at
from stream.topics import INPUTS, JUDGMENTS, dead_letters, is_mark

LETTERS = tuple(map(dead_letters, INPUTS))
JUDGES, CREATES, ERASES = b'"judgment_', b'"task_created"', b'"annotator_erased"'
CHANGES_TASK = b'"task_updated"'
GIVES = ("judgment_submitted", "judgment_corrected")
TAKES = ("judgment_corrected", "judgment_retracted")
STATEMENTS = (
    "CREATE TABLE IF NOT EXISTS erased (pool TEXT, annotator TEXT, at REAL, PRIMARY KEY (pool, annotator))",
    "CREATE TABLE IF NOT EXISTS dead (topic TEXT, partition INT, offset INT, PRIMARY KEY (topic, partition, offset))",
    "CREATE TABLE IF NOT EXISTS changing (bit INT PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS held (pool TEXT, project TEXT, task TEXT, annotator TEXT, label INT, counted INT,"
    " outcome TEXT, at REAL, duration_s REAL, known_as TEXT, PRIMARY KEY (pool, task, known_as))",
    "CREATE TABLE IF NOT EXISTS ref (pool TEXT, task TEXT, at REAL, ref TEXT, created INT, PRIMARY KEY (pool, task))"
    " WITHOUT ROWID",
)
COLUMNS = "pool, project, task, annotator, label, counted, outcome, at, duration_s"
#: outcomes that change the first judgment of a person and a task, or repeat it
LATER = ("corrected", "duplicate", "retracted")
CHANGES = ("corrected", "retracted")
BITS = 1 << 23
BATCH = 1000


class Input(msgspec.Struct, gc=False):
    """The fields of an input event that an export asks for, whatever its type."""

    type: str
    pool: str = ""
    at: float = 0.0
    task: str = ""
    project: str = ""
    purpose: str = "work"
    annotator: str = ""
    label: int | None = None


class Judgment(NamedTuple):
    """A judgment as it stands; `label` is -1 where it has none, or its input is gone."""

    pool: str
    project: str
    task: str
    annotator: str
    label: int
    counted: int
    outcome: str
    at: float
    duration_s: float | None


_decode = msgspec.json.Decoder(Input).decode
#: the topic of judgments holds nothing else, and this is twice as quick as asking which output it is
_settled = msgspec.json.Decoder(JudgmentSettled).decode
Take = Callable[[Place, int, Input], None]


class Standing:
    """Reads the topics of an export.

    Parameters
    ----------
    reader : TopicReader
    work : Work
    tell : Tell
    tasks : callable, optional
        ``tasks(place, offset, event)``: told every `task_created`.
    refs : bool
        Also look for the references of tasks.
    """

    def __init__(
        self, reader: TopicReader, work: Work, tell: Tell, tasks: Take | None = None, refs: bool = False
    ) -> None:
        self.reader, self.work, self.tell, self._tasks, self._refs = reader, work, tell, tasks, refs
        for statement in STATEMENTS:
            work.books.execute(statement)

    async def prepare(self, outputs: tuple[str, ...] = (JUDGMENTS,)) -> None:
        """Note where everything ends, read the inputs and the dead letters."""
        if not self.work.cut:
            # inputs last: whatever an output names as its source lies before their ends
            cut: dict[Place, tuple[int, int]] = {}
            for topics in (outputs, LETTERS, INPUTS):
                cut |= await self.reader.spans(self.reader.places(topics))
            self.work.set_cut(cut)
        await self._phase("inputs", INPUTS, self._inputs)
        await self._phase("letters", LETTERS, self._letters)

    async def _phase(self, phase: str, topics: tuple[str, ...], take: Callable[[Place, Sequence[Any]], None]) -> None:
        left = self.work.left(phase, topics)
        todo = sum(end - start for start, end in left.values())
        async for place, records in self.reader.read(left):
            with self.work.step():
                take(place, records)
                self.work.reach(phase, place, records[-1].offset + 1)
            todo -= len(records)
            self.tell(f"reading {place.topic}: {max(0, todo):,} records left")

    def _inputs(self, place: Place, records: Sequence[Any]) -> None:
        first = records[0].offset
        offsets, times, labels = [], [], []
        for record in records:
            value = record.value
            if value is None:
                continue
            if self._refs and (CREATES in value or CHANGES_TASK in value):
                self._refer(value)
            if JUDGES in value:
                event = _seen(value)
                if event is None:
                    continue
                if event.type in GIVES:
                    offsets.append(record.offset - first)
                    times.append(event.at)
                    labels.append(-1 if event.label is None or not 0 <= event.label < 100 else event.label)
                if event.type in TAKES:
                    bit = _bit(event.pool, event.task, event.annotator)
                    self.work.books.execute("INSERT OR IGNORE INTO changing VALUES (?)", (bit,))
            elif CREATES in value and self._tasks is not None:
                event = _seen(value)
                if event is not None and event.type == "task_created":
                    self._tasks(place, record.offset, event)
            elif ERASES in value:
                event = _seen(value)
                if event is not None and event.type == "annotator_erased":
                    row = event.pool, event.annotator, record.timestamp / 1000
                    self.work.books.execute("INSERT OR REPLACE INTO erased VALUES (?, ?, ?)", row)
        said = np.zeros(records[-1].offset - first + 1, SAID)
        said["at"][offsets], said["label"][offsets], said["kind"][offsets] = times, labels, JUDGMENT
        self.work.note_said(place, first, said)

    def _refer(self, value: bytes) -> None:
        """Keep the newest reference of a task, as the core does: of equal times the one that sorts last."""
        try:
            event = decode(value)
        except msgspec.ValidationError:
            return
        if not isinstance(event, TaskCreated | TaskUpdated) or not isinstance(event.ref, str | None):
            return
        books, place = self.work.books, (event.pool, event.task)
        found = books.execute("SELECT at, ref, created FROM ref WHERE pool = ? AND task = ?", place).fetchone()
        at, ref, created = found or (float("-inf"), None, 0)
        is_first = isinstance(event, TaskCreated)
        if is_first and created:
            return
        if (event.at, event.ref or "") > (at, ref or ""):
            at, ref = event.at, event.ref or None
        row = (*place, at, ref, int(created or is_first))
        books.execute("INSERT OR REPLACE INTO ref VALUES (?, ?, ?, ?, ?)", row)

    def ref(self, pool: str, task: str) -> str | None:
        """The reference of a task; None where it has none, or nobody has looked for them."""
        found = self.work.books.execute("SELECT ref FROM ref WHERE pool = ? AND task = ?", (pool, task)).fetchone()
        return None if found is None else found[0]

    def _letters(self, place: Place, records: Sequence[Any]) -> None:
        dead = np.zeros(1, SAID)
        dead["kind"] = DEAD
        for record in records:
            if is_mark(record.headers):
                continue
            letter = letter_at(place, record)
            source = Place(letter.source_topic, letter.source_partition)
            cut = self.work.cut.get(source)
            if cut is not None and cut[0] <= letter.source_offset < cut[1]:
                self.work.note_said(source, letter.source_offset, dead)
                self.work.books.execute(
                    "INSERT OR REPLACE INTO dead VALUES (?, ?, ?)", (*source, letter.source_offset)
                )

    async def judgments(
        self, phase: str, project: str | None = None, pool: str | None = None
    ) -> AsyncIterator[list[Judgment]]:
        """Yield the judgments as they stand, fetch by fetch; a fetch counts as taken when the next one is asked for.

        Parameters
        ----------
        phase : str
            Under which name progress is kept.
        project, pool : str, optional
            Only of these.
        """
        books = self.work.books
        erased = {(p, a): at for p, a, at in books.execute("SELECT * FROM erased")}
        changing = np.zeros(BITS, np.bool_)
        changing[[bit for (bit,) in books.execute("SELECT bit FROM changing")]] = True
        course = _Course(self.work, project, pool, erased, changing if changing.any() else None)
        left = self.work.left(phase, (JUDGMENTS,))
        todo = sum(end - start for start, end in left.values())
        async for place, records in self.reader.read(left):
            todo -= len(records)
            self.tell(f"reading {place.topic}: {max(0, todo):,} records left")
            with self.work.step():
                yield course.take(records)
                self.work.reach(phase, place, records[-1].offset + 1)
        if self.work.meta(f"{phase} held") is None:
            with self.work.step():
                rows = books.execute(f"SELECT {COLUMNS} FROM held ORDER BY rowid")
                while held := rows.fetchmany(BATCH):
                    yield [Judgment(*row) for row in held]
                self.work.set_meta(f"{phase} held", "told")


class _Course:
    """Makes judgments of what was settled; holds those that may still change."""

    def __init__(
        self,
        work: Work,
        project: str | None,
        pool: str | None,
        erased: dict[tuple[str, str], float],
        changing: NDArray[np.bool_] | None,
    ) -> None:
        self._work, self._project, self._pool = work, project, pool
        self._erased, self._changing = erased, changing

    def take(self, records: Sequence[Any]) -> list[Judgment]:
        """The judgments of a fetch that can be told now."""
        project, pool = self._project, self._pool
        kept: list[JudgmentSettled] = []
        settled_at: list[float] = []
        for record in records:
            one = _settled(record.value)
            if (project is None or one.project == project) and (pool is None or one.pool == pool):
                kept.append(one)
                settled_at.append(record.timestamp / 1000)
        said = self._said(kept)
        known = said["kind"] == JUDGMENT
        labels = np.where(known, said["label"], -1).tolist()
        times = np.where(known, said["at"], settled_at).tolist()
        found = []
        for one, label, at, when in zip(kept, labels, times, settled_at, strict=True):
            if one.outcome in LATER:
                if one.outcome in CHANGES:
                    self._change(one, label)
                continue
            who = one.annotator
            if self._erased and when <= self._erased.get((one.pool, who), -1.0):
                who = ""
            row = Judgment(one.pool, one.project, one.task, who, label, one.count, one.outcome, at, one.duration_s)
            if self._changing is not None and self._changing[_bit(one.pool, one.task, one.annotator)]:
                self._hold(row, one.annotator)
            else:
                found.append(row)
        return found

    def _hold(self, row: Judgment, annotator: str) -> None:
        # an erased person's row is known by its id here and told without: a later person of the same id is another one
        places = ", ".join("?" * (len(row) + 1))
        statement = f"INSERT OR REPLACE INTO held ({COLUMNS}, known_as) VALUES ({places})"
        self._work.books.execute(statement, (*row, annotator))

    def _change(self, one: JudgmentSettled, label: int) -> None:
        new = label if one.outcome == "corrected" else None
        self._work.books.execute(
            "UPDATE held SET counted = counted + ?, label = coalesce(?, label) "
            "WHERE pool = ? AND task = ? AND known_as = ?",
            (one.count, new, one.pool, one.task, one.annotator),
        )

    def _said(self, settled: list[JudgmentSettled]) -> Any:
        """What the sources of these said, in their order."""
        said = np.zeros(len(settled), SAID)
        sources = [one.source for one in settled]
        offsets = np.array([source.offset for source in sources], np.int64)
        wheres = [(source.topic, source.partition) for source in sources]
        for where in set(wheres):
            rows = np.array([w == where for w in wheres]) if len(set(wheres)) > 1 else np.ones(len(wheres), np.bool_)
            said[rows] = self._work.said(Place(*where), offsets[rows])
        return said


def _bit(pool: str, task: str, annotator: str) -> int:
    return zlib.crc32(f"{pool}\0{task}\0{annotator}".encode()) % BITS


def _seen(value: bytes) -> Input | None:
    try:
        return _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        event = decode(value)
    except msgspec.ValidationError:
        return None  # a dead letter
    stated = {name: getattr(event, name) for name in Input.__struct_fields__ if hasattr(event, name)}
    return Input(**stated | {"type": str(event.__struct_config__.tag)})
