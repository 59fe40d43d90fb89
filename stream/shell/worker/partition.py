"""One owned partition: its shard, its producer, and the loop that runs its rounds.

    wait for input or for the shard's next deadline
      ► take what has arrived ► solve (if long, in a thread) ► keep the pace ► commit ► account ► again

While a commit is under way the next input gathers, so rounds grow with the load and an idle partition answers
at once. Rounds of one partition follow one another; those of different partitions run side by side.

An exception of the core spoils the shard and nothing else: it is rebuilt from committed rows, and the input of that
round is taken again in small batches from which :mod:`stream.core.isolation` leaves out the records that are to blame.
Any other exception ends the process. The loop is stopped only between rounds: nobody ever cancels a commit.
"""

import asyncio
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from stream.core.batch import Range
from stream.core.isolation import isolate
from stream.core.market.stalls import described
from stream.core.shard import InputHole, RoundResult, Shard
from stream.settings import Settings
from stream.shell.kafka.transaction import Encoded, Producer
from stream.shell.process import clock, steps
from stream.shell.process.exits import leave_for
from stream.shell.process.log_lines import Log
from stream.shell.process.metrics import Metrics
from stream.shell.worker.horizon import Horizon
from stream.shell.worker.inbox import Inbox
from stream.shell.worker.round_size import Budget
from stream.shell.worker.takeover import ShardFactory, rebuild
from stream.topics import ANNOTATORS, INPUTS, TASKS

log = Log("allocator.partition")

T = TypeVar("T")

# while a deadline has passed but the input isn't yet known to be complete up to it
HORIZON_POLL_S = 0.02
# a round expected to be shorter is computed in the event loop: two changes of threads would cost as much
INLINE_S = 0.002
# events of a round while the records are sought that make the core raise: they are tried one by one
CAREFUL_EVENTS = 500
# a round without input never follows another at once, whatever deadlines the shard names
LEAST_WAKEUP_S = 0.02


