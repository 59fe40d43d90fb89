"""Faults planted into the core: an event on which it raises, a solve that fails, an offer made twice.

Each replaces one function of the core by one that calls it and
then does the damage, so that the core itself knows nothing of faults.
"""

import functools
from typing import Any

from load.planted.faults import Faults
from load.planted.older import grow_old
from stream.core import handlers, matching, shard
from stream.core.results import Outbox


class PlantedFault(RuntimeError):
    """Not an error of the program: somebody asked for it."""


def plant(faults: Faults) -> None:
    """Plant what is asked for; for the life of the process."""
    if faults.event is not None:
        _raise_on_events(faults.event)
    if faults.solve is not None:
        _fail_to_solve(faults.solve)
    if faults.double_offer is not None:
        _offer_twice(faults.double_offer)
    if faults.older:
        grow_old()


def _raise_on_events(prefix: str) -> None:
    """The handler has done its work when the error comes: what it changed must be undone by somebody."""

    def raising(handle: handlers.Handler) -> handlers.Handler:
        @functools.wraps(handle)
        def wrapped(intake: Any, pool: Any, run: Any, event: Any, *rest: Any) -> None:
            handle(intake, pool, run, event, *rest)
            if event.event_id is not None and event.event_id.startswith(prefix):
                raise PlantedFault(f"planted on event {event.event_id!r}")

        return wrapped

    for kind, handle in handlers.HANDLERS.items():
        handlers.HANDLERS[kind] = raising(handle)


def _fail_to_solve(prefix: str) -> None:
    solve = matching.match

    @functools.wraps(solve)
    def failing(pool: Any, *rest: Any) -> Any:
        for name, slot in pool.tasks.slots.items():
            if name.startswith(prefix) and pool.columns.room[slot] > 0:
                raise PlantedFault(f"planted on task {name!r}")
        return solve(pool, *rest)

    setattr(shard, solve.__name__, failing)


def _offer_twice(nth: int) -> None:
    publish = Outbox.offers_of
    left = nth

    @functools.wraps(publish)
    def doubling(self: Outbox, pool: Any, matched: Any, *rest: Any) -> None:
        nonlocal left
        publish(self, pool, matched, *rest)
        if not len(matched.tasks) or left == 0:
            return
        left -= 1
        if left == 0:
            again = {name: getattr(matched, name) for name in matched._fields}
            again = {name: column[-1:] if hasattr(column, "shape") else column for name, column in again.items()}
            publish(self, pool, type(matched)(**again), *rest)

    setattr(Outbox, publish.__name__, doubling)
