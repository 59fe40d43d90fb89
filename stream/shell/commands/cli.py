"""The command `allocator`. Commands are imported when they are called, so that `--help` is quick.

A command lives where its subject lives; this module knows only where that is.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

import click

COMMANDS = {
    "up": ("stream.shell.commands.up:up", "Start a whole deployment on this machine."),
    "down": ("stream.shell.commands.up:down", "Stop it."),
    "status": ("stream.shell.commands.up:status", "Say whether it runs and what is in it."),
    "worker": ("stream.shell.worker.worker:worker", "Run a worker until SIGTERM."),
    "demo": ("load.replay.demo:demo", "Replay a real labelling project through Kafka and report."),
    "kafka": ("stream.shell.commands.admin:kafka", "Start or stop a local development broker."),
    "topics": ("stream.shell.commands.admin:topics", "Create the topics, or check them."),
    "doctor": ("stream.shell.commands.admin:doctor", "Say what is wrong with broker, topics and settings."),
    "position": ("stream.shell.commands.position:position", "Go on behind input that retention has removed."),
    "why": ("stream.shell.commands.why:why", "Explain an assignment."),
    "import": ("stream.shell.commands.import_command:import_", "Send files of tasks, people or past judgments."),
    "labels": ("stream.shell.commands.labels:labels", "Write the labels of a project."),
    "judgments": ("stream.shell.commands.judgments_command:judgments", "Write judgments as they stand."),
    "people": ("stream.shell.commands.people_command:people", "Write who is there, how good, how they stand."),
    "pay": ("stream.shell.commands.pay:pay", "Write counted work and time per person and period."),
    "agreement": ("stream.shell.commands.agreement_command:agreement", "Say how far people agree: kappa, alpha."),
    "sit": ("stream.shell.commands.sit:sit", "Work in a terminal."),
    "send": ("stream.shell.commands.send:send_", "Send events and say what became of each."),
    "pool": ("stream.shell.commands.orders:pool", "Pause a pool, resume it, change its settings."),
    "project": ("stream.shell.commands.orders:project", "Pause a project, resume it, close it."),
    "annotator": ("stream.shell.commands.orders:annotator", "State that somebody is there or gone; erase them."),
    "task": ("stream.shell.commands.orders:task", "Tell a task's truth, or cancel it."),
    "skills": ("stream.shell.commands.skills_command:skills", "Print what is known about people's skills."),
    "dlt": ("stream.shell.commands.dlt:dlt", "List, show and replay records that could not be used."),
    "audit": ("stream.shell.commands.audit_command:audit", "Check the promises from outside, by reading the topics."),
    "evaluate": ("stream.shell.commands.evaluate:evaluate", "Measure labels and people against known answers."),
}

#: commands that start, stop or need no deployment, and so look for none
ALONE = ("up", "down", "status", "demo", "kafka", "evaluate")

EXAMPLES = """
\b
Examples:
  allocator up
  allocator import tasks.csv --pool team --project animals --skill animals --labels cat,dog
  allocator demo
  allocator why 3-128-0
"""


class LazyGroup(click.Group):
    """A group whose commands are imported on use; their help in the list stands here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name][0].split(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=EXAMPLES)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The deployment that `allocator up --folder` runs there; otherwise that of the environment, else of run/up.",
)
@click.pass_context
def main(ctx: click.Context, folder: Path | None) -> None:
    """Allocates labelling tasks to annotators, in real time, from Kafka topics to Kafka topics."""
    if "--help" in sys.argv:
        return
    from stream.local.folder import FOLDER_VARIABLE, NoDeployment, apply  # noqa: PLC0415  not for --help

    if ctx.invoked_subcommand in ALONE:
        if folder is not None:
            os.environ[FOLDER_VARIABLE] = str(folder.absolute())
        return
    try:
        apply(os.environ, folder)
    except NoDeployment as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
