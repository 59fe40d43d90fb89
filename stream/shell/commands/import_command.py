"""The command `import`: files of tasks, people, past judgments and known answers become events, and their fate is said.

Reading files is `stream.files`, checking and sending is `importing`.
"""

import asyncio
import sys
from pathlib import Path

import click
import msgspec

from stream.files.column_names import KINDS, Kind
from stream.files.complaints import FileProblem, joined, plural
from stream.files.values import span
from stream.settings import load
from stream.shell.commands.failures import FINE, WRONG, plain_errors
from stream.shell.commands.fate import words
from stream.shell.commands.file_options import Names, file_options, reading
from stream.shell.commands.import_plan import Plan, Request
from stream.shell.commands.importing import Import, Outcome
from stream.shell.commands.telling import Tell

MOST_LAG = 50_000

HELP = """\
Send files of tasks, people, past judgments or known answers, and say what became of them.

\b
  tasks      task[,project,skill,overlap,…]        any field of task_created is a column
  people     annotator[,skills,attributes,grants,cost,kind,present]
  judgments  task,annotator,label[,at,duration_s]
  truth      task,truth
Separators, encodings, other names of columns and exports of Label Studio and CVAT are recognised. --pool, --project,
--skill, --labels and --overlap say for all rows what a file lacks. Labels are names or numbers; times ISO 8601, seconds
or milliseconds. Lists separate their items by `;`. An empty cell means that the field is absent.

Everything is checked before anything is sent. Several files are sent in the right order, each after the one before has
been applied. Exit code 1: a row is unusable, or became a dead letter; 2: a person is needed (no broker, no worker). The
same command goes on where an interrupted one stopped (FILE.import.json beside the file says where).
"""
EXAMPLES = """\
\b
Examples:
  allocator import tasks.csv --pool team --project animals --skill animals --labels cat,dog --overlap 3
  allocator import people.csv --pool team --skill animals --present 8h
  allocator import tasks.csv past.csv people.csv --pool team --project animals --skill animals --labels cat,dog
  allocator import changed.csv --pool team --update
"""

#: what has become of a judgment, for people
OUTCOMES = {
    "counted": "count",
    "unsolicited": "count",
    "late": "came late",
    "surplus": "were not needed any more",
    "duplicate": "had been given before",
    "corrected": "are corrections",
    "retracted": "were taken back",
}


