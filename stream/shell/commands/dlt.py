"""The command `dlt`: what could not be used, why, and putting it back once the cause is gone.

Letters are named ``topic-partition-offset``, as `allocator audit` names records. Reading is in `letters`, putting
back exactly once in `replay`.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import msgspec
from kafka.errors import ProducerFencedError

from stream.letters import Letter
from stream.settings import Settings, load
from stream.shell.commands.failures import FINE, WRONG, PersonNeeded, plain_errors
from stream.shell.commands.letter_box import TOPICS, Filter, Letters
from stream.shell.commands.replay_letters import Replay
from stream.shell.kafka import clients

RUNBOOK = "docs/operations.md"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

LIST = """\
\b
Examples:
  allocator dlt list --since 2h
  allocator dlt list --reason unknown_task --pool support --pending
  allocator dlt list --json | jq -r 'select(.reason == "clock") | .name'
"""
SHOW = """\
\b
Example:
  allocator dlt show labeling.tasks.v1-dlt-3-17
"""
REPLAY = """\
\b
Examples:
  allocator dlt replay labeling.tasks.v1-dlt-3-17
  allocator dlt replay --reason not_supported_yet --dry-run
  allocator dlt replay --reason unknown_task --since 2026-03-01T08:00
"""

Command = TypeVar("Command", bound=Callable[..., Any])


class Moment(click.ParamType):
    """A time: Unix seconds, ISO 8601 (UTC unless it says otherwise), or how long ago (``90m``, ``2h``, ``3d``)."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return Unix seconds."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            if text[-1:] in UNITS:
                return time.time() - float(text[:-1]) * UNITS[text[-1]]
            if text.replace(".", "", 1).isdecimal():
                return float(text)
            at = datetime.fromisoformat(text)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        except ValueError:
            expected = "expected Unix seconds, a time like 2026-03-01T08:00 or an age like 2h"
            self.fail(f"{expected}, got {text!r}", param, ctx)


def _filters(command: Command) -> Command:
    for option in (
        click.option("--until", type=Moment(), help="Dead before this time."),
        click.option("--since", type=Moment(), help="Dead since this time: 2h, 2026-03-01T08:00, Unix seconds."),
        click.option("--pool", help="Records with this key."),
        click.option("--reason", "reasons", multiple=True, help="For this reason; may be repeated."),
        click.option("--topic", type=click.Choice(["tasks", "annotators"]), help="Only of this input topic."),
    ):
        command = option(command)
    return command


def _wanted(
    reasons: tuple[str, ...], pool: str | None, since: float | None, until: float | None, topic: str | None
) -> Filter:
    return Filter(
        reasons=frozenset(reasons),
        pool=pool,
        since=since or 0.0,
        until=float("inf") if until is None else until,
        topics=tuple(name for name in TOPICS if topic is None or f".{topic}." in name),
    )


@contextmanager
def _deployment() -> Iterator[Settings]:
    with plain_errors():
        settings = load()
        clients.knock_now(settings)
        try:
            yield settings
        except ProducerFencedError:
            raise PersonNeeded("another replay has begun; what this one had committed stays, run it again") from None


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="backslashreplace")


def _document(letter: Letter, replayed: bool) -> dict[str, Any]:
    fields = msgspec.structs.asdict(letter)
    headers = [[name, _text(value)] for name, value in letter.headers]
    return {"name": letter.name, **fields, "key": _text(letter.key), "value": _text(letter.value)} | {
        "headers": headers,
        "replayed": replayed,
        "runbook": f"{RUNBOOK}#{letter.reason}",
    }


@click.group()
def dlt() -> None:
    """List, show and replay records that could not be used (dead letters)."""


@dlt.command("list", epilog=LIST)
@_filters
@click.option("--pending", is_flag=True, help="Only those that have not been replayed.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line, without payloads.")
def list_(
    reasons: tuple[str, ...],
    pool: str | None,
    since: float | None,
    until: float | None,
    topic: str | None,
    pending: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    """List dead letters: name, time (UTC), reason, pool, whether replayed; then how many for each reason."""
    counts: Counter[str] = Counter()
    with _deployment() as settings:
        wanted = _wanted(reasons, pool, since, until, topic)
        letters = Letters(settings, wanted.topics)
        marks = letters.marks()
        for letter in letters.all(wanted):
            replayed = letter.name in marks
            if pending and replayed:
                continue
            if limit is not None and counts.total() >= limit:
                break
            counts[letter.reason] += 1
            if as_json:
                document = _document(letter, replayed)
                kept = {name: value for name, value in document.items() if name not in ("value", "headers")}
                click.echo(msgspec.json.encode(kept))
            else:
                tail = "  replayed" if replayed else ""
                click.echo(f"{letter.name}  {_clock(letter.at)}  {letter.reason:<17}  {letter.pool}{tail}")
    if not as_json:
        order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        by_reason = ", ".join(f"{count} {reason}" for reason, count in order)
        click.echo(f"{counts.total()} dead letters{': ' if by_reason else ''}{by_reason}", err=True)


@dlt.command(epilog=SHOW)
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(name: str, as_json: bool) -> None:
    """Show one dead letter: what was wrong, where it came from, headers and payload."""
    with _deployment() as settings:
        letters = Letters(settings)
        letter = letters.one(name)
        replayed = name in letters.marks()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_document(letter, replayed))).decode())
        return
    source = f"{letter.source_topic}-{letter.source_partition}-{letter.source_offset}"
    click.echo(f"{letter.name}: {letter.reason}, {_clock(letter.at)} UTC{', replayed' if replayed else ''}")
    click.echo(f"  {letter.message}")
    click.echo(f"  What to do: {RUNBOOK}, section {letter.reason}")
    click.echo(f"  The record was {source}, key {letter.pool!r}")
    for header, value in letter.headers:
        click.echo(f"  header {header}: {_text(value)}")
    click.echo()
    click.echo("(no value)" if letter.value is None else _text(letter.value))


@dlt.command(epilog=REPLAY)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_filters
@click.option("--all", "everything", is_flag=True, help="Every dead letter, if neither names nor filters are given.")
@click.option("--dry-run", is_flag=True, help="Only say what would be put back.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def replay(
    names: tuple[str, ...],
    reasons: tuple[str, ...],
    pool: str | None,
    since: float | None,
    until: float | None,
    topic: str | None,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put original records back to their input topic, each exactly once however often this is run.

    Choose by name or by filters. A record that is unusable still becomes a new dead letter.
    """
    is_filtered = bool(reasons or topic) or any(given is not None for given in (pool, since, until))
    if bool(names) + is_filtered + everything != 1:
        raise click.UsageError("say which: names, or filters (--reason …), or --all")
    put_back: list[str] = []
    with _deployment() as settings:
        wanted = None if names else _wanted(reasons, pool, since, until, topic)
        with Replay(settings, dry_run) as replayer:
            done = replayer.put_back(replayer.chosen(names, wanted), lambda letter: put_back.append(letter.name))
    if as_json:
        result = {"replayed": put_back, "already": done.already, "unusable": done.unusable, "dry_run": dry_run}
        click.echo(msgspec.json.encode(result))
    else:
        for name in put_back:
            click.echo(f"{'would put back' if dry_run else 'put back'} {name}")
        for name in done.unusable:
            click.echo(f"{name} is empty or names no input topic that it came from: left alone")
        click.echo(f"{done.replayed} put back, {done.already} had been before", err=True)
    sys.exit(WRONG if done.unusable else FINE)
