"""What the auditor reads and what it says: records of topics, violations.

A record is named ``topic-partition-offset`` everywhere, so that whoever reads a violation can fetch the
bytes it speaks of. The partition of a pool is Kafka's default, murmur2 of the key's bytes; it is computed
here again, from its definition (Appleby's MurmurHash2, seed 0x9747b28c), because an auditor trusts nobody's
copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

PROMISES = {
    0: "the log is whole",
    1: "counted and live work never pass the need",
    2: "no annotator judges a task twice",
    3: "live work never passes the capacity",
    4: "every offer meets all hard requirements",
    5: "every offer ends once, every judgment settles once",
    6: "what a round's offers are worth is within its bound",
}


class Record(NamedTuple):
    """One record of one topic, as a reader of committed data sees it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()

    @property
    def name(self) -> str:
        """Where it is: ``topic-partition-offset``."""
        return f"{self.topic}-{self.partition}-{self.offset}"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise and the records that show it."""

    promise: int
    what: str
    records: tuple[str, ...]

    def __str__(self) -> str:
        return f"promise {self.promise} ({PROMISES[self.promise]}): {self.what} [{', '.join(self.records)}]"


@lru_cache(maxsize=100_000)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner gives a key.

    >>> partition_of(b"support", 1)
    0
    """
    word, mask = 0x5BD1E995, 0xFFFFFFFF
    length = len(key)
    h = (0x9747B28C ^ length) & mask
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(key[i : i + 4], "little") * word & mask
        k ^= k >> 24
        h = (h * word & mask) ^ (k * word & mask)
    if whole < length:
        h = (h ^ int.from_bytes(key[whole:], "little")) * word & mask
    h ^= h >> 13
    h = h * word & mask
    h ^= h >> 15
    return (h & 0x7FFFFFFF) % partitions
