"""Isolation: a round without the records that make the core raise.

After an error of the program nobody knows how far the state was changed. Whoever runs the shard has rebuilt it from
committed rows; here the batch is tried one event at a time on state that is thrown away:

    keep the rows of every pool concerned ──► apply one event: handler, kernel, outputs, rows
         ▲                                      ├── raises: it is a culprit
         └──── put the kept rows back ◄─────────┘
    no further culprit ──► one round of all the others, as always; culprits are dead letters ``internal``

An error that shows only when events meet in one round parts them: the batch is halved, down to one record. What no
record brings about (the clock alone, a damaged row) is raised: the process ends.

A round covers less than the batch when there are many culprits or halves: its record says how far it got.
"""

from collections.abc import Callable
from typing import Any

from stream import topics
from stream.core.batch import Invalid, Place, Range
from stream.core.intake.intake import Intake
from stream.core.intake.turn import Dispatch, Turn
from stream.core.market.stalls import HalfSolved, described
from stream.core.outbox import Outbox
from stream.core.saved.rows import Row, dirty_rows
from stream.core.shard import RoundResult, Shard
from stream.core.state.waiting import IdRefused

#: a culprit costs putting the pools back: with so many of them a round ends and is committed
CULPRITS = 8


def isolate(
    shard: Shard,
    tasks: Range | None,
    annotators: Range | None,
    now: float,
    complete_until: float,
    caught_up: bool,
    check: Callable[[RoundResult], Any] = lambda result: None,
) -> RoundResult:
    """Run a round without the records that make the core raise.

    Parameters
    ----------
    shard : Shard
        As committed: freshly rebuilt, or after a round.
    tasks, annotators, now, complete_until, caught_up
        As for :meth:`Shard.round`.
    check : callable
        Raises on a result that can't be committed.

    Returns
    -------
    RoundResult
        Of these ranges or of a beginning of them; see its offsets.

    Raises
    ------
    Exception
        An error that no record of these ranges brings about.
    """
    batch = _Batch(shard, tasks, annotators)
    due = {name for at_of in (shard.wakeups, shard.returns) for name, at in at_of.items() if at <= now}
    kept = _Kept(shard, batch.pools | due)
    culprits: dict[Place, str] = {}
    while True:
        culprit = _first_culprit(shard, batch, now, culprits)
        kept.put_back()
        if culprit is None:
            break
        source, said = culprit
        culprits[source] = said
        if len(culprits) == CULPRITS:
            batch.end_behind(source)
            break
    while True:
        until = 0.0 if batch.is_cut else complete_until  # an answer may wait in what was cut off
        try:
            taken = batch.ranges()
            result = shard.round(taken[0], taken[1], now, until, caught_up and not batch.is_cut, culprits)
            check(result)
        except HalfSolved:
            kept.put_back()  # the pool is stalled now
        except Exception as error:
            kept.put_back()
            suspects = [source for source in batch.sources() if source not in culprits]
            if not suspects:
                raise
            if len(suspects) == 1:
                culprits[suspects[0]] = described(error)
            else:
                batch.end_behind(suspects[len(suspects) // 2 - 1])
        else:
            return result


class _Batch:
    """The records of a round in the order in which they take effect, and how many of them to take."""

    def __init__(self, shard: Shard, tasks: Range | None, annotators: Range | None) -> None:
        self.given: dict[Place, Any] = {}
        self._ends: dict[str, tuple[int, int]] = {}
        for topic, given in zip(topics.INPUTS, (tasks, annotators), strict=True):
            if given is not None:
                start = max(given.start, shard.position[topic])
                self._ends[topic] = start, max(start, given.end)
                self.given |= {(topic, record.offset): record for record in given.records if record.offset >= start}
        self._taken = len(self.given)
        self.pools = {_text(record.key) for record in self.given.values()}

    @property
    def is_cut(self) -> bool:
        return self._taken < len(self.given)

    def sources(self) -> list[Place]:
        """Where the taken records are."""
        return list(self.given)[: self._taken]

    def end_behind(self, source: Place) -> None:
        """Take nothing behind this record; a record that has waited lies in no batch."""
        if source in self.given:
            self._taken = list(self.given).index(source) + 1

    def ranges(self) -> list[Range | None]:
        """The taken records as the arguments of a round."""
        left = list(self.given)[self._taken :]
        ranges: list[Range | None] = []
        for topic in topics.INPUTS:
            if topic not in self._ends:
                ranges.append(None)
                continue
            start, end = self._ends[topic]
            end = min((offset for owner, offset in left if owner == topic), default=end)
            # nothing of the second topic before all of the first
            if topic == topics.INPUTS[1] and left and left[0][0] == topics.INPUTS[0]:
                end = start
            taken = [record for (owner, _), record in self.given.items() if owner == topic and record.offset < end]
            ranges.append(Range(start, end, taken))
        return ranges


def _text(key: bytes | None) -> str:
    return (key or b"").decode(errors="replace")


class _Kept:
    """The rows of some pools of a shard, and where it stood."""

    def __init__(self, shard: Shard, names: set[str]) -> None:
        self._shard = shard
        self._names = names
        self._rows: list[tuple[str, Row]] = []
        pools, shard.pools = shard.pools, {name: pool for name, pool in shard.pools.items() if name in names}
        for table in topics.TABLES:
            self._rows += [(table, row) for row in shard.rows(table)]
        shard.pools = pools
        self._stood = dict(shard.position), shard.round_number, shard.epoch, shard.now, dict(shard.wakeups)
        self._lost, self._returns = dict(shard.lost), dict(shard.returns)

    def put_back(self) -> None:
        """Let the shard be as it was."""
        shard = self._shard
        built = Shard(shard.partition, shard.market, shard.partitions)
        for table, (key, value) in self._rows:
            built.restore(table, key, value)
        built.restored()
        for name in self._names:
            shard.pools.pop(name, None)
        shard.pools |= built.pools
        position, shard.round_number, shard.epoch, shard.now, wakeups = self._stood
        shard.position, shard.wakeups, shard.lost = dict(position), dict(wakeups), dict(self._lost)
        shard.returns = dict(self._returns)


class _Careful:
    """Takes each event all the way to outputs and rows before it looks at the next."""

    def __init__(self, dispatch: Dispatch, partition: int) -> None:
        self._dispatch = dispatch
        self._partition = partition
        self.place: Place = ("", -1)  # of the record at hand

    def __call__(self, turn: Turn, event: Any) -> None:
        """Apply one event; after an error, `place` is that of the record that it belongs to."""
        self._complete(turn)  # of a task whose events have waited: the task itself
        outer, self.place = self.place, (turn.source.topic, turn.source.offset)
        try:
            self._dispatch(turn, event)
        except (IdRefused, Invalid):  # no errors of the program
            self.place = outer
            raise
        self._complete(turn)
        self.place = outer

    def _complete(self, turn: Turn) -> None:
        turn.flush()
        emissions = turn.emitted()
        if emissions is not None:
            Outbox(self._partition, 0, turn.now).lifecycle(turn, emissions)
        dirty_rows(turn.pool)
        turn.applied.clear()  # as if the event had a round of its own


def _first_culprit(shard: Shard, batch: _Batch, now: float, known: dict[Place, str]) -> tuple[Place, str] | None:
    """Apply the batch one event at a time, without the known culprits; the shard's state is used up."""
    careful = _Careful(shard.dispatch, shard.partition)
    now = max(now, shard.now)
    intake = Intake(shard.pools, shard.market, shard.partition, shard.partitions, now, careful, known)
    try:
        for topic, offset in batch.sources():
            careful.place = topic, offset
            intake.take(topic, [batch.given[topic, offset]])
    except Exception as error:  # the purpose of the trial
        return careful.place, described(error)
    return None
