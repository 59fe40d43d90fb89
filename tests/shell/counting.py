"""A shard that counts: the smallest thing that can stand behind the shell, and an oracle for it.

Per key it counts records. Every record gives one output that names the record and the count *after* it, so a
reader can prove from outside that each input was applied exactly once, in order, on the right state.
A value ``wake:0.5`` asks for a round half a second later, ``bad`` is a dead letter. The variable ``COUNTING_RESTORE_S``
makes a takeover last that long.
``newer`` writes a row of a version that isn't known yet.

    python -m tests.shell.counting        a worker with this shard, settings and planted faults from the environment
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from stream.core.batch import Range
from stream.core.saved.formats import current
from stream.core.saved.rows import VERSION
from stream.core.shard import DeadLetter, RoundResult
from stream.events import RoundCompleted, encode
from stream.settings import Settings, load
from stream.topics import ANNOTATORS, INPUTS, JUDGMENTS, ROUNDS, TASKS, dead_letters

POSITION = b"\0position"
NEWER = b"\0newer"


class CountingShard:
    """The shell's side of the shard protocol over a dict of counts."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.position: dict[str, int] = {}
        self.round_number = self.epoch = 0
        self.now = 0.0
        self.wakeup: float | None = None
        self.counts: dict[bytes, int] = {}

    def restore(self, table: str, key: bytes, value: bytes | None) -> None:
        if key == NEWER:
            current("t", [bytes([VERSION + 1])])
        state = json.loads(value or b"null")
        if key == POSITION:
            self.position, self.round_number = state["position"], state["round"]
            self.epoch, self.now, self.wakeup = state["epoch"], state["now"], state["wakeup"]
        else:
            self.counts[key] = state

    def restore_many(self, table: str, rows: Any) -> None:
        for row in rows.items() if isinstance(rows, dict) else rows:
            self.restore(table, *row)

    def restored(self) -> None:
        time.sleep(float(os.environ.get("COUNTING_RESTORE_S", "0")))
        self.epoch += 1

    def round(
        self,
        tasks: Range | None,
        annotators: Range | None,
        now: float,
        complete_until: float,
        caught_up: bool,
    ) -> RoundResult:
        self.round_number += 1
        self.now = now
        outputs: list[tuple[bytes, bytes]] = []
        letters: list[DeadLetter] = []
        dirty: set[bytes] = set()
        events = 0
        ranges: dict[str, tuple[int, int]] = {}
        for topic, taken in ((TASKS, tasks), (ANNOTATORS, annotators)):
            start = self.position.get(topic, 0)
            if taken is None:
                ranges[topic] = (start, start)
                continue
            assert taken.start <= start, f"hole in {topic}: {start} to {taken.start}"
            events += len(taken.records)
            self._apply(topic, [r for r in taken.records if r.offset >= start], outputs, letters, dirty)
            self.position[topic] = taken.end
            ranges[topic] = (start, taken.end)
        if self.wakeup is not None and self.wakeup <= min(now, complete_until):
            outputs.append((b"woken", json.dumps({"woken": self.wakeup, "now": now}).encode()))
            self.wakeup = None
        completed = RoundCompleted(
            partition=self.partition, round=self.round_number, epoch=self.epoch, at=now, seed=0,
            offsets=ranges, caught_up=caught_up, complete_until=complete_until, events=events,
            dead_letters=len(letters), pools=[], durations_ms={}, software="counting",
        )  # fmt: skip
        rows: list[tuple[bytes, bytes | None]] = [(key, str(self.counts[key]).encode()) for key in sorted(dirty)]
        return RoundResult(
            rows={"tasks": rows, "annotators": [self._position_row()], "skills": []},
            outputs={JUDGMENTS: outputs, ROUNDS: [(b"round", encode(completed))]},
            dead_letters=letters,
            wakeup=self.wakeup,
            completed=completed,
        )

    def _position_row(self) -> tuple[bytes, bytes]:
        state = {
            "position": self.position, "round": self.round_number, "epoch": self.epoch, "now": self.now,
            "wakeup": self.wakeup,
        }  # fmt: skip
        return POSITION, json.dumps(state).encode()

    def portions(self, size: int) -> Iterator[list[tuple[bytes, bytes]]]:
        yield [self._position_row()]
        for names in (list(self.counts)[at : at + size] for at in range(0, len(self.counts), size)):
            yield [(name, str(self.counts[name]).encode()) for name in names]

    def _apply(
        self,
        topic: str,
        records: Sequence[Any],
        outputs: list[tuple[bytes, bytes]],
        letters: list[DeadLetter],
        dirty: set[bytes],
    ) -> None:
        for record in records:
            if record.value == b"bad":
                headers = [("reason", b"malformed"), ("__streams.errors.offset", str(record.offset).encode())]
                letters.append(DeadLetter(dead_letters(topic), record.key, record.value, headers))
                continue
            if record.value == b"newer":
                self.counts[NEWER] = 0
                dirty.add(NEWER)
            if record.value.startswith(b"wake:"):
                self.wakeup = self.now + float(record.value[5:])
            count = self.counts[record.key] = self.counts.get(record.key, 0) + 1
            dirty.add(record.key)
            outputs.append(
                (
                    record.key,
                    b'{"topic":"%b","offset":%d,"count":%d}' % (topic.encode(), record.offset, count),
                )
            )

    def rows(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        if table == "tasks":
            yield from ((key, str(count).encode()) for key, count in self.counts.items())


def make_shard(partition: int, settings: Settings) -> Any:
    """An empty counting shard."""
    return CountingShard(partition)


def main() -> None:
    """Run a worker with counting shards."""
    # only the process needs faust
    from load.planted import faults, suffering  # noqa: PLC0415
    from stream.shell.worker import worker  # noqa: PLC0415

    suffers = faults.take()
    worker.run(load(), make_shard, prepare=suffering.then_plant(lambda settings: None, suffers))


if __name__ == "__main__":
    assert INPUTS == (TASKS, ANNOTATORS)
    main()