class Partition:
    """A partition this process owns, recovered and ready to run.

    Parameters
    ----------
    number : int
    shard : Shard
        Recovered.
    producer : Producer
        Fenced.
    settings, metrics, executor
        Of the worker.
    resume : callable
        ``resume(topic)``: fetch that topic of this partition again, now that there is room.
    make_shard : callable
        Returns an empty shard, to be rebuilt after an error of the core.
    """

    def __init__(
        self,
        number: int,
        shard: Shard,
        producer: Producer,
        settings: Settings,
        metrics: Metrics,
        executor: Executor,
        resume: Callable[[str, int], None],
        make_shard: ShardFactory,
    ) -> None:
        self.number = number
        self.shard = shard
        self.producer = producer
        self._settings = settings
        self._metrics = metrics
        self._executor = executor
        self._resume = resume
        self._make_shard = make_shard
        self._suspect: dict[str, int] = {}  # where the input ends that made the core raise
        self._budget = Budget(settings.round_ms / 1000.0, settings.round_events)
        self.horizons = {topic: Horizon() for topic in INPUTS}
        #: next offset per input topic, as of the last commit
        self.position = {topic: shard.position.get(topic, 0) for topic in INPUTS}
        self.inboxes = {topic: Inbox(position) for topic, position in self.position.items()}
        self._held = dict.fromkeys(INPUTS, False)
        self._news = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # held while the shard is ahead of what is committed
        self._committed_at = 0.0  # monotonic
        self._apply_s = 0.0
        self.waiting_since: float | None = None  # monotonic; oldest uncommitted input
        self.erasures = 0  # persons erased here: snapshots from before name them
        self.stalled: dict[str, str] = {}  # pools without offers, and why

    # ------------------------------------------------------------------ input

    def put(self, topic: str, start: int, end: int, records: Sequence[object]) -> int | None:
        """Accept a range; the offset to seek back to when something before it is missing."""
        inbox = self.inboxes[topic]
        if not inbox.put(start, end, records):
            return inbox.end
        if self.waiting_since is None and inbox:
            self.waiting_since = time.monotonic()
        self._news.set()
        return None

    def expect(self, topic: str, records: int) -> bool:
        """Whether more than these `records` on their way may be fetched; called by the consumer's thread."""
        if self.inboxes[topic].records + records < 2 * self._settings.round_events:
            return True
        self._held[topic] = True
        return False

    def _release(self) -> None:
        for topic, held in self._held.items():
            if held and self.inboxes[topic].records < self._settings.round_events:
                self._held[topic] = False
                self._resume(topic, self.number)

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Begin, or go on after a rebalance that left the partition here."""
        self.inboxes = {topic: Inbox(position) for topic, position in self.position.items()}
        self._held = dict.fromkeys(INPUTS, False)
        self.waiting_since = None
        self._stopping = False
        self._news.set()
        self._task = asyncio.create_task(self._run(), name=f"partition-{self.number}")

    async def stop(self) -> None:
        """Return when the round under way is committed; what is not yet taken stays in Kafka."""
        self._stopping = True
        self._news.set()
        if self._task is not None:
            await self._task
            self._task = None
        self.waiting_since = None

    async def between_rounds(self, look: Callable[[], T]) -> T:
        """Call `look` while the shard is as committed; rounds wait for it, so it must be quick."""
        async with self._turn:
            return look()

    async def _run(self) -> None:
        try:
            while await self._due():
                await self._pace(self._apply_s)
                async with self._turn:
                    await self._round()
        except Exception as error:  # whatever it is, memory and log may differ now
            leave_for(error, "round_failed", partition=self.number, round=self.shard.round_number + 1)

    async def _due(self) -> bool:
        """Wait until a round is due; False when the loop is to end."""
        while not self._stopping:
            if any(self.inboxes.values()):
                return True
            self._news.clear()
            wait_s = self._until_wakeup()
            if wait_s is not None and wait_s <= 0.0:
                return True
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                continue
        return False

    def _until_wakeup(self) -> float | None:
        """Seconds until the shard's next deadline has passed *and* the input is complete up to it."""
        wakeup = self.shard.wakeup
        if wakeup is None:
            return None
        wait_s = wakeup - clock.unix_s()
        if wait_s > 0.0:
            return wait_s
        if self._complete_until({topic: inbox.position for topic, inbox in self.inboxes.items()}) < wakeup:
            return HORIZON_POLL_S
        idle_s = time.monotonic() - self._committed_at
        return LEAST_WAKEUP_S - idle_s

    def _complete_until(self, positions: dict[str, int]) -> float:
        return min(self.horizons[topic].complete_until(position) for topic, position in positions.items())

    async def _pace(self, lead_s: float) -> None:
        """Sleep so that, `lead_s` from now, a gap lies behind the last transaction.

        The coordinator writes markers after it has answered a commit; a transaction that begins meanwhile
        waits.
        """
        wait_s = self._committed_at + self._settings.round_gap_ms / 1000.0 - lead_s - time.monotonic()
        if wait_s > 0.0:
            await asyncio.sleep(wait_s)

    # ------------------------------------------------------------------ a round

    def _take(self) -> dict[str, Range | None]:
        tasks, annotators = self.inboxes[TASKS], self.inboxes[ANNOTATORS]
        # half of the round for either topic, and what the other leaves of its half
        most = CAREFUL_EVENTS if self._suspect else self._budget.events
        for_tasks = max(most - annotators.records, most // 2, 1)
        taken = tasks.take(for_tasks)
        left = most - (len(taken.records) if taken else 0)
        return {TASKS: taken, ANNOTATORS: annotators.take(max(left, 1))}

    async def _round(self) -> None:
        started = time.monotonic()
        ranges = self._take()
        self._release()
        steps.reach("round.taken")
        positions = {topic: inbox.position for topic, inbox in self.inboxes.items()}
        caught_up = not any(self.inboxes.values()) and all(
            self.horizons[topic].reached(position) for topic, position in positions.items()
        )
        now = max(self.shard.now, clock.unix_s())
        until = self._complete_until(positions)
        events = sum(len(taken.records) for taken in ranges.values() if taken)
        try:
            if self._budget.expected_s(events) < INLINE_S and not self._suspect:
                result, encoded, self._apply_s = self._solve(ranges, now, until, caught_up)
            else:
                result, encoded, self._apply_s = await asyncio.get_running_loop().run_in_executor(
                    self._executor, self._solve, ranges, now, until, caught_up
                )
        except Exception as error:
            if isinstance(error, InputHole) or self._suspect:
                raise
            await self._start_over(ranges, error)
            return
        if self._suspect:
            self._put_back(ranges, result)
        await self._pace(0.0)
        begun = time.monotonic()
        steps.reach("begin.before")
        await self.producer.commit(encoded)
        steps.reach("commit.after")
        self._committed_at = time.monotonic()
        self._account(ranges, result, encoded, started, begun)
        steps.reach("acknowledge.after")

    def _solve(
        self, ranges: dict[str, Range | None], now: float, until: float, caught_up: bool
    ) -> tuple[RoundResult, Encoded, float]:
        begun = time.thread_time()
        arguments = ranges[TASKS], ranges[ANNOTATORS], now, until, caught_up
        if self._suspect:
            result = isolate(self.shard, *arguments, lambda found: self.producer.encode(found, now))
        else:
            result = self.shard.round(*arguments)
        encoded = self.producer.encode(result, now)
        return result, encoded, time.thread_time() - begun

    async def _start_over(self, ranges: dict[str, Range | None], error: Exception) -> None:
        """The core has raised: rebuild the shard and let the input of the round wait again, now under suspicion."""
        self._metrics.isolations.inc()
        log.warning(
            "core_raised", partition=self.number, round=self.shard.round_number, error=described(error),
            trace="".join(traceback.format_exception(error)),
        )  # fmt: skip
        for topic, taken in ranges.items():
            if taken is not None:
                self.inboxes[topic].put_back(taken)
        # of the clock alone, too: no record is to blame then, and the careful round says so by raising
        self._suspect = {topic: taken.end for topic, taken in ranges.items() if taken} or dict(self.position)
        stalls = self.shard.stalls
        self.shard = await rebuild(self._settings, self.number, self._make_shard, self._executor)
        self.shard.stalls = stalls
        if not self.shard.round_number:  # nothing was ever committed
            self.shard.position = dict(self.position)
        self._news.set()

    def _put_back(self, ranges: dict[str, Range | None], result: RoundResult) -> None:
        """What a careful round has left out waits again."""
        for topic, taken in ranges.items():
            reached = result.completed.offsets[topic][1]
            if taken is not None and reached < taken.end:
                left = [record for record in taken.records if record.offset >= reached]
                self.inboxes[topic].put_back(Range(reached, taken.end, left))

    def _account(
        self,
        ranges: dict[str, Range | None],
        result: RoundResult,
        encoded: Encoded,
        started: float,
        begun: float,
    ) -> None:
        self.position = {topic: self.shard.position.get(topic, 0) for topic in INPUTS}
        inputs = {
            topic: [record for record in taken.records if record.offset < self.position[topic]]
            if self._suspect
            else taken.records
            for topic, taken in ranges.items()
            if taken
        }
        self._report(result)
        self.erasures += result.erased
        events = sum(map(len, inputs.values()))
        if not self._suspect:  # what a careful round costs says nothing about others
            self._budget.spent(events, self._apply_s)
        self.waiting_since = self._committed_at if any(self.inboxes.values()) else None
        metrics = self._metrics
        metrics.apply_seconds.observe(self._apply_s)
        metrics.commit_seconds.observe(self._committed_at - begun)
        metrics.round_seconds.observe(self._committed_at - started)
        metrics.committed(self.number, result, inputs, time.time(), encoded.records)
        log.debug(
            "round_committed", partition=self.number, round=result.completed.round, events=events,
            records=encoded.records, apply_ms=round(self._apply_s * 1e3, 2),
            commit_ms=round((self._committed_at - begun) * 1e3, 2),
        )  # fmt: skip

    def _report(self, result: RoundResult) -> None:
        """Say what an operator should know: culprits and stalled pools."""
        for letter in result.dead_letters:
            said = dict(letter.headers)
            if said.get("reason") == b"internal":
                log.warning(
                    "culprit_isolated", partition=self.number, topic=said["__streams.errors.topic"].decode(),
                    offset=int(said["__streams.errors.offset"]), error=said["__streams.errors.message"].decode(),
                )  # fmt: skip
        stalled = {pool.pool: pool.error for pool in result.completed.stalled}
        for pool, error in stalled.items():
            if self.stalled.get(pool) != error:
                log.warning("pool_stalled", partition=self.number, pool=pool, error=error)
        for pool in self.stalled.keys() - stalled.keys():
            log.info("pool_goes_on", partition=self.number, pool=pool)
        self.stalled = stalled
        if self._suspect and all(self.position[topic] >= end for topic, end in self._suspect.items()):
            self._suspect = {}
            log.info("isolation_over", partition=self.number, round=result.completed.round)

    def lag(self, topic: str) -> int:
        """Offsets of `topic` known to exist and not yet applied by a committed round."""
        end = max(self.horizons[topic].end or 0, self.inboxes[topic].end)
        return max(0, end - self.position[topic])
