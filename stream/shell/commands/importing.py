"""An import from files to facts: look at everything, send it as fast as the workers keep up, say what became of it.

    files ──check, with what the deployment knows──► projects ──► tasks ──► judgments ──► truth ──► people ──► present
           nothing is sent while a row is unusable      each file is applied before the next one is sent

So a file's fate is known before anything that depends on it is sent, and nobody is present before past judgments count.
"""

import asyncio
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import msgspec

from stream.core.intake.partitioning import partition_of
from stream.events import AnnotatorOnline, encode
from stream.files.classes import Classes
from stream.files.column_names import Kind
from stream.files.complaints import plural
from stream.files.file_events import TOPIC, EventFile
from stream.settings import Settings
from stream.shell.commands import resume
from stream.shell.commands.fate import Fate, Watch
from stream.shell.commands.import_plan import Plan, Request, opened, plan
from stream.shell.commands.pacing import Pause
from stream.shell.commands.sending import Outgoing, Sender, sender
from stream.shell.commands.state import up_to_date
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import TopicReader
from stream.shell.commands.workers import Lag
from stream.topics import ANNOTATORS, TASKS

BATCH = 1000


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one file; `known` counts tasks or people that were there before."""

    file: Path
    kind: Kind
    rows: int
    known: int
    labels: dict[str, int]
    projects: list[str]
    notes: list[str]
    sent: int = 0
    resumed_from: int = 0
    waited_s: float = 0.0
    fate: Fate | None = None
    present: int = 0
    updated: bool = False


class Import:
    """One run of the command against a deployment.

    Parameters
    ----------
    settings : Settings
    request : Request
    tell : Tell
    """

    def __init__(self, settings: Settings, request: Request, tell: Tell) -> None:
        self.settings, self.request, self.tell = settings, request, tell
        self.at = round(time.time(), 3)
        self.outcomes: list[Outcome] = []

    def dry_run(self) -> Plan:
        """Look at the files without a broker."""
        return plan(self.request, opened(self.request, self.settings, self.at), None, self.at)

    async def run(self, refuse: Callable[[Plan], None]) -> list[Outcome]:
        """Check, send, wait.

        Parameters
        ----------
        refuse : callable
            ``refuse(plan)``: called with a plan that has faults; must raise or exit.
        """
        files = opened(self.request, self.settings, self.at)
        async with TopicReader(self.settings) as reader:
            known = None
            if self.request.wait:
                known = await up_to_date(reader, self._partitions(), self.tell)
            planned = plan(self.request, files, known, self.at)
            self.tell.done()
            if planned.faults:
                refuse(planned)
            lag = await asyncio.to_thread(Lag, self.settings)
            try:
                async with sender(self.settings) as out:
                    for i, file in enumerate(files):
                        outcome = await self._file(file, planned, i, reader, lag, out)
                        self.outcomes.append(outcome)
                        if outcome.fate is not None and outcome.fate.dead:
                            break
                    else:
                        await self._present(planned, reader, lag, out)
            finally:
                lag.close()
        return self.outcomes

    def _partitions(self) -> set[int]:
        if self.request.pool is not None:
            return {partition_of(self.request.pool.encode(), self.settings.partitions)}
        return set(range(self.settings.partitions))

    async def _file(
        self, file: EventFile, planned: Plan, i: int, reader: TopicReader, lag: Lag, out: Sender
    ) -> Outcome:
        check = planned.checks[i]
        outcome = Outcome(
            file=file.path,
            kind=file.kind,
            rows=check.rows,
            known=check.known,
            labels=dict(check.labels),
            projects=sorted({project for _, project in check.projects}),
            notes=check.notes,
            updated=self.request.update,
        )
        course = resume.Course(
            sha256=resume.digest(file.path),
            cluster=await asyncio.to_thread(lag.cluster),
            deployment=self.settings.app_id,
            kind=file.kind,
            said=repr((self.request.pool, self.request.project, self.request.skill, self.request.labels,
                       self.request.overlap, self.request.update, self.request.reading)),
        )  # fmt: skip
        earlier, words = (None, None) if self.request.restart else resume.recall(file.path, course)
        outcome.notes = [*outcome.notes, *([words] if words else [])]
        progress = earlier or resume.Progress(course=course, at=self.at, rows=check.rows)
        outcome.resumed_from = progress.sent
        if progress.sent >= check.rows and earlier:
            return outcome
        # a resumed import says the same at the same time: what was sent before must not look older
        file.given = msgspec.structs.replace(file.given, at=progress.at)
        watch = await Watch(reader).start(self.request.wait)
        if i == 0 and planned.projects:
            for landed in await out.send(TASKS, [Outgoing(p.pool, encode(p), 0) for p in planned.projects]):
                watch.sent(TASKS, landed.partition, landed.offset, landed.number)
        resume.note(file.path, progress)
        outcome.waited_s = await self._send(file, planned.classes, progress, watch, lag, out)
        outcome.sent = progress.sent - outcome.resumed_from
        if self.request.wait:
            outcome.fate = await watch.wait(self.tell, lambda: not lag.workers())
            outcome.fate.sent -= len(planned.projects) if i == 0 else 0
            self.tell.done()
        return outcome

    async def _send(
        self, file: EventFile, classes: Classes | None, progress: resume.Progress, watch: Watch, lag: Lag, out: Sender
    ) -> float:
        topic, settles = TOPIC[file.kind], file.kind == "judgments"
        records = islice(file.records(classes), progress.sent, None)
        pause = Pause(lag, self.request.max_lag, self.tell, progress)
        while batch := list(islice(records, BATCH)):
            await pause.wait()
            for landed in await out.send(topic, (Outgoing(r.pool, r.value, r.line) for r in batch)):
                watch.sent(topic, landed.partition, landed.offset, landed.number, settles)
            progress.sent += len(batch)
            resume.note(file.path, progress)
            self.tell(f"{progress.sent:,} of {plural(progress.rows, 'row')} of {file.path} sent")
        return round(pause.waited_s, 1)

    async def _present(self, planned: Plan, reader: TopicReader, lag: Lag, out: Sender) -> None:
        """State that people are there, once everything else has been applied."""
        now = time.time()
        for file, outcome in zip(planned.files, self.outcomes, strict=True):
            if file.kind != "people":
                continue
            online = [
                AnnotatorOnline(
                    pool=record.pool, at=now, annotator=record.annotator, ttl_s=seconds, capacity=self.request.capacity
                )
                for record in file.records(None)
                if (seconds := self.request.present_s if record.present_s is None else record.present_s)
            ]
            watch = await Watch(reader).start(self.request.wait)
            for landed in await out.send(ANNOTATORS, [Outgoing(e.pool, encode(e), 0) for e in online]):
                watch.sent(ANNOTATORS, landed.partition, landed.offset, landed.number)
            outcome.present = len(online)
            if self.request.wait and online:
                await watch.wait(self.tell, lambda: not lag.workers())
                self.tell.done()
