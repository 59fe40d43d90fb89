"""A snapshot: the rows of one partition in a local file, and up to where they stand for the changelogs.

    magic │ size, checksum, HEADER (JSON) │ (size, checksum, block)* │ an empty block: the end

    block = number of rows │ length of each key │ length of each value │ keys │ values

A file appears under its name only when it is complete and on disk: it is written beside it, synced and renamed. The
changelogs remain the truth; a snapshot only saves reading them from the beginning. So whatever is wrong with one, it
is left alone (`Unusable` says why), and no error in writing one matters to anybody else.

When may the rows of a file stand for the log before its offsets? When the file is whole (checksums), of this
deployment (cluster id, and the topics' own ids: names outlive their topics), and not older than tombstones are kept:
afterwards the log may have forgotten that a row was removed, and the row would come back to life. The age is taken from
clocks, hence `CLOCK_MARGIN_S`; and the log must still reach back to the offsets.
"""

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, pairwise
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
import numpy as np

from stream.core.saved.rows import VERSION, Row
from stream.settings import Settings

MAGIC = b"allocator snapshot\n"
FORMAT = 1
FRAME = struct.Struct("<QI")
_NUMBERS = count()
#: by how much the clocks of the writer and the reader may differ from the broker's, together
CLOCK_MARGIN_S = 7200.0


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Which topics a snapshot belongs to."""

    cluster: str
    topics: dict[str, str]  # table -> id of its changelog


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What must be known of a snapshot before its rows are used."""

    format: int
    rows: int  # newest version of a row in it
    identity: Identity
    partition: int
    begun: float  # Unix seconds; the rows are not older
    offsets: dict[str, int]  # table -> offset in its changelog: rows before it are in the file
    software: str


Flaw = Literal["damaged", "newer", "foreign", "too_old"]


class Unusable(Exception):
    """A snapshot must not be used; ``reason`` is one word for the metric, the message says what was found."""

    def __init__(self, reason: Flaw, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def folder_of(settings: Settings) -> Path:
    """Where the snapshots of a worker lie."""
    return Path(settings.state_dir or Path(settings.data_dir) / "state")


def path_of(settings: Settings, partition: int) -> Path:
    """Where the snapshot of a partition lies."""
    return folder_of(settings) / f"{settings.app_id}-{partition}.snapshot"


class Writer:
    """Writes one snapshot; nothing is visible under ``path`` before `finish`.

    Raises
    ------
    OSError
        The disk is full, or the folder can't be written; call `abandon`.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self._beside = path.with_name(f"{path.name}.{os.getpid()}-{next(_NUMBERS)}.tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO = self._beside.open("wb")
        self.rows = 0
        self._file.write(MAGIC)
        self._frame(msgspec.json.encode(header))

    def write(self, rows: Iterable[Row]) -> None:
        """Append rows; tombstones don't belong into a snapshot and are left out."""
        kept = [(key, value) for key, value in rows if value is not None]
        if not kept:
            return
        keys, values = [key for key, _ in kept], [value for _, value in kept]
        lengths = np.fromiter(map(len, [*keys, *values]), "<u4", 2 * len(kept))
        self._frame(b"".join([struct.pack("<I", len(kept)), lengths.tobytes(), *keys, *values]))
        self.rows += len(kept)

    def _frame(self, data: bytes) -> None:
        self._file.write(FRAME.pack(len(data), zlib.crc32(data)))
        self._file.write(data)

    def finish(self) -> int:
        """Make the snapshot durable and visible; return its size in bytes."""
        self._frame(b"")
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        self._beside.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return size

    def abandon(self) -> None:
        """Remove what was written."""
        try:
            self._file.close()
        except OSError:  # what was buffered doesn't fit either
            pass
        finally:
            self._beside.unlink(missing_ok=True)


def read(path: Path) -> tuple[Header, dict[bytes, bytes]]:
    """Read a snapshot and check that it is whole.

    Raises
    ------
    FileNotFoundError
        There is none.
    Unusable
        It is damaged, or written by a newer version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise Unusable("damaged", f"it can't be read: {error.strerror}") from error
    if not data.startswith(MAGIC):
        raise Unusable("damaged", "it doesn't begin as a snapshot does")
    blocks = _frames(data)
    try:
        header = msgspec.json.decode(data[slice(*next(blocks, (0, 0)))], type=Header)
    except msgspec.MsgspecError as error:
        raise Unusable("newer", f"its header can't be read: {error}") from error
    if header.format > FORMAT or header.rows > VERSION:
        raise Unusable(
            "newer",
            f"format {header.format} with rows of version {header.rows}, written by version {header.software} of the "
            f"software; this one reads up to format {FORMAT} and version {VERSION}",
        )
    rows: dict[bytes, bytes] = {}
    for start, end in blocks:
        rows.update(_rows(data, start, end))
    return header, rows


def _frames(data: bytes) -> Iterator[tuple[int, int]]:
    at = len(MAGIC)
    while at + FRAME.size <= len(data):
        size, checksum = FRAME.unpack_from(data, at)
        start, at = at + FRAME.size, at + FRAME.size + size
        if at > len(data) or zlib.crc32(memoryview(data)[start:at]) != checksum:
            raise Unusable("damaged", f"the block at byte {start} is not what was written")
        if not size:
            return
        yield start, at
    raise Unusable("damaged", f"it ends at byte {len(data)} without an end")


def _rows(data: bytes, start: int, end: int) -> Iterable[tuple[bytes, bytes]]:
    (n,) = struct.unpack_from("<I", data, start)
    lengths = np.frombuffer(data, "<u4", 2 * n, start + 4).astype(np.int64)
    places = (start + 4 + 8 * n + np.concatenate([[0], np.cumsum(lengths)])).tolist()
    if places[-1] != end:
        raise Unusable("damaged", f"the rows of the block at byte {start} don't fill it")
    parts = [data[a:b] for a, b in pairwise(places)]
    return zip(parts[:n], parts[n:], strict=True)


def check(
    header: Header,
    partition: int,
    identity: Identity,
    tombstones_s: float,
    now: float,
    ranges: Mapping[str, tuple[int, int]],
) -> None:
    """Raise `Unusable` unless the snapshot may stand for the beginning of the changelogs.

    Parameters
    ----------
    header : Header
    partition : int
    identity : Identity
        Of the topics as they are now.
    tombstones_s : float
        How long the changelogs keep tombstones, in seconds: the least of them.
    now : float
        Unix seconds.
    ranges : mapping
        Table to first and end offset of its changelog.
    """
    if header.identity != identity or header.partition != partition:
        raise Unusable("foreign", "it belongs to other topics: the cluster or a changelog has been created anew since")
    age_s = now - header.begun
    limit_s = tombstones_s - min(CLOCK_MARGIN_S, tombstones_s / 2)
    if not -CLOCK_MARGIN_S <= age_s <= limit_s:
        raise Unusable(
            "too_old", f"it is {age_s:.0f} s old; the changelogs surely hold removals for {limit_s:.0f} s only"
        )
    for table, (begin, end) in ranges.items():
        offset = header.offsets.get(table, -1)
        if offset < begin:
            raise Unusable("too_old", f"changelog of {table}: it ends at offset {offset}, the log begins at {begin}")
        if offset > end:
            raise Unusable("foreign", f"changelog of {table}: it ends at offset {offset}, the log at {end} already")
