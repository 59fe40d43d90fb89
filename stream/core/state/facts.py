"""Facts have a time of their own: of each field the newest statement counts, whatever the order of events.

Most fields of an entity were stated together: their time is its *base*, kept in its record with a mask of the fields
that it speaks of. Only fields stated at other times are here, and in rows of their own. A field that neither mentions
was never stated. Of equally new statements of a field the larger value counts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

NEVER = -1.0

STATES = ("active", "paused", "closed")


def rank(value: Any) -> tuple[int, Any]:
    """The order of equally new values: nothing, then null, numbers by size and states, text and lists as JSON."""
    if value is UNSET:
        return 0, 0.0
    if value is None or value != value:  # noqa: PLR0124 - no number: null
        return 1, 0.0
    if value in STATES:
        return 2, float(STATES.index(value))
    if isinstance(value, int | float):
        return 2, float(value)
    return 3, msgspec.json.encode(sorted(value) if isinstance(value, frozenset) else value)


Ranks = Callable[[str], Any]


class Plan(NamedTuple):
    """Which of an event's fields count, and what is known of their times then."""

    fields: tuple[str, ...]
    base: float
    mask: int
    others: dict[str, float]


class Facts:
    """Times of fields that were not stated with most others of their entity, by its kind and id."""

    def __init__(self) -> None:
        self.others: dict[str, dict[str, float]] = {}
        self.dirty: set[str] = set()

    def plan(
        self, key: str, order: Sequence[str], known: tuple[float, int], said: Mapping[str, Any], at: float, rank: Ranks,
        *, moves: bool = True,
    ) -> Plan:  # fmt: skip
        """Which fields of a statement count.

        Parameters
        ----------
        key : str
            Kind and id of the entity.
        order : sequence of str
            Its fields, as the mask numbers them.
        known : (float, int)
            Base and mask.
        said : mapping
            What ranks each stated value among others of its field.
        at : float
            When it was stated.
        rank : callable
            The same of the value that a field has now.
        moves : bool
            Whether the base may move.
        """
        base, mask = known
        others = self.others.get(key, {})

        def when(field: str) -> float:
            return others.get(field, base if mask >> order.index(field) & 1 else NEVER)

        fresh = tuple(
            field for field, value in said.items()
            if at > when(field) or (at == when(field) and value > rank(field))
        )  # fmt: skip
        together = {field for i, field in enumerate(order) if mask >> i & 1 and field not in others}
        bits = sum(1 << order.index(field) for field in fresh)
        if fresh and moves and together <= set(fresh):
            return Plan(fresh, at, mask | bits, {field: t for field, t in others.items() if field not in fresh})
        return Plan(fresh, base, mask, others | dict.fromkeys(fresh, at))

    def keep(self, key: str, plan: Plan) -> None:
        """The statement was taken."""
        if plan.others != self.others.get(key, {}):
            self.put(key, plan.others)

    def put(self, key: str, others: dict[str, float]) -> None:
        """These times are known of an entity."""
        if others:
            self.others[key] = others
        else:
            self.others.pop(key, None)
        self.dirty.add(key)

    def forget(self, key: str) -> None:
        """The entity is no more."""
        if key in self.others:
            self.put(key, {})
