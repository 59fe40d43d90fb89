"""`allocator judgments [PROJECT]`: every judgment as it stands, from topics alone; what science and payroll start from.

Rows are written as they are read, so memory stays flat. With --out they go to the working place first, together with
how far the topics were read: whatever ends the command, the same command goes on there, and no row is written twice.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import click
import msgspec
import numpy as np

from stream.files.complaints import plural
from stream.settings import load
from stream.shell.commands.export_rows import Format, Lines, chosen, format_options, write_all
from stream.shell.commands.export_work import Work, working_place
from stream.shell.commands.failures import NotRight, plain_errors
from stream.shell.commands.project_names import class_name, project_names
from stream.shell.commands.standing import Judgment, Standing
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import TopicReader

COLUMNS = ["task", "annotator", "label", "counts", "outcome", "at", "duration_s", "project", "pool"]

HELP = """\
Write the judgments of PROJECT, or of all: one row a person and task, as it stands now.

\b
  label    the class by its name, after corrections
  counts   1 if the judgment counts, 0 if it came late, was not needed, or was taken back
  outcome  what became of it first (docs/architecture.md); unsolicited is an import
  at       when it was given (UTC)
  ref      with --ref: where tools open the task, as its newest event has it

Whoever was erased has no name in rows of before. An interrupted export to --out goes on where it stopped.
"""


@click.command(help=HELP)
@click.argument("project", required=False)
@click.option("--pool", help="Of this pool.")
@click.option("--ref", "refs", is_flag=True, help="Also the reference of the task, in a column of its own.")
@format_options
def judgments(
    project: str | None, pool: str | None, refs: bool, formats: tuple[Format, ...], out: Path | None
) -> None:
    """Write the table."""
    with plain_errors():
        kind = chosen(formats, out)
        with working_place(out, f"judgments {project!r} {pool!r} {kind} {refs}") as work:
            count = asyncio.run(_run(project, pool, refs, kind, out, work, Tell()))
        click.echo(plural(count, "judgment"), err=True)


async def _run(
    project: str | None, pool: str | None, refs: bool, kind: Format, out: Path | None, work: Work, tell: Tell
) -> int:
    async with TopicReader(load()) as reader:
        names = await project_names(reader)
        if project is not None and not any(name == project and pool in (None, p) for p, name in names):
            others = ", ".join(sorted({name for _, name in names})) or "none yet"
            raise NotRight(f"there is no project {project}: there are {others}")
        standing = Standing(reader, work, tell, refs=refs)
        await standing.prepare()
        # Parquet is written from lines, at the end: its files can't be continued
        columns = [*COLUMNS, "ref"] if refs else COLUMNS
        lines = Lines(columns, "jsonl" if kind == "parquet" else kind)
        rows = Rows(work, lines, out)
        try:
            async for found in standing.judgments("rows", project, pool):
                told = _rows(found, names)
                if refs:
                    told = [(*row, standing.ref(one.pool, one.task)) for row, one in zip(told, found, strict=True)]
                rows.write(told)
        finally:
            rows.close()
        tell.done()
        if out is not None:
            if kind == "parquet":
                write_all(_again(work), columns, kind, out)
            else:
                work.rows_path.replace(out)
        return rows.count


class Rows:
    """Where rows go: to standard output, or to the working place, which knows how many of its bytes are valid."""

    def __init__(self, work: Work, lines: Lines, out: Path | None) -> None:
        self._work, self._lines = work, lines
        self._file: IO[bytes] | None = None
        self.count = int(work.meta("rows") or 0)
        if out is None:
            sys.stdout.write(lines.head())
            return
        self._file = work.rows_path.open("ab")
        self._file.truncate(int(work.meta("bytes") or 0))
        self._file.seek(0, 2)
        if not self._file.tell():
            self._file.write(lines.head().encode())

    def write(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write rows; called within a step of the working place."""
        text = self._lines.text(rows)
        self.count += len(rows)
        if self._file is None:
            sys.stdout.write(text)
            return
        self._file.write(text.encode())
        self._file.flush()
        self._work.set_meta("bytes", str(self._file.tell()))
        self._work.set_meta("rows", str(self.count))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _rows(judgments: list[Judgment], names: dict[tuple[str, str], tuple[str, ...]]) -> list[tuple[Any, ...]]:
    ms = np.round([1000 * judgment.at for judgment in judgments]).astype("datetime64[ms]")
    times = np.datetime_as_string(ms, timezone="UTC").tolist()
    rows = []
    last, classes = ("", ""), dict[int, str | None]()  # names of the classes of the project at hand, by label
    for (pool, project, task, who, label, counts, outcome, _, spent), at in zip(judgments, times, strict=True):
        if last != (pool, project):
            last, classes = (pool, project), {}
        if label not in classes:
            classes[label] = class_name(names.get(last, ()), label)
        rows.append((task, who, classes[label], counts, outcome, at, spent, project, pool))
    return rows


def _again(work: Work) -> Iterator[list[Any]]:
    with work.rows_path.open("rb") as file:
        for line in file:
            yield list(msgspec.json.decode(line).values())
