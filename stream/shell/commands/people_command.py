"""`allocator people POOL`: who is there, how good each is at what, how sure that is, how they stand; from the state."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from stream.core.state.pools import PoolState
from stream.core.state.skills import SkillReport, reports
from stream.files.complaints import plural
from stream.settings import load
from stream.shell.commands.export_rows import Format, chosen, format_options, write_all
from stream.shell.commands.failures import NotRight, plain_errors
from stream.shell.commands.state import Known, state_of_pool

COLUMNS = [
    "annotator", "skill", "accuracy", "low", "high", "judgments", "gold", "gold_right", "standing", "why", "present",
]  # fmt: skip
FEW = 10

HELP = """\
Write the people of POOL: one row a person and skill.

\b
  accuracy, low, high  the expected accuracy and its 90 % interval
  judgments            how many it rests on; gold: of them on tasks of known answer
  standing             good, new, contained, drifted, untried or without skills; why says what that means
  present              yes if they may be offered work now
"""


@click.command(help=HELP)
@click.argument("pool")
@format_options
def people(pool: str, formats: tuple[Format, ...], out: Path | None) -> None:
    """Write the table."""
    with plain_errors():
        kind = chosen(formats, out)
        known = asyncio.run(state_of_pool(load(), pool))
        state = known.pool(pool)
        if state is None:
            others = ", ".join(sorted(known.pools()))
            raise NotRight(f"there is no pool {pool}" + (f": in its partition there are {others}" if others else ""))
        rows = list(_rows(state, known))
        write_all(rows, COLUMNS, kind, out)
        click.echo(plural(len(state.annotators.slots), "person", "people"), err=True)


def _rows(state: PoolState, known: Known) -> Iterator[list[Any]]:
    by_person: dict[str, list[SkillReport]] = {}
    for report in reports(state):
        by_person.setdefault(report.annotator, []).append(report)
    now = time.time()
    for name, slot in sorted(state.annotators.slots.items()):
        present = "yes" if known.is_present(state.name, slot, now) else "no"
        found = by_person.get(name, [])
        if not found:
            yield [name, None, None, None, None, 0, 0, 0, *_untried(state, slot), present]
        for one in found:
            yield [
                name, one.skill, round(one.mean, 4), round(one.low, 4), round(one.high, 4), one.counted, one.gold,
                one.gold_right, *standing(one), present,
            ]  # fmt: skip


def _untried(state: PoolState, slot: int) -> tuple[str, str]:
    profile = state.fits.profiles[int(state.columns.annotators.records["profile"][slot])]
    if not profile.skills:
        return "without skills", "no profile with a skill: nothing can be offered (allocator import people.csv)"
    return "untried", f"no judgment yet; may do {', '.join(sorted(profile.skills))}"


def standing(report: SkillReport) -> tuple[str, str]:
    """How somebody stands in a skill, and what that means."""
    if report.contained:
        return "contained", "far below what is usual here: asked on one task in 32 until they do better"
    if report.drift >= 1 or report.alarms:
        return "drifted", f"accuracy has fallen ({plural(report.alarms, 'alarm')}): give gold, or ask them"
    if report.counted < FEW:
        return "new", f"{plural(report.counted, 'judgment')} so far: the interval says how little is known"
    return "good", f"rests on {report.counted:,} judgments"
