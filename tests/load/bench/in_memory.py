"""The real core as an allocator in memory: one shard, no Kafka, a clock that is computed."""

from collections.abc import Sequence
from typing import NamedTuple

from stream import topics
from stream.core.batch import Range
from stream.core.shard import DeadLetter, Shard
from stream.events import Event, Output, RoundCompleted, decode_result, encode
from stream.settings import Market


class Record(NamedTuple):
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()

class InMemory:
    """Calls `Shard.round` with what arrived, or when a deadline is due."""

    def __init__(self, market: Market) -> None:
        self.shard = Shard(0, market, 1)
        self.shard.restored()
        self.rounds: list[RoundCompleted] = []
        self.dead_letters: list[DeadLetter] = []

    def __call__(self, tasks: Sequence[Event], annotators: Sequence[Event], now: float) -> list[Output]:
        wakeup = self.shard.wakeup
        if not tasks and not annotators and (wakeup is None or wakeup > now):
            return []
        result = self.shard.round(
            self._range(topics.TASKS, tasks), self._range(topics.ANNOTATORS, annotators), now, now, True
        )
        self.rounds.append(result.completed)
        self.dead_letters += result.dead_letters
        said = (decode_result(value) for topic in topics.OUTPUTS for _, value in result.outputs.get(topic, ()))
        return [event for event in said if isinstance(event, Output)]

    def _range(self, topic: str, events: Sequence[Event]) -> Range:
        start = self.shard.position[topic]
        records = [Record(start + i, event.pool.encode(), encode(event)) for i, event in enumerate(events)]
        return Range(start, start + len(records), records)
