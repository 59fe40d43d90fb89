"""One table of a person's file: rows as dictionaries under our names of the columns, with their line numbers.

A file without a header is read when that can't be misunderstood: three columns whose third holds the same values again
and again are task, annotator and label; two are task and truth. Anything else without a header needs `--header`.
Columns nobody knows are refused, because what they say would be lost, unless they are left out on purpose.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from stream.files import exports
from stream.files.column_names import FIELDS, NEEDED, Kind, header_words, kind_of, named, plain
from stream.files.complaints import Complaint, Complaints, FileProblem, joined
from stream.files.text import NAMES, Text, look

GUESSED: dict[int, tuple[str, ...]] = {2: ("task", "truth"), 3: ("task", "annotator", "label")}
LOOKED_AT = 1_000
IGNORED = ""

Row = dict[str, str]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says about a file besides its name.

    ``header`` names the columns of a file without one; ``columns`` maps our names to the file's; ``ignore_extra``
    leaves out columns nobody knows; ``encoding`` is the text's, found out otherwise; ``ref`` is the column of a file of
    tasks that says where tools open them.
    """

    header: tuple[str, ...] = ()
    columns: Mapping[str, str] = {}
    ignore_extra: bool = False
    encoding: str | None = None
    ref: str | None = None


class Sheet:
    """The rows of a file and what they are about.

    Parameters
    ----------
    path : Path
    reading : Reading
    kind : {"tasks", "people", "judgments", "truth"}, optional
        Told by the columns otherwise.

    Attributes
    ----------
    kind : str
    columns : list of str
        Our name of each column; empty for one that is left out.
    notes : list of str
        What was assumed, to be said to whoever gave the file.
    comma : bool
        Whether numbers may have a decimal comma: the cells are not separated by commas.

    Raises
    ------
    FileProblem
        The file can't be read, or its columns fit no kind.
    """

    def __init__(self, path: Path, reading: Reading, kind: Kind | None = None) -> None:
        self.path, self.reading = path, reading
        self.notes: list[str] = []
        self._table: exports.Table | None = exports.recognised(path)
        self.has_header = True
        self._has_data = False
        if self._table is not None:
            self.notes.append(f"{path}: read as {self._table.tool}")
            self.header, self.comma, self._has_data = list(self._table.header), False, self._table.has_data
        else:
            self._text = look(path, header_words, reading.encoding)
            self.notes += self._text.notes
            self.comma = self._text.separator != ","
            self.header = self._find_header(self._text)
            if set(map(plain, self.header)) >= exports.LABEL_STUDIO:
                self._has_data = True
                self.notes.append(f"{path}: read as Label Studio's CSV")
        columns = self._named(self.header)
        if kind == "truth" and "truth" not in columns:
            columns = ["truth" if name == "label" else name for name in columns]
        self.kind: Kind = kind or self._kind(columns)
        self.columns = self._checked(columns)

    # ---------------------------------------------------------------- the header
    def _find_header(self, text: Text) -> list[str]:
        first = next(text.lines())[1]
        if self.reading.header:
            self.has_header = False
            if len(self.reading.header) != len(first):
                raise FileProblem(
                    f"{self.path}:1: --header names {len(self.reading.header)} columns "
                    f"({', '.join(self.reading.header)}), the first line has {len(first)}: {', '.join(first)}"
                )
            return list(self.reading.header)
        if header_words(first) or any(plain(cell) in map(plain, self.reading.columns.values()) for cell in first):
            return first
        guess = GUESSED.get(len(first))
        if guess and _repeats_last(islice((cells for _, cells in text.lines()), LOOKED_AT)):
            self.has_header = False
            self.notes.append(
                f"{self.path}: no header: the columns are taken as {', '.join(guess)} (first line: "
                f"{', '.join(first)}); otherwise say --header, for example --header annotator,task,label"
            )
            return list(guess)
        kinds = "; ".join(f"{kind} {', '.join(needed)}" for kind, needed in NEEDED.items())
        separated = f"separated by {NAMES[text.separator]}"
        raise FileProblem(
            f"{self.path}:1: expected the names of columns ({kinds}), got {joined(first)} ({separated}). Rename them, "
            f"say which is which (--column task={first[0] or 'NAME'}), or name them all if there is no header: "
            "--header task,annotator,label"
        )

    def _named(self, header: Sequence[str]) -> list[str]:
        theirs = {plain(theirs): ours for ours, theirs in self.reading.columns.items()}
        absent = [theirs for theirs in self.reading.columns.values() if plain(theirs) not in map(plain, header)]
        if absent:
            raise FileProblem(
                f"{self.path}:1: --column names {joined(absent)}, which is no column here: {joined(header)}"
            )
        if self.reading.ref is not None:  # of the files that have it
            theirs.setdefault(plain(self.reading.ref), "ref")
        given = set(theirs.values())
        found = list(header) if self._table and self._table.is_ours else named(header)
        for i, cell in enumerate(header):
            if plain(cell) in theirs:
                found[i] = theirs[plain(cell)]
            elif found[i] in given:
                found[i] = plain(cell) if plain(cell) not in given else f"{plain(cell)} (not used)"
        return found

    def _kind(self, columns: Sequence[str]) -> Kind:
        kind = kind_of(columns)
        if kind is None:
            kinds = "; ".join(f"{kind}: {', '.join(needed)}" for kind, needed in NEEDED.items())
            raise FileProblem(
                f"{self.path}:1: expected the columns of one kind ({kinds}), got {joined(self.header)}. Say which "
                "column is which, for example --column label=sentiment"
            )
        return kind

    def _checked(self, columns: list[str]) -> list[str]:
        missing = [name for name in NEEDED[self.kind] if name not in columns]
        if missing:
            what = "column" if len(missing) == 1 else "columns"
            raise FileProblem(
                f"{self.path}:1: a file of {self.kind} needs the {what} {', '.join(missing)}, got "
                f"{joined(self.header)}. Say which it is: --column {missing[0]}=NAME"
            )
        fields = FIELDS[self.kind]
        twice = sorted({name for name in columns if name in fields and columns.count(name) > 1})
        if twice:
            both = [cell for cell, name in zip(self.header, columns, strict=True) if name == twice[0]]
            raise FileProblem(
                f"{self.path}:1: expected one column for {twice[0]}, got {' and '.join(both)}: say which is meant: "
                f"--column {twice[0]}={both[0]} --ignore-extra"
            )
        extra = [cell for cell, name in zip(self.header, columns, strict=True) if cell and name not in fields]
        if extra and not self.reading.ignore_extra and not self._has_data:
            known, they = ", ".join(name for name in fields if name != "event_id"), "it" if len(extra) == 1 else "them"
            raise FileProblem(
                f"{self.path}:1: a file of {self.kind} has no column {joined(extra)}; what stands there would be lost. "
                f"Leave {they} out on purpose with --ignore-extra, or rename to one of: {known}"
            )
        return [name if name in fields else IGNORED for name in columns]

    # ---------------------------------------------------------------- the rows
    def rows(self, complaints: Complaints) -> Iterator[tuple[int, Row]]:
        """Yield (line, {our name: text}) of every row; cells that are empty are left out.

        A line with other than the header's number of cells goes to `complaints`; empty cells at its end don't count.
        """
        used = [(i, name) for i, name in enumerate(self.columns) if name]
        for line, cells in self.cells(complaints):
            yield line, {name: cells[i] for i, name in used if cells[i]}

    def cells(self, complaints: Complaints) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield (line, cells) of every row that has as many as the header."""
        width = len(self.columns)
        for line, cells in self._lines():
            if len(cells) < width or any(cells[width:]):
                # a line that is cut looks like a row whose last columns are empty: neither is guessed at
                complaints.add(
                    Complaint(
                        line=line,
                        column="",
                        expected=f"expected {width} cells as in the header ({joined(self.header, 6)})",
                        value=f"{len(cells)}: {joined(cells, 6)}",
                    )
                )
                continue
            yield line, cells

    def _lines(self) -> Iterator[tuple[int, Sequence[str]]]:
        if self._table is not None:
            yield from self._table.rows()
            return
        lines = self._text.lines()
        if self.has_header:
            next(lines)
        yield from lines


def _repeats_last(rows: Iterable[Sequence[str]]) -> bool:
    """Whether the first row's last cell comes again: then it is a class, not a column's name."""
    found = [cells[-1] for cells in rows if cells]
    return len(found) > 1 and found[0] in found[1:]
