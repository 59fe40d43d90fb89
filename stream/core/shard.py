"""A shard: everything one partition knows, changed round by round by a single writer.

A round is a pure function of the state and its arguments: input ranges in; rows, outputs and dead letters out. The
columns change in place while it is computed. Whoever calls it publishes nothing before the results are committed,
and throws the shard away when they can't be: a successor restores the committed rows.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import stream
from kernels.hashing import mix
from kernels.lifecycle.pool_columns import NOW, PAIRS_USED
from stream import events as wire
from stream import topics
from stream.core.batch import Place, Range, Rejected
from stream.core.forgetting import drop_task, tidy, tombstones
from stream.core.intake.handlers import dispatch
from stream.core.intake.intake import Intake
from stream.core.intake.turn import NOTHING, Dispatch, Rejections, Turn
from stream.core.market.matching import Matched, Scratch, match
from stream.core.market.stalls import ATTEMPTS, HalfSolved, Stalls
from stream.core.outbox import Outbox
from stream.core.saved.portions import portions
from stream.core.saved.restore import Restorer
from stream.core.saved.rows import Position, Row, all_rows, dirty_rows, position_row
from stream.core.state.pools import PoolState
from stream.settings import Market

#: characters of a dead letter's message
MESSAGE = 2000

__all__ = ["DeadLetter", "InputHole", "Range", "RoundResult", "Shard"]


class DeadLetter(NamedTuple):
    """An unusable input record on its way to the dead-letter topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class RoundResult(NamedTuple):
    """What a round wants committed."""

    rows: dict[str, list[Row]]
    outputs: dict[str, list[tuple[bytes, bytes]]]
    dead_letters: list[DeadLetter]
    wakeup: float | None
    completed: wire.RoundCompleted
    drifts: int = 0
    erased: int = 0  # persons: copies of rows from before this round should go
    open_tasks: int = 0  # of all pools of the partition, those that this round didn't concern included
    free_annotators: int = 0
    at_risk: int = 0  # leases of people of whom no heartbeat comes any more


def no_timer() -> float:
    """The timer of a shard whose durations nobody wants to know: every round takes no time."""
    return 0.0


class Openings:
    """What is open, free and at risk in a partition: sums over its pools that cost what a round has touched."""

    def __init__(self) -> None:
        self.tasks = 0
        self.annotators = 0
        self.at_risk = 0
        self._pools: dict[str, tuple[int, int, int]] = {}

    def put(self, pool: str, tasks: int, annotators: int, at_risk: int) -> None:
        """So many are there in a pool now."""
        before = self._pools.pop(pool, (0, 0, 0))
        if tasks or annotators or at_risk:
            self._pools[pool] = tasks, annotators, at_risk
        self.tasks += tasks - before[0]
        self.annotators += annotators - before[1]
        self.at_risk += at_risk - before[2]


class InputHole(Exception):
    """A range starts beyond the position: input was lost on the way; seek back to the position."""


def _shortened(message: str) -> str:
    """What a dead letter has room for: a decoder repeats the value it refuses, which may be as long as the record."""
    return message if len(message) <= MESSAGE else f"{message[: MESSAGE // 2]} … {message[-MESSAGE // 2 :]}"


