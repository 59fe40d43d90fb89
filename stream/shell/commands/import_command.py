"""The command `import`: a CSV file of tasks, people or past judgments becomes events; none if a line is unusable.

The formats are in `import_rows`, pausing and resuming in `import_run`.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from kafka.errors import KafkaError

from stream.settings import SettingsError, load
from stream.shell.commands.import_rows import Fault, ImportFileError, Kind, Table
from stream.shell.commands.import_run import Progress, Sender, Stalled, check, digest, note, recall
from stream.shell.kafka.clients import AccessRefused, BrokerUnreachable
from stream.shell.process.exits import OPERATOR

MOST_LAG = 50_000
SHOWN = 20
INTERRUPTED = 130

HELP = """\
Send a CSV file of tasks, people or past judgments as events.

\b
  tasks      task,project[,skill,classes,overlap,…]   any field of task_created is a column
  people     annotator[,skills,attributes,grants,cost,kind]
  judgments  task,annotator,label[,duration_s]        `worker` may stand for `annotator`
Each needs a pool, from a column or --pool, and may say `at` (or `timestamp`, Unix seconds). Lists separate their items
by `;`, an empty cell means that the field is absent. `cost` is per hour, in units of task `value`.

The whole file is checked before anything is sent; exit code 1 if a line is unusable. Pauses while the workers are
behind, and goes on from where it stopped when it is run again (FILE.import.json beside the file says where).
"""
EXAMPLES = """\
\b
Examples:
  allocator import tasks.csv --pool support --dry-run
  allocator import tasks.csv --pool support
  allocator import history.csv --kind judgments --max-lag 10000
"""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did, as ``--json`` prints it."""

    kind: Kind
    rows: int
    sent: int
    resumed_from: int
    waited_s: float
    dry_run: bool
    faults: list[Fault]


@contextmanager
def _bar(rows: int, sent: int, shown: bool) -> Iterator[Any]:
    """Yield what `Sender` tells its progress to: a bar on a terminal, else a line every ten seconds of waiting."""
    if not shown:
        said = time.monotonic()

        def tell(done: int, lag: int | None) -> None:
            nonlocal said
            if lag is not None and time.monotonic() - said > 10:
                said = time.monotonic()
                click.echo(f"{done} of {rows} rows sent; waiting, {lag} events lie before the workers", err=True)

        yield tell
        return
    with click.progressbar(length=rows, label="sending", file=sys.stderr, show_pos=True) as bar:
        bar.update(sent)

        def advance(done: int, lag: int | None) -> None:
            bar.label = "sending" if lag is None else f"waiting for the workers ({lag} events)"
            bar.update(done - bar.pos)
            bar.render_progress()

        yield advance


@click.command("import", help=HELP, epilog=EXAMPLES)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.csv")
@click.option("--kind", type=click.Choice(["tasks", "people", "judgments"]), help="Told by the header otherwise.")
@click.option("--pool", help="The pool of rows that don't name one.")
@click.option("--max-lag", type=click.IntRange(0), default=MOST_LAG, show_default=True, help="Pause above so many.")
@click.option("--restart", is_flag=True, help="Send all of it, also what an earlier run has sent.")
@click.option("--dry-run", is_flag=True, help="Only check the file; needs no broker.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; no progress bar.")
def import_(
    file: Path, kind: Kind | None, pool: str | None, max_lag: int, restart: bool, dry_run: bool, as_json: bool
) -> None:
    """Check a file and send it."""
    try:
        outcome = _run(file, kind, pool, max_lag, restart, dry_run, sys.stderr.isatty() and not as_json)
    except ImportFileError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    except (AccessRefused, BrokerUnreachable, KafkaError, SettingsError, Stalled, OSError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(OPERATOR)
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on from there", err=True)
        sys.exit(INTERRUPTED)
    if as_json:
        click.echo(msgspec.json.encode(outcome))
    else:
        _tell(file, outcome)
    sys.exit(1 if outcome.faults else 0)


def _run(
    file: Path, kind: Kind | None, pool: str | None, max_lag: int, restart: bool, dry_run: bool, shown: bool
) -> Outcome:
    settings = load()
    sha256, now = digest(file), time.time()
    known = None if dry_run else recall(file, sha256, restart)
    at = known.at if known else round(now, 3)
    latest = now + settings.market.clock_ahead_s
    table = Table(file, kind, pool, at, latest, settings.input_bytes)
    if known and (known.kind, known.pool) != (table.kind, pool):
        raise ImportFileError(f"{file} was begun as {known.kind} of pool {known.pool}; --restart sends all of it")
    rows, faults = check(table)
    began = known.sent if known else 0
    progress = Progress(sha256=sha256, kind=table.kind, pool=pool, at=at, sent=began, rows=rows)
    waited_s = 0.0
    if not faults and not dry_run and began < rows:
        note(file, progress)
        with _bar(rows, began, shown) as tell:
            sender = Sender(settings, table, progress, max_lag, tell)
            sender.run()
        waited_s = sender.waited_s
    return Outcome(
        kind=table.kind, rows=rows, sent=progress.sent - began, resumed_from=began, waited_s=round(waited_s, 1),
        dry_run=dry_run, faults=faults,
    )  # fmt: skip


def _tell(file: Path, outcome: Outcome) -> None:
    for fault in outcome.faults[:SHOWN]:
        click.echo(f"{file}:{fault.line}: {fault.message}", err=True)
    if outcome.faults:
        more = len(outcome.faults) - SHOWN
        click.echo(
            (f"… and {more} more. " if more > 0 else "")
            + f"{len(outcome.faults)} of {outcome.rows + len(outcome.faults)} lines are unusable; nothing was sent",
            err=True,
        )
    elif outcome.dry_run:
        click.echo(f"{outcome.rows} {outcome.kind}: every line is usable")
    elif outcome.resumed_from >= outcome.rows and outcome.rows:
        click.echo(f"{outcome.rows} {outcome.kind}: all sent before; --restart sends them again, which is harmless")
    else:
        resumed = f" ({outcome.resumed_from} had been sent before)" if outcome.resumed_from else ""
        click.echo(f"{outcome.sent} {outcome.kind} sent{resumed}")
