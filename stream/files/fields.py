"""A row's cells as the fields of an event: what each may hold, how it is read, and the words when it can't be.

Bounds are the contract's own (`stream.events`); the words here say them for people, with an example that is right.
Ids longer than the contract allows are shortened in one and the same way wherever they occur.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from stream.events import ID_BYTES, REF_BYTES
from stream.files.sheet import Row
from stream.files.values import DURATION, TIME, moment, name, number, span, whole

HASH_HEX = 32
NOTHING = "-"
"""A cell that says: nothing, where an empty one says: as it is."""

LISTS = {"requires", "only", "exclude", "skills", "attributes", "grants"}
#: ids that name one thing in several files, however long they are; of the others a long one is a mistake
SHORTENED = {"task", "annotator", "only", "exclude"}
NULLABLE = {"ref", "max_overlap", "confidence", "deadline", "expected_s", "lease_s", "min_skill"}

_ID = f"expected an id of 1 to {ID_BYTES} bytes (UTF-8), such as"
_IDS = f"expected ids of at most {ID_BYTES} bytes each, separated by `;`, such as"

#: What a cell of this column must hold, in words, with an example.
EXPECTED: dict[str, str] = {
    "origin": "expected live or import, such as import",
    "task": f"{_ID} img-17",
    "project": f"{_ID} animals",
    "pool": f"{_ID} team-berlin, without NUL",
    "skill": f"{_ID} animals",
    "annotator": f"{_ID} ana",
    "event_id": f"{_ID} e-17",
    "requires": f"{_IDS} german;medical",
    "only": f"{_IDS} ana;bo",
    "exclude": f"{_IDS} ana;bo",
    "skills": f"{_IDS} animals;plants, or * for all",
    "attributes": f"{_IDS} german;medical",
    "grants": f"{_IDS} animals",
    "classes": "expected a whole number from 2 to 20, such as 2",
    "overlap": "expected a whole number from 0 to 1000, such as 3",
    "max_overlap": "expected a whole number from 1 to 1000 and at least the overlap, such as 5",
    "confidence": "expected a number from 0 to 1, such as 0.9",
    "min_skill": "expected a number from 0 to 1, such as 0.8",
    "priority": "expected a whole number from -10 to 10, such as 0",
    "value": "expected a number from 0 on, such as 1",
    "cost": "expected a number from 0 on, such as 12.5",
    "expected_s": "expected seconds, more than 0, such as 30",
    "lease_s": "expected seconds, more than 0, such as 900",
    "duration_s": "expected seconds, from 0 on, such as 4.5",
    "at": TIME,
    "deadline": TIME,
    "present": DURATION,
    "purpose": "expected work, gold or training",
    "kind": "expected human or model",
    "label": "expected a class, by its name or its number from 0 to 19, such as 1",
    "truth": "expected a class, by its name or its number from 0 to 19, such as 1",
    "ref": f"expected text of at most {REF_BYTES} bytes (UTF-8), such as https://tool.example/open/17",
}

Parse = Callable[[str, bool], Any]


def _integer(text: str, comma: bool) -> int | None:
    return whole(text)


def _choice(text: str, comma: bool) -> str:
    return text.lower()


PARSE: dict[str, Parse] = {
    **dict.fromkeys(("classes", "overlap", "max_overlap", "priority"), _integer),
    **dict.fromkeys(("confidence", "min_skill", "value", "cost", "expected_s", "lease_s", "duration_s"), number),
    **dict.fromkeys(("at", "deadline"), moment),
    **dict.fromkeys(("purpose", "kind"), _choice),
    "ref": lambda text, comma: text if len(text.encode()) <= REF_BYTES else None,
    "present": lambda text, comma: span(text),
}


class Fault(ValueError):
    """A cell can't be read; says which column, what stood there and what was expected."""

    def __init__(self, column: str, value: str | None, expected: str | None = None) -> None:
        self.column, self.value = column, value
        self.expected = expected or EXPECTED.get(column, "expected something else")
        super().__init__(f"{column}: {self.expected}")


def short_id(text: str) -> str:
    """An id of at most 128 bytes that stands for a longer one: its beginning and a hash of the whole.

    >>> short_id("a" * 200) == short_id("a" * 200), short_id("a" * 200) == short_id("a" * 201), short_id("img 1")
    (True, False, 'img 1')
    """
    data = text.encode()
    if len(data) <= ID_BYTES:
        return text
    digest = hashlib.sha256(data).hexdigest()[:HASH_HEX]
    return data[: ID_BYTES - HASH_HEX - 1].decode(errors="ignore") + "~" + digest


class Cells:
    """Reads the cells of rows; remembers which ids were shortened.

    Parameters
    ----------
    comma : bool
        The file's cells are not separated by commas: numbers may have decimal commas, lists commas between items.
    """

    def __init__(self, comma: bool) -> None:
        self.comma = comma
        self.shortened: dict[str, str] = {}

    def fields(self, row: Row, skip: set[str]) -> dict[str, Any]:
        """Values of a row's cells, without the columns in `skip`.

        Raises
        ------
        Fault
            A cell can't be read.
        """
        return {column: self.value(column, text) for column, text in row.items() if column not in skip}

    def value(self, column: str, text: str) -> Any:
        """The value of one cell."""
        if text == NOTHING and column in NULLABLE:
            return None
        if column in LISTS:
            return self._list(column, text)
        parse = PARSE.get(column)
        if parse is None:
            return self.id(column, text)
        value = parse(text, self.comma)
        if value is None:
            raise Fault(column, text)
        return value

    def id(self, column: str, text: str) -> str:
        """An id, in one spelling of its characters."""
        text = name(text)
        if len(text.encode()) > ID_BYTES:
            if column not in SHORTENED:
                raise Fault(column, text)
            return self.shortened.setdefault(text, short_id(text))
        if column == "pool" and "\0" in text:
            raise Fault(column, text)
        return text

    def _list(self, column: str, text: str) -> list[str]:
        if text == NOTHING:
            return []
        text = text.replace(",", ";") if self.comma else text
        return [self.id(column, item.strip()) for item in text.split(";") if item.strip()]
