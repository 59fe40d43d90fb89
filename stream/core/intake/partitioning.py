"""Which partition a key belongs to: Kafka's default partitioner for keyed records.

    partition = (murmur2(key) & 0x7fffffff) mod N

The hash is aiokafka's algorithm written down once more because the core knows no Kafka client; a test holds both
against each other.
"""


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash with Kafka's seed, as an unsigned integer."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    length = len(data)
    h = (0x9747B28C ^ length) & mask
    for i in range(0, length - length % 4, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & mask
        k = (k ^ (k >> 24)) * m & mask
        h = (h * m & mask) ^ k
    rest = data[length - length % 4 :]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ (h >> 13)) * m & mask
    return h ^ (h >> 15)


def partition_of(key: bytes, partitions: int) -> int:
    """Partition of a record with this key among ``partitions``."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
