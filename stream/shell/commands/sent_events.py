"""Sending some events and saying what became of each: the one way of `send` and of the short forms.

An event is looked at as the worker would look at it before anything is sent. What is asked of a project or a task is
asked of the committed state first, so that a slip of the pen doesn't become a new pool or a dead letter a minute later.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from stream.events import Event, encode
from stream.files.complaints import plural
from stream.settings import Settings, load
from stream.shell.commands.failures import NotRight
from stream.shell.commands.fate import SETTLED, Fate, Watch
from stream.shell.commands.sending import Outgoing, sender
from stream.shell.commands.telling import Tell
from stream.shell.commands.topic_reader import TopicReader
from stream.shell.commands.workers import Lag
from stream.topics import ANNOTATORS, TASKS

#: events of people go here; either input topic takes every event, order is kept within one
OF_ANNOTATORS = (
    "annotator_set", "annotator_online", "annotator_paused", "annotator_resumed", "annotator_offline",
    "annotator_erased", "work_requested",
    "assignment_accepted", "assignment_extended", "assignment_declined", "judgment_submitted", "judgment_corrected",
    "judgment_retracted", "judgment_scored", "skill_seeded",
)  # fmt: skip


def tag(event: Event) -> str:
    """The type of an event, as JSON has it."""
    return str(event.__struct_config__.tag)


def topic_of(event: Event) -> str:
    """The input topic that an event usually goes to."""
    return ANNOTATORS if tag(event) in OF_ANNOTATORS else TASKS


async def send(
    settings: Settings, events: Sequence[tuple[Event, int]], *, wait: bool, tell: Tell, one_topic: bool = False
) -> Fate | None:
    """Send events, each with what its sender calls it.

    Parameters
    ----------
    settings : Settings
    events : sequence of (event, number)
    wait : bool
        Until all of them are applied and their fate is known.
    tell : Tell
    one_topic : bool
        Send all to the topic of tasks, so that they keep their order.

    Raises
    ------
    BrokerUnreachable, AccessRefused, PersonNeeded, KafkaError
        They can't be sent, or nobody applies them.
    """
    async with TopicReader(settings) as reader:
        watch = await Watch(reader).start(wait)
        lag = await asyncio.to_thread(Lag, settings)
        try:
            async with sender(settings) as out:
                for topic in (TASKS, ANNOTATORS):
                    chosen = [(e, n) for e, n in events if (TASKS if one_topic else topic_of(e)) == topic]
                    values = [Outgoing(event.pool, encode(event), i) for i, (event, _) in enumerate(chosen)]
                    for landed in await out.send(topic, values):
                        event, number = chosen[landed.number]
                        settles = any(kind.strip(b'"').decode() == tag(event) for kind in SETTLED)
                        watch.sent(topic, landed.partition, landed.offset, number, settles)
            if not wait:
                return None
            try:
                return await watch.wait(tell, lambda: not lag.workers())
            finally:
                tell.done()
        finally:
            lag.close()


def send_and_say(events: Sequence[Event], done: str, wait: bool = True) -> None:
    """Send events of one type for a short form and say `done`, or why it was not.

    Raises
    ------
    NotRight
        One became a dead letter.
    """
    fate = asyncio.run(send(load(), [(event, 0) for event in events], wait=wait, tell=Tell()))
    if fate is None:
        click.echo(f"sent: {tag(events[0])}; not waited for")
        return
    if fate.dead:
        dead = fate.first[0]
        raise NotRight(f"{tag(events[0])} became a dead letter: {dead.reason}: {dead.message} ({dead.letter})")
    click.echo(done)


def now() -> float:
    """The time that a short form's event states."""
    return round(time.time(), 3)


async def with_state(pool: str, ask: Callable[[Any], Any]) -> Any:
    """Ask the committed, up-to-date state of a pool's partition.

    Raises
    ------
    NotRight
        There is no such pool.
    """
    from stream.core.intake.partitioning import partition_of  # noqa: PLC0415  the core is slow to import
    from stream.shell.commands.state import up_to_date  # noqa: PLC0415

    settings, tell = load(), Tell()
    async with TopicReader(settings) as reader:
        known = await up_to_date(reader, {partition_of(pool.encode(), settings.partitions)}, tell)
        tell.done()
    if known.pool(pool) is None:
        raise NotRight(f"there is no pool {pool}: nothing about it has been committed; allocator status lists pools")
    return ask(known)


def took(fate: Fate) -> str:
    """How many took effect, in words."""
    outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(fate.outcomes.items()))
    return f"{plural(fate.took_effect, 'event')} took effect" + (f" (judgments: {outcomes})" if outcomes else "")
