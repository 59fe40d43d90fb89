"""What a column is: declared once, beside the name under which kernels know it.

    class Tasks(NamedTuple):
        records: Annotated[np.ndarray, Column(TASK, is_stored=True)]
        room: Annotated[np.ndarray, Column(np.int32)]

A tuple of columns with one axis is a table. Whoever keeps the state (``stream/core/state/table.py``) reads from the
declaration how long and wide the arrays are, what stands in rows that nobody uses, and what of them is saved; kernels
see the tuple of arrays alone.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, get_type_hints

import numpy as np

NOTHING: Mapping[str, int] = MappingProxyType({})
Field = tuple[str, str]
#: Fields of records that rows have only since some version of theirs, by name.
SINCE: dict[str, int] = {}


def since(version: int, *fields: Field) -> list[Field]:
    """Fields of a record that no row of an older version has; what reads one begins them as in a blank record."""
    SINCE.update(dict.fromkeys((name for name, _ in fields), version))
    return list(fields)


def layout(record: np.dtype, version: int) -> np.dtype:
    """The record as rows of a version have it."""
    return np.dtype([(name, record[name]) for name in record.names or () if SINCE.get(name, 1) <= version])


class Column(NamedTuple):
    """One array of a table: a number, a few numbers or a record for each row.

    ``per`` names what has a place in the second axis, if there is one, and ``width`` how many places that takes;
    ``unused`` is what a plain number is where nobody has written (records have their own `lifecycle.blank`).
    ``passing`` are the fields of a stored record that mean something to this process only, and what a saved row has in
    their place. What a column has ``per`` annotator goes with an erased one, unless it ``outlives`` them.
    """

    dtype: Any
    unused: float = 0.0
    per: str = ""
    width: Callable[[int], int] = int
    is_stored: bool = False
    passing: Mapping[str, int] = NOTHING
    outlives: bool = False


def declared(table: type) -> dict[str, Column]:
    """The columns of a table by name, in order."""
    hints = get_type_hints(table, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}
