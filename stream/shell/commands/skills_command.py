"""`allocator skills POOL`: what the allocator knows about people's skills, from the committed state.

The rows of the pool's partition are read from the changelogs up to their present end and linked as a worker does it
at a takeover; no worker is asked, none needs to run.
"""

import asyncio

import click
import msgspec

from stream.core.state.skills import SkillReport, reports
from stream.settings import Settings, load
from stream.shell.commands.failures import NotRight, plain_errors
from stream.shell.commands.state import state_of_pool

ROW = "{:<20} {:<20} {:>7} {:>6} {:>15} {:>7} {:>9} {:>6} {:>9}"
HEAD = ROW.format("annotator", "skill", "classes", "mean", "90 % interval", "n", "gold", "drift", "contained")


def find(settings: Settings, pool: str, annotator: str | None) -> list[SkillReport]:
    """What is known in a pool, or of one of its annotators.

    Raises
    ------
    NotRight
        There is no such pool or annotator.
    """
    state = asyncio.run(state_of_pool(settings, pool)).pool(pool)
    if state is None:
        raise NotRight(f"there is no pool {pool!r}: nothing about it has been committed")
    if annotator is not None and annotator not in state.annotators.slots:
        raise NotRight(f"there is no annotator {annotator!r} in the pool {pool!r}")
    return list(reports(state, annotator))


def line(report: SkillReport) -> str:
    """One row of the table."""
    between = f"{report.low:.3f} to {report.high:.3f}"
    tried = f"{report.gold_right}/{report.gold}"
    return ROW.format(
        report.annotator, report.skill, report.classes or "scored", f"{report.mean:.3f}", between,
        f"{report.judgments:.1f}", tried, f"{report.drift:.2f}", "yes" if report.contained else "no",
    )  # fmt: skip


HELP = """Print what is known about skills in POOL: accuracy, its 90 % interval, what it rests on, drift.

Example: allocator skills support --annotator ana

`n` is the effective number of judgments, prior and imports included; `gold` how many answers to tasks of known answer
were right; `drift` reaches 1 when an alarm is raised; somebody `contained` gets next to no work until they do better.
"""


@click.command(help=HELP)
@click.argument("pool")
@click.option("--annotator", help="Of this annotator only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def skills(pool: str, annotator: str | None, as_json: bool) -> None:
    """Print the table; exits 1 when there is no such pool or annotator."""
    with plain_errors():
        found = find(load(), pool, annotator)
    if as_json:
        for report in found:
            click.echo(msgspec.json.encode(report).decode())
    else:
        click.echo("\n".join([HEAD, *map(line, found)]))
