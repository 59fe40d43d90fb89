"""The thread between the traffic and Kafka: sends at an even pace, reads offers and rounds, keeps the ledger.

The volume is spread over the faults, not over the clock: `allow` says how much of it may be out by now. However
long a fault takes, there is always a trickle, so that partitions have rounds.

Bad input is asked for from another thread and sent here, between two ordinary batches. A broker that is away
is waited for: whatever it has not acknowledged is sent again, which may leave a record in the log twice.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from kafka import KafkaProducer
from kafka.errors import KafkaError

from load.chaos.ledger import ABORTED, HEADER, REFUSED, Ledger
from load.chaos.traffic import Parcel, Traffic
from load.system.deployment import Reader
from stream.events import AssignmentOffered, RoundCompleted
from stream.topics import ASSIGNMENTS, ROUNDS

TICK_S = 0.05
BATCH = 4000
TRICKLE_PER_S = 150.0
PATIENCE_S = 120.0

Answer = TypeVar("Answer")


class Progress:
    """What the rounds say: how far each partition is, what time it is there, and its longest silence."""

    def __init__(self, partitions: int) -> None:
        self.rounds = dict.fromkeys(range(partitions), 0)
        self.reached: dict[tuple[str, int], int] = {}
        self.seen_at = dict.fromkeys(range(partitions), 0.0)  # monotonic
        self.at = dict.fromkeys(range(partitions), 0.0)
        self.silence_s = 0.0
        #: pools that rounds have called stalled
        self.stalled: set[str] = set()

    def take(self, completed: RoundCompleted) -> None:
        """Note a round, just seen."""
        number, now = completed.partition, time.monotonic()
        if self.seen_at[number]:
            self.silence_s = max(self.silence_s, now - self.seen_at[number])
        self.seen_at[number] = now
        self.rounds[number] = completed.round
        self.at[number] = completed.at
        self.stalled.update(pool.pool for pool in completed.stalled)
        self.reached.update({(topic, number): end for topic, (_, end) in completed.offsets.items()})

    def since(self, moment: float) -> bool:
        """Whether every partition has shown a round since the monotonic time `moment`."""
        return all(seen > moment for seen in self.seen_at.values())


class Sender(threading.Thread):
    """Sends `events` events within `seconds`, and whatever is asked for.

    Parameters
    ----------
    bootstrap : str
    traffic : Traffic
    ledger : Ledger
    events : int
    seconds : float
        In which the volume is sent at the earliest.
    """

    def __init__(self, bootstrap: str, traffic: Traffic, ledger: Ledger, events: int, seconds: float) -> None:
        super().__init__(name="chaos-sender", daemon=True)
        self.traffic, self.ledger = traffic, ledger
        self.progress = Progress(traffic.partitions)
        self.error: BaseException | None = None
        self._address, self._events, self._seconds = bootstrap, events, seconds
        self._asked: queue.Queue[Callable[[], None]] = queue.Queue()
        self._end = threading.Event()
        self._rush = threading.Event()
        self._allowed = 0.0
        self._producer = self._make_producer()
        self._transactions = 0

    def _make_producer(self, **more: Any) -> KafkaProducer:
        return KafkaProducer(
            bootstrap_servers=self._address,
            acks="all",
            linger_ms=10,
            batch_size=131_072,
            max_request_size=16 << 20,
            delivery_timeout_ms=int(PATIENCE_S * 1000),
            max_block_ms=int(PATIENCE_S * 1000),
            **more,
        )

    # ------------------------------------------------------------------ from other threads
    def ask(self, make: Callable[[Traffic, float], Iterable[Parcel]]) -> int:
        """Send what `make(traffic, now)` returns between two batches; returns how many records that were."""
        return self._call(lambda: self._send(make(self.traffic, time.time())))

    def ask_transaction(self, make: Callable[[Traffic, float], Iterable[Parcel]], commits: bool) -> int:
        """Likewise in a transaction of an upstream producer, which is committed or aborted."""
        return self._call(lambda: self._transaction(list(make(self.traffic, time.time())), commits))

    def ask_refused(self, parcel: Parcel) -> bool:
        """Send what the broker should refuse; returns whether it did."""
        return self._call(lambda: self._refused(parcel))

    def allow(self, share: float) -> None:
        """Let this share of the volume be sent, no more."""
        self._allowed = share * self._events

    def rush(self) -> None:
        """Send the rest of the volume as fast as it goes."""
        self._rush.set()

    @property
    def sent_all(self) -> bool:
        """Whether the volume is out."""
        return len(self.ledger) >= self._events

    def stop(self) -> None:
        """Send nothing new, wait until the broker has everything."""
        self._end.set()
        if not self.ident:
            return
        self.join(PATIENCE_S)
        if self.error is not None:
            raise self.error
        if self.is_alive():
            raise TimeoutError(f"the generator did not end within {PATIENCE_S:.0f} s")

    def _call(self, action: Callable[[], Answer]) -> Answer:
        done: queue.Queue[Answer | BaseException] = queue.Queue()

        def run() -> None:
            try:
                done.put(action())
            except BaseException as error:
                done.put(error)
                raise

        self._asked.put(run)
        found = done.get(timeout=PATIENCE_S)
        if isinstance(found, BaseException):
            raise found
        return found

    # ------------------------------------------------------------------ the thread
    def run(self) -> None:
        """Send and read until stopped."""
        try:
            self._run()
        except BaseException as error:  # the run asks for it, and ends
            self.error = error

    def _run(self) -> None:
        reader = Reader(self._address, (ASSIGNMENTS, ROUNDS), self.traffic.partitions, from_end=True)
        started = time.monotonic()
        self._send(self.traffic.opening(time.time()))
        began = started
        while not self._end.is_set():
            idle_s, began = time.monotonic() - began, time.monotonic()
            while not self._asked.empty():
                self._asked.get()()
            now = time.time()
            self._send(self.traffic.answers(now))
            missing = self._missing(began - started)
            if missing > 0:
                self._send(self.traffic.volume(min(missing, BATCH), now))
            elif not self._rush.is_set():
                self._send(self.traffic.volume(int(TRICKLE_PER_S * idle_s), now))
            for output in reader.poll(0.0 if missing > BATCH else TICK_S):
                if isinstance(output, AssignmentOffered):
                    self.traffic.offered(output, time.time())
                elif isinstance(output, RoundCompleted):
                    self.progress.take(output)
        self._producer.flush(timeout=PATIENCE_S)
        self._producer.close()
        while not self._asked.empty():
            self._asked.get()()
        reader.close()

    def _missing(self, elapsed_s: float) -> int:
        due = min(self._allowed, self._events * elapsed_s / self._seconds)
        return int(self._events if self._rush.is_set() else due) - len(self.ledger)

    def _send(self, parcels: Iterable[Parcel]) -> int:
        count = 0
        for one in parcels:
            number = self.ledger.enter(one.kind, one.about)
            future = self._post(self._producer, one, number)
            future.add_callback(self._acknowledged, number)
            future.add_errback(self._failed)
            count += 1
        return count

    def _post(self, producer: KafkaProducer, one: Parcel, number: int) -> Any:
        headers = [(HEADER, b"%d" % number)]
        return producer.send(one.topic, key=one.key, value=one.value, partition=one.partition, headers=headers)

    def _acknowledged(self, number: int, _: object) -> None:
        self.ledger.acknowledge(number)

    def _failed(self, error: BaseException) -> None:
        self.error = self.error or error

    def _refused(self, one: Parcel) -> bool:
        producer = self._make_producer()  # a refused batch takes its neighbours with it
        future = self._post(producer, one, self.ledger.enter(REFUSED))
        producer.flush(timeout=PATIENCE_S)
        producer.close()
        return isinstance(future.exception, KafkaError)

    def _transaction(self, parcels: list[Parcel], commits: bool) -> int:
        self._transactions += 1
        producer = self._make_producer(transactional_id=f"chaos-upstream-{self._transactions}")
        try:
            producer.init_transactions()
            producer.begin_transaction()
            numbers = [self.ledger.enter(one.kind if commits else ABORTED, one.about) for one in parcels]
            for one, number in zip(parcels, numbers, strict=True):
                self._post(producer, one, number)
            producer.flush(timeout=PATIENCE_S)
            if commits:
                producer.commit_transaction()
                for number in numbers:
                    self.ledger.acknowledge(number)
            else:
                producer.abort_transaction()
        finally:
            producer.close()
        return len(parcels)