class Span(click.ParamType):
    """A length of time: ``8h``, ``30min``, seconds."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, float):
            return value
        found = span(str(value))
        if not found:
            self.fail(f"expected a length of time, such as 8h, 30min or 900 (seconds); got {value!r}", param, ctx)
        return found


@click.command("import", help=HELP, epilog=EXAMPLES)
@click.argument("paths", type=click.Path(path_type=Path), metavar="FILE…", nargs=-1, required=True)
@click.option("--kind", type=click.Choice(KINDS), help="Told by the columns otherwise.")
@click.option("--pool", help="The pool of rows that don't name one.")
@click.option("--project", help="The project of rows that don't name one.")
@click.option("--skill", help="The skill that tasks need and people have, where a row doesn't say it.")
@click.option("--labels", type=Names(), help="Names of the classes, in the order of their numbers: cat,dog.")
@click.option("--overlap", type=click.IntRange(1, 1000), help="How many judgments a task needs.")
@click.option("--ref", metavar="COLUMN", help="The column that says where tools open a task; `ref` is one.")
@click.option("--update", is_flag=True, help="The tasks exist: change the fields that the columns name.")
@click.option("--present", "present_s", type=Span(), help="The people are there now, for so long: 8h.")
@click.option("--capacity", type=click.IntRange(1, 1000), default=1, show_default=True, help="With --present: at once.")
@click.option("--max-lag", type=click.IntRange(0), default=MOST_LAG, show_default=True, help="Pause above so many.")
@click.option("--restart", is_flag=True, help="Send all of it, also what an earlier run has sent.")
@click.option("--no-wait", is_flag=True, help="Don't ask what is known, don't wait for what becomes of it.")
@click.option("--dry-run", is_flag=True, help="Only look at the files; needs no broker.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@file_options
def import_(
    paths: tuple[Path, ...],
    kind: Kind | None,
    pool: str | None,
    project: str | None,
    skill: str | None,
    labels: tuple[str, ...] | None,
    overlap: int | None,
    ref: str | None,
    update: bool,
    present_s: float | None,
    capacity: int,
    max_lag: int,
    restart: bool,
    no_wait: bool,
    dry_run: bool,
    as_json: bool,
    header: tuple[str, ...] | None,
    columns: tuple[tuple[str, str], ...],
    ignore_extra: bool,
    encoding: str | None,
) -> None:
    """Check files and send them."""
    request = Request(
        paths=list(paths), kind=kind, pool=pool, project=project, skill=skill, labels=labels or (), overlap=overlap,
        update=update, present_s=present_s, capacity=capacity, max_lag=max_lag, restart=restart, wait=not no_wait,
        reading=msgspec.structs.replace(reading(header, columns, ignore_extra, encoding), ref=ref),
    )  # fmt: skip
    with plain_errors():
        work = Import(load(), request, Tell(False if as_json else None))
        if dry_run:
            planned = work.dry_run()
            if planned.faults:
                refuse(planned)
            outcomes = [_looked_at(planned, i) for i in range(len(planned.files))]
        else:
            outcomes = asyncio.run(work.run(refuse))
        if as_json:
            click.echo(msgspec.json.encode([_document(outcome, dry_run) for outcome in outcomes]))
        else:
            for outcome in outcomes:
                _tell(outcome, dry_run)
            _tell_unsent(request, outcomes)
        sys.exit(WRONG if any(one.fate and (one.fate.dead or one.fate.unsettled) for one in outcomes) else FINE)


def refuse(planned: Plan) -> None:
    """Say what is wrong with the files; nothing has been sent."""
    bad = sum(check.complaints.lines for check in planned.checks)
    usable = sum(check.rows for check in planned.checks)
    counts = f"{plural(bad, 'line is', 'lines are')} unusable, {plural(usable, 'is', 'are')} usable: " if bad else ""
    raise FileProblem("\n".join([*planned.faults, f"{counts}nothing was sent"]))


def _looked_at(planned: Plan, i: int) -> Outcome:
    check, file = planned.checks[i], planned.files[i]
    projects = sorted({project for _, project in check.projects})
    return Outcome(
        file=file.path, kind=file.kind, rows=check.rows, known=0, labels=dict(check.labels), projects=projects,
        notes=check.notes,
    )  # fmt: skip


def _document(outcome: Outcome, dry_run: bool) -> dict[str, object]:
    document = msgspec.to_builtins(outcome, enc_hook=str)
    assert isinstance(document, dict)
    took = None if outcome.fate is None else outcome.fate.took_effect
    return document | {"dry_run": dry_run, "took_effect": took}


#: what a file of each kind has, one of it and many
ONE_AND_MANY = {
    "tasks": ("task", "tasks"), "people": ("person", "people"), "judgments": ("judgment", "judgments"),
    "truth": ("truth", "truths"),
}  # fmt: skip


def _tell(outcome: Outcome, dry_run: bool) -> None:
    for note in outcome.notes:
        click.echo(f"note: {note}", err=True)
    file, kind, rows = outcome.file, outcome.kind, outcome.rows
    of = f" of the project{'s' * (len(outcome.projects) > 1)} {joined(outcome.projects, 5)}" if outcome.projects else ""
    if dry_run:
        counted = plural(rows, *ONE_AND_MANY[kind])
        click.echo(f"{file}: {counted}{of}: every line is usable (what the deployment knows was not asked)")
        return
    if not outcome.sent and outcome.resumed_from:
        again = "--restart sends them again, which is harmless"
        click.echo(f"{file}: {plural(rows, *ONE_AND_MANY[kind])}: all sent before; {again}")
        return
    resumed = f" ({outcome.resumed_from:,} had been sent before)" if outcome.resumed_from else ""
    click.echo(f"{file}: {plural(outcome.sent, *ONE_AND_MANY[kind])}{of} sent{resumed}{_effect(outcome)}")
    if outcome.fate is not None:
        for line in words(outcome.fate, lambda number: f"{file}:{number}" if number else "project"):
            click.echo(f"  {line}", err=True)


def _effect(outcome: Outcome) -> str:
    fate = outcome.fate
    if fate is None:
        return "; not waited for" if not outcome.present else f"; {outcome.present:,} said to be present"
    details = []
    if outcome.kind == "judgments":
        summed: dict[str, int] = {}
        for name, count in fate.outcomes.items():
            summed[OUTCOMES[name]] = summed.get(OUTCOMES[name], 0) + count
        details = [f"{count:,} {verb}" for verb, count in summed.items()]
    elif outcome.known and outcome.kind == "tasks" and not outcome.updated:
        details = [f"{outcome.known:,} had been there before, unchanged: --update changes them"]
    elif outcome.known and outcome.kind == "people":
        details = [f"{outcome.known:,} had been there before, with this profile now"]
    if outcome.present:
        details.append(f"{outcome.present:,} present")
    return f"; {fate.took_effect:,} took effect" + (f" ({', '.join(details)})" if details else "")


def _tell_unsent(request: Request, outcomes: list[Outcome]) -> None:
    done = {outcome.file for outcome in outcomes}
    left = [str(path) for path in request.paths if path not in done]
    if left:
        click.echo(f"not sent, because of the dead letters before: {joined(left)}", err=True)
