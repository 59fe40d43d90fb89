"""The working place of an export: what was read so far, on disk, so that memory stays flat and a killed export goes on.

    books.sqlite   how far each topic was read (`reached`), the cut up to which it is to be read, tables of the export
    said-…         what each input record said, 16 bytes an offset: the class and the time of a judgment
    rows           rows that are written already

Where the rows go to a file, the place is a folder beside it, removed when the file is whole. Otherwise it is a
temporary one. Everything of one step is committed at once: positions, tables and the number of valid bytes in `rows`.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.shell.commands.failures import NotRight
from stream.shell.commands.topic_reader import Place

SAID = np.dtype([("at", "<f8"), ("label", "i1"), ("kind", "u1"), ("spare", "u1", 6)])
#: kinds of input records, as far as an export asks
NOTHING, JUDGMENT, DEAD = 0, 1, 2
VERSION = "1"

STATEMENTS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA cache_size=-16000",
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT)",
    "CREATE TABLE IF NOT EXISTS cut (topic TEXT, partition INT, begin INT, end INT, PRIMARY KEY (topic, partition))",
    "CREATE TABLE IF NOT EXISTS reached (phase TEXT, topic TEXT, partition INT, at INT,"
    " PRIMARY KEY (phase, topic, partition))",
)


class Work:
    """Opens or continues a working place.

    Parameters
    ----------
    folder : Path
    what : str
        What the export is: another one in this folder is refused.
    """

    def __init__(self, folder: Path, what: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.rows_path = folder / "rows"
        self.books = sqlite3.connect(folder / "books.sqlite", isolation_level=None)
        for statement in STATEMENTS:
            self.books.execute(statement)
        rows = self.books.execute("SELECT topic, partition, begin, end FROM cut").fetchall()
        #: first offset and end of every place of the export, as noted when it began
        self.cut = {Place(topic, partition): (begin, end) for topic, partition, begin, end in rows}
        self._files: dict[Place, int] = {}
        kept = self.meta("what")
        if kept not in (None, f"{VERSION}:{what}"):
            self.close()
            raise NotRight(f"{folder} holds another export that was interrupted: remove it, or give another --out")
        self.is_continued = kept is not None
        self.set_meta("what", f"{VERSION}:{what}")

    def close(self) -> None:
        """Close everything that is open here."""
        self.books.close()
        for fd in self._files.values():
            os.close(fd)

    # ---------------------------------------------------------------- what is kept
    def meta(self, name: str) -> str | None:
        """A kept word."""
        row = self.books.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, name: str, value: str) -> None:
        """Keep a word."""
        self.books.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def set_cut(self, cut: Mapping[Place, tuple[int, int]]) -> None:
        """Note up to where topics are to be read."""
        with self.step():
            self.books.executemany("INSERT OR REPLACE INTO cut VALUES (?, ?, ?, ?)", [(*p, *c) for p, c in cut.items()])
        self.cut = dict(cut)

    def left(self, phase: str, topics: tuple[str, ...]) -> dict[Place, tuple[int, int]]:
        """What of these topics a phase has still to read."""
        rows = self.books.execute("SELECT topic, partition, at FROM reached WHERE phase = ?", (phase,)).fetchall()
        reached = {Place(topic, partition): at for topic, partition, at in rows}
        return {p: (reached.get(p, begin), end) for p, (begin, end) in self.cut.items() if p.topic in topics}

    def reach(self, phase: str, place: Place, offset: int) -> None:
        """Note that a phase has taken everything below an offset."""
        self.books.execute("INSERT OR REPLACE INTO reached VALUES (?, ?, ?, ?)", (phase, *place, offset))

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """All that is noted within is there, or none of it."""
        self.books.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.books.execute("ROLLBACK")
            raise
        self.books.execute("COMMIT")

    # ---------------------------------------------------------------- what input records said
    def note_said(self, place: Place, first: int, said: NDArray[np.void]) -> None:
        """Keep what the records of a place from an offset on said."""
        os.pwrite(self._file(place), said.tobytes(), (first - self.cut[place][0]) * SAID.itemsize)

    def _file(self, place: Place) -> int:
        fd = self._files.get(place)
        if fd is None:
            path = self.folder / f"said-{place.topic}-{place.partition}"
            fd = self._files[place] = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        return fd

    def said(self, place: Place, offsets: NDArray[np.int64]) -> NDArray[np.void]:
        """What the records at these offsets said; nothing where they are gone."""
        found = np.zeros(len(offsets), SAID)
        fd = self._file(place)
        begin = self.cut[place][0] if place in self.cut else 0
        low, high = int(offsets.min()), int(offsets.max())
        if high - low < 64 * len(offsets) + 4096:  # near each other, as they mostly are: read once
            data = os.pread(fd, (high - max(low, begin) + 1) * SAID.itemsize, max(0, low - begin) * SAID.itemsize)
            span = np.frombuffer(data[: len(data) // SAID.itemsize * SAID.itemsize], SAID)
            places = offsets - max(low, begin)
            there = (places >= 0) & (places < len(span))
            found[there] = span[places[there]]
            return found
        for i, offset in enumerate(offsets.tolist()):
            data = os.pread(fd, SAID.itemsize, max(0, offset - begin) * SAID.itemsize) if offset >= begin else b""
            if len(data) == SAID.itemsize:
                found[i] = np.frombuffer(data, SAID)[0]
        return found


@contextlib.contextmanager
def working_place(out: Path | None, what: str) -> Iterator[Work]:
    """A working place: beside the file that is written, and kept if something goes wrong, or a temporary one."""
    folder = out.with_name(out.name + ".export") if out else Path(tempfile.mkdtemp(prefix="allocator-export-"))
    work = Work(folder, what)
    done = False
    try:
        yield work
        done = True
    finally:
        work.close()
        if done or out is None:
            shutil.rmtree(folder, ignore_errors=True)
