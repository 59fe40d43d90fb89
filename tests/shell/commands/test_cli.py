"""The command line: quick help, commands where the table says they are."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from stream.shell.commands.cli import COMMANDS, main


def test_help_lists_every_command_and_imports_none() -> None:
    code = "import sys; from stream.shell.commands.cli import main; main(['--help'], standalone_mode=False); " + (
        "assert not {'faust', 'numba', 'kafka', 'aiokafka'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name, (_, text) in COMMANDS.items():
        assert name in done.stdout
        assert text in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_explains_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2
