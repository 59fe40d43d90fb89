"""Faults of processes: killed, paused, drained, added, hung, started with settings that can't be right."""

import signal
import time

from load.chaos.fleet import CRASH, DRAINED, KILLED, OPERATOR
from load.chaos.stage import DEATH_LIMIT_S, Missed, NotRecovered, Stage, error_of

#: labels of `ALLOCATOR_FAULT_KILL`, and the most repetitions after which the process dies there
ROUND_STEPS = (
    "round.taken", "begin.before", "begin.after", "produce.during", "produce.after", "commit.during", "commit.after",
    "acknowledge.after",
)  # fmt: skip
TAKEOVER_STEPS = ("fence.after", "recovery.during", "recovery.after", "rebalance.assigned")
ROUNDS_BEFORE = 60
MOST_WORKERS = 4
FENCED_WITHIN_S = 30.0  # longer than the deadline of a commit


def kill_at(step: str, stage: Stage) -> str:
    """Kill -9 of a newcomer at a step of a round, of its takeover, or of a rebalance."""
    times = 1
    if step in ROUND_STEPS:
        times = stage.rng.randint(1, ROUNDS_BEFORE)
    if len(stage.fleet.running()) > stage.fleet.size:
        drain(stage)  # or there may be no partition for the newcomer
    worker = stage.fleet.start(ALLOCATOR_FAULT_KILL=f"{step}:{times}")
    worker.is_expected_to_end = True
    if step == "rebalance.revoked":
        stage.fleet.wait(lambda: worker.code is not None or worker.owned(), DEATH_LIMIT_S)
        stage.fleet.start()  # its joining is the rebalance
    if not stage.fleet.wait(lambda: worker.code is not None, DEATH_LIMIT_S):
        worker.end(signal.SIGKILL)
        raise Missed(f"never came to {step}: {worker.last_words()}")
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
    """SIGSTOP past the session timeout, then SIGCONT: the zombie is fenced and leaves, or learns first what it lost."""
    stage.fleet.wait_until_ready(2)
    worker = stage.victim()
    worker.is_expected_to_end = True
    worker.tell(signal.SIGSTOP)
    stopped = time.monotonic()
    seconds = stage.recovered(stopped, "pause")
    worker.tell(signal.SIGCONT)
    if not stage.fleet.wait(lambda: worker.code is not None, FENCED_WITHIN_S):
        # the group told it before it had anything to write; that it wrote nothing is for the auditor to say
        worker.is_expected_to_end = False
        return f"others went on after {seconds:.1f} s, the zombie gave up what it had lost before it wrote"
    words = worker.said("round_failed") or worker.last_words()
    if worker.code != CRASH:
        raise NotRecovered(f"the zombie ended with {worker.code}: {words}")
    return f"others went on after {seconds:.1f} s, the zombie ended with {worker.code}: {error_of(words)}"


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
    return f"{error_of(line)}; others went on after {stage.recovered(ended, 'takeover'):.1f} s"


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
    worker = stage.fleet.start(None, **{name: value})
    worker.is_expected_to_end = True
    code = worker.wait(DEATH_LIMIT_S)
    if code != OPERATOR or not worker.said(words):
        raise Missed(f"{name}={value}: ended with {code}: {worker.last_words()}")
    return f"{name}={value}: refused with code {code}, saying `{words}`"
