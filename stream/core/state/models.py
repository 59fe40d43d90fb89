"""Which model of the skill kernels is for which skill and number of classes, and imports of skill from elsewhere.

A *model* is one skill with one number of classes, 0 where work is scored (see `kernels.skill`). Its slot is part of the
state; where its numbers are in the column of evidence is not. A forgotten model leaves both to later ones: its slot to
the next, lowest first, its numbers to the next with as many classes.
"""

import heapq
from collections.abc import Iterator

import numpy as np

from kernels import skill
from kernels.buffers import Overrun
from stream.core.state.tables import Columns

SCORED = 0
NO_SKILL = -1


def _taken(slot: int) -> int:
    """The slot of a model or seat that a kernel has just taken."""
    if slot < 0:
        raise Overrun("Expected room for a model or a seat: it was reserved")
    return int(slot)


class Models:
    """The models of one pool."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.slots: dict[tuple[int, int], int] = {}  # (skill, classes) -> model
        self.skills: list[int] = []  # model -> skill, NO_SKILL where one was forgotten
        self._free: list[int] = []  # slots of forgotten models
        self._spare: dict[int, list[int]] = {}  # classes -> where numbers of forgotten models are

    def of(self, skill_slot: int, classes: int) -> int:
        """The model of a skill with this many classes; a new one knows what was imported of the skill."""
        m = self.slots.get((skill_slot, classes))
        if m is None:
            m = self._open(classes)
            self.name(m, skill_slot, classes)
            self._columns.pool.dirty.models[m] = 1
            self._plant(m, skill_slot, classes)
        return m

    def _open(self, classes: int) -> int:
        """A new model in the lowest free slot."""
        self.reserve(classes)
        skills = self._columns.pool.skills
        if not self._free:
            return _taken(skill.open_model(skills, classes))
        spare = self._spare.get(classes)
        start = spare.pop() if spare else int(skills.used[2])
        m = _taken(skill.begin_model(skills, heapq.heappop(self._free), classes, start))
        if start == skills.used[2]:
            skills.used[2] += skill.model_width(classes)
        return m

    def is_unused(self, m: int) -> bool:
        """Whether nobody has evidence in a model: it knows what a new one would."""
        skills = self._columns.pool.skills
        return not skills.models["judgments"][m] and not (skills.seat_of[m] >= 0).any()

    def forget(self, m: int) -> None:
        """Nothing refers to a model in which nobody has evidence: its slot and its numbers are free."""
        skills = self._columns.pool.skills
        classes, start = int(skills.models["classes"][m]), int(skills.models["offset"][m])
        width = int(skill.model_width(classes))
        skills.evidence[start : start + width] = 0.0
        if width:
            self._spare.setdefault(classes, []).append(start)
        skills.models[m] = np.zeros(1, skill.MODEL)[0]
        del self.slots[self.skills[m], classes]
        self.skills[m] = NO_SKILL
        heapq.heappush(self._free, m)

    def load(self, m: int, skill_slot: int, row: bytes) -> None:
        """Restore a model; those before it are restored or were forgotten.

        Raises
        ------
        ValueError
            The row is damaged.
        """
        used = self._columns.pool.skills.used
        if m < used[0]:
            raise ValueError(f"model {m} is there twice")
        self._columns.reserve("models", m + 1)
        self._free += range(int(used[0]), m)
        used[0] = m
        classes = int(np.frombuffer(row[: skill.MODEL.itemsize], skill.MODEL)["classes"][0])
        self.reserve(classes)
        skill.load_model(self._columns.pool.skills, row)
        self.name(m, skill_slot, classes)

    def name(self, m: int, skill_slot: int, classes: int) -> None:
        """Record which skill and classes a model is for."""
        self.slots[skill_slot, classes] = m
        while len(self.skills) <= m:
            self.skills.append(NO_SKILL)
        self.skills[m] = skill_slot

    def seed(self, skill_slot: int, annotator: int, accuracy: float, weight: float, at: float) -> None:
        """Import what another system knows about an annotator's skill; the newest ``at`` wins.

        The model without classes keeps the import for models of the skill that are yet to come.
        """
        keeper = self.of(skill_slot, SCORED)
        for m in [keeper, *(m for owner, classes, m in self._all() if owner == skill_slot and classes)]:
            self.reserve_seats(1)
            skills = self._columns.pool.skills
            s = _taken(skill.seat(skills, m, annotator))
            if at < skills.seats["seeded_at"][s]:
                return
            self._seed(s, accuracy, weight, at)

    def _all(self) -> Iterator[tuple[int, int, int]]:
        return ((owner, classes, m) for (owner, classes), m in self.slots.items())

    def _plant(self, m: int, skill_slot: int, classes: int) -> None:
        """Give a new model the imports of its skill."""
        keeper = self.slots.get((skill_slot, SCORED))
        if keeper is None or not classes:
            return
        seats = self._columns.pool.skills.seat_of[keeper]
        for annotator in np.flatnonzero(seats >= 0).tolist():
            known = self._columns.pool.skills.seats[int(seats[annotator])]
            if known["seeded_weight"] > 0:
                self.reserve_seats(1)
                s = _taken(skill.seat(self._columns.pool.skills, m, annotator))
                self._seed(s, float(known["seeded_accuracy"]), float(known["seeded_weight"]), known["seeded_at"])

    def _seed(self, s: int, accuracy: float, weight: float, at: float) -> None:
        columns = self._columns.pool
        skill.seed(columns.skills, s, accuracy, weight)
        columns.skills.seats["seeded_at"][s] = at
        columns.dirty.seats[s] = 1

    # ------------------------------------------------------------------ room for what comes
    def reserve(self, classes: int) -> None:
        """Make room for one more model."""
        self._columns.widen("classes", classes)
        used = self._columns.pool.skills.used
        self._columns.reserve("models", int(used[0]) + 1)
        self._columns.reserve("evidence", int(used[2]) + int(skill.model_width(classes)))

    def reserve_seats(self, more: int) -> None:
        """Make room for evidence of ``more`` (annotator, model) pairs beyond those in use."""
        self.reserve_evidence(more, more * int(skill.evidence_width(self._columns.places["classes"])))

    def reserve_evidence(self, more: int, width: int) -> None:
        """Make room for ``more`` seats and ``width`` numbers of evidence beyond those in use."""
        used = self._columns.pool.skills.used
        self._columns.reserve("seats", int(used[1]) + more)
        self._columns.reserve("evidence", int(used[2]) + width)