class Shard:
    """The state of one partition.

    Parameters
    ----------
    partition, partitions : int
        Which one, of how many.
    market : Market
        Of the process: what pools are born with, and when an event is too early.
    timer : callable
        Seconds for the durations in the round's record; they are the only part of it that a replay won't repeat.
    dispatch : callable
        How events take effect; a proof puts something around it.
    """

    def __init__(
        self,
        partition: int,
        market: Market,
        partitions: int,
        timer: Callable[[], float] = no_timer,
        dispatch: Dispatch = dispatch,
    ) -> None:
        self.timer = timer
        self.dispatch = dispatch
        self.partition = partition
        self.partitions = partitions
        self.market = market
        self.pools: dict[str, PoolState] = {}
        self.wakeups: dict[str, float] = {}  # when the clock next concerns each pool
        self.returns: dict[str, float] = {}  # when in a pool the next bar of a pair ends, where there is one
        self.openings = Openings()
        self.position: dict[str, int] = dict.fromkeys(topics.INPUTS, 0)
        self.lost: dict[str, tuple[int, int]] = {}  # input given up since the last round
        self.round_number, self.epoch, self.now = 0, 0, 0.0
        self.scratch = Scratch()
        self.stalls = Stalls()
        self._restorer: Restorer | None = None

    # ------------------------------------------------------------------ recovery
    def restore(self, table: str, row_key: bytes, value: bytes | None) -> None:
        """Take one committed row of a table; rows of a key in the order of the log."""
        self.restore_many(table, ((row_key, value),))

    def restore_many(self, table: str, rows: Mapping[bytes, bytes | None] | Iterable[Row]) -> None:
        """Take many committed rows of a table at once; a dict is no longer the caller's."""
        if self._restorer is None:
            self._restorer = Restorer(self.market.policy())
        self._restorer.add(rows)

    def restored(self) -> None:
        """All rows are in: build the pools. A new owner is a new epoch.

        Raises
        ------
        NewerRow
            A newer version of this software wrote a row.
        RowError
            A row is damaged.
        """
        if self._restorer is not None:
            self.pools = self._restorer.pools()
            position = self._restorer.position
            if position is not None:
                self.position |= position.offsets
                self.lost = dict(position.lost)
                self.round_number, self.epoch, self.now = position.round, position.epoch, position.now
            self._restorer = None
            self.wakeups = {name: pool.earliest for name, pool in self.pools.items()}
            for pool in self.pools.values():
                pool.columns.clock[NOW] = self.now
                ends = pool.columns.pairs.records["barred_until"][: int(pool.columns.counters[PAIRS_USED])]
                pool.bars.begin(ends[ends > self.now])
                self._note(pool)
        self.epoch += 1

    def rows(self, table: str) -> Iterator[Row]:
        """Every row of a table as it would be written now."""
        if table == "annotators" and self.round_number:
            yield self._position_row()
        for pool in self.pools.values():
            yield from all_rows(pool, table)

    def portions(self, size: int) -> Iterator[list[Row]]:
        """Every row of every table, about ``size`` at a time; rounds may be computed between two portions.

        See `stream.core.saved.portions` for what such a copy is good for.
        """
        if self.round_number:
            yield [self._position_row()]
        yield from portions(self.pools, size)

    @property
    def wakeup(self) -> float | None:
        """When the clock next concerns this partition."""
        earliest = min((*self.wakeups.values(), *self.returns.values()), default=float("inf"))
        return None if earliest == float("inf") else earliest

    # ------------------------------------------------------------------ a round
    def round(
        self,
        tasks: Range | None,
        annotators: Range | None,
        now: float,
        complete_until: float,
        caught_up: bool,
        refused: Mapping[Place, str] = NOTHING,
    ) -> RoundResult:
        """Apply input, let the clock act, match, and say what must be committed.

        Parameters
        ----------
        tasks, annotators : Range or None
            What has arrived on the two input topics.
        now : float
            The clock, Unix seconds; the round's time is never before the previous round's.
        complete_until : float
            Until when the input is known to be complete: nothing expires later.
        caught_up : bool
            No input is waiting.
        refused : mapping of (topic, offset) to str
            Records that make the core raise and what it said: dead letters, not looked at.

        Raises
        ------
        InputHole
            A range starts beyond the position; nothing has changed.
        Exception
            An error of the program. The state is of no use any more: rebuild it from committed rows and go on
            with :func:`stream.core.isolation.isolate`.
        """
        started = self.timer()
        offsets = {topic: (at, at) for topic, at in self.position.items()}
        ranges = {topics.TASKS: tasks, topics.ANNOTATORS: annotators}
        for topic, given in ranges.items():
            if given is not None:
                at = self.position[topic]
                if given.start > at:
                    raise InputHole(f"{topic}-{self.partition}: input starts at {given.start}, position is {at}")
                offsets[topic] = (at, max(at, given.end))
        self.now = now = max(now, self.now)
        self.round_number += 1
        seed = int(mix(self.round_number, self.partition)) >> 1
        intake = Intake(self.pools, self.market, self.partition, self.partitions, now, self.dispatch, refused)
        for topic, given in ranges.items():
            if given is not None:
                records = given.records
                if given.start < self.position[topic]:
                    records = [record for record in records if record.offset >= self.position[topic]]
                intake.take(topic, records)
        turns = intake.finish(min(now, complete_until), self.wakeups, self.returns)
        applied = self.timer()
        outbox = Outbox(self.partition, self.round_number, now)
        rows: dict[str, list[Row]] = {table: [] for table in topics.TABLES}
        touched = self._market(turns, outbox, seed, rows)
        matched = self.timer()
        policies: list[wire.PoolPolicy] = []
        for turn in turns:
            pool = turn.pool
            tidy(pool)
            if pool.is_empty:
                self._forget(pool, rows)
                continue
            policies += turn.policies
            self.wakeups[pool.name] = self.stalls.earliest(pool.name, pool.earliest)
            self._note(pool)
            for table, changed in dirty_rows(pool).items():
                rows[table] += changed
        self.position = {topic: end for topic, (_, end) in offsets.items()}
        lost, self.lost = self.lost, {}
        rows["annotators"].append(self._position_row())
        ignored = sum((turn.ignored for turn in turns), Counter())
        finished = self.timer()
        completed = wire.RoundCompleted(
            partition=self.partition, round=self.round_number, epoch=self.epoch, at=now, seed=seed, offsets=offsets,
            caught_up=caught_up, complete_until=complete_until, events=intake.events,
            dead_letters=len(intake.rejections.rejected), pools=touched,
            durations_ms={
                "apply": (applied - started) * 1e3,
                "match": (matched - applied) * 1e3,
                "rows": (finished - matched) * 1e3,
            },
            software=stream.__version__, stalled=self.stalls.published(), lost=lost,
            ignored=dict(sorted(ignored.items())),
            policies=policies, clock_ahead_s=self.market.clock_ahead_s, odd=dict(sorted(intake.odd.items())),
        )  # fmt: skip
        outbox.topics[topics.ROUNDS].append((b"%d" % self.partition, wire.encode(completed)))
        return RoundResult(
            rows=rows,
            outputs=outbox.topics,
            dead_letters=self._dead_letters(intake.rejections, ranges),
            wakeup=self.wakeup,
            completed=completed,
            drifts=outbox.drifts,
            erased=sum(turn.erased for turn in turns),
            open_tasks=self.openings.tasks,
            free_annotators=self.openings.annotators,
            at_risk=self.openings.at_risk,
        )

    def _market(
        self, turns: list[Turn], outbox: Outbox, seed: int, rows: dict[str, list[Row]]
    ) -> list[wire.PoolRound]:
        touched: list[wire.PoolRound] = []
        for turn in turns:
            pool = turn.pool
            emissions = turn.emitted()
            if emissions is not None:
                for slot in outbox.lifecycle(turn, emissions):
                    until = self.now + pool.policy.settled_retention_s
                    rows["tasks"].append(drop_task(pool, slot, until))
            outbox.budgets(turn)
            pool.columns.clock[NOW] = self.now  # no kernel has told it if nothing of the run needed one
            is_changed = turn.has_input or emissions is not None
            matched = None
            if self.stalls.may_solve(pool.name, self.now, is_changed, turn.is_resumed):
                matched = self._match(pool, seed, outbox.offers)
            if matched is not None:
                outbox.offers_of(pool, matched)
                proof = matched.proof
                touched.append(
                    wire.PoolRound(
                        pool=pool.name, open_tasks=matched.open_tasks, free_annotators=matched.free_annotators,
                        offers=len(matched.tasks), value=proof.value, bound=proof.bound, gap=proof.gap,
                        covers=proof.covers, pairs=proof.pairs, unproven_value=proof.unproven_value,
                        taught_value=proof.taught_value, policy=pool.policy.version, required=proof.required,
                        required_bound=proof.required_bound, waits_for_ability=proof.waiting, at_risk=pool.at_risk,
                    )
                )  # fmt: skip
            outbox.unavailable(pool)
        return touched

    def _match(self, pool: PoolState, seed: int, first: int) -> Matched | None:
        """Solve one pool's market; a second failure on the same state stalls the pool."""
        live = pool.live
        for attempt in range(ATTEMPTS):
            try:
                other = seed if attempt == 0 else int(mix(seed, attempt)) >> 1
                matched = match(pool, other, self.round_number, first, self.scratch)
                if matched is not None:
                    matched.check_numbers()
            except Exception as error:  # whatever it is, other pools have nothing to do with it
                self.scratch = Scratch()
                failure = error
                if pool.live != live:
                    self.stalls.failed(pool.name, self.now, error)
                    raise HalfSolved(pool.name, error) from error
            else:
                self.stalls.solved(pool.name)
                return matched
        self.stalls.failed(pool.name, self.now, failure)
        return None

    def _note(self, pool: PoolState) -> None:
        """How a pool stands now, and when its next bar ends."""
        self.openings.put(pool.name, pool.open_tasks, pool.free_annotators, pool.at_risk)
        self.returns.pop(pool.name, None)
        if (at := pool.bars.earliest) < float("inf"):
            self.returns[pool.name] = at

    def _forget(self, pool: PoolState, rows: dict[str, list[Row]]) -> None:
        """A pool of which nothing is known is none: dead letters leave no pools behind."""
        del self.pools[pool.name]
        self.openings.put(pool.name, 0, 0, 0)
        self.wakeups.pop(pool.name, None)
        self.returns.pop(pool.name, None)
        self.stalls.solved(pool.name)
        if not pool.is_new:
            for table, gone in tombstones(pool).items():
                rows[table] += gone

    def _position_row(self) -> Row:
        return position_row(
            Position(
                offsets=self.position, round=self.round_number, epoch=self.epoch, now=self.now, lost=self.lost
            )
        )

    def _dead_letters(self, found: Rejections, ranges: dict[str, Range | None]) -> list[DeadLetter]:
        """Original key, value and headers, and what was wrong."""
        rejected = found.rejected
        wanted = {(letter.topic, letter.offset) for letter in rejected}
        original = found.waited | {
            (topic, record.offset): tuple(record.headers)
            for topic, given in ranges.items()
            if given is not None and wanted
            for record in given.records
            if (topic, record.offset) in wanted
        }
        return [
            DeadLetter(
                topics.dead_letters(letter.topic), letter.key, letter.value,
                [*original.get((letter.topic, letter.offset), ()), *self._errors(letter)],
            )
            for letter in rejected
        ]  # fmt: skip

    def _errors(self, letter: Rejected) -> list[tuple[str, bytes]]:
        return [
            ("__streams.errors.exception", letter.reason.encode()),
            ("__streams.errors.message", _shortened(letter.message).encode()),
            ("__streams.errors.topic", letter.topic.encode()),
            ("__streams.errors.partition", b"%d" % self.partition),
            ("__streams.errors.offset", b"%d" % letter.offset),
            ("reason", letter.reason.encode()),
            ("round", b"%d" % self.round_number),
        ]
