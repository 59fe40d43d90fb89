"""Faults on purpose: what a proof needs in order to hurt a worker at a place that it can name.

For proofs only. Every variable begins with ``ALLOCATOR_FAULT_``; without one of them this module does nothing, and
a worker that has one says so in its log when it starts.

- ``KILL``: ``STEP`` or ``STEP:N``: kill -9 of this process when it reaches a step for the N-th time.
- ``CLOCK_S``: the clock is off by so many seconds.
- ``CLOCK_FILE``: likewise, read anew from a file whenever the clock is read (no file: 0), so that it can step.
- ``TAKEOVER``: ``await``: takeovers never end; ``block``: they hold the event loop as well.
- ``UNFENCED``: ``1``: successors don't fence. The audit of such a run must find violations.
- ``EVENT``: the core raises on events whose ``event_id`` begins so, after it has changed its state.
- ``SOLVE``: matching raises in a pool that has a task with room whose id begins so.
- ``DOUBLE_OFFER``: ``N``: the N-th round with offers publishes its last one twice.
- ``OLDER``: ``1``: rows are read and written as the version before this one did.

Steps of a round, in their order (``STEPS``): an ``after`` is also the ``before`` of what follows it. The last four
variables are planted into the core by :mod:`stream.shell.planted`.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from stream.settings import SettingsError

PREFIX = "ALLOCATOR_FAULT_"

STEPS = (
    "round.taken",  # input taken, nothing applied
    "begin.before",  # solved and encoded
    "begin.after",  # in a transaction, nothing produced
    "produce.during",  # the first batch handed over
    "produce.after",  # all batches handed over
    "commit.during",  # the commit asked for a moment ago, its answer not awaited
    "commit.after",  # committed, not yet accounted: "before acknowledge"
    "acknowledge.after",  # position known to the process
    "fence.after",  # takeover: the predecessor is fenced, nothing read
    "recovery.during",  # takeover: the first rows are read
    "recovery.after",  # takeover: the state is linked, no round yet
    "rebalance.revoked",  # a rebalance has begun, its last rounds are committed
    "rebalance.assigned",  # partitions are assigned, none is taken over
)
#: the request has left, its answer has not come: longer than a send, shorter than a commit
COMMIT_UNDER_WAY_S = 0.0005


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


class _Armed:
    """The faults of this process and how often it has reached the step at which it dies."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        step, _, times = (faults.kill or "").partition(":")
        self.step, self.left = step, int(times or 1)


_armed = _Armed(Faults())


def load(environ: Mapping[str, str] | None = None) -> Faults:
    """Read the faults from the environment.

    Raises
    ------
    SettingsError
        There is no such fault, or it has a value that can't be used.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    names = {f"{PREFIX}{field.upper()}": field for field in Faults.__struct_fields__}
    unknown = sorted(given.keys() - names.keys())
    if unknown:
        raise SettingsError(f"{unknown[0]}: there is no such fault; there are {', '.join(names)}")
    try:
        return msgspec.convert({names[name]: text for name, text in given.items()}, Faults, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{PREFIX}…: {error}; steps are {', '.join(STEPS)}") from error


def arm(faults: Faults) -> None:
    """Let this process suffer these faults from now on."""
    global _armed  # noqa: PLW0603  (one process, one set of faults; nothing else could reach every step)
    _armed = _Armed(faults)


def armed() -> Faults:
    """What this process suffers."""
    return _armed.faults


def reach(step: str) -> None:
    """Mark a step; the process dies here if a proof wants it to."""
    if step != _armed.step:
        return
    _armed.left -= 1
    if _armed.left:
        return
    if step == "commit.during":
        threading.Timer(COMMIT_UNDER_WAY_S, os.kill, (os.getpid(), signal.SIGKILL)).start()
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def clock_offset_s() -> float:
    """By how much the clock is off."""
    faults = _armed.faults
    if faults.clock_file is None:
        return faults.clock_s
    try:
        return faults.clock_s + float(Path(faults.clock_file).read_text(encoding="utf-8") or 0.0)
    except FileNotFoundError:
        return faults.clock_s


async def hang_in_takeover() -> None:
    """Never return, if a proof wants it so."""
    if _armed.faults.takeover == "await":
        await asyncio.Event().wait()
    while _armed.faults.takeover == "block":
        time.sleep(1.0)  # noqa: ASYNC251  (to hold the event loop is the point)


def transactional_id(wanted: str) -> str:
    """The transactional id of a partition's producer; one of its own where fencing is switched off."""
    return f"{wanted}-unfenced-{os.getpid()}" if _armed.faults.unfenced else wanted
