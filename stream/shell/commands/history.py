"""Reading the output topics of one partition for people's questions: find a round by its number.

Every output carries its round, and rounds grow with the offsets of a partition. So the first record of a
round is found by bisection over offsets: some twenty small reads, however long the topic.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition

from stream.events import Input, Result, decode, decode_result
from stream.settings import Settings
from stream.shell.kafka import clients

NEAR = 200  # below this many offsets, reading on is quicker than another guess


class History:
    """Committed outputs of one partition.

    Parameters
    ----------
    settings : Settings
    partition : int

    Raises
    ------
    BrokerUnreachable, AccessRefused
        See :func:`stream.shell.kafka.clients.knock`.
    """

    def __init__(self, settings: Settings, partition: int) -> None:
        self._partition = partition
        clients.knock_now(settings)
        self._consumer: Any = KafkaConsumer(**clients.history(settings))

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def since(self, topic: str, number: int, naming: str = "") -> Iterator[Result]:
        """Yield the outputs of `topic` from round `number` on, up to the present end.

        With `naming`, at least those in which this id stands, and hardly any others: it is much quicker.
        """
        tp = TopicPartition(topic, self._partition)
        self._consumer.assign([tp])
        begin = self._consumer.beginning_offsets([tp])[tp]
        end = self._consumer.end_offsets([tp])[tp]
        low, high = begin, end
        while high - low > NEAR:
            middle = (low + high) // 2
            first = next(self._read(tp, middle, end), None)
            if first is None or first[1].round >= number:
                high = middle
            else:
                low = first[0] + 1
        for _, output in self._read(tp, low, end, msgspec.json.encode(naming)[1:-1]):
            if output.round >= number:
                yield output

    def input(self, topic: str, offset: int) -> Input | None:
        """Return the input at an offset; None when it is no more, or unusable."""
        tp = TopicPartition(topic, self._partition)
        self._consumer.assign([tp])
        begin = self._consumer.beginning_offsets([tp])[tp]
        end = self._consumer.end_offsets([tp])[tp]
        if not begin <= offset < end:
            return None
        self._consumer.seek(tp, offset)
        while self._consumer.position(tp) <= offset:
            for record in self._consumer.poll(timeout_ms=200, max_records=1).get(tp, ()):
                if record.offset != offset:
                    return None
                try:
                    return decode(record.value or b"")
                except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                    return None
        return None

    def _read(self, tp: Any, offset: int, end: int, naming: bytes = b"") -> Iterator[tuple[int, Result]]:
        self._consumer.seek(tp, offset)
        while self._consumer.position(tp) < end:
            for record in self._consumer.poll(timeout_ms=200).get(tp, ()):
                if naming in record.value:
                    yield record.offset, decode_result(record.value)
