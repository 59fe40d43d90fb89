"""What is wrong with a file, in words: line, column, value, what was expected and a right example, once a kind.

A file with ten thousand rows that all write the time in the same wrong way has one fault, not ten thousand. Faults of
one column with one expectation are one kind: the first is shown, the others are counted and the first few lines named.
"""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

import msgspec

SHOWN_LINES = 3
SHOWN_KINDS = 20
SHOWN_VALUE = 60
SAFE = re.compile(r"[\w@%+=:,./-]+")


class FileProblem(Exception):
    """The file can't be used; the message says what was expected, what came, and where."""


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one line; ``value`` is what stood there, ``column`` is empty where it is about the line."""

    line: int
    column: str
    expected: str
    value: str | None = None

    @property
    def message(self) -> str:
        """The words, without file and line."""
        got = "" if self.value is None else f"; got {shown(self.value)}" if self.value else "; got nothing"
        return (f"{self.column}: " if self.column else "") + self.expected + got


def shown(value: str) -> str:
    """A value as it is quoted in a message: one line, not too long, nothing that a terminal obeys."""
    text = repr(value)
    return text if len(text) <= SHOWN_VALUE else text[: SHOWN_VALUE - 1] + "…'"


def as_word(text: str) -> str:
    """A text as it is typed into a shell: in quotation marks where it must be."""
    return text if SAFE.fullmatch(text) else shlex.quote(text)


def plural(count: int, one: str, many: str = "") -> str:
    """``1 row``, ``1,234 rows``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class Complaints:
    """Collects complaints; keeps one whole and some lines of each kind, however many come."""

    def __init__(self) -> None:
        self.count = 0
        self._lines = 0
        self._last = -1
        self._kinds: dict[tuple[str, str], tuple[Complaint, list[int]]] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, complaint: Complaint) -> None:
        """Take one; they come in the order of lines."""
        kind = complaint.column, complaint.expected
        if not complaint.line and kind in self._counts:
            return  # of the file, not of a line: said once
        self.count += 1
        self._counts[kind] = self._counts.get(kind, 0) + 1
        _, lines = self._kinds.setdefault(kind, (complaint, []))
        if len(lines) <= SHOWN_LINES:
            lines.append(complaint.line)
        if complaint.line not in (0, self._last):
            self._lines += 1
            self._last = complaint.line

    @property
    def lines(self) -> int:
        """How many lines have a fault."""
        return self._lines

    def first(self) -> list[Complaint]:
        """The first of each kind."""
        return [complaint for complaint, _ in self._kinds.values()]

    def words(self, path: Path) -> list[str]:
        """One line a kind."""
        said = []
        for kind, (complaint, lines) in list(self._kinds.items())[:SHOWN_KINDS]:
            where = f"{path}:{complaint.line}" if complaint.line else str(path)
            said.append(f"{where}: {complaint.message}{_others(lines[1:], self._counts[kind] - 1)}")
        if len(self._kinds) > SHOWN_KINDS:
            said.append(f"{path}: and {plural(len(self._kinds) - SHOWN_KINDS, 'other kind')} of fault")
        return said


def _others(lines: list[int], count: int) -> str:
    if not count:
        return ""
    named = ", ".join(map(str, lines))
    more = count - len(lines)
    return f" (also in line {named}{f' and {more:,} more' if more > 0 else ''})"


def refuse(path: Path, complaints: Complaints) -> FileProblem:
    """The error for a file that can't be used because of these."""
    return FileProblem("\n".join(complaints.words(path)))


def joined(words: Iterable[str], most: int = 12) -> str:
    """Names by commas, the first few of them."""
    found = list(words)
    return ", ".join(found[:most]) + (f" and {len(found) - most:,} more" if len(found) > most else "")
