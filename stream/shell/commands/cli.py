"""The command `allocator`. Commands are imported when they are called, so that `--help` is quick.

A command lives where its subject lives; this module knows only where that is.
"""

from importlib import import_module

import click

COMMANDS = {
    "worker": ("stream.shell.worker.worker:worker", "Run a worker until SIGTERM."),
    "demo": ("load.replay.demo:demo", "Replay a real labelling project through Kafka and report."),
    "kafka": ("stream.shell.commands.admin:kafka", "Start or stop a local development broker."),
    "topics": ("stream.shell.commands.admin:topics", "Create the topics, or check them."),
    "doctor": ("stream.shell.commands.admin:doctor", "Say what is wrong with broker, topics and settings."),
    "position": ("stream.shell.commands.position:position", "Go on behind input that retention has removed."),
    "why": ("stream.shell.commands.why:why", "Explain an assignment."),
    "import": ("stream.shell.commands.import_command:import_", "Send a CSV file of tasks, people or past judgments."),
    "skills": ("stream.shell.commands.skills_command:skills", "Print what is known about people's skills."),
    "dlt": ("stream.shell.commands.dlt:dlt", "List, show and replay records that could not be used."),
    "audit": ("stream.shell.commands.audit_command:audit", "Check the promises from outside, by reading the topics."),
    "evaluate": ("stream.shell.commands.evaluate:evaluate", "Measure labels and people against known answers."),
}

EXAMPLES = """
\b
Examples:
  allocator kafka start && allocator topics apply && allocator worker
  allocator demo
  allocator why 3-128-0
  allocator audit
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
def main() -> None:
    """Allocates labelling tasks to annotators, in real time, from Kafka topics to Kafka topics."""
