"""Faults of what a worker stands on: the broker, the network, its disk, its clock."""

import json
import resource
import signal
import time

from load.chaos.fleet import Worker
from load.chaos.stage import DEATH_LIMIT_S, Missed, NotRecovered, Stage, error_of

HOUR_S = 3600.0
SLOW_S, SLOW_FOR_S = 0.08, 4.0
STILL_ROUNDS = 5
SETTLED_S = 1.5  # what was computed before a step of the clock has been read by then
FILE_BYTES = 4096
SNAPSHOTS = "*.snapshot"


def clock(offset_s: float, stage: Stage) -> str:
    """The clock of a worker steps by an hour, and back."""
    worker = stage.victim()
    owned, progress = worker.owned(), stage.sender.progress
    file = stage.fleet.clock_file(worker.data)
    file.write_text(str(offset_s))
    try:
        stage.recovered(time.monotonic() + SETTLED_S, "clock")
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


def disk_full(stage: Stage) -> str:
    """A worker's files may not grow any more: its snapshots fail, its rounds don't."""
    worker = stage.victim()
    hard = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (FILE_BYTES, hard))
    if not stage.fleet.wait(lambda: worker.said('"snapshot_failed"') or worker.code is not None, DEATH_LIMIT_S):
        raise Missed("no snapshot was tried")
    if worker.code is not None:
        raise NotRecovered(f"a full disk ended a worker with {worker.code}: {worker.last_words()}")
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (hard, hard))
    line = worker.said('"snapshot_failed"') or ""
    return f"{error_of(line)}; all went on after {stage.recovered(time.monotonic(), 'the full disk'):.1f} s"


def snapshot_damaged(stage: Stage) -> str:
    """A worker comes back to snapshots with flipped bits: it ignores them and says so."""
    worker = stage.victim()
    if not stage.fleet.wait(lambda: list(worker.data.rglob(SNAPSHOTS)), DEATH_LIMIT_S):
        raise Missed("there is no snapshot")
    worker.end(signal.SIGKILL)
    died = time.monotonic()
    for file in worker.data.rglob(SNAPSHOTS):
        data = bytearray(file.read_bytes())
        data[stage.rng.randrange(len(data))] ^= 1 << stage.rng.randrange(8)
        file.write_bytes(data)
    successor = stage.fleet.start(data=worker.data)
    if not stage.fleet.wait(lambda: successor.said('"snapshot_ignored"'), DEATH_LIMIT_S):
        raise Missed("no partition came back to its damaged snapshot")
    seconds = stage.recovered(died, "damaged snapshots")
    found = json.loads(successor.said('"snapshot_ignored"') or "{}")
    return f"ignored ({found.get('reason')}: {found.get('found')}); all went on after {seconds:.1f} s"
