"""From bytes to applied events: decode, check, hand each event to its pool's turn, let the clock act.

Frequent events become packed records that the kernel applies in the order of the log; rare ones (profiles,
projects, updates, pauses) need strings and sets, so they end the pool's run and are applied in Python
(``stream/core/intake/handlers.py``). Either way one event after another takes effect, exactly as in the log.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from kernels.lifecycle import advance, codes
from stream import events as wire
from stream.core.batch import Place, Reason, Record, Source
from stream.core.intake.budgets import look_at_budgets
from stream.core.intake.in_session import tell
from stream.core.intake.partitioning import partition_of
from stream.core.intake.task_handlers import awaited
from stream.core.intake.turn import NOTHING, Dispatch, Rejections, Turn
from stream.core.state.pools import PoolState
from stream.core.state.waiting import FOR_PERSON, IdRefused
from stream.settings import Market
from stream.wording import of_time

NOTHING_BARRED: Mapping[str, float] = {}


class Intake:
    """Applies the input of one round to the pools of one partition.

    Parameters
    ----------
    market : Market
        Of the process: what pools are born with, and when an event is too early.
    dispatch : callable
        ``dispatch(turn, event)`` lets an event take effect, see `stream.core.intake.handlers`.
    refused : mapping of (topic, offset) to str
        Records that are not looked at, and what is said of them.
    """

    def __init__(
        self,
        pools: dict[str, PoolState],
        market: Market,
        partition: int,
        partitions: int,
        now: float,
        dispatch: Dispatch,
        refused: Mapping[Place, str] = NOTHING,
    ) -> None:
        self.pools = pools
        self.partition = partition
        self.partitions = partitions
        self.now = now
        self.latest = now + market.clock_ahead_s
        self.policy = market.policy()
        self.dispatch = dispatch
        self.rejections = Rejections(refused)
        self.turns: dict[str, Turn] = {}
        self.keys: dict[bytes | None, str | None] = {}
        self.events = 0
        self.odd: Counter[str] = Counter()  # what events stated and was taken as left out, as `type.field`

    # ------------------------------------------------------------------ the input of a topic
    def take(self, topic: str, records: Sequence[Record]) -> None:
        """Apply the records of one topic in their order."""
        exact, keys, latest = wire.exact, self.keys, self.latest
        turns, reject, refused = self.turns, self.rejections.add, self.rejections.refused
        self.events += len(records)
        for record in records:
            offset, key, value = record.offset, record.key, record.value
            if refused and (topic, offset) in refused:
                reject(topic, offset, key, value, "internal", refused[topic, offset])
                continue
            pool_id = keys.get(key)
            if pool_id is None:
                problem = self._learn_key(key)
                if problem is not None:
                    reject(topic, offset, key, value, *problem)
                    continue
                pool_id = keys[key]
            odd: tuple[str, ...] = ()
            try:
                event = exact(value)  # type: ignore[arg-type]
            except (msgspec.MsgspecError, RecursionError, TypeError, ValueError, AttributeError):
                try:
                    event, odd = wire.reread(value)
                except msgspec.ValidationError as error:
                    reject(topic, offset, key, value, "malformed", str(error))
                    continue
            if event.pool != pool_id:
                message = f"the record's key is {pool_id!r}, the event's pool {event.pool!r}: use the pool as key"
                reject(topic, offset, key, value, "wrong_key", message)
                continue
            if event.at > latest:
                reject(topic, offset, key, value, "clock", self._too_early(event.at))
                continue
            turn = turns.get(pool_id)
            if turn is None:
                try:
                    turn = self._open(event)
                except IdRefused as error:
                    reject(topic, offset, key, value, "malformed", str(error))
                    continue
            if odd:
                self.odd.update(odd)
            turn.source = Source(topic, offset, value, record.headers)  # type: ignore[arg-type]
            turn.take(event)

    def _learn_key(self, key: bytes | None) -> tuple[Reason, str] | None:
        if key is None:
            return "wrong_key", "the record has no key: use the pool's id in UTF-8 as key"
        if len(key) > wire.ID_BYTES:  # no pool's: not worth hashing, which takes time by its length
            size = f"{len(key)} bytes, an id at most {wire.ID_BYTES}"
            return "wrong_key", f"the record's key has {size}: use the pool's id in UTF-8 as key"
        home = partition_of(key, self.partitions)
        if home != self.partition:
            return (
                "wrong_partition",
                f"key {key[:64]!r} belongs to partition {home}, the record is in {self.partition}: set the producer's "
                "partitioner to murmur2 (librdkafka: partitioner=murmur2_random)",
            )
        try:
            self.keys[key] = key.decode()
        except UnicodeDecodeError:
            return "wrong_key", "the record's key is not UTF-8: use the pool's id in UTF-8 as key"
        return None

    def _too_early(self, at: float) -> str:
        unit = of_time(at)
        if unit:
            return f"`at` is {at:.0f}: {unit}"
        return f"`at` is {at - self.now:.0f} s ahead of the worker's clock: check the producer's clock"

    def _open(self, event: wire.Event) -> Turn:
        """The turn of the event's pool, which it may be the first to name."""
        pool = self.pools.get(event.pool)
        if pool is None:
            pool = self.pools[event.pool] = PoolState(event.pool, self.policy)
        turn = self.turns[event.pool] = self._turn(pool, True)
        return turn

    def _turn(self, pool: PoolState, has_input: bool) -> Turn:
        return Turn(pool, self.now, self.dispatch, self.rejections, has_input)

    # ------------------------------------------------------------------ the clock
    def finish(
        self, horizon: float, wakeups: Mapping[str, float], returns: Mapping[str, float] = NOTHING_BARRED
    ) -> list[Turn]:
        """Apply what is pending, then let the clock act; returns the turns of this round, by the names of their pools.

        ``wakeups`` says when the clock next concerns each pool that has no input in this round; ``returns`` when in a
        pool the next bar of a pair ends, which needs no complete input.
        """
        turns = self.turns
        for turn in turns.values():
            turn.flush()
        for name, at in wakeups.items():
            if at <= horizon and name not in turns:
                turns[name] = self._turn(self.pools[name], False)
        for name, at in returns.items():
            if at <= self.now and name not in turns:
                turns[name] = self._turn(self.pools[name], False)
        ordered = [turns[name] for name in sorted(turns)]  # in an order that a successor has too
        for turn in ordered:
            turn.pool.bars.end(self.now)
            if turn.pool.earliest <= horizon:
                self._advance(turn, horizon)
            look_at_budgets(turn)
        return ordered

    def _advance(self, turn: Turn, horizon: float) -> None:
        pool = turn.pool
        before = len(turn.emissions)
        turn.apply_now(advance, self.now, horizon, pool.in_force)
        for told in turn.emissions[before:]:
            pool.bars.begin(told["at"][(told["code"] == codes.EMIT_ENDED) & (told["detail"] == codes.END_EXPIRED)])
        for annotator in pool.sessions.lapse(horizon):
            tell(turn, annotator)
        turn.flush()
        for task in sorted(task for task, waiting in pool.waiting.items() if waiting[0].until <= horizon):
            waiting = pool.waiting[task]
            late = [w for w in waiting if w.until <= horizon]
            pool.dirty_waiting.add(task)
            pool.hold(task, waiting[len(late) :])
            for w in late:
                self.rejections.waited[w.topic, w.offset] = w.headers
                what, then = awaited(task)
                message = f"nobody has spoken of {what} while it waited: {then}, then send the event again"
                reason: Reason = "unknown_annotator" if task.startswith(FOR_PERSON) else "unknown_task"
                self.rejections.add(w.topic, w.offset, pool.key, w.value, reason, message)
        for task in [task for task, until in pool.gone.items() if until <= horizon]:
            del pool.gone[task]
            pool.dirty_gone.add(task)
