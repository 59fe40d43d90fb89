"""How far a command is: one line on a terminal, written anew; nothing where nobody looks."""

import sys

import click

CLEAR = "\r\x1b[K"


class Tell:
    """Says what a command waits for or how far it is.

    Parameters
    ----------
    shown : bool, optional
        Whether somebody looks; a terminal on standard error otherwise.
    """

    def __init__(self, shown: bool | None = None) -> None:
        self.shown = sys.stderr.isatty() if shown is None else shown

    def __call__(self, words: str) -> None:
        """Show `words` until the next ones."""
        if self.shown:
            click.echo(f"{CLEAR}{words}", nl=False, err=True)

    def done(self) -> None:
        """Take away what was shown last."""
        if self.shown:
            click.echo(CLEAR, nl=False, err=True)


def printable(text: str) -> str:
    """A text that others wrote, without what a terminal would obey.

    >>> printable("https://tool/17\\x1b[2J")
    'https://tool/17?[2J'
    """
    return "".join(character if character.isprintable() else "?" for character in text)
