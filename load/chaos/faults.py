"""The faults of a running deployment: each does its damage, waits until the rest has recovered, and says what it saw.

A fault returns the evidence that it bit, in words, or raises `Missed`: then it doesn't count. That nothing was
lost or doubled is for the auditor and the ledger to say, when the run is over.
"""

import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from load.chaos.fleet import CRASH, DRAINED, KILLED, OPERATOR, Fleet, Worker
from load.chaos.proxy import Proxy
from load.chaos.sender import Sender
from load.chaos.traffic import PLANTED_EVENT, PLANTED_SOLVE, Parcel, Traffic
from stream.local import LocalKafka

#: labels of `ALLOCATOR_FAULT_KILL`, and the most repetitions after which the process dies there
ROUND_STEPS = (
    "round.taken", "begin.before", "begin.after", "produce.during", "produce.after", "commit.during", "commit.after",
    "acknowledge.after",
)  # fmt: skip
TAKEOVER_STEPS = ("fence.after", "recovery.during", "recovery.after", "rebalance.assigned")
ROUNDS_BEFORE = 60
MOST_WORKERS = 4
HOUR_S = 3600.0
DEATH_LIMIT_S, RECOVERY_LIMIT_S = 120.0, 120.0
SLOW_S, SLOW_FOR_S = 0.08, 4.0
INPUT_BATCH = 200
STILL_ROUNDS = 5
FILE_BYTES = 4096


class Missed(Exception):
    """The fault had no effect; the message says what was expected."""


class NotRecovered(Exception):
    """A partition stood still for too long after a fault: the run has failed."""


@dataclass
class Stage:
    """What a fault may touch."""

    fleet: Fleet
    sender: Sender
    broker: LocalKafka
    proxy: Proxy
    rng: Random
    input_bytes: int
    commit_deadline_s: float

    def recovered(self, since: float, what: str) -> float:
        """Wait until every partition has shown a round since that monotonic time; returns the seconds until then.

        Raises
        ------
        NotRecovered
        """
        if not self.fleet.wait(lambda: self.sender.progress.since(since), RECOVERY_LIMIT_S):
            words = "\n".join(f"{worker.name}: {worker.last_words()}" for worker in self.fleet.workers)
            raise NotRecovered(f"partitions stand still {RECOVERY_LIMIT_S:.0f} s after {what}:\n{words}")
        return time.monotonic() - since

    def victim(self) -> Worker:
        """Some worker that runs partitions."""
        self.fleet.wait_until_ready()
        return self.rng.choice(self.fleet.ready())


Fault = Callable[[Stage], str]


# ---------------------------------------------------------------------- processes
def kill_at(step: str, stage: Stage) -> str:
    """Kill -9 of a newcomer at a step of a round, of its takeover, or of a rebalance."""
    times = 1
    if step in ROUND_STEPS:
        times = stage.rng.randint(1, ROUNDS_BEFORE)
    worker = stage.fleet.start(ALLOCATOR_FAULT_KILL=f"{step}:{times}")
    worker.is_expected_to_end = True
    if step == "rebalance.revoked":
        stage.fleet.wait(lambda: worker.code is not None or worker.owned(), DEATH_LIMIT_S)
        stage.fleet.start()  # its joining is the rebalance
    code = worker.wait(DEATH_LIMIT_S)
    died = time.monotonic()
    if code != KILLED:
        raise Missed(f"ended with {code} before it was killed at {step}")
    return f"died at {step} for the {times}. time, others went on after {stage.recovered(died, step):.1f} s"


def kill(stage: Stage) -> str:
    """Kill -9 from outside, at any moment."""
    worker = stage.victim()
    owned = worker.owned()
    code = worker.end(signal.SIGKILL)
    died = time.monotonic()
    if code != KILLED:
        raise Missed(f"ended with {code}")
    return f"partitions {owned} went on after {stage.recovered(died, 'kill'):.1f} s"


