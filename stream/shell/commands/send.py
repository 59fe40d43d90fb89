"""`allocator send EVENT…|FILE.jsonl`: any input event, looked at before it is sent, with its fate.

    {"type": "pool_paused", "pool": "support"}                one event as JSON; `at` is now where it is missing
    events.jsonl, or - for standard input                     one event a line

Nothing is sent while one of them is unusable. Events of a file keep their order: they all go to the topic of tasks.
"""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from stream.events import Event
from stream.events import event_of as event_of_value
from stream.files.complaints import Complaint, Complaints, FileProblem, joined
from stream.second_reading import parse
from stream.settings import load
from stream.shell.commands.failures import FINE, WRONG, NotRight, plain_errors
from stream.shell.commands.fate import words
from stream.shell.commands.sent_events import now, send, tag, took
from stream.shell.commands.telling import Tell
from stream.wording import of_time

MOST = 1_000_000

HELP = """\
Send input events and say what became of each: EVENT is JSON as in docs/contract.md, FILE.jsonl has one a line.

`at` is now where an event doesn't say it. Events are checked before any is sent; a field that will count as left out is
named. With --wait applied (the default) the
command waits for the round that took them; exit code 1 if one is unusable or became a dead letter.
"""
EXAMPLES = """\
\b
Examples:
  allocator send '{"type": "task_cancelled", "pool": "support", "task": "t-17"}'
  allocator send events.jsonl --wait sent
  jq -c … | allocator send -
"""


@click.command("send", help=HELP, epilog=EXAMPLES)
@click.argument("what", metavar="EVENT…|FILE.jsonl", nargs=-1, required=True)
@click.option("--wait", type=click.Choice(["applied", "sent"]), default="applied", show_default=True, help="Till then.")
@click.option("--dry-run", is_flag=True, help="Only look at them; needs no broker.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def send_(what: tuple[str, ...], wait: str, dry_run: bool, as_json: bool) -> None:
    """Check events and send them."""
    with plain_errors():
        settings = load()
        events = checked(what, settings.input_bytes)
        if dry_run:
            click.echo(f"{len(events):,} events: every one is usable")
            return
        tell = Tell(False if as_json else None)
        pairs = [(event, number) for number, (event, _) in enumerate(events)]
        fate = asyncio.run(send(settings, pairs, wait=wait == "applied", tell=tell, one_topic=True))
        if as_json:
            click.echo(msgspec.json.encode({"sent": len(events), "fate": fate}))
        elif fate is None:
            click.echo(f"{len(events):,} events sent; not waited for")
        else:
            if len(events) == 1 and not fate.dead:
                event = events[0][0]
                outcome = "".join(f": {name}" for name in fate.outcomes)
                click.echo(f"{tag(event)} of pool {event.pool} took effect{outcome}")
            else:
                click.echo(took(fate))
            for line in words(fate, lambda number: events[number][1]):
                click.echo(f"  {line}", err=True)
        sys.exit(WRONG if fate is not None and (fate.dead or fate.unsettled) else FINE)


def checked(what: tuple[str, ...], most_bytes: int) -> list[tuple[Event, str]]:
    """The events, each with where it was found.

    Raises
    ------
    FileProblem, NotRight
        One is unusable, or a file can't be read.
    """
    found: list[tuple[Event, str]] = []
    problems = []
    for word in what:
        if word.lstrip().startswith("{"):
            try:
                found.append((event_of(word.encode(), most_bytes), "event"))
            except ValueError as error:
                problems.append(f"{error}; got {word[:200]}")
            continue
        complaints, path = Complaints(), Path(word)
        for line, text in _lines(path):
            try:
                found.append((event_of(text, most_bytes), f"{path}:{line}"))
            except ValueError as error:
                shown = text[:60].decode(errors="replace")
                complaints.add(Complaint(line=line, column="", expected=str(error), value=shown))
            if len(found) > MOST:
                raise NotRight(f"{path}: expected at most {MOST:,} events at once: split the file")
        problems += complaints.words(path)
    if problems:
        raise FileProblem("\n".join([*problems, "nothing was sent"]))
    if not found:
        raise NotRight("expected at least one event, got none")
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        file = sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except OSError as error:
        raise FileProblem(
            f"{path}: expected a file of events, or an event in braces such as "
            f"'{{\"type\": \"pool_paused\", \"pool\": \"support\"}}'; {error.strerror}"
        ) from None
    with file:
        for line, text in enumerate(file, 1):
            if text.strip():
                yield line, text.strip()


def event_of(text: bytes, most_bytes: int) -> Event:
    """The event that JSON states; `at` is now where it is missing.

    Raises
    ------
    ValueError
        It is none; the message says what was expected and where.
    """
    try:
        given: Any = parse(text)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    if not isinstance(given, dict) or not isinstance(given.get("type"), str):
        raise ValueError('expected an object with a "type", such as {"type": "pool_paused", "pool": "support"}')
    given.setdefault("at", now())
    try:
        event, odd = event_of_value(given)
    except msgspec.ValidationError as error:
        raise ValueError(f"{given['type']}: {error}") from None
    if unit := of_time(event.at):
        raise ValueError(f"{given['type']}: `at` is {event.at:.0f}: {unit}")
    size = len(msgspec.json.encode(event))
    if size > most_bytes:
        raise ValueError(f"expected at most {most_bytes} bytes, got {size}")
    if "\0" in event.pool:
        raise ValueError("expected an id without NUL - at `$.pool`")
    if odd:
        click.echo(f"note: {joined(odd)} holds what it may not and counts as left out", err=True)
    return event
