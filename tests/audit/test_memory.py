"""The auditor's memory follows what is open, not how long the log is."""

from typing import Any

import msgspec

from stream import topics
from stream.audit import Audit, Record
from stream.core.batch import Range
from stream.core.shard import Shard
from stream.settings import Market
from tests.core.histories import PARTITION, PARTITIONS, POOLS
from tests.core.histories import Record as Sent
from tests.core.test_oracle import offered

MARKET = Market(settled_retention_s=60.0, accept_s=20.0)
POOL = POOLS[0]
STEP_S = 20.0
ROUNDS = 120


class Log:
    """A market that goes on for ever: each round a task comes, is offered, judged, and settles."""

    def __init__(self) -> None:
        self.shard = Shard(PARTITION, MARKET, PARTITIONS)
        self.shard.restored()
        self.audit = Audit(PARTITION, PARTITIONS)
        self.now = 1_000_000.0
        self.ends = dict.fromkeys((*topics.OUTPUTS, *map(topics.dead_letters, topics.INPUTS)), 0)
        self.offers: list[tuple[str, str, str]] = []
        for topic in self.ends:
            self.audit.ended(topic)  # whatever a round publishes is fed before it is checked

    def round(self, number: int) -> None:
        self.now += STEP_S
        base: dict[str, Any] = {"pool": POOL, "at": self.now}
        events: list[dict[str, Any]] = [
            {"type": "annotator_online", "annotator": f"a{i}", "capacity": 2, "ttl_s": 1e6} for i in range(3)
        ]
        events += [{"type": "annotator_set", "annotator": f"a{i}", "skills": ["*"]} for i in range(3)]
        events.append({"type": "task_created", "task": f"t{number}", "project": "j", "skill": "s", "classes": 2,
                       "overlap": 2, "deadline": self.now + 1e6})  # fmt: skip
        events.append({"type": "judgment_submitted", "annotator": "a0", "task": f"nobody-made-{number}", "label": 0})
        events += [
            {"type": "judgment_submitted", "annotator": who, "task": task, "label": 0} for _, task, who in self.offers
        ]
        start = self.shard.position[topics.TASKS]
        records = [Sent(start + i, POOL.encode(), msgspec.json.encode(base | event)) for i, event in enumerate(events)]
        given = Range(start, start + len(records), records)
        self.audit.feed(Record(topics.TASKS, PARTITION, *record) for record in records)
        result = self.shard.round(given, None, self.now, self.now, True)
        self.offers = offered(result)
        for topic, pairs in result.outputs.items():
            for key, value in pairs:
                self.audit.feed([Record(topic, PARTITION, self.next(topic), key, value)])
        for letter in result.dead_letters:
            place = self.next(letter.topic)
            self.audit.feed([Record(letter.topic, PARTITION, place, letter.key, letter.value, letter.headers)])
        for topic, (_, end) in result.completed.offsets.items():
            self.audit.reached(topic, end)
        assert self.audit.check() == []

    def next(self, topic: str) -> int:
        self.ends[topic] += 1
        return self.ends[topic] - 1


def test_memory_is_constant_in_the_length_of_the_log() -> None:
    log = Log()

    def peak(first: int, last: int) -> int:
        """The books are swept from time to time, so it is the most that counts."""
        most = 0
        for number in range(first, last):
            log.round(number)
            if number % 5 == 0:
                most = max(most, size(log.audit))
        return most

    books = peak(0, ROUNDS)
    assert peak(ROUNDS, 4 * ROUNDS) <= 1.5 * books, "a log four times as long, and nothing more is kept"
    assert log.audit.rounds == 4 * ROUNDS


def size(root: object) -> int:
    """How many objects hang on the auditor: entries of its books, queues and due times."""
    seen: set[int] = set()
    left = [root]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, (str, bytes, int, float, type(None), type)) or callable(one):
            continue
        seen.add(id(one))
        if isinstance(one, dict):
            left += [*one.keys(), *one.values()]
        elif hasattr(one, "__dict__"):
            left += vars(one).values()
        elif hasattr(one, "__slots__"):
            left += [getattr(one, name) for name in one.__slots__ if hasattr(one, name)]
        elif hasattr(one, "__iter__"):
            left += list(one)
    return len(seen)