def pause(stage: Stage) -> str:
    """SIGSTOP past the session timeout, then SIGCONT: the zombie must be fenced and leave."""
    stage.fleet.wait_until_ready(2)
    worker = stage.victim()
    worker.is_expected_to_end = True
    worker.tell(signal.SIGSTOP)
    stopped = time.monotonic()
    seconds = stage.recovered(stopped, "pause")
    worker.tell(signal.SIGCONT)
    if not stage.fleet.wait(lambda: worker.code is not None, 45.0):
        worker.is_expected_to_end = False
        raise Missed("the zombie left the lost partitions without having tried to write")
    words = worker.said("round_failed") or worker.last_words()
    if worker.code != CRASH:
        raise NotRecovered(f"the zombie ended with {worker.code}: {words}")
    return f"others went on after {seconds:.1f} s, the zombie ended with {worker.code}: {_error(words)}"


def pause_unfenced(stage: Stage) -> str:
    """The same without expectations: for the run whose fencing is switched off."""
    stage.fleet.wait_until_ready(2)
    worker = stage.victim()
    worker.tell(signal.SIGSTOP)
    seconds = stage.recovered(time.monotonic(), "pause")
    worker.tell(signal.SIGCONT)
    woke = time.monotonic()
    stage.fleet.wait(lambda: worker.code is not None or time.monotonic() > woke + 5.0, 10.0)
    return f"a zombie woke up after {seconds:.1f} s"


def drain(stage: Stage) -> str:
    """SIGTERM: the worker commits, leaves the group and exits 0; others take over at once."""
    worker = stage.victim()
    code = worker.end(signal.SIGTERM)
    left = time.monotonic()
    if code != DRAINED or not worker.said("drained"):
        raise Missed(f"ended with {code}: {worker.last_words()}")
    return f"drained, others went on after {stage.recovered(left, 'drain'):.1f} s"


def join(stage: Stage) -> str:
    """One more worker joins."""
    if len(stage.fleet.running()) >= MOST_WORKERS:
        drain(stage)
    worker = stage.fleet.start()
    if not stage.fleet.wait(worker.owned, DEATH_LIMIT_S):
        raise Missed("the newcomer got no partition")
    owned = worker.owned()
    return f"owns {owned}, all went on after {stage.recovered(time.monotonic(), 'join'):.1f} s"


def takeover_hangs(how: str, stage: Stage) -> str:
    """A takeover that never ends: the watchdog ends the process."""
    worker = stage.fleet.start(ALLOCATOR_FAULT_TAKEOVER=how)
    worker.is_expected_to_end = True
    code = worker.wait(DEATH_LIMIT_S)
    ended = time.monotonic()
    line = worker.said("no_progress")
    if code != CRASH or line is None:
        raise Missed(f"ended with {code}: {worker.last_words()}")
    return f"{_error(line)}; others went on after {stage.recovered(ended, 'takeover'):.1f} s"


def clock(offset_s: float, stage: Stage) -> str:
    """The clock of a worker steps by an hour, and back."""
    worker = stage.victim()
    owned, progress = worker.owned(), stage.sender.progress
    file = stage.fleet.clock_file(worker.data)
    file.write_text(str(offset_s))
    try:
        stepped = time.monotonic()
        stage.recovered(stepped, "clock")
        before = {number: (progress.rounds[number], progress.at[number]) for number in owned}
        stage.recovered(time.monotonic() + 1.0, "clock")
        stage.fleet.wait(
            lambda: any(progress.rounds[number] >= before[number][0] + STILL_ROUNDS for number in owned), 10.0
        )
        moved = {number: progress.at[number] - before[number][1] for number in owned}
        ahead = {number: progress.at[number] - time.time() for number in owned}
    finally:
        file.unlink()
    if offset_s > 0.0 and max(ahead.values()) < offset_s - 60.0:
        raise Missed(f"rounds are {ahead} ahead")
    if offset_s < 0.0 and min(moved.values()) != 0.0:
        raise Missed(f"time went on by {moved}")
    stage.recovered(time.monotonic(), "clock")
    if offset_s > 0.0:
        return f"rounds of {owned} an hour ahead, and time stood still for them when the clock stepped back"
    return f"time stood still for {owned}, never ran backwards, rounds went on"


