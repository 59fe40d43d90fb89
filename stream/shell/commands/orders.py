"""Short forms of what operations.md tells people to do: pause a pool, close a project, erase a person, tell a truth.

Each is one event of the contract, sent and waited for. What it names must be there: the committed state is asked first.
"""

import asyncio
from typing import Any

import click
from msgspec import UNSET

from stream.events import (
    NOTE_BYTES,
    AnnotatorErased,
    AnnotatorOffline,
    AnnotatorOnline,
    PoolPaused,
    PoolResumed,
    PoolSet,
    ProjectSet,
    SettingsChanged,
    TaskCancelled,
    TruthSet,
)
from stream.files.classes import Classes, UnknownClass
from stream.files.complaints import as_word
from stream.policy import SettingRefused, checked
from stream.shell.commands.failures import NotRight, plain_errors
from stream.shell.commands.import_command import Span
from stream.shell.commands.sent_events import now, send_and_say, with_state

wait_option = click.option("--no-wait", is_flag=True, help="Return when it is sent.")


@click.group()
def pool() -> None:
    """Pause a pool, resume it, change its settings, or note what people should know of it."""


@pool.command("pause")
@click.argument("name")
@wait_option
def pool_pause(name: str, no_wait: bool) -> None:
    """No offers in pool NAME until it resumes; unaccepted ones are withdrawn, accepted work goes on."""
    with plain_errors():
        asyncio.run(with_state(name, lambda known: None))
        send_and_say([PoolPaused(pool=name, at=now())], f"pool {name} is paused", not no_wait)


@pool.command("resume")
@click.argument("name")
@wait_option
def pool_resume(name: str, no_wait: bool) -> None:
    """Offers again in pool NAME."""
    with plain_errors():
        asyncio.run(with_state(name, lambda known: None))
        send_and_say([PoolResumed(pool=name, at=now())], f"pool {name} gets offers again", not no_wait)


@pool.command("note")
@click.argument("name")
@click.argument("text")
@wait_option
def pool_note(name: str, text: str, no_wait: bool) -> None:
    """Say in TEXT what people should know of pool NAME; status and doctor show it. An empty text takes it away."""
    with plain_errors():
        event = PoolSet(pool=name, at=now(), note=_note(text))
        asyncio.run(with_state(name, lambda known: None))
        send_and_say([event], f"pool {name} has {'a' if text else 'no'} note", not no_wait)


def _note(text: str) -> str | None:
    if len(text.encode()) > NOTE_BYTES:
        raise NotRight(f"expected a note of at most {NOTE_BYTES} bytes, got {len(text.encode())}")
    return text or None


