"""Which projects there are and how their classes are called, from the changelog: only the rows of projects are kept."""

from collections.abc import Collection

import msgspec

from stream.settings import Settings
from stream.shell.commands.failures import PersonNeeded
from stream.shell.commands.topic_reader import TopicReader
from stream.topics import changelog

Project = tuple[str, str]

CHECK_BYTES = 4


class Names(msgspec.Struct):
    """What the JSON at the end of a project's row says of its classes; see `stream.core.saved.rows`."""

    labels: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(Names).decode


def names_of(value: bytes) -> tuple[str, ...] | None:
    """Names of the classes in a project's row, None where there is no such text.

    The row is a record of fixed size, JSON and a checksum. To know the size would take the kernels, which need a second
    to load: the JSON is the first brace from which all of the rest is one document.
    """
    text = value[:-CHECK_BYTES]
    start = text.find(b"{")
    while start >= 0:
        try:
            return _decode(text[start:]).labels
        except (msgspec.MsgspecError, UnicodeDecodeError):
            start = text.find(b"{", start + 1)
    return None


async def project_names(
    reader: TopicReader, partitions: Collection[int] | None = None
) -> dict[Project, tuple[str, ...]]:
    """Names of the classes of every project (of some partitions), by (pool, project); empty where they have none.

    Raises
    ------
    PersonNeeded
        A row can't be read.
    """
    spans = await reader.spans(reader.places([_table(reader.settings)], partitions))
    found: dict[Project, tuple[str, ...]] = {}
    async for _, records in reader.read(spans):
        for record in records:
            if not record.key.startswith(b"j") or record.value is None:
                continue
            names = names_of(record.value)
            if names is None:
                raise PersonNeeded(f"the row of project {record.key!r} can't be read: allocator doctor")
            pool, _, project = record.key[1:].decode().partition("\0")
            found[pool, project] = names
    return found


def _table(settings: Settings) -> str:
    return changelog(settings, "annotators")


def class_name(names: tuple[str, ...], label: int | None) -> str | None:
    """A class as people call it: by its name, or by its number where it has none."""
    if label is None or label < 0:
        return None
    return names[label] if label < len(names) else str(label)
