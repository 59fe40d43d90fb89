"""`allocator evaluate DIR|FILE`: what the model would have made of labels a team already has.

Reads a folder or a file (`stream.files.recording`), runs `comparison` and prints; needs no Kafka, writes nothing but
the picture asked for. What the reader assumed goes to standard error.
"""

import sys
from pathlib import Path

import click
import msgspec

from stream.files.complaints import joined
from stream.files.recording import Recording, read
from stream.shell.commands.failures import NotRight, plain_errors
from stream.shell.commands.file_options import file_options, reading
from stream.study.comparison import Allocation, Report, compare, runs
from streaming_allocator.recordings import labels_of

PEOPLE = 20
ROOT = Path(__file__).resolve().parents[3]


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="DIR|FILE")
@click.option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="A file with task and truth.")
@click.option("--order", type=click.Choice(["random", "file"]), default="random", show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=10, show_default=True, help="Runs to average over.")
@click.option(
    "--gold", type=click.IntRange(0), default=0, help="Tasks whose truth the model is told; not scored."
)
@click.option(
    "--allocate", is_flag=True, help="Also replay the recording as a market of arriving annotators."
)
@click.option(
    "--stop", type=click.FloatRange(0, 1), default=0.95, show_default=True, help="Close tasks at this."
)
@click.option(
    "--busy", type=click.IntRange(0), default=0, help="Answers under way at any time in the market."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw reliability and the curve."
)
@file_options
def evaluate(
    path: Path,
    truth: Path | None,
    order: str,
    seeds: int,
    gold: int,
    allocate: bool,
    stop: float,
    busy: int,
    as_json: bool,
    plot: Path | None,
    header: tuple[str, ...] | None,
    columns: tuple[tuple[str, str], ...],
    ignore_extra: bool,
    encoding: str | None,
) -> None:
    """Measure labels and people against known answers.

    DIR holds labels.csv (task,worker,label[,timestamp][,duration_s]) and, optionally, truth.csv (task,truth); FILE is
    such a file of labels, or an export of Label Studio or CVAT. Labels are names or numbers, times ISO 8601, seconds or
    milliseconds; separator, encoding and other names of the columns are found out, and said.
    """
    with plain_errors():
        recording = read(path, truth, reading(header, columns, ignore_extra, encoding))
        for note in recording.notes:
            click.echo(f"note: {note}", err=True)
        labels = labels_of(recording)
        if allocate and not (labels.truth >= 0).any():
            raise NotRight(f"{path}: --allocate needs known answers: a truth.csv beside labels.csv, or --truth FILE")
        with click.progressbar(
            length=runs(seeds, allocate), label="replaying", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            options = (seeds, gold, order, allocate, stop, busy)
            try:
                report = compare(labels, *options, step=lambda: bar.update(1))
            except ValueError as error:
                raise NotRight(str(error)) from None
        if plot:
            draw(report, plot)
        if as_json:
            document = msgspec.to_builtins(report) | {"labels": recording.classes}
            for person in document["people"]:
                person["annotator"] = recording.annotators[person["annotator"]]
            click.echo(msgspec.json.encode(document))
        else:
            click.echo("\n".join(lines(report, recording)))


def draw(report: Report, path: Path) -> None:
    """Draw the picture, or say what is missing for it."""
    try:
        from stream.study.evaluation_plot import plot  # noqa: PLC0415 matplotlib is an optional extra
    except ModuleNotFoundError:
        raise NotRight(
            f"--plot needs matplotlib: cd {ROOT} && sh requirements/install.sh .venv bench"
        ) from None
    if not report.reliability:
        raise NotRight("--plot needs truth.csv: without known answers there is nothing to draw")
    try:
        plot(report, path)
    except (OSError, ValueError) as error:
        raise NotRight(f"--plot {path}: expected a file that can be written, as .png: {error}") from None


def lines(report: Report, recording: Recording) -> list[str]:
    """Return the report as text."""
    text = [
        f"{report.tasks:,} tasks, {report.annotators:,} annotators, {report.judgments:,} judgments, "
        f"{report.classes} classes ({joined(recording.classes, 8)}); truth known for {report.known:,} tasks, "
        f"{report.gold} of them told",
        f"one pass in {report.order} order, mean of {report.seeds} runs",
        "",
    ]
    if report.model is None:
        text += [f"mean confidence    {report.confidence:.3f}   (calibrated; without truth.csv not scored)"]
    else:
        cover = report.model.coverage
        text += [
            f"accuracy           {report.model.accuracy:.4f}   (majority vote {report.majority:.4f})",
            f"log-loss           {report.model.log_loss:.4f}",
            f"calibration error  {report.model.calibration_error:.4f}",
            "90 % intervals     "
            + ("too few judgments to say" if cover is None else f"{cover:.0%} hold the measured accuracy"),
            "",
            "most probable label: claimed  right  tasks",
            *(f"                     {b.claimed:7.3f}  {b.right:.3f}  {b.tasks}" for b in report.reliability),
        ]
    if report.allocation:
        text += ["", *_market(report.allocation)]
    text += ["", "annotator             judgments  accuracy   90 % interval   measured"]
    busiest = sorted(report.people, key=lambda p: -p.judgments)
    for person in busiest[:PEOPLE]:
        measured = "-" if person.measured is None else f"{person.measured:.3f}"
        text.append(
            f"{recording.annotators[person.annotator]:<20.20}  {person.judgments:9,}  {person.mean:8.3f}"
            f"   {person.low:.3f} - {person.high:.3f}   {measured:>8}"
        )
    if len(busiest) > PEOPLE:
        text.append(f"... and {len(busiest) - PEOPLE:,} more (--json lists all)")
    return text


def _market(allocation: Allocation) -> list[str]:
    text = ["usual practice     accuracy  judgments   with as many   as accurate with   saved"]
    for row in allocation.practices:
        need = "never" if row.same_accuracy is None else f"{row.same_accuracy:.2f}"
        saved = "-" if row.saved is None else f"{row.saved:.0%}"
        text.append(
            f"{row.name:<17}  {row.accuracy:8.4f}  {row.judgments:9.2f}   {row.same_judgments:12.4f}"
            f"   {need:>16}   {saved:>5}"
        )
    if allocation.claimed is not None and allocation.right is not None:
        text.append(
            f"closed at {allocation.stop:g}: claimed {allocation.claimed:.3f}, right {allocation.right:.3f}"
        )
    return text