class Setting(click.ParamType):
    """``name=number``."""

    name = "NAME=NUMBER"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Return name and number."""
        if isinstance(value, tuple):
            return value
        name, _, number = str(value).partition("=")
        try:
            return name.strip(), float(number)
        except ValueError:
            self.fail(f"expected NAME=NUMBER, such as judgment_cost=0.05; got {value!r}", param, ctx)


@pool.command("set")
@click.argument("name")
@click.argument("settings", type=Setting(), nargs=-1, required=True)
@wait_option
def pool_set(name: str, settings: tuple[tuple[str, float], ...], no_wait: bool) -> None:
    """Change settings of pool NAME (settings_changed), such as judgment_cost=0.05."""
    with plain_errors():
        try:
            changed = checked(dict(settings))
        except SettingRefused as error:
            raise NotRight(str(error)) from None
        asyncio.run(with_state(name, lambda known: None))
        event = SettingsChanged(pool=name, at=now(), settings=changed)
        said = ", ".join(f"{key} is {number:g}" for key, number in settings)
        send_and_say([event], f"pool {name}: {said}", not no_wait)


@click.group()
def project() -> None:
    """Pause a project, resume it, close it, or note what people should know of it."""


def _changed(pool: str, name: str, done: str, no_wait: bool, **changed: Any) -> None:
    with plain_errors():

        def look(known: Any) -> None:
            others = known.projects(pool)
            if name not in others:
                there = ", ".join(others) or "none"
                raise NotRight(f"there is no project {name} in the pool {pool}: there are {there}")

        asyncio.run(with_state(pool, look))
        event = ProjectSet(pool=pool, at=now(), project=name, **changed)
        send_and_say([event], f"project {name} {done}", not no_wait)


@project.command("pause")
@click.argument("pool")
@click.argument("name")
@wait_option
def project_pause(pool: str, name: str, no_wait: bool) -> None:
    """No new offers for project NAME of POOL; accepted work goes on."""
    _changed(pool, name, "is paused", no_wait, state="paused")


@project.command("resume")
@click.argument("pool")
@click.argument("name")
@wait_option
def project_resume(pool: str, name: str, no_wait: bool) -> None:
    """Offers again for project NAME of POOL."""
    _changed(pool, name, "gets offers again", no_wait, state="active")


@project.command("note")
@click.argument("pool")
@click.argument("name")
@click.argument("text")
@wait_option
def project_note(pool: str, name: str, text: str, no_wait: bool) -> None:
    """Say in TEXT what people should know of project NAME of POOL; doctor shows it. An empty text takes it away."""
    with plain_errors():
        note = _note(text)
    _changed(pool, name, f"has {'a' if text else 'no'} note", no_wait, note=note)


@project.command("close")
@click.argument("pool")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
@wait_option
def project_close(pool: str, name: str, yes: bool, no_wait: bool) -> None:
    """End project NAME of POOL: its open tasks settle as cancelled."""
    if not yes:
        click.confirm(f"Open tasks of {name} will be cancelled. Close it?", abort=True)
    _changed(pool, name, "is closed; its open tasks are cancelled", no_wait, state="closed")


@click.group()
def annotator() -> None:
    """State that somebody is there or gone, or erase them."""


@annotator.command("present")
@click.argument("pool")
@click.argument("names", metavar="NAME…", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="Everybody whom the pool knows.")
@click.option("--for", "ttl_s", type=Span(), default=8 * 3600.0, help="How long, such as 8h (the default).")
@click.option("--capacity", type=click.IntRange(1, 1000), help="Works at once; 1 as long as nobody says so.")
@wait_option
def annotator_present(
    pool: str, names: tuple[str, ...], everybody: bool, ttl_s: float, capacity: int | None, no_wait: bool
) -> None:
    """The people NAME… of POOL are there and may be offered work."""
    if bool(names) == everybody:
        raise click.UsageError("say who: names, or --all")
    with plain_errors():

        def ask(known: Any) -> list[str]:
            for name in names:
                _person(known, pool, name)
            return list(names) or known.people(pool)

        there = asyncio.run(with_state(pool, ask))
        if not there:
            raise NotRight(f"the pool {pool} knows nobody: allocator import people.csv --pool {as_word(pool)}")
        at = now()
        stated = UNSET if capacity is None else capacity
        events = [AnnotatorOnline(pool=pool, at=at, annotator=who, ttl_s=ttl_s, capacity=stated) for who in there]
        who = f"{there[0]} is" if len(there) == 1 else f"{len(there):,} people are"
        send_and_say(events, f"{who} present for {ttl_s / 3600:g} h", not no_wait)


@annotator.command("gone")
@click.argument("pool")
@click.argument("name")
@wait_option
def annotator_gone(pool: str, name: str, no_wait: bool) -> None:
    """NAME of POOL has gone; unaccepted offers are withdrawn."""
    with plain_errors():
        asyncio.run(with_state(pool, lambda known: _person(known, pool, name)))
        send_and_say([AnnotatorOffline(pool=pool, at=now(), annotator=name)], f"{name} is gone", not no_wait)


@annotator.command("erase")
@click.argument("pool")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Don't ask.")
@wait_option
def annotator_erase(pool: str, name: str, yes: bool, no_wait: bool) -> None:
    """Remove NAME from POOL for good: from the state and all later outputs; docs/operations.md says what remains."""
    with plain_errors():
        asyncio.run(with_state(pool, lambda known: _person(known, pool, name)))
        if not yes:
            click.confirm(f"Erase {name} from the pool {pool}? This can't be undone.", abort=True)
        erased = AnnotatorErased(pool=pool, at=now(), annotator=name)
        send_and_say([erased], f"{name} is erased from {pool}", not no_wait)


def _person(known: Any, pool: str, name: str) -> None:
    if not known.has_annotator(pool, name):
        raise NotRight(f"there is no annotator {name} in the pool {pool}: allocator people {pool} lists them")


@click.group()
def task() -> None:
    """Tell a task's truth, or cancel it."""


def _task(known: Any, pool: str, name: str) -> Any:
    found = known.task(pool, name)
    if found is None:
        raise NotRight(f"there is no task {name} in the pool {pool}")
    return found


@task.command("truth")
@click.argument("pool")
@click.argument("name")
@click.argument("label")
@wait_option
def task_truth(pool: str, name: str, label: str, no_wait: bool) -> None:
    """The right LABEL (name or number) of task NAME of POOL is known; an open task settles with it."""
    with plain_errors():

        def ask(known: Any) -> tuple[int, str]:
            found = _task(known, pool, name)
            if not found.classes:
                raise NotRight(f"the task {name} has no classes, so there is no truth to tell")
            names = known.labels(pool, found.project) or tuple(map(str, range(found.classes)))
            try:
                code = Classes(names).code(label)
            except UnknownClass as error:
                raise NotRight(f"{error}; got {label!r}") from None
            return code, names[code]

        code, said = asyncio.run(with_state(pool, ask))
        truth = TruthSet(pool=pool, at=now(), task=name, label=code)
        send_and_say([truth], f"the truth of {name} is {said}", not no_wait)


@task.command("cancel")
@click.argument("pool")
@click.argument("name")
@wait_option
def task_cancel(pool: str, name: str, no_wait: bool) -> None:
    """Nobody needs task NAME of POOL any more."""
    with plain_errors():
        asyncio.run(with_state(pool, lambda known: _task(known, pool, name)))
        send_and_say([TaskCancelled(pool=pool, at=now(), task=name)], f"{name} is cancelled", not no_wait)