def wrong_settings(stage: Stage) -> str:
    """A worker with settings that can't be right refuses to start, and disturbs nobody."""
    name, value, words = stage.rng.choice(
        (
            ("ALLOCATOR_SESSION_TIMEOUT_S", "soon", "ALLOCATOR_SESSION_TIMEOUT_S"),
            ("ALLOCATOR_PARTITIONS", "7", "partitions, not 7"),
            ("ALLOCATOR_APP_ID", "nobody-prepared-this", "allocator topics apply"),
            ("ALLOCATOR_ROUND_EVENTS", "0", "ALLOCATOR_ROUND_EVENTS"),
        )
    )
    worker = stage.fleet.start(**{name: value})
    worker.is_expected_to_end = True
    code = worker.wait(DEATH_LIMIT_S)
    if code != OPERATOR or not worker.said(words):
        raise Missed(f"{name}={value}: ended with {code}: {worker.last_words()}")
    return f"{name}={value}: refused with code {code}, saying `{words}`"


# ---------------------------------------------------------------------- broker and network
def broker_dies(stage: Stage) -> str:
    """Kill -9 of the broker, and its restart."""
    restarts = stage.fleet.restarts
    stage.broker.kill()
    died = time.monotonic()
    stage.broker.start()
    up = time.monotonic()
    seconds = stage.recovered(up, "the broker's death")
    ended = stage.fleet.restarts - restarts
    return f"down for {up - died:.1f} s, {ended} workers ended themselves, all went on {seconds:.1f} s after it was up"


def broker_slow(stage: Stage) -> str:
    """Everything to and from the broker takes longer."""
    worker = stage.victim()
    before = _commit_s(worker, 1.0)
    stage.proxy.delay_s = SLOW_S
    try:
        during = _commit_s(worker, SLOW_FOR_S)
    finally:
        stage.proxy.delay_s = 0.0
    seconds = stage.recovered(time.monotonic(), "slowness")
    if during < before + SLOW_S:
        raise Missed(f"a commit took {1e3 * during:.0f} ms, {1e3 * before:.0f} ms before")
    return f"a commit took {1e3 * during:.0f} ms, {1e3 * before:.0f} ms before; all went on after {seconds:.1f} s"


def _commit_s(worker: Worker, seconds: float) -> float:
    def read() -> tuple[float, float]:
        return worker.metric("allocator_commit_seconds_sum"), worker.metric("allocator_commit_seconds_count")

    first = read()
    time.sleep(seconds)
    last = read()
    return (last[0] - first[0]) / max(1.0, last[1] - first[1])


def broker_silent(stage: Stage) -> str:
    """The broker no longer answers, and connections stay open: commits hit their deadline."""
    stage.fleet.wait_until_ready()
    workers = stage.fleet.running()
    stage.proxy.delay_s = float("inf")
    try:
        limit_s = stage.commit_deadline_s + 15.0
        ended = stage.fleet.wait(lambda: any(worker.code is not None for worker in workers), limit_s, keeps=False)
    finally:
        stage.proxy.delay_s = 0.0
    heard = time.monotonic()
    codes = [worker.code for worker in workers if worker.code is not None]
    seconds = stage.recovered(heard, "silence")
    if not ended:
        raise Missed("no worker noticed")
    return f"{len(codes)} workers ended with {codes}, all went on {seconds:.1f} s after it was heard again"


# ---------------------------------------------------------------------- disk
def disk_full(stage: Stage) -> str:
    """A worker's files may not grow any more: its snapshot fails, its rounds don't."""
    worker = stage.victim()
    hard = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (FILE_BYTES, hard))
    try:
        if not stage.fleet.wait(lambda: worker.said("snapshot_failed"), DEATH_LIMIT_S):
            raise Missed("no snapshot was tried")
    finally:
        if worker.code is None:
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (hard, hard))
    if worker.code is not None:
        raise NotRecovered(f"a full disk ended a worker with {worker.code}: {worker.last_words()}")
    stage.recovered(time.monotonic(), "the full disk")
    return f"{_error(worker.said('snapshot_failed') or '')}; rounds went on"


# ---------------------------------------------------------------------- input
def duplicated(stage: Stage) -> str:
    """Records of the recent past arrive once more."""
    return f"{stage.sender.ask(lambda traffic, _: traffic.duplicated(INPUT_BATCH))} records sent again"


