"""Who may do what, decided by classes of tasks and of people.

A task's *demand* is (skill, required attributes), an annotator's *profile* is (skills, attributes, grants);
``meets[demand, profile]`` says whether one meets the other. Both are numbered as they come; the numbers are not part of
the state, they follow from it.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

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
        self.demands: list[Demand] = []
        self.profiles: list[Profile] = [NOBODY]
        self.demand_slots: dict[Demand, int] = {}
        self.profile_slots: dict[Profile, int] = {NOBODY: 0}
        self.meets: Array = np.zeros((8, 8), np.uint8)
        self.grants: Array = np.zeros((8, 8), np.uint8)

    def demand(self, skill_name: str, requires: frozenset[str]) -> int:
        """Number of a demand."""
        demand = Demand(skill_name, requires)
        number = self.demand_slots.get(demand)
        if number is None:
            number = self.demand_slots[demand] = len(self.demands)
            self.demands.append(demand)
            self._widen()
            for i, profile in enumerate(self.profiles):
                self._fit(number, i, demand, profile)
        return number

    def profile(self, profile: Profile) -> int:
        """Number of a profile."""
        number = self.profile_slots.get(profile)
        if number is None:
            number = self.profile_slots[profile] = len(self.profiles)
            self.profiles.append(profile)
            self._widen()
            for i, demand in enumerate(self.demands):
                self._fit(i, number, demand, profile)
        return number

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
