"""What drives a shard, in the tree that is tried: histories come in, digests of all that is published go out.

    python driven.py      reads histories from standard input and answers on standard output, one MessagePack each

A tree that has this file is driven by its own, so what it says of itself must stay the same: `Play` in, digests out.
"""

import hashlib
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec

from stream.core.batch import Range
from stream.core.shard import Shard
from stream.settings import Market


class Given(NamedTuple):
    """A record."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Play(NamedTuple):
    """A history: a turn is what each input topic brings (start, end, records) or None, now, complete_until, caught_up.

    ``detail`` is the round whose parts are wanted as they are.
    """

    market: dict[str, Any]
    partition: int
    partitions: int
    start: dict[str, int]
    takeover: int
    turns: list[tuple[Any, Any, float, float, bool]]
    detail: int = -1


#: of each round: the digest of every part of what it published
Digests = list[dict[str, str]]


class Driven:
    """A shard that is told turns; before one of them a successor takes over."""

    def __init__(self, play: Play) -> None:
        known = {name: value for name, value in play.market.items() if name in Market.__struct_fields__}
        self._fresh = partial(Shard, play.partition, Market(**known), play.partitions)
        self.takeover, self.rounds = play.takeover, 0
        self.rows: dict[tuple[str, bytes], bytes] = {}
        self.parts: dict[str, list[Any]] = {}
        self.shard = self._fresh()
        self.shard.position = dict(play.start)
        self.shard.restored()

    def round(self, turn: Any) -> dict[str, str]:
        """The digests of all that one turn published; its parts stay in ``parts``."""
        if self.rounds == self.takeover:
            self.shard = self._fresh()
            for (table, key), value in self.rows.items():
                self.shard.restore(table, key, value)
            self.shard.restored()
        self.rounds += 1
        tasks, annotators = (
            None if given is None else Range(given[0], given[1], [Given(*record) for record in given[2]])
            for given in turn[:2]
        )
        result = self.shard.round(tasks, annotators, *turn[2:])
        for table, changed in result.rows.items():
            for key, row in changed:
                if row is None:
                    self.rows.pop((table, key), None)
                else:
                    self.rows[table, key] = row
        self.parts = {
            **{f"output {topic}": found for topic, found in result.outputs.items()},
            **{f"rows {table}": found for table, found in result.rows.items()},
            "dead letters": result.dead_letters,
            "wakeup": [result.wakeup],
        }
        return {name: hashlib.sha256(repr(part).encode()).hexdigest() for name, part in self.parts.items()}

    @property
    def offers(self) -> list[tuple[str, str, str]]:
        """What the last round offered: pool, task, annotator."""
        said = (msgspec.json.decode(value) for _, value in self.parts["output labeling.assignments.v1"])
        return [(e["pool"], e["task"], e["annotator"]) for e in said if e["type"] == "assignment_offered"]


def played(play: Play) -> tuple[Digests, dict[str, list[str]]]:
    """The digests of every round, and the parts of the one that is asked for."""
    driven, digests = Driven(play), Digests()
    for number, turn in enumerate(play.turns):
        digests.append(driven.round(turn))
        if number == play.detail:
            return digests, {name: [repr(item) for item in part] for name, part in driven.parts.items()}
    return digests, {}


def _plays() -> Iterator[Play]:
    while head := sys.stdin.buffer.read(8):
        yield msgspec.msgpack.decode(sys.stdin.buffer.read(int.from_bytes(head)), type=Play)


if __name__ == "__main__":
    for given_play in _plays():
        answer = msgspec.msgpack.encode(played(given_play))
        sys.stdout.buffer.write(len(answer).to_bytes(8) + answer)
        sys.stdout.buffer.flush()
