"""From bytes to lines of cells: encoding, separator, quoting, empty lines.

    encoding    UTF-8 with or without byte order mark, UTF-16 with one, else Windows-1252 (what Excel's "CSV" is in
                Western Europe and America), with a note, because it can't be proved
    separator   of comma, semicolon, tab, bar: the one that makes the first line's cells column names; without such a
                line the one that cuts the first lines into equally many cells; spaces at last
    empty       lines without a cell, or with empty cells only, are left out

Line numbers are those of the file, as an editor shows them. A workbook, an archive and other bytes are named for what
they are.
"""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from stream.files.complaints import FileProblem

SEPARATORS = (",", ";", "\t", "|")
NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
SNIFFED_LINES = 20
HEAD_BYTES = 1 << 16
CHUNK = 1 << 20
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
NOT_TEXT = (
    (b"PK\x03\x04", "an Excel workbook or another archive: save the sheet as CSV UTF-8, or unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: save the sheet as CSV UTF-8"),
    (b"\x1f\x8b", "packed with gzip: unpack it"),
    (b"PAR1", "a Parquet file: save it as CSV"),
    (b"SQLite format 3", "a SQLite database: export a table as CSV"),
)


class Text(NamedTuple):
    """How a file is read: what was found out, and what was only assumed."""

    path: Path
    encoding: str
    separator: str
    skipped: int
    notes: tuple[str, ...]

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line number, cells) of every line that holds something; cells are stripped.

        Raises
        ------
        FileProblem
            Quotation marks don't pair, or the file can't be read any more.
        """
        with _opened(self.path, self.encoding) as file:
            for _ in range(self.skipped):
                file.readline()
            reader = csv.reader(file, delimiter=self.separator, strict=True, skipinitialspace=self.separator == " ")
            line = self.skipped + 1
            try:
                for cells in reader:
                    stripped = [cell.strip() for cell in cells]
                    if any(stripped):
                        yield line, stripped
                    line = self.skipped + reader.line_num + 1
            except csv.Error as error:
                raise FileProblem(
                    f"{self.path}:{line}: expected cells separated by {NAMES[self.separator]}, text that holds one in "
                    f'quotation marks, such as "a{self.separator} b"; {_words(error)}'
                ) from None
            except OSError as error:
                raise unreadable(self.path, error) from None


def _words(error: csv.Error) -> str:
    text = str(error)
    if "field limit" in text or "unexpected end" in text:
        return "a quotation mark is opened in this line and never closed"
    return text


def unreadable(path: Path, error: OSError) -> FileProblem:
    """The error for a file that the system doesn't let us read."""
    if isinstance(error, FileNotFoundError):
        return FileProblem(f"{path}: expected a file, found none")
    return FileProblem(f"{path}: expected a file that can be read: {error.strerror}")


def _opened(path: Path, encoding: str) -> io.TextIOWrapper:
    try:
        return path.open(newline="", encoding=encoding)
    except OSError as error:
        raise unreadable(path, error) from None


def encoding_of(path: Path, given: str | None = None) -> tuple[str, tuple[str, ...]]:
    """How the text is encoded, and what has to be said about that.

    Raises
    ------
    FileProblem
        It can't be read, or is no text.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            for magic, words in NOT_TEXT:
                if head.startswith(magic):
                    raise FileProblem(f"{path}: expected a text file (CSV, TSV, JSON or XML), got {words}")
            if given:
                return given, _tried(path, given)
            for mark, name in BOMS:
                if head.startswith(mark):
                    return name, _tried(path, name)
            if b"\0" in head:
                raise FileProblem(f"{path}: expected a text file, got one with NUL bytes: save it as CSV UTF-8")
            line = _not_utf8(head, file.read)
    except OSError as error:
        raise unreadable(path, error) from None
    if line is None:
        return "utf-8", ()
    note = (
        f"{path}:{line}: not UTF-8: read as Windows-1252. If a name with an accent or umlaut comes out wrong, save the "
        "file as 'CSV UTF-8' or name its encoding: --encoding NAME"
    )
    return "cp1252", (note, *_tried(path, "cp1252"))


def _not_utf8(head: bytes, more: Callable[[int], bytes]) -> int | None:
    """Number of the first line that isn't UTF-8, None when all are."""
    decoder, line, chunk = codecs.getincrementaldecoder("utf-8")(), 1, head
    while chunk:
        before = decoder.getstate()[0]
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            return line + (before + chunk)[: error.start].count(b"\n")
        line += chunk.count(b"\n")
        chunk = more(CHUNK)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return line
    return None


def _tried(path: Path, encoding: str) -> tuple[str, ...]:
    """Decode the file once, so that nothing fails in the middle; returns nothing to say."""
    try:
        line = 1
        with path.open(newline="", encoding=encoding) as file:
            for text in file:
                if "\0" in text:
                    raise FileProblem(f"{path}:{line}: expected text, got a NUL: save the file as CSV UTF-8")
                line += 1
    except LookupError:
        raise FileProblem(f"{path}: expected an encoding that Python knows, such as cp1250; got {encoding!r}") from None
    except (UnicodeDecodeError, UnicodeError) as error:
        raise FileProblem(
            f"{path}:{line}: expected text in UTF-8 or Windows-1252, got bytes that are neither ({error}); "
            "name the encoding: --encoding NAME"
        ) from None
    return ()


def look(path: Path, is_header: Callable[[Sequence[str]], int], encoding: str | None = None) -> Text:
    """Find out how a file is to be read.

    Parameters
    ----------
    path : Path
    is_header : callable
        ``is_header(cells)``: how many of these cells are names of columns; 0 when it is no header.
    encoding : str, optional
        Said by a person; found out otherwise.

    Raises
    ------
    FileProblem
        It can't be read, is empty, or is no text.
    """
    name, notes = encoding_of(path, encoding)
    with _opened(path, name) as file:
        head = list(islice((line for line in file if line.strip()), SNIFFED_LINES))
    if not head:
        raise FileProblem(f"{path}: expected a header and rows, got an empty file")
    first = head[0].strip()
    if first.lower().startswith("sep=") and len(first) == 5:  # Excel's own way to say it
        return Text(path, name, first[4], 1, notes)
    return Text(path, name, _separator(head, is_header), 0, notes)


def _separator(head: list[str], is_header: Callable[[Sequence[str]], int]) -> str:
    def cells(line: str, separator: str) -> list[str]:
        try:
            row = next(csv.reader([line], delimiter=separator, skipinitialspace=separator == " "), [])
        except csv.Error:
            row = line.split(separator)
        return [cell.strip() for cell in row]

    named = {separator: is_header(cells(head[0], separator)) for separator in SEPARATORS}
    best = max(SEPARATORS, key=lambda separator: (named[separator], len(cells(head[0], separator))))
    if named[best]:
        return best
    for least in (3, 2):
        even = []
        for separator in (*SEPARATORS, " "):
            counts = {len(cells(line.rstrip(), separator)) for line in head}
            if len(counts) == 1 and min(counts) >= least:
                even.append((min(counts), separator))
        if even:
            return max(even, key=lambda found: (found[1] != " ", found[0]))[1]
    return ","
