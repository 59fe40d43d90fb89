"""A demo run from nothing to its figures: topics, worker, replay, audit.

`Setting` says everything a run needs; `run` does it on a broker that exists. The worker's market is
told times that are as much shorter as the simulated people are faster.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from load.replay.course import Choice, Course, Plan
from load.replay.latency import event_to_assignment
from load.system.wire import Wire, inputs
from load.system.worker_process import Worker, WorkerFailed, command
from load.world.crowd import Rule, read
from load.world.figures import Rounds, RunFigures
from load.world.habits import Habits
from load.world.live_market import LiveMarket, Moment
from stream.local.broker import free_port
from stream.settings import Market
from stream.topics import OUTPUTS

PARTITIONS = 4


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is made of; `lease_s` in simulated seconds, `speed` of which pass in a second.

    The confidence, the speed and the habits were chosen with `load.world.dry_run` on rte; see tests/load.
    """

    data: tuple[str, ...] = ("rte", "bluebird")
    seed: int = 1
    seconds: float = 45.0
    kill_at_s: float | None = None
    tasks: int | None = None
    speed: float = 50.0
    lease_s: float = 120.0
    rule: Rule = Rule(overlap=2, max_overlap=10, confidence=0.94)
    habits: Habits = Habits()


Watch = Callable[[float, list[Moment], str], None]


def market_of(setting: Setting) -> Market:
    """Return the market's rules with times as much shorter as people are faster."""
    rules = Market()
    times = ("accept_s", "expected_s", "grace_s", "lease_s")
    fast = {name: getattr(rules, name) / setting.speed for name in times}
    return msgspec.structs.replace(rules, **fast)


def worker_environment(bootstrap: str, setting: Setting, app_id: str, folder: Path) -> dict[str, str]:
    """Return the `ALLOCATOR_…` variables of the run's worker."""
    usual, rules = msgspec.structs.asdict(Market()), msgspec.structs.asdict(market_of(setting))
    return {
        "ALLOCATOR_KAFKA_BOOTSTRAP": bootstrap,
        "ALLOCATOR_APP_ID": app_id,
        "ALLOCATOR_PARTITIONS": str(PARTITIONS),
        "ALLOCATOR_REPLICATION": "1",
        "ALLOCATOR_DATA_DIR": str(folder),
        "ALLOCATOR_SESSION_TIMEOUT_S": "6",
        **{
            f"ALLOCATOR_MARKET_{name.upper()}": str(value)
            for name, value in rules.items()
            if value != usual[name]
        },
    }


def markets_of(setting: Setting) -> list[LiveMarket]:
    """Return the markets of a setting, one a label set, in pools of their own; people arrive from now on."""
    made = []
    for name in setting.data:
        crowd = read(name)
        made.append(
            LiveMarket(
                crowd.cut(setting.tasks) if setting.tasks else crowd,
                msgspec.structs.replace(setting.rule, lease_s=setting.lease_s / setting.speed),
                setting.habits,
                setting.seed,
                pool=f"{crowd.name}-{setting.seed}",
                start=time.time(),
                speed=setting.speed,
                lease_s=setting.lease_s,
            )
        )
    return made


def new_app_id() -> str:
    """Return an application id that no earlier run has had."""
    return f"demo-{time.time_ns() // 1_000_000}"


def run(
    bootstrap: str,
    setting: Setting,
    app_id: str,
    *,
    say: Callable[[str], None],
    watch: Watch,
    opened: Callable[[Worker], None] = lambda _: None,
    linger: Callable[[RunFigures], None] = lambda _: None,
) -> RunFigures:
    """Do one run on the broker at `bootstrap`.

    Parameters
    ----------
    app_id : str
        Runs with the same id continue in one another's state, each in pools of its own.
    say, watch : callable
        Told what is about to happen, a line each; called twice a second during the replay, see `course.Course`.
    opened, linger : callable
        Called with the worker as soon as it is ready; with the figures before it is stopped.

    Raises
    ------
    WorkerFailed
        When the worker or one of the commands fails.
    """
    for name in setting.data:
        read(name)  # a bad file is named before anything is started
    with tempfile.TemporaryDirectory(prefix="allocator-demo-") as folder:
        environment = worker_environment(bootstrap, setting, app_id, Path(folder))
        code, text = command(["topics", "apply"], environment)
        if code:
            raise WorkerFailed(f"`allocator topics apply` exited {code}: {text}")
        worker = Worker(environment, free_port(), Path(folder) / "worker.log")
        say(f"Starting a worker ({PARTITIONS} partitions, {os.cpu_count()} cores here)")
        started = time.monotonic()
        worker.start()
        try:
            worker.wait_until_ready()
            ready_s = time.monotonic() - started
            opened(worker)
            markets = markets_of(setting)
            plan = Plan(seconds=setting.seconds, kill_at_s=setting.kill_at_s)
            with Wire(bootstrap, PARTITIONS, OUTPUTS) as wire:
                course = Course(wire, worker, markets, plan, watch)
                begun = time.time()
                replay_s = course.run()
            figures = _figures(setting, course, _Times(started, ready_s, begun, replay_s), bootstrap, environment)
            linger(figures)
            return figures
        finally:
            worker.stop()


class _Times(NamedTuple):
    """Start of the worker (monotonic) and what it took; start of the replay (Unix) and what it took."""

    started: float
    ready_s: float
    begun: float
    replay_s: float


def _figures(
    setting: Setting, course: Course, times: _Times, bootstrap: str, environment: dict[str, str]
) -> RunFigures:
    """Measure and audit what has come to its end."""
    end = time.time()
    code, audit = command(["audit"], environment)
    return RunFigures(
        seed=setting.seed,
        markets=[market.figures(end, setting.seed) for market in course.markets],
        ready_s=times.ready_s,
        replay_s=times.replay_s,
        total_s=time.monotonic() - times.started,
        killed_at_s=None if course.killed is None else course.killed - times.begun,
        outage_s=None if course.outage is None else course.outage[1] - course.outage[0],
        latency=event_to_assignment(
            inputs(bootstrap, PARTITIONS),
            course.rounds,
            course.offers_seen,
            () if course.outage is None else (course.outage,),
        ),
        rounds=_rounds(course),
        violations=_violations(code, audit),
        audit=audit,
        why=_why(course, environment),
    )


def _rounds(course: Course) -> Rounds:
    pools = [pool for completed in course.rounds for pool in completed.pools if pool.offers]
    gaps = [pool.gap for pool in pools if pool.pairs]
    unproven = sum(pool.unproven_value for pool in pools)
    worth = sum(pool.value for pool in pools) + unproven
    return Rounds(
        rounds=len(course.rounds),
        with_offers=sum(any(pool.offers for pool in completed.pools) for completed in course.rounds),
        gap_median=median(gaps) if gaps else 0.0,
        gap_max=max(gaps, default=0.0),
        unproven=unproven / worth if worth else 0.0,
    )


def _violations(code: int, audit: str) -> int:
    """Count the violations the audit names, a line each; a failing audit without any is a failure itself."""
    if code == 0:
        return 0
    if code != 1:
        raise WorkerFailed(f"`allocator audit` exited {code}: {audit}")
    return max(1, len(audit.splitlines()) - 1)


def _why(course: Course, environment: dict[str, str]) -> str:
    """Explain the most contested decision of the second half of the run."""
    later: list[Choice] = course.choices[len(course.choices) // 2 :]
    if not later:
        return ""
    code, text = command(["why", max(later, key=lambda choice: choice.price).assignment], environment)
    if code:
        raise WorkerFailed(f"`allocator why` exited {code}: {text}")
    return text
