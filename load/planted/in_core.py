"""Faults planted into the core: an event on which it raises, a solve that fails, an offer made twice.

Each puts something around one function of the core that calls it
and then does the damage, so that the core itself knows nothing of faults.
"""

import functools
from typing import Any

from load.planted.faults import Faults
from load.planted.older import grow_old
from stream.core import shard
from stream.core.intake.turn import Dispatch, Turn
from stream.core.market import matching
from stream.core.outbox import Outbox
from stream.core.shard import Shard
from stream.settings import Settings
from stream.shell.worker.takeover import ShardFactory


class PlantedFault(RuntimeError):
    """Not an error of the program: somebody asked for it."""


def plant(faults: Faults) -> None:
    """Plant what is asked for into the core's functions; for the life of the process."""
    if faults.solve is not None:
        _fail_to_solve(faults.solve)
    if faults.double_offer is not None:
        _offer_twice(faults.double_offer)
    if faults.older:
        grow_old()


def suffering(faults: Faults, shards: ShardFactory) -> ShardFactory:
    """The factory of shards that raise on the events asked for.

    The handler has done its work when the error comes: what it changed must be undone by somebody.
    """
    prefix = faults.event
    if prefix is None:
        return shards

    def raising(dispatch: Dispatch) -> Dispatch:
        def wrapped(turn: Turn, event: Any) -> None:
            dispatch(turn, event)
            if event.event_id is not None and event.event_id.startswith(prefix):
                raise PlantedFault(f"planted on event {event.event_id!r}")

        return wrapped

    def made(partition: int, settings: Settings) -> Shard:
        shard = shards(partition, settings)
        shard.dispatch = raising(shard.dispatch)
        return shard

    return made


def _fail_to_solve(prefix: str) -> None:
    solve = matching.match

    @functools.wraps(solve)
    def failing(pool: Any, *rest: Any) -> Any:
        for name, slot in pool.tasks.slots.items():
            if name.startswith(prefix) and pool.columns.tasks.vacancies[slot] > 0:
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
