"""What a record of a dead-letter topic says.

A dead-letter topic holds two kinds of record:

    letter   the original record; behind its own headers those that say what was wrong and where it came from
    mark     no value; one header with the offset of an earlier letter of this partition that has been replayed

A mark lies behind its letter in the same partition, so whatever retention removes, a letter goes before its mark.
"""

from typing import Any

import msgspec

FIRST_ERROR_HEADER = "__streams.errors.exception"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One unusable record: where it lies, what was wrong, and the record as it came."""

    topic: str
    partition: int
    offset: int
    at: float
    reason: str
    message: str
    source_topic: str
    source_partition: int
    source_offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]

    @property
    def name(self) -> str:
        """Where the letter is: ``topic-partition-offset``."""
        return f"{self.topic}-{self.partition}-{self.offset}"

    @property
    def pool(self) -> str:
        """The record's key as text; the pool, unless that is what was wrong."""
        return "" if self.key is None else self.key.decode(errors="backslashreplace")


def letter_of(record: Any) -> Letter:
    """Take a record of a dead-letter topic apart; headers that are missing leave empty fields.

    Parameters
    ----------
    record : a consumer's record
    """
    headers = [(name, value or b"") for name, value in record.headers]
    # the worker adds its headers behind those of the record, which may be a letter's of another system
    first = max((i for i, (name, _) in enumerate(headers) if name == FIRST_ERROR_HEADER), default=len(headers))
    said = {name: value.decode(errors="backslashreplace") for name, value in headers[first:]}

    def number(name: str) -> int:
        text = said.get(f"__streams.errors.{name}", "")
        return int(text) if len(text) < 20 and text.isascii() and text.isdecimal() else -1

    return Letter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at=record.timestamp / 1000,
        reason=said.get("reason", "unknown"),
        message=said.get("__streams.errors.message", ""),
        source_topic=said.get("__streams.errors.topic", ""),
        source_partition=number("partition"),
        source_offset=number("offset"),
        key=record.key,
        value=record.value,
        headers=headers[:first],
    )
