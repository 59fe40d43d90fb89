"""`allocator labels PROJECT`: what is known of each task's label, from topics alone."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from stream.files.complaints import plural
from stream.settings import load
from stream.shell.commands.export_rows import Format, chosen, format_options, write_all
from stream.shell.commands.export_work import Work, working_place
from stream.shell.commands.failures import plain_errors
from stream.shell.commands.project_books import ProjectBooks
from stream.shell.commands.project_names import class_name
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import TopicReader

COLUMNS = ["task", "label", "confidence", "judgments", "agreement", "tie", "outcome", "pool"]

HELP = """\
Write the labels of PROJECT: one row a task, in the order in which the tasks came.

\b
  label       the most probable class, by its name (its number, where the project names none)
  confidence  how probable it is, calibrated
  judgments   how many count
  agreement   the share of them that say the same
  tie         1 if other classes are as probable and the label was drawn from them
  outcome     why the task ended (docs/architecture.md), or open
  ref         with --ref: where tools open it, as the task's newest event has it

Everything comes from the topics and reaches as far back as they do (ALLOCATOR_OUTPUT_RETENTION_DAYS). An export to
--out that is interrupted goes on where it stopped when the same command is given again.
"""
EXAMPLES = """\
\b
Examples:
  allocator labels animals
  allocator labels animals --excel --out labels.csv
  allocator labels animals --jsonl --who | jq 'select(.confidence < 0.8)'
"""


@click.command(help=HELP, epilog=EXAMPLES)
@click.argument("project")
@click.option("--pool", help="Of this pool, where several have a project of the name.")
@click.option("--settled", is_flag=True, help="Only tasks that have ended.")
@click.option("--who", is_flag=True, help="Also who judged, in a column of their own.")
@click.option("--ref", "refs", is_flag=True, help="Also the reference of the task, in a column of its own.")
@format_options
def labels(
    project: str,
    pool: str | None,
    settled: bool,
    who: bool,
    refs: bool,
    formats: tuple[Format, ...],
    out: Path | None,
) -> None:
    """Write the table."""
    with plain_errors():
        kind = chosen(formats, out)
        tell = Tell()
        with working_place(out, f"labels {project!r} {pool!r} {who} {refs}") as work:
            counts = asyncio.run(_run(project, pool, settled, (who, refs), kind, out, work, tell))
        total = sum(counts.values())
        ends = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.most_common()) or "none"
        click.echo(f"{plural(total, 'task')} of {project}: {ends}", err=True)


async def _run(
    project: str,
    pool: str | None,
    settled: bool,
    more: tuple[bool, bool],
    kind: Format,
    out: Path | None,
    work: Work,
    tell: Tell,
) -> Counter[str]:
    counts: Counter[str] = Counter()
    who, refs = more
    async with TopicReader(load()) as reader:
        books = ProjectBooks(reader, work, tell, project, pool, who, refs)
        await books.read()

        def rows() -> Iterator[list[Any]]:
            for row in books.rows():
                if settled and row.outcome == "open":
                    continue
                counts[row.outcome] += 1
                names = books.names.get(row.pool, ())
                given = sum(row.votes.values())
                same = row.votes.get(row.label, 0) if row.label is not None else 0
                yield [
                    row.task,
                    class_name(names, row.label),
                    None if row.confidence is None else round(row.confidence, 4),
                    row.judgments,
                    round(same / given, 4) if given and row.label is not None else None,
                    int(row.tie),
                    row.outcome,
                    row.pool,
                    *(["; ".join(row.who) if kind in ("csv", "excel") else row.who] if who else []),
                    *([books.standing.ref(row.pool, row.task)] if refs else []),
                ]

        write_all(rows(), [*COLUMNS, *(["who"] if who else []), *(["ref"] if refs else [])], kind, out)
    return counts
