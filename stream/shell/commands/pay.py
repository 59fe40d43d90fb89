"""`allocator pay`: counted work and time per person and period, from topics alone.

A judgment belongs to the period in which it was given, whenever it settled; one that was taken back is not counted.
Time is what the annotation tool reported as `duration_s`; judgments without it are counted beside.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click

from stream.files.complaints import plural
from stream.files.values import TIME, moment
from stream.settings import load
from stream.shell.commands.export_rows import Format, chosen, format_options, write_all
from stream.shell.commands.export_work import Work, working_place
from stream.shell.commands.failures import plain_errors
from stream.shell.commands.standing import Standing
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import TopicReader

COLUMNS = ["annotator", "period", "counted", "seconds", "without_time", "unasked", "not_counted", "pool"]
PERIODS = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m", "year": "%Y", "all": "all"}

HELP = """\
Write what people have done: one row a person and period.

\b
  counted       judgments that count
  seconds       their time, as the annotation tool reported it
  without_time  how many of them have no time
  unasked       how many of them nobody was asked for: imports of past work
  not_counted   judgments that came late, were not needed any more or were taken back

Whoever was erased is in one row without a name.
"""


class Moment(click.ParamType):
    """A time as files have it."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return Unix seconds."""
        found = value if isinstance(value, float) else moment(str(value))
        if found is None:
            self.fail(f"{TIME}; got {value!r}", param, ctx)
        return found


@click.command(help=HELP)
@click.option("--project", help="Only of this project.")
@click.option("--pool", help="Only of this pool.")
@click.option("--by", type=click.Choice(list(PERIODS)), default="month", show_default=True, help="Periods, in UTC.")
@click.option("--since", type=Moment(), help="Given at this time or later.")
@click.option("--until", type=Moment(), help="Given before this time.")
@format_options
def pay(
    project: str | None,
    pool: str | None,
    by: str,
    since: float | None,
    until: float | None,
    formats: tuple[Format, ...],
    out: Path | None,
) -> None:
    """Write the table."""
    with plain_errors():
        kind = chosen(formats, out)
        # what is summed up is small, but a killed export begins anew: sums and positions would have to be kept together
        with working_place(None, "pay") as work:
            sums = asyncio.run(_run(project, pool, PERIODS[by], (since or 0.0, until or 1e12), work))
        rows = [
            [who, period, counted, round(seconds, 1), *others, in_pool]
            for (in_pool, who, period), (counted, seconds, *others) in sorted(sums.items())
        ]
        write_all(rows, COLUMNS, kind, out)
        click.echo(plural(len(rows), "row"), err=True)


async def _run(
    project: str | None, pool: str | None, period: str, between: tuple[float, float], work: Work
) -> dict[tuple[str, str, str], list[float]]:
    sums: dict[tuple[str, str, str], list[float]] = {}
    async with TopicReader(load()) as reader:
        tell = Tell()
        standing = Standing(reader, work, tell)
        await standing.prepare()
        async for judgments in standing.judgments("pay", project, pool):
            for judgment in judgments:
                if not between[0] <= judgment.at < between[1]:
                    continue
                when = datetime.fromtimestamp(judgment.at, UTC).strftime(period)
                row = sums.setdefault((judgment.pool, judgment.annotator, when), [0, 0.0, 0, 0, 0])
                if not judgment.counted:
                    row[4] += 1
                    continue
                row[0] += 1
                row[1] += judgment.duration_s or 0.0
                row[2] += judgment.duration_s is None
                row[3] += judgment.outcome == "unsolicited"
        tell.done()
    return sums
