"""Ids and slots: each entity of a pool has a small number, so that columns can be indexed by it.

A slot is part of the state (rows carry it), hence a successor has the same slots. A freed slot is reused lowest
first: which slot comes next depends on the set of free slots alone, never on the history of a process.
"""

import heapq
from collections.abc import Sequence

#: No id is empty.
NOBODY = ""


class Names:
    """A map between ids and slots.

    ``used`` is one more than the highest slot ever taken; ``ids[slot]`` is None for a free slot, ``NOBODY`` for one
    that stays taken although its id is forgotten.
    """

    __slots__ = ("free", "ids", "slots")

    def __init__(self) -> None:
        self.slots: dict[str, int] = {}
        self.ids: list[str | None] = []
        self.free: list[int] = []

    @property
    def used(self) -> int:
        return len(self.ids)

    def add(self, name: str) -> int:
        """Give a new id the lowest free slot."""
        if self.free:
            slot = heapq.heappop(self.free)
            self.ids[slot] = name
        else:
            slot = len(self.ids)
            self.ids.append(name)
        self.slots[name] = slot
        return slot

    def put(self, name: str, slot: int) -> None:
        """Restore an id at the slot its row names; call ``close`` when all are placed."""
        if slot >= len(self.ids):
            self.ids.extend([None] * (slot + 1 - len(self.ids)))
        self.ids[slot] = name
        self.slots[name] = slot

    def put_all(self, names: Sequence[str], slots: Sequence[int]) -> None:
        """Restore many ids at once, as `put` does one."""
        used = max(slots, default=-1) + 1
        if used > len(self.ids):
            self.ids.extend([None] * (used - len(self.ids)))
        ids = self.ids
        for name, slot in zip(names, slots, strict=True):
            ids[slot] = name
        self.slots.update(zip(names, slots, strict=True))

    def disown(self, slot: int) -> None:
        """The id means nobody from now on; it can still be read from ``ids`` until ``forget``."""
        del self.slots[self.ids[slot] or ""]

    def forget(self, slot: int) -> None:
        """Keep a slot taken by nobody."""
        if slot >= len(self.ids):
            self.ids.extend([None] * (slot + 1 - len(self.ids)))
        self.ids[slot] = NOBODY

    def close(self, used: int = 0) -> None:
        """After restoring: every slot below ``used`` that no row named is free."""
        if used > len(self.ids):
            self.ids.extend([None] * (used - len(self.ids)))
        self.free = [slot for slot, name in enumerate(self.ids) if name is None]

    def remove(self, name: str) -> None:
        """Forget an id; its slot may be reused."""
        slot = self.slots.pop(name)
        self.ids[slot] = None
        heapq.heappush(self.free, slot)
