"""What a person may say about a file, in the same words for every command that reads one."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from stream.files.column_names import OURS
from stream.files.sheet import Reading

Command = TypeVar("Command", bound=Callable[..., Any])


class Columns(click.ParamType):
    """``ours=theirs``: which column of the file is meant."""

    name = "OURS=NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return our name and the file's."""
        if isinstance(value, tuple):
            return value
        ours, found, theirs = str(value).partition("=")
        if not found or not theirs.strip() or ours.strip() not in OURS:
            self.fail(f"expected OURS=NAME with OURS one of {', '.join(sorted(OURS))}; got {value!r}", param, ctx)
        return ours.strip(), theirs.strip()


class Names(click.ParamType):
    """Names by commas."""

    name = "A,B,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the names, without spaces around them."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in str(value).split(","))
        if not all(names):
            self.fail(f"expected names separated by commas, such as cat,dog; got {value!r}", param, ctx)
        return names


def file_options(command: Command) -> Command:
    """Add the options that say how a file is to be read: `header`, `columns`, `ignore_extra`, `encoding`."""
    for option in (
        click.option("--encoding", metavar="NAME", help="The text's encoding, such as cp1250; found out otherwise."),
        click.option("--ignore-extra", is_flag=True, help="Leave out columns that have no meaning here."),
        click.option("--header", type=Names(), help="The file has no header: its columns are these, in this order."),
        click.option(
            "--column", "columns", type=Columns(), multiple=True, help="Which column is which: label=sentiment."
        ),
    ):
        command = option(command)
    return command


def reading(
    header: tuple[str, ...] | None, columns: tuple[tuple[str, str], ...], ignore_extra: bool, encoding: str | None
) -> Reading:
    """What the options say."""
    return Reading(header=header or (), columns=dict(columns), ignore_extra=ignore_extra, encoding=encoding)
