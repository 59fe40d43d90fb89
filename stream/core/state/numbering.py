"""Numbers for things that are told apart by what they are, so that columns can hold and kernels compare them.

A number is no part of the state: a successor gives its own. So a number that nothing refers to can be given to
something else whenever that is convenient: not one by one, but when many have come since the last look.
"""

import heapq
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

#: a look at what is referred to is worth its time when there are so many, and twice as many as the last one left
FEW = 64


class Numbering(Generic[T]):
    """Things and their numbers.

    Parameters
    ----------
    lasting : T
        What has a number whether it is referred to or not, from 0 on.
    """

    def __init__(self, *lasting: T) -> None:
        self.things: list[T | None] = list(lasting)
        self.numbers: dict[T, int] = {thing: number for number, thing in enumerate(lasting)}
        self._lasting = len(lasting)
        self._free: list[int] = []
        self._many = FEW

    def __len__(self) -> int:
        """One more than the highest number ever given."""
        return len(self.things)

    def __getitem__(self, number: int) -> T:
        thing = self.things[number]
        assert thing is not None, "a number that was freed"
        return thing

    def add(self, thing: T) -> int:
        """Give a new thing the lowest free number."""
        if self._free:
            number = heapq.heappop(self._free)
            self.things[number] = thing
        else:
            number = len(self.things)
            self.things.append(thing)
        self.numbers[thing] = number
        return number

    @property
    def is_crowded(self) -> bool:
        """Whether it is time to say which numbers are referred to (`keep`)."""
        return len(self.numbers) > self._many

    def keep(self, used: Iterable[int]) -> None:
        """Free every number that is not among these."""
        kept = {*range(self._lasting), *used}
        for thing, number in list(self.numbers.items()):
            if number not in kept:
                del self.numbers[thing]
                self.things[number] = None
                heapq.heappush(self._free, number)
        self._many = max(FEW, 2 * len(self.numbers))
