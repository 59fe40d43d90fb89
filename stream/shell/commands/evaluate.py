"""`allocator evaluate DIR`: what the model would have made of labels a team already has.

Reads a folder (`labels`), runs `comparison` and prints; needs no Kafka, writes nothing but the picture asked
for.
"""

import sys
from pathlib import Path

import click
import msgspec

from stream.shell.commands.labels import LabelFileError, Recording, read
from stream.study.comparison import Allocation, Report, compare, runs

PEOPLE = 20


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), metavar="DIR")
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
def evaluate(
    folder: Path,
    order: str,
    seeds: int,
    gold: int,
    allocate: bool,
    stop: float,
    busy: int,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Measure labels and people against known answers.

    DIR holds labels.csv (task,worker,label[,timestamp][,duration_s]) and, optionally, truth.csv (task,truth).
    """
    try:
        recording = read(folder)
        if allocate and not (recording.labels.truth >= 0).any():
            raise LabelFileError(f"{folder / 'truth.csv'}: expected known answers to score --allocate with")
        with click.progressbar(
            length=runs(seeds, allocate), label="replaying", file=sys.stderr, hidden=not sys.stderr.isatty()
        ) as bar:
            options = (seeds, gold, order, allocate, stop, busy)
            report = compare(recording.labels, *options, step=lambda: bar.update(1))
    except (LabelFileError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    if plot:
        draw(report, plot)
    if as_json:
        document = msgspec.to_builtins(report)
        for person in document["people"]:
            person["annotator"] = recording.annotators[person["annotator"]]
        click.echo(msgspec.json.encode(document))
    else:
        click.echo("\n".join(lines(report, recording)))


def draw(report: Report, path: Path) -> None:
    """Draw the picture, or say what is missing for it."""
    try:
        from stream.shell.commands.evaluation_plot import plot  # noqa: PLC0415 matplotlib is an optional extra
    except ModuleNotFoundError:
        raise click.ClickException(
            "--plot needs matplotlib: pip install 'streaming-allocator[bench]'"
        ) from None
    if not report.reliability:
        raise click.ClickException("--plot needs truth.csv: without known answers there is nothing to draw")
    try:
        plot(report, path)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"--plot {path}: expected a file that can be written, as .png: {error}") from None


def lines(report: Report, recording: Recording) -> list[str]:
    """Return the report as text."""
    text = [
        f"{report.tasks:,} tasks, {report.annotators:,} annotators, {report.judgments:,} judgments, "
        f"{report.classes} classes; truth known for {report.known:,} tasks, {report.gold} of them told",
        f"one pass in {report.order} order, mean of {report.seeds} runs",
        *([f"truth.csv has {recording.unjudged:,} tasks that nobody judged"] if recording.unjudged else []),
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
