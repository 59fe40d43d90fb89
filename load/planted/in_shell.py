"""Faults planted into the shell: death at a step, a clock that is off, takeovers that hang, writers that don't fence.

Each replaces one function of the shell, which itself knows nothing of faults.
"""

import asyncio
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

from load.planted.dying import die_at
from load.planted.faults import Faults
from stream.settings import Settings
from stream.shell.kafka import clients
from stream.shell.kafka.transaction import Producer
from stream.shell.process import clock
from stream.shell.worker.partitions import Partitions


def plant(faults: Faults) -> None:
    """Plant what is asked for; for the life of the process."""
    if faults.kill is not None:
        die_at(*faults.kill.split(":"))
    if faults.clock_s or faults.clock_file is not None:
        _shift_clock(functools.partial(offset_s, faults))
    if faults.takeover is not None:
        _hang_in_takeover(holding_the_loop=faults.takeover == "block")
    if faults.unfenced:
        _name_each_writer_anew()


def offset_s(faults: Faults) -> float:
    """By how much the clock is off."""
    if faults.clock_file is None:
        return faults.clock_s
    try:
        return faults.clock_s + float(Path(faults.clock_file).read_text(encoding="utf-8") or 0.0)
    except FileNotFoundError:
        return faults.clock_s


def _shift_clock(off_s: Callable[[], float]) -> None:
    read, answered = clock.unix_s, Partitions.answered

    @functools.wraps(answered)
    def answered_then(self: Partitions, topic: str, number: int, sent: float, end: int) -> None:
        answered(self, topic, number, sent + off_s(), end)

    vars(clock)["unix_s"] = lambda: read() + off_s()
    setattr(Partitions, answered.__name__, answered_then)


def _hang_in_takeover(holding_the_loop: bool) -> None:
    fence = Producer.fence

    @functools.wraps(fence)
    async def endless(self: Producer) -> None:
        await fence(self)
        while holding_the_loop:
            time.sleep(1.0)  # noqa: ASYNC251  (to hold the event loop is the point)
        await asyncio.Event().wait()

    setattr(Producer, fence.__name__, endless)


def _name_each_writer_anew() -> None:
    name = clients.transactional_id

    @functools.wraps(name)
    def unfenced(settings: Settings, partition: int) -> str:
        return f"{name(settings, partition)}-unfenced-{os.getpid()}"

    vars(clients)[name.__name__] = unfenced
