"""From bytes to applied events: decode, check, hand runs of events to the lifecycle kernel, let the clock act.

Frequent events become packed records that the kernel applies in the order of the log; rare ones (profiles,
projects, updates, pauses) need strings and sets, so they end the pool's run and are applied in Python
(``stream/core/handlers.py``). Either way one event after another takes effect, exactly as in the log.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from kernels.buffers import Overrun, first_room
from kernels.lifecycle import EVENT, TASK, advance, apply
from stream import events as wire
from stream.core.batch import Applied, Invalid, Reason, Record, Rejected, Run, Source, rules_of
from stream.core.growth import Array
from stream.core.handlers import HANDLERS
from stream.core.partitioning import partition_of
from stream.core.pools import Headers, IdRefused, PoolState
from stream.settings import Market

NO_TASKS = np.zeros(1, TASK)
NO_TASKS.flags.writeable = False  # as the records read from bytes are: one type, one compilation
NOTHING: Mapping[Source, str] = {}


class Intake:
    """Applies the input of one round to the pools of one partition."""

    def __init__(
        self,
        pools: dict[str, PoolState],
        market: Market,
        partition: int,
        partitions: int,
        now: float,
        refused: Mapping[Source, str] = NOTHING,
    ) -> None:
        self.pools = pools
        self.refused = refused
        self.market = market
        self.rules = rules_of(market)
        self.partition = partition
        self.partitions = partitions
        self.now = now
        self.latest = now + market.clock_ahead_s
        self.applied: list[Applied] = []
        self.rejected: list[Rejected] = []
        self.emissions: dict[str, list[Array]] = {}
        self.runs: dict[str, Run] = {}
        self.keys: dict[bytes | None, str | None] = {}
        self.events = 0
        self.erased = 0
        self.resumed: set[str] = set()  # pools that an operator wants to go on
        self.current: Record  # the record at hand
        self.waited: dict[tuple[str, int], Headers] = {}  # of records of earlier rounds

    # ------------------------------------------------------------------ the input of a topic
    def take(self, topic: str, records: Sequence[Record]) -> None:
        """Apply the records of one topic in their order."""
        decode, keys, latest = wire.decode, self.keys, self.latest
        runs, refused = self.runs, self.refused
        self.events += len(records)
        for record in records:
            key, value = record.key, record.value
            if refused and (topic, record.offset) in refused:
                self.reject(topic, record.offset, key, value, "internal", refused[topic, record.offset])
                continue
            pool_id = keys.get(key)
            if pool_id is None:
                problem = self._learn_key(key)
                if problem is not None:
                    self.reject(topic, record.offset, key, value, *problem)
                    continue
                pool_id = keys[key]
            try:
                event = decode(value)  # type: ignore[arg-type]
            except (msgspec.MsgspecError, RecursionError, TypeError, ValueError) as error:
                self.reject(topic, record.offset, key, value, "malformed", f"{error}: send JSON of the contract")
                continue
            if event.pool != pool_id:
                message = f"the record's key is {pool_id!r}, the event's pool {event.pool!r}: use the pool as key"
                self.reject(topic, record.offset, key, value, "wrong_key", message)
                continue
            if event.at > latest:
                message = f"`at` is {event.at - self.now:.0f} s ahead of the worker's clock: check the producer's clock"
                self.reject(topic, record.offset, key, value, "clock", message)
                continue
            pool = self.pools.get(event.pool)
            try:
                if pool is None:
                    pool = self._new_pool(event)
            except IdRefused as error:
                self.reject(topic, record.offset, key, value, "malformed", str(error))
                continue
            run = runs.get(event.pool)
            if run is None:
                run = runs[event.pool] = Run()
            self.current = record
            self.handle(pool, run, event, topic, record.offset, value)  # type: ignore[arg-type]

    def handle(
        self, pool: PoolState, run: Run, event: wire.Event, topic: str, offset: int, value: bytes
    ) -> None:
        """Apply one event of a known pool, or put its record among the dead letters."""
        if self.refused and (topic, offset) in self.refused:  # it had to wait for its task
            self.reject(topic, offset, pool.key, value, "internal", self.refused[topic, offset])
            return
        try:
            HANDLERS[type(event)](self, pool, run, event, topic, offset, value)
        except IdRefused as error:
            self.reject(topic, offset, pool.key, value, "malformed", str(error))
        except Invalid as error:
            self.reject(topic, offset, pool.key, value, "invalid", str(error))

    def _learn_key(self, key: bytes | None) -> tuple[Reason, str] | None:
        if key is None:
            return "wrong_key", "the record has no key: use the pool's id in UTF-8 as key"
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

    def _new_pool(self, event: wire.Event) -> PoolState:
        if isinstance(event, wire.NOT_SUPPORTED_YET):
            return PoolState(event.pool)  # rejected by its handler; nothing of it stays
        pool = self.pools[event.pool] = PoolState(event.pool)
        return pool

    def reject(
        self, topic: str, offset: int, key: bytes | None, value: bytes | None, reason: Reason, message: str
    ) -> None:
        """Put a record among the dead letters."""
        self.rejected.append(Rejected(topic, offset, key, value, reason, message))

    # ------------------------------------------------------------------ kernel runs
    def flush(self, pool: PoolState, run: Run) -> None:
        """Apply the pool's pending events."""
        n = len(run.packed)
        if not n:
            return
        events = np.frombuffer(b"".join(run.packed), EVENT)
        created = np.frombuffer(b"".join(run.created), TASK) if run.created else NO_TASKS
        # what nearly every run needs; where it is too little, the kernel stops and goes on
        pool.reserve_pairs(first_room(run.judgments))
        pool.reserve_seats(first_room(run.judgments))
        pool.reserve_emissions(first_room(8 * n + 2 * pool.live + 64))
        run.packed, run.created, run.judgments = [], [], 0
        at, stopped = 0, -1
        while True:
            at = int(apply(pool.columns, events, created, self.now, self.rules, at))
            self.collect(pool)
            if at == n:
                break
            if at == stopped:
                raise Overrun(f"Pool {pool.name!r}: expected room for event {at} of {n}: it was made")
            stopped = at
            pool.reserve_event()

    def repeat(self, pool: PoolState, kernel: Callable[..., int], *arguments: object) -> None:
        """Call a kernel until it lacks no room for emissions any more, and take what it tells."""
        while True:
            lacking = int(kernel(pool.columns, *arguments))
            self.collect(pool)
            if not lacking:
                break
            pool.reserve_emissions(lacking)

    def collect(self, pool: PoolState) -> None:
        """Take what the last kernel call emitted."""
        emissions = pool.take_emissions()
        if len(emissions):
            self.emissions.setdefault(pool.name, []).append(emissions)

    def finish(self, horizon: float, due: Mapping[str, float]) -> list[PoolState]:
        """Apply what is pending, then let the clock act; returns the pools that this round concerns, by name.

        ``due`` says when the clock next concerns each pool that has no input in this round.
        """
        concerned = {name for name in self.runs if name in self.pools}
        for name in concerned:
            self.flush(self.pools[name], self.runs[name])
        concerned.update(name for name, at in due.items() if at <= horizon)
        pools = [self.pools[name] for name in sorted(concerned)]  # in an order that a successor has too
        for pool in pools:
            if pool.earliest <= horizon:
                self._advance(pool, horizon)
        return pools

    def _advance(self, pool: PoolState, horizon: float) -> None:
        self.repeat(pool, advance, self.now, horizon, self.rules)
        for task in sorted(task for task, waiting in pool.waiting.items() if waiting[0].until <= horizon):
            waiting = pool.waiting[task]
            late = [w for w in waiting if w.until <= horizon]
            pool.dirty_waiting.add(task)
            pool.hold(task, waiting[len(late) :])
            for w in late:
                self.waited[w.topic, w.offset] = w.headers
                message = (
                    f"no task {task!r} was created within {self.market.reference_wait_s:g} s: create the task, then "
                    "send the event again"
                )
                self.reject(w.topic, w.offset, pool.key, w.value, "unknown_task", message)
        for task in [task for task, until in pool.gone.items() if until <= horizon]:
            del pool.gone[task]
            pool.dirty_gone.add(task)
