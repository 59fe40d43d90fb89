"""A project's books, from topics alone: its tasks with what is known of their label, and the votes of people.

    labeling.tasks.v1       which tasks there are, in the order in which they came
    labeling.consensus.v1   label, confidence, outcome: the newest of each task
    labeling.judgments.v1   with the inputs: how often each class was given (`standing`)

Everything lies in the tables of the export's working place; memory does not grow with tasks or judgments.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from stream.events import ConsensusRevised, ConsensusUpdated, TaskSettled, decode_result
from stream.shell.commands.export_work import Work
from stream.shell.commands.failures import NotRight
from stream.shell.commands.project_names import project_names
from stream.shell.commands.standing import Input, Standing
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import Place, TopicReader
from stream.topics import CONSENSUS, JUDGMENTS

STATEMENTS = (
    "CREATE TABLE IF NOT EXISTS task (pool TEXT, task TEXT, is_work INT, label INT, confidence REAL, judgments INT,"
    " tie INT, outcome TEXT, topic TEXT, partition INT, offset INT, PRIMARY KEY (pool, task)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS vote (pool TEXT, task TEXT, label INT, n INT, PRIMARY KEY (pool, task, label))"
    " WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS who (pool TEXT, task TEXT, annotator TEXT)",
    "CREATE INDEX IF NOT EXISTS who_task ON who (pool, task)",
)


class TaskRow(NamedTuple):
    """One task of a project, and how often each class was given."""

    pool: str
    task: str
    label: int | None
    confidence: float | None
    judgments: int
    tie: bool
    outcome: str
    votes: dict[int, int]
    who: list[str]


class ProjectBooks:
    """Reads a project's books.

    Parameters
    ----------
    reader : TopicReader
    work : Work
    tell : Tell
    project : str
    pool : str, optional
        Only this pool's project of the name.
    who : bool
        Also who judged.
    refs : bool
        Also the references of tasks.
    """

    def __init__(
        self,
        reader: TopicReader,
        work: Work,
        tell: Tell,
        project: str,
        pool: str | None = None,
        who: bool = False,
        refs: bool = False,
    ) -> None:
        self.standing = Standing(reader, work, tell, self._created, refs)
        self.reader, self.work, self.tell = reader, work, tell
        self.project, self.pool, self.with_who = project, pool, who
        self.names: dict[str, tuple[str, ...]] = {}
        for statement in STATEMENTS:
            work.books.execute(statement)

    async def read(self) -> None:
        """Read everything.

        Raises
        ------
        NotRight
            There is no such project.
        """
        known = await project_names(self.reader)
        self.names = {
            pool: names
            for (pool, project), names in known.items()
            if project == self.project and self.pool in (None, pool)
        }
        if not self.names:
            where = "" if self.pool is None else f" in the pool {self.pool}"
            others = sorted({project for pool, project in known if self.pool in (None, pool)})
            hint = f"there are {', '.join(others[:12])}" if others else "none has been committed yet"
            raise NotRight(f"there is no project {self.project}{where}: {hint}")
        standing = self.standing
        await standing.prepare((CONSENSUS, JUDGMENTS))
        self.work.books.execute(
            "DELETE FROM task WHERE (topic, partition, offset) IN (SELECT topic, partition, offset FROM dead)"
        )
        await self._read_consensus()
        async for judgments in standing.judgments("votes", self.project, self.pool):
            votes = Counter((j.pool, j.task, j.label) for j in judgments if j.counted)
            self.work.books.executemany(
                "INSERT INTO vote VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
                [(*place, n) for place, n in votes.items()],
            )
            if self.with_who:
                said = [(j.pool, j.task, j.annotator) for j in judgments if j.counted and j.annotator]
                self.work.books.executemany("INSERT INTO who VALUES (?, ?, ?)", said)
        self.tell.done()

    def _created(self, place: Place, offset: int, event: Input) -> None:
        if event.project != self.project or self.pool not in (None, event.pool):
            return
        self.work.books.execute(
            "INSERT OR IGNORE INTO task VALUES (?, ?, ?, NULL, NULL, 0, 0, 'open', ?, ?, ?)",
            (event.pool, event.task, event.purpose == "work", *place, offset),
        )

    async def _read_consensus(self) -> None:
        async for place, records in self.reader.read(self.work.left("consensus", (CONSENSUS,))):
            with self.work.step():
                self._take(records)
                self.work.reach("consensus", place, records[-1].offset + 1)
            self.tell(f"reading {place.topic}")

    def _take(self, records: Sequence[Any]) -> None:
        """Keep the newest of each task; a fetch holds many of one task."""
        settled: dict[tuple[str, str], TaskSettled] = {}
        updated: dict[tuple[str, str], ConsensusUpdated | ConsensusRevised] = {}
        for record in records:
            output = decode_result(record.value)
            if isinstance(output, TaskSettled):
                if output.project == self.project and self.pool in (None, output.pool):
                    settled[output.pool, output.task] = output
            elif isinstance(output, ConsensusUpdated | ConsensusRevised) and self.pool in (None, output.pool):
                updated[output.pool, output.task] = output
        self.work.books.executemany(
            "INSERT INTO task VALUES (?, ?, 1, ?, ?, ?, ?, ?, NULL, NULL, NULL) ON CONFLICT DO UPDATE SET "
            "label = excluded.label, confidence = excluded.confidence, judgments = excluded.judgments, "
            "tie = excluded.tie, outcome = excluded.outcome",
            [(*k, s.label, max(s.posterior or (0.0,)), s.judgments, s.tie, s.outcome) for k, s in settled.items()],
        )
        self.work.books.executemany(
            "UPDATE task SET label = ?, confidence = ?, judgments = ?, tie = ? WHERE pool = ? AND task = ?",
            [(u.label, max(u.posterior), u.judgments, u.tie, *k) for k, u in updated.items()],
        )

    def rows(self) -> Iterator[TaskRow]:
        """Yield the tasks that are work, in the order in which they came."""
        books = self.work.books
        tasks = books.execute(
            "SELECT pool, task, label, confidence, judgments, tie, outcome FROM task WHERE is_work "
            "ORDER BY pool, offset IS NULL, topic DESC, partition, offset, task"
        )
        for pool, task, label, confidence, judgments, tie, outcome in tasks:
            votes = dict(books.execute("SELECT label, n FROM vote WHERE pool = ? AND task = ?", (pool, task)))
            who = []
            if self.with_who:
                found = "SELECT annotator FROM who WHERE pool = ? AND task = ? ORDER BY rowid"
                who = [row[0] for row in books.execute(found, (pool, task))]
            confidence_of = confidence if label is not None else None
            yield TaskRow(pool, task, label, confidence_of, judgments, bool(tie), outcome, votes, who)
