"""Faults of the input, and events on which the core was planted to fail."""

import time
from functools import partial

from load.chaos.stage import DEATH_LIMIT_S, Missed, Stage
from load.chaos.traffic import Parcel, Traffic

INPUT_BATCH = 200
PILED = 800  # judgments: more than may wait for one task


def duplicated(stage: Stage) -> str:
    """Records of the recent past arrive once more."""
    return f"{stage.sender.ask(lambda traffic, _: traffic.duplicated(INPUT_BATCH))} records sent again"


def reordered(stage: Stage) -> str:
    """Answers arrive before the tasks they speak of."""
    return f"{stage.sender.ask(lambda traffic, at: traffic.reordered(INPUT_BATCH // 4, at))} events shuffled"


def about_nothing(stage: Stage) -> str:
    """Judgments of tasks that nobody creates."""
    return f"{stage.sender.ask(lambda traffic, at: traffic.about_nothing(INPUT_BATCH // 10, at))} judgments"


def piled(stage: Stage) -> str:
    """More judgments of one task that nobody creates than may wait for it."""
    series = 'allocator_dead_letters_total{reason="too_many_waiting"'

    def turned_away() -> float:
        return sum(worker.metric(series) for worker in stage.fleet.running())

    before = turned_away()
    sent = stage.sender.ask(lambda traffic, at: traffic.piled(PILED, at))
    if not stage.fleet.wait(lambda: turned_away() > before, DEATH_LIMIT_S):
        raise Missed("all of them wait")
    return f"{sent} judgments, {turned_away() - before:.0f} of them turned away"


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


def core_raises(stage: Stage) -> str:
    """The core raises on one event: it becomes a dead letter, its neighbours are applied."""
    known = {id(line) for worker in stage.fleet.running() for line in worker.lines}

    def isolated() -> str | None:
        lines = (line for worker in stage.fleet.running() for line in list(worker.lines))
        return next((line for line in lines if '"culprit_isolated"' in line and id(line) not in known), None)

    stage.sender.ask(lambda traffic, at: traffic.raising(at))
    if not stage.fleet.wait(isolated, DEATH_LIMIT_S):
        raise Missed("nobody isolated the culprit")
    return f"its culprit was isolated, all went on after {stage.recovered(time.monotonic(), 'a culprit'):.1f} s"


def solve_fails(stage: Stage) -> str:
    """Matching fails twice in one pool: it stalls, the others of its partition go on."""
    stage.sender.ask(lambda traffic, at: traffic.unsolvable(at))
    pool = stage.sender.traffic.doomed_pool
    if not stage.fleet.wait(lambda: pool in stage.sender.progress.stalled, DEATH_LIMIT_S):
        raise Missed("no round says that a pool has stalled")
    return f"pool {pool} has stalled, all went on after {stage.recovered(time.monotonic(), 'the stall'):.1f} s"
