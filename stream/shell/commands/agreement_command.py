"""`allocator agreement PROJECT`: how far its people agree beyond chance, from topics alone."""

import asyncio

import click
import msgspec

from stream.agreement import Agreement
from stream.settings import load
from stream.shell.commands.export_work import Work, working_place
from stream.shell.commands.failures import plain_errors
from stream.shell.commands.project_books import ProjectBooks
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import TopicReader


class AgreementReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints; κ and α are null where only one class occurs."""

    project: str
    tasks: int
    judged_twice: int
    judgments: int
    observed: float | None
    fleiss_kappa: float | None
    krippendorff_alpha: float | None


@click.command()
@click.argument("project")
@click.option("--pool", help="Of this pool, where several have a project of the name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def agreement(project: str, pool: str | None, as_json: bool) -> None:
    """Say how far the people of PROJECT agree beyond chance: Fleiss' kappa and Krippendorff's alpha.

    Counted are judgments that count, on work with classes, of tasks with at least two. The allocator chooses who is
    asked and asks again where people disagree, so both tend to be lower than with as many judgments on every task.
    """
    with plain_errors():
        with working_place(None, "agreement") as work:
            report = asyncio.run(_run(project, pool, work))
        if as_json:
            click.echo(msgspec.json.encode(report))
            return
        click.echo(f"{project}: {report.tasks:,} tasks, {report.judged_twice:,} of them judged twice or more")
        for name, value in (
            ("agreeing pairs", report.observed),
            ("Fleiss' kappa", report.fleiss_kappa),
            ("Krippendorff's alpha", report.krippendorff_alpha),
        ):
            click.echo(f"  {name:<22}{'-' if value is None else f'{value:.3f}'}")


async def _run(project: str, pool: str | None, work: Work) -> AgreementReport:
    course, tasks = Agreement(), 0
    async with TopicReader(load()) as reader:
        books = ProjectBooks(reader, work, Tell(), project, pool)
        await books.read()
        for row in books.rows():
            tasks += 1
            given = {label: n for label, n in row.votes.items() if label >= 0}
            course.add([given.get(label, 0) for label in range(max(given, default=-1) + 1)])
    return AgreementReport(
        project=project, tasks=tasks, judged_twice=course.tasks, judgments=course.judgments, observed=course.observed,
        fleiss_kappa=course.kappa, krippendorff_alpha=course.alpha,
    )  # fmt: skip
