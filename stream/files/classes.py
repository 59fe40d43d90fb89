"""Classes by name: what occurs in a file, in which order, and what looks like a slip of the pen.

Whole numbers (`1`, `1.0`) are compared as numbers and ordered by size, everything else as text in alphabetical order.
Classes are what occurs, so adding one to all codes of a file changes nothing but the names.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from stream.files.complaints import joined, plural, shown
from stream.files.values import name, whole


def spelled(text: str) -> str:
    """A class's name in one spelling: `1.0` and `01` are `1`, accents are composed.

    >>> spelled("1.0"), spelled("yes"), spelled("-1")
    ('1', 'yes', '-1')
    """
    code = whole(text)
    return name(text) if code is None else str(code)


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Names in the order in which they are numbered: by size if all are whole numbers, else by alphabet.

    >>> ordered(["10", "9"]), ordered(["10", "9", "no"])
    (('9', '10'), ('10', '9', 'no'))
    """
    unique = set(names)
    codes = {text: whole(text) for text in unique}
    if all(code is not None for code in codes.values()):
        return tuple(sorted(unique, key=lambda text: codes[text] or 0))
    return tuple(sorted(unique))


class UnknownClass(ValueError):
    """A label is none of the classes; the message says which there are, and which was perhaps meant."""


class Classes:
    """The classes of a project or a file: names in the order of their numbers.

    Parameters
    ----------
    names : sequence of str
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(spelled(text) for text in names)
        self._codes = {text: code for code, text in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def code(self, text: str) -> int:
        """The number of a class, by its name or by the number itself.

        Raises
        ------
        UnknownClass
            There is none of this name and the number is none of theirs.
        """
        found = self._codes.get(text)
        if found is None:
            found = self._codes.get(spelled(text))
        if found is None:
            number = whole(text)
            # a file may hold our numbers of classes that have other names
            if number is not None and 0 <= number < len(self.names) and not any(map(is_code, self.names)):
                return number
            raise UnknownClass(self._expected())
        return found

    def _expected(self) -> str:
        return f"expected one of the classes {joined(self.names)}"

    def meant(self, text: str) -> str | None:
        """Which class was perhaps meant by an unknown label."""
        folds = {alike(known): known for known in self.names}
        close = difflib.get_close_matches(alike(text), folds, 1, 0.6)
        return folds[close[0]] if close else None


def is_code(text: str) -> bool:
    """Whether a class is named by a number."""
    return whole(text) is not None


def alike(text: str) -> str:
    """What is left of a name when capitals, spaces, hyphens and final dots don't count; a number is all of itself."""
    if is_code(text):
        return text
    return re.sub(r"[\s_\-]+", "", text.casefold()).rstrip(".!")


def warnings(counts: Mapping[str, int], truths: Iterable[str] = (), where: str = "labels") -> list[str]:
    """Say which classes are perhaps one, and which truths nobody ever gave as a label.

    Parameters
    ----------
    counts : mapping
        How often each class was given.
    truths : iterable of str
        Classes that occur as known answers.
    """
    said = []
    groups: dict[str, list[str]] = {}
    truths = set(truths)
    for text in sorted({*counts, *truths}):
        groups.setdefault(alike(text), []).append(text)
    for group in groups.values():
        if len(group) > 1:
            often = " and ".join(f"{shown(text)} ({plural(counts.get(text, 0), 'row')})" for text in group)
            said.append(f"{where}: {often} differ only in capitals, spaces or hyphens, and count as different classes")
    never = [text for text in ordered(truths) if text not in counts]
    if never and counts:
        verb, given = "is" if len(never) == 1 else "are", joined(map(shown, ordered(counts)))
        said.append(f"truth: {joined(map(shown, never))} {verb} never given as a label; the labels are {given}")
    return said
