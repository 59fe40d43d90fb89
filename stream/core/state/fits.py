"""Who may do what, decided by classes of tasks and of people.

A task's *demand* is (skill, required attributes), an annotator's *profile* is (skills, attributes, grants);
``meets[demand, profile]`` says whether one meets the other. Both are numbered (`stream.core.state.numbering`); the
numbers are not part of the state, they follow from it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stream.core.state.numbering import Numbering

Array = npt.NDArray[Any]

EVERY_SKILL = "*"


class Demand(NamedTuple):
    """What a task asks of whoever judges it."""

    skill: str
    requires: frozenset[str]


class Profile(NamedTuple):
    """What an annotator brings."""

    skills: frozenset[str]
    attributes: frozenset[str]
    grants: frozenset[str]


NOBODY = Profile(frozenset(), frozenset(), frozenset())


def meets(demand: Demand, profile: Profile) -> bool:
    """Does this profile meet this demand?"""
    return (
        EVERY_SKILL in profile.skills or demand.skill in profile.skills
    ) and demand.requires <= profile.attributes


class Fits:
    """The demands and profiles of one pool, and which meet."""

    def __init__(self) -> None:
        self.demands: Numbering[Demand] = Numbering()
        self.profiles: Numbering[Profile] = Numbering(NOBODY)
        self.meets: Array = np.zeros((8, 8), np.uint8)
        self.grants: Array = np.zeros((8, 8), np.uint8)

    def demand(self, skill_name: str, requires: frozenset[str]) -> int:
        """Number of a demand."""
        demand = Demand(skill_name, requires)
        number = self.demands.numbers.get(demand)
        if number is None:
            number = self.demands.add(demand)
            self._widen()
            for profile, i in self.profiles.numbers.items():
                self._fit(number, i, demand, profile)
        return number

    def profile(self, profile: Profile) -> int:
        """Number of a profile."""
        number = self.profiles.numbers.get(profile)
        if number is None:
            number = self.profiles.add(profile)
            self._widen()
            for demand, i in self.demands.numbers.items():
                self._fit(i, number, demand, profile)
        return number

    @property
    def is_crowded(self) -> bool:
        """Whether it is time to say which numbers are referred to (`keep`)."""
        return self.demands.is_crowded or self.profiles.is_crowded

    def keep(self, demands: Iterable[int], profiles: Iterable[int]) -> None:
        """Only these numbers are referred to: others are free."""
        self.demands.keep(demands)
        self.profiles.keep(profiles)

    def _widen(self) -> None:
        rows, columns = self.meets.shape
        if len(self.demands) > rows or len(self.profiles) > columns:
            shape = (
                rows if len(self.demands) <= rows else 2 * len(self.demands),
                columns if len(self.profiles) <= columns else 2 * len(self.profiles),
            )
            for name in ("meets", "grants"):
                grown = np.zeros(shape, np.uint8)
                grown[:rows, :columns] = getattr(self, name)
                setattr(self, name, grown)

    def _fit(self, i: int, j: int, demand: Demand, profile: Profile) -> None:
        self.meets[i, j] = meets(demand, profile)
        self.grants[i, j] = demand.skill in profile.grants