def reordered(stage: Stage) -> str:
    """Answers arrive before the tasks they speak of."""
    return f"{stage.sender.ask(lambda traffic, at: traffic.reordered(INPUT_BATCH // 4, at))} events shuffled"


def about_nothing(stage: Stage) -> str:
    """Judgments of tasks that nobody creates."""
    return f"{stage.sender.ask(lambda traffic, at: traffic.about_nothing(INPUT_BATCH // 10, at))} judgments"


def malformed(stage: Stage) -> str:
    """Values that are no events."""
    return f"{stage.sender.ask(lambda traffic, at: traffic.malformed(at))} records"


def misplaced(stage: Stage) -> str:
    """A producer with another partitioner."""
    return f"{stage.sender.ask(lambda traffic, at: traffic.misplaced(INPUT_BATCH // 10, at))} records"


def oversized(stage: Stage) -> str:
    """Records at the limit of what the broker takes, and above."""
    taken = 0
    for one, fits in list(stage.sender.traffic.oversized(stage.input_bytes, time.time())):
        if fits:
            taken += stage.sender.ask(partial(_this, one))
        elif not stage.sender.ask_refused(one):
            raise Missed("the broker took what is too large")
    return f"one refused by the broker, {taken} of almost its limit sent"


def _this(one: Parcel, _: Traffic, __: float) -> list[Parcel]:
    return [one]


def upstream_aborts(stage: Stage) -> str:
    """An upstream producer writes in transactions and aborts some of them."""
    aborted = stage.sender.ask_transaction(lambda traffic, at: traffic.reordered(10, at), commits=False)
    kept = stage.sender.ask_transaction(lambda traffic, at: traffic.reordered(10, at), commits=True)
    return f"{aborted} records aborted, {kept} committed"


# ---------------------------------------------------------------------- planted into the core
def core_raises(stage: Stage) -> str:
    """The core raises on one event: it becomes a dead letter, its neighbours are applied."""
    before = _dead_letters(stage, "internal")
    stage.sender.ask(lambda traffic, at: traffic.raising(at))
    if not stage.fleet.wait(lambda: _dead_letters(stage, "internal") > before, 60.0):
        raise Missed("no dead letter `internal`")
    return f"{PLANTED_EVENT} is a dead letter, all went on after {stage.recovered(time.monotonic(), 'raise'):.1f} s"


def _dead_letters(stage: Stage, reason: str) -> float:
    return sum(worker.metric(f'allocator_dead_letters_total{{reason="{reason}"') for worker in stage.fleet.ready())


def solve_fails(stage: Stage) -> str:
    """Matching fails twice in one pool: it is paused, the others of its partition go on."""
    stage.sender.ask(lambda traffic, at: traffic.unsolvable(at))

    def paused() -> str | None:
        return next(filter(None, (worker.said("pool_paused") for worker in stage.fleet.running())), None)

    if not stage.fleet.wait(paused, 60.0):
        raise Missed("no pool was paused")
    return f"{PLANTED_SOLVE}: its pool is paused, all went on after {stage.recovered(time.monotonic(), 'solve'):.1f} s"


def _error(line: str) -> str:
    """What a line of the log says of its error, short."""
    start = line.find('"error"')
    return line[start if start >= 0 else 0 :][:160]


FAULTS: dict[str, Fault] = {
    **{f"kill at {step}": partial(kill_at, step) for step in (*ROUND_STEPS, *TAKEOVER_STEPS, "rebalance.revoked")},
    "kill -9": kill,
    "pause past the session": pause,
    "drain": drain,
    "join": join,
    "takeover hangs": partial(takeover_hangs, "await"),
    "takeover blocks": partial(takeover_hangs, "block"),
    "clock an hour behind": partial(clock, -HOUR_S),
    "clock an hour ahead": partial(clock, HOUR_S),
    "wrong settings": wrong_settings,
    "broker dies": broker_dies,
    "broker slow": broker_slow,
    "broker silent": broker_silent,
    "disk full": disk_full,
    "input duplicated": duplicated,
    "input reordered": reordered,
    "input about nothing": about_nothing,
    "input malformed": malformed,
    "input misplaced": misplaced,
    "input oversized": oversized,
    "upstream aborts": upstream_aborts,
    "core raises": core_raises,
    "solve fails": solve_fails,
}
