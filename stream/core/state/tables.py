"""All tables of a pool, and the tuple of their arrays that kernels take.

The tuple (`Columns.pool`) is another one after any growth: whoever has called `reserve` takes it anew.
"""

import numpy as np

from kernels import skill
from kernels.lifecycle import Pool
from kernels.lifecycle import pool_columns as layout
from stream.core.state.table import Kind, Table

#: The tables and how they begin. Those of marked rows are saved row by row.
KINDS = {
    "tasks": Kind(layout.Tasks, 16, is_marked=True),
    "annotators": Kind(layout.Annotators, 16, is_marked=True),
    "projects": Kind(layout.Projects, 4, is_marked=True),
    "pairs": Kind(layout.Pairs, 32),
    "models": Kind(layout.Models, 4, is_marked=True),
    "seats": Kind(layout.Seats, 32, is_marked=True),
    "evidence": Kind(layout.Evidence, 1024),
    "lists": Kind(layout.Lists, 16),
    "limited": Kind(layout.Limited, 1),
    "taught": Kind(layout.Taught, 1),
    "emissions": Kind(layout.Emissions, 64),
}
#: Those that kernels see as `kernels.skill.Skills`.
IN_SKILLS = ("models", "seats", "evidence")
FEWEST_CLASSES = 2


class Columns:
    """The tables of one pool.

    What has a place for each annotator in every row is copied whole when it gets more: it has powers of two, so that
    happens hardly ever.
    """

    def __init__(self) -> None:
        self.places = {"classes": FEWEST_CLASSES, "annotators": KINDS["annotators"].rows}
        self.tables = {name: Table(kind, self.places) for name, kind in KINDS.items()}
        counters = np.zeros(layout.COUNTERS, np.int64)
        counters[layout.PAIRS_FREE] = -1
        clock = np.zeros(layout.CLOCKS, np.float64)
        clock[layout.EARLIEST] = np.inf
        scratch = (np.zeros(layout.JUDGMENTS, np.int32) for _ in layout.Gathered._fields)
        nothing = skill.empty(0, 0, 0, 0)
        self._fixed = {"counters": counters, "clock": clock, "gathered": layout.Gathered(*scratch)}
        self._skills = {"used": nothing.used, "work": nothing.work}
        self.pool = self._together()

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]

    def _together(self) -> Pool:
        tables = {name: KINDS[name].schema(**table.arrays) for name, table in self.tables.items()}
        in_skills = [self.tables[name].arrays for name in IN_SKILLS]
        skills = skill.Skills(**self._skills, **{name: found for arrays in in_skills for name, found in arrays.items()})
        dirty = layout.Dirty(**{name: table.marks for name, table in self.tables.items() if table.marks is not None})
        return Pool(
            **self._fixed, skills=skills, dirty=dirty,
            **{name: table for name, table in tables.items() if name not in IN_SKILLS},
        )  # fmt: skip

    def reserve(self, name: str, rows: int) -> None:
        """Make room for so many rows of a table."""
        table = self.tables[name]
        if rows <= len(table):
            return
        table.reserve(rows)
        if len(table) > self.places.get(name, len(table)):
            self._widen(name, 1 << (len(table) - 1).bit_length())
        self.pool = self._together()

    def widen(self, per: str, places: int) -> None:
        """Make room for so many places where rows have one for each class or annotator."""
        if places > self.places[per]:
            self._widen(per, places)
            self.pool = self._together()

    def _widen(self, per: str, places: int) -> None:
        self.places[per] = places
        for table in self.tables.values():
            table.widen(per, places)

    def clean(self) -> None:
        """Nothing has changed since it was saved."""
        for table in self.tables.values():
            if table.marks is not None:
                table.marks[:] = 0

    def erase_annotator(self, slot: int) -> None:
        """Whoever had this slot is to be forgotten."""
        for table in self.tables.values():
            table.erase("annotators", slot)
