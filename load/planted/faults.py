"""What a worker is to suffer: faults on purpose, read from the environment.

Every variable begins with ``ALLOCATOR_FAULT_``. `allocator worker` knows none of them: only a worker started by
``python -m load.planted`` reads them, and says so in its log.

- ``KILL``: ``STEP`` or ``STEP:N``: kill -9 of this process when it reaches a step for the N-th time; steps are those of
  `stream.shell.process.steps`.
- ``CLOCK_S``: the clock is off by so many seconds.
- ``CLOCK_FILE``: likewise, read anew from a file whenever the clock is read (no file: 0), so that it can step.
- ``TAKEOVER``: ``await``: takeovers never end; ``block``: they hold the event loop as well.
- ``UNFENCED``: ``1``: successors don't fence. The audit of such a run must find violations.
- ``EVENT``: the core raises on events whose ``event_id`` begins so, after it has changed its state.
- ``SOLVE``: matching raises in a pool that has a task with room whose id begins so.
- ``DOUBLE_OFFER``: ``N``: the N-th round with offers publishes its last one twice.
- ``OLDER``: ``1``: rows are read and written as the version before this one did.
"""

import os
from collections.abc import MutableMapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream.settings import SettingsError
from stream.shell.process.steps import STEPS

PREFIX = "ALLOCATOR_FAULT_"


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """What this process is to suffer; the default is nothing."""

    kill: Annotated[str, Meta(pattern=rf"^({'|'.join(STEPS)})(:[1-9][0-9]*)?$".replace(".", r"\."))] | None = None
    clock_s: float = 0.0
    clock_file: str | None = None
    takeover: Literal["await", "block"] | None = None
    unfenced: Literal[0, 1] = 0
    event: str | None = None
    solve: str | None = None
    double_offer: Annotated[int, Meta(ge=1)] | None = None
    older: Literal[0, 1] = 0


def take(environ: MutableMapping[str, str] | None = None) -> Faults:
    """Take the faults out of the environment: the product knows no such settings.

    Raises
    ------
    SettingsError
        There is no such fault, or it has a value that can't be used.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    names = {f"{PREFIX}{field.upper()}": field for field in Faults.__struct_fields__}
    for name in given:
        del environ[name]
    unknown = sorted(given.keys() - names.keys())
    if unknown:
        raise SettingsError(f"{unknown[0]}: there is no such fault; there are {', '.join(names)}")
    try:
        return msgspec.convert({names[name]: text for name, text in given.items()}, Faults, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{PREFIX}…: {error}; steps are {', '.join(STEPS)}") from error
