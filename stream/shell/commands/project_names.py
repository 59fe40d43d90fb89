"""Which projects there are and how their classes are called, from the changelog: only the rows of projects are kept."""

import struct

import msgspec

from stream.core.formats import current
from stream.core.rows import CHECK_BYTES, SLOT, ProjectNames, RowError
from stream.shell.commands.topic_reader import TopicReader
from stream.topics import changelog

Project = tuple[str, str]


async def project_names(reader: TopicReader) -> dict[Project, tuple[str, ...]]:
    """Names of the classes of every project, by (pool, project); empty where they have none.

    Raises
    ------
    RowError
        A row was written by another version, or is damaged.
    """
    from kernels.lifecycle import PROJECT  # noqa: PLC0415  numba is slow to import, and not all who ask need it

    places = reader.places([changelog(reader.settings, "annotators")])
    begins, ends = await reader.begins(places), await reader.ends(places)
    found: dict[Project, tuple[str, ...]] = {}
    async for _, records in reader.read({place: (begins[place], ends[place]) for place in places}):
        for record in records:
            if not record.key.startswith(b"j") or record.value is None:
                continue
            try:
                pool, _, project = record.key[1:].decode().partition("\0")
                row = current("j", [record.value])[0][SLOT.size + PROJECT.itemsize : -CHECK_BYTES]
                found[pool, project] = msgspec.json.decode(row, type=ProjectNames).labels
            except (msgspec.MsgspecError, UnicodeDecodeError, struct.error, LookupError) as error:
                raise RowError(f"the row of project {record.key!r} is damaged: {error}") from None
    return found


def class_name(names: tuple[str, ...], label: int | None) -> str | None:
    """A class as people call it: by its name, or by its number where it has none."""
    if label is None or label < 0:
        return None
    return names[label] if label < len(names) else str(label)
