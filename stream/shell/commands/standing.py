"""Judgments as they stand: one of each person and task, with the class it has now and whether it counts.

What became of a judgment is in `labeling.judgments.v1`, which class it gave in the input it names as its source. Both
are read once in their order; inputs first, into a file (`Work.note_said`). Few judgments are ever corrected or taken
back: a look through the judgments notes those first, so that each judgment can be told with its end when it is met.

Somebody who was erased has no name in what was settled before.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from stream.events import JudgmentSettled, decode_result
from stream.letters import letter_of
from stream.shell.commands.export_work import DEAD, JUDGMENT, SAID, Work
from stream.shell.commands.fate import Named
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import Place, TopicReader
from stream.topics import INPUTS, JUDGMENTS, dead_letters, is_mark

LETTERS = tuple(map(dead_letters, INPUTS))
CHANGES = (b'"corrected"', b'"retracted"')
STATEMENTS = (
    "CREATE TABLE IF NOT EXISTS erased (pool TEXT, annotator TEXT, at REAL, PRIMARY KEY (pool, annotator))",
    "CREATE TABLE IF NOT EXISTS dead (topic TEXT, partition INT, offset INT, PRIMARY KEY (topic, partition, offset))",
    "CREATE TABLE IF NOT EXISTS changed (pool TEXT, task TEXT, annotator TEXT, count INT, label INT,"
    " PRIMARY KEY (pool, task, annotator)) WITHOUT ROWID",
)
#: outcomes of the first judgment of a person and a task; others change it or repeat it
FIRST = ("counted", "late", "surplus", "unsolicited")


class Input(msgspec.Struct):
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
    """

    def __init__(self, reader: TopicReader, work: Work, tell: Tell, tasks: Take | None = None) -> None:
        self.reader, self.work, self.tell, self._tasks = reader, work, tell, tasks
        for statement in STATEMENTS:
            work.books.execute(statement)

    async def prepare(self, outputs: tuple[str, ...] = (JUDGMENTS,)) -> None:
        """Note where everything ends and read the inputs, the dead letters and what was changed later."""
        if not self.work.cut:
            # inputs last: whatever an output names as its source lies before their ends
            cut: dict[Place, tuple[int, int]] = {}
            for topics in (outputs, LETTERS, INPUTS):
                places = self.reader.places(topics)
                begins, ends = await self.reader.begins(places), await self.reader.ends(places)
                cut |= {place: (begins[place], ends[place]) for place in places}
            self.work.set_cut(cut)
        await self._phase("inputs", INPUTS, self._inputs)
        await self._phase("letters", LETTERS, self._letters)
        await self._phase("changes", (JUDGMENTS,), self._changes)

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
        said = np.zeros(records[-1].offset - first + 1, SAID)
        for record in records:
            value = record.value
            if value is None:
                continue
            if b'"judgment_' in value:
                event = _seen(value)
                if event is not None and event.type in ("judgment_submitted", "judgment_corrected"):
                    label = -1 if event.label is None or not 0 <= event.label < 100 else event.label
                    said[record.offset - first] = (event.at, label, JUDGMENT, 0)
            elif b'"task_created"' in value and self._tasks is not None:
                event = _seen(value)
                if event is not None and event.type == "task_created":
                    self._tasks(place, record.offset, event)
            elif b'"annotator_erased"' in value:
                event = _seen(value)
                if event is not None and event.type == "annotator_erased":
                    row = event.pool, event.annotator, record.timestamp / 1000
                    self.work.books.execute("INSERT OR REPLACE INTO erased VALUES (?, ?, ?)", row)
        self.work.note_said(place, first, said)

    def _letters(self, place: Place, records: Sequence[Any]) -> None:
        dead = np.zeros(1, SAID)
        dead["kind"] = DEAD
        for record in records:
            if is_mark(record.headers):
                continue
            letter = letter_of(Named(place, record))
            source = Place(letter.source_topic, letter.source_partition)
            cut = self.work.cut.get(source)
            if cut is not None and cut[0] <= letter.source_offset < cut[1]:
                self.work.note_said(source, letter.source_offset, dead)
                self.work.books.execute(
                    "INSERT OR REPLACE INTO dead VALUES (?, ?, ?)", (*source, letter.source_offset)
                )

    def _changes(self, place: Place, records: Sequence[Any]) -> None:
        for record in records:
            if not any(change in record.value for change in CHANGES):
                continue
            settled = decode_result(record.value)
            if isinstance(settled, JudgmentSettled) and settled.outcome in ("corrected", "retracted"):
                label = None
                if settled.outcome == "corrected":
                    source = settled.source
                    offsets = np.array([source.offset], np.int64)
                    label = int(self.work.said(Place(source.topic, source.partition), offsets)["label"][0])
                self.work.books.execute(
                    "INSERT INTO changed VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + "
                    "excluded.count, label = coalesce(excluded.label, label)",
                    (settled.pool, settled.task, settled.annotator, settled.count, label),
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
        erased = {(p, a): at for p, a, at in self.work.books.execute("SELECT * FROM erased")}
        any_changed = self.work.books.execute("SELECT 1 FROM changed LIMIT 1").fetchone() is not None
        left = self.work.left(phase, (JUDGMENTS,))
        todo = sum(end - start for start, end in left.values())
        async for place, records in self.reader.read(left):
            todo -= len(records)
            self.tell(f"reading {place.topic}: {max(0, todo):,} records left")
            with self.work.step():
                yield self._taken(records, project, pool, erased, any_changed)
                self.work.reach(phase, place, records[-1].offset + 1)

    def _taken(
        self,
        records: Sequence[Any],
        project: str | None,
        pool: str | None,
        erased: dict[tuple[str, str], float],
        any_changed: bool,
    ) -> list[Judgment]:
        kept: list[tuple[Any, float]] = []
        for record in records:
            settled = decode_result(record.value)
            if not isinstance(settled, JudgmentSettled) or settled.outcome not in FIRST:
                continue
            if (project is None or settled.project == project) and (pool is None or settled.pool == pool):
                kept.append((settled, record.timestamp / 1000))
        said = self._said([settled for settled, _ in kept])
        found = []
        for (settled, when), word in zip(kept, said, strict=True):
            label, counted = int(word["label"]) if word["kind"] else -1, settled.count
            annotator = settled.annotator
            if any_changed:
                row = self.work.books.execute(
                    "SELECT count, label FROM changed WHERE pool = ? AND task = ? AND annotator = ?",
                    (settled.pool, settled.task, annotator),
                ).fetchone()
                if row is not None:
                    counted += row[0]
                    label = label if row[1] is None else row[1]
            if erased and when <= erased.get((settled.pool, annotator), -1.0):
                annotator = ""
            at = float(word["at"]) if word["kind"] else when
            found.append(
                Judgment(
                    settled.pool, settled.project, settled.task, annotator, label, counted, settled.outcome, at,
                    settled.duration_s,
                )
            )  # fmt: skip
        return found

    def _said(self, settled: list[JudgmentSettled]) -> Any:
        """What the sources of these said, in their order."""
        said = np.zeros(len(settled), SAID)
        by_place: dict[Place, list[int]] = {}
        for i, one in enumerate(settled):
            by_place.setdefault(Place(one.source.topic, one.source.partition), []).append(i)
        for place, rows in by_place.items():
            offsets = np.array([settled[i].source.offset for i in rows], np.int64)
            said[rows] = self.work.said(place, offsets)
        return said


def _seen(value: bytes) -> Input | None:
    try:
        return _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # a dead letter
