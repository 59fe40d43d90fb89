"""All tables of a pool, and the tuple of their arrays that kernels take.

The tuple (`Columns.pool`) is another one after any growth: whoever has called `reserve` takes it anew.
"""

from typing import Any

import numpy as np

from kernels import skill
from kernels.lifecycle import Pool, layout
from stream.core.growth import Array
from stream.core.table import Kind, Table

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
        self._fixed: dict[str, Array] = {
            "counters": counters,
            "clock": clock,
            **{name: np.zeros(layout.JUDGMENTS, np.int32) for name in ("seats", "labels", "stamps")},
        }
        nothing = skill.empty(0, 0, 0, 0)
        self._skills = {"used": nothing.used, "work": nothing.work}
        self.pool = self._gathered()

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]

    def _gathered(self) -> Any:
        arrays = {name: array for table in self.tables.values() for name, array in table.arrays.items()}
        marks = {f"dirty_{name}": table.marks for name, table in self.tables.items() if table.marks is not None}
        skills = skill.Skills(**{name: (arrays | self._skills)[name] for name in skill.Skills._fields})
        found = arrays | marks | self._fixed | {"skills": skills}
        return Pool(**{name: found[name] for name in Pool._fields})

    def reserve(self, name: str, rows: int) -> None:
        """Make room for so many rows of a table."""
        table = self.tables[name]
        if rows <= len(table):
            return
        table.reserve(rows)
        if len(table) > self.places.get(name, len(table)):
            self._widen(name, 1 << (len(table) - 1).bit_length())
        self.pool = self._gathered()

    def widen(self, per: str, places: int) -> None:
        """Make room for so many places where rows have one for each class or annotator."""
        if places > self.places[per]:
            self._widen(per, places)
            self.pool = self._gathered()

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
