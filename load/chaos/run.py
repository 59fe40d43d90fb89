"""One run on one broker: fleet, traffic and faults together, then rest, then both judges.

    topics ──► workers ──► volume and faults ──► rest of the volume ──► flush ──► audit, ledger

*Flush*: everybody goes offline, and the workers' clocks are put an hour ahead (a broker refuses more), so that
whatever waits for its time (events about unknown tasks) meets it, and every judgment must have found its end.
A partition on which the clock has stepped before needs as long as the longest wait.
"""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import msgspec

from load.chaos import ledger as books
from load.chaos.catalogue import FAULTS
from load.chaos.fleet import Fleet
from load.chaos.judges import audit, check, ends, without_faults
from load.chaos.ledger import Ledger
from load.chaos.proxy import HOST, Proxy
from load.chaos.sender import Sender
from load.chaos.stage import Fault, Missed, NotRecovered, Stage
from load.chaos.surroundings import HOUR_S
from load.chaos.traffic import PLANTED_EVENT, PLANTED_SOLVE, Traffic
from load.system.worker_process import WorkerFailed, command
from stream.local import LocalKafka
from stream.local.broker import free_port

INPUT_BYTES = 256 << 10
COMMIT_DEADLINE_S = 12.0
FLUSH_LIMIT_S = 300.0
WAIT_S = 15.0  # longer than an event waits for its task
QUIET_S = 6.0  # longer than people take for all they have to say
SETTINGS = {
    "ALLOCATOR_APP_ID": "chaos",
    "ALLOCATOR_REPLICATION": "1",
    "ALLOCATOR_INPUT_BYTES": str(INPUT_BYTES),
    "ALLOCATOR_SESSION_TIMEOUT_S": "6",
    "ALLOCATOR_COMMIT_DEADLINE_S": str(COMMIT_DEADLINE_S),
    "ALLOCATOR_TAKEOVER_DEADLINE_S": "60",
    "ALLOCATOR_WATCHDOG_S": "25",
    "ALLOCATOR_ROUND_GAP_MS": "25",
    "ALLOCATOR_SNAPSHOT_S": "5",
    "ALLOCATOR_MARKET_ACCEPT_S": "8",
    "ALLOCATOR_MARKET_LEASE_S": "25",
    "ALLOCATOR_MARKET_GRACE_S": "5",
    "ALLOCATOR_MARKET_REFERENCE_WAIT_S": "10",
    "ALLOCATOR_MARKET_SETTLED_RETENTION_S": "90",
}
PLANTED = {"ALLOCATOR_FAULT_EVENT": PLANTED_EVENT, "ALLOCATOR_FAULT_SOLVE": PLANTED_SOLVE}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is made of; `faults` are names of `load.chaos.catalogue`, in order."""

    seed: int
    partitions: int
    workers: int
    events: int
    seconds: float
    faults: Sequence[str] = ()
    environment: dict[str, str] = {}


class Fated(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that was tried."""

    fault: str
    bit: bool
    words: str
    seconds: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run showed."""

    events: int
    seconds: float
    faults: list[Fated]
    restarts: int
    unexpected: list[str]
    longest_silence_s: float
    offers: int
    failure: str | None
    audit_rounds: int
    audit_records: int
    violations: int
    violation_words: list[str]
    ledger: books.Verdict | None
    unacknowledged: int

    @property
    def bitten(self) -> Counter[str]:
        """How often each fault had its effect."""
        return Counter(fated.fault for fated in self.faults if fated.bit)

    @property
    def is_clean(self) -> bool:
        """No judge found anything, and no worker ended in a way that it must not."""
        return (
            self.failure is None
            and not self.violations
            and not self.unexpected
            and not self.unacknowledged
            and self.ledger is not None
            and not self.ledger.problems
        )


class Network(msgspec.Struct, frozen=True):
    """A broker and the proxy in front of it."""

    broker: LocalKafka
    proxy: Proxy


@contextlib.contextmanager
def network(folder: Path) -> Iterator[Network]:
    """A broker of this run alone, with a listener whose advertised address is that of the proxy."""
    direct, controller, behind, front = (free_port() for _ in range(4))
    broker = LocalKafka(
        folder,
        port=direct,
        controller_port=controller,
        properties={
            "listeners": f"PLAINTEXT://{HOST}:{direct},PROXIED://{HOST}:{behind},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{direct},PROXIED://{HOST}:{front}",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.cleaner.backoff.ms": "500",
        },
    )
    proxy = Proxy(front, behind)
    try:
        broker.start()
        yield Network(broker, proxy)
    finally:
        broker.kill()
        proxy.stop()


def environment_of(plan: Plan, bootstrap: str) -> dict[str, str]:
    """All variables of the run's workers."""
    return {
        **SETTINGS,
        "ALLOCATOR_KAFKA_BOOTSTRAP": bootstrap,
        "ALLOCATOR_PARTITIONS": str(plan.partitions),
        **plan.environment,
    }


def make_topics(environment: dict[str, str]) -> None:
    """Create the topics of a deployment."""
    code, said = command(["topics", "apply"], without_faults(environment))
    if code:
        raise WorkerFailed(f"`allocator topics apply` ended with code {code}: {said}")


class Run:
    """A run of a plan.

    Parameters
    ----------
    plan : Plan
    folder : Path
        For logs, snapshots and the broker's data.
    say : callable
        Told what happens, a line each.
    faults : dict, optional
        More faults than those of `load.chaos.catalogue`.
    """

    def __init__(
        self, plan: Plan, folder: Path, say: Callable[[str], None], faults: dict[str, Fault] | None = None
    ) -> None:
        self._plan, self._folder, self._say = plan, folder, say
        self._faults = FAULTS | (faults or {})
        self._fated: list[Fated] = []

    def run(self) -> Outcome:
        """Do it."""
        plan, started = self._plan, time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        with network(self._folder / "kafka") as net:
            direct = environment_of(plan, net.broker.bootstrap)
            make_topics(direct)
            fleet = Fleet(environment_of(plan, f"{HOST}:{net.proxy.port}"), self._folder, plan.workers)
            ledger, traffic = Ledger(), Traffic(plan.seed, plan.partitions)
            sender = Sender(net.broker.bootstrap, traffic, ledger, plan.events, plan.seconds)
            stage = Stage(fleet, sender, net.broker, net.proxy, Random(plan.seed), INPUT_BYTES, COMMIT_DEADLINE_S)
            failure = None
            try:
                fleet.keep()
                fleet.wait_until_ready(min(plan.workers, plan.partitions))
                sender.start()
                self._suffer(stage)
                self._come_to_rest(stage, net.broker.bootstrap)
            except (NotRecovered, WorkerFailed) as error:
                failure = f"{type(error).__name__}: {error}"
                self._say(failure)
                sender.stop()
            finally:
                fleet.stop()
            self._say(f"{len(ledger)} events sent, {traffic.people.offers} offers seen; now the judges")
            judged = time.monotonic()
            audited = audit(direct)
            verdict = None if failure else check(direct, ledger)
            self._say(f"judged in {time.monotonic() - judged:.0f} s: {len(audited.violations)} violations")
            return Outcome(
                events=len(ledger),
                seconds=time.monotonic() - started,
                faults=self._fated,
                restarts=fleet.restarts,
                unexpected=fleet.unexpected,
                longest_silence_s=sender.progress.silence_s,
                offers=traffic.people.offers,
                failure=failure,
                audit_rounds=audited.rounds,
                audit_records=audited.records,
                violations=len(audited.violations),
                violation_words=audited.violations[: books.SHOWN],
                ledger=verdict,
                unacknowledged=ledger.unacknowledged(),
            )

    # ------------------------------------------------------------------ faults
    def _suffer(self, stage: Stage) -> None:
        stage.sender.allow(1 / (len(self._plan.faults) + 1))
        stage.recovered(time.monotonic(), "the start")
        for number, name in enumerate(self._plan.faults, 1):
            stage.sender.allow((number + 1) / (len(self._plan.faults) + 1))
            if stage.sender.error is not None:
                raise stage.sender.error
            # what depends on who takes over which partition may miss once
            if not self._inflict(stage, number, name):
                self._inflict(stage, number, name)

    def _inflict(self, stage: Stage, number: int, name: str) -> bool:
        """Try a fault; whether it had its effect."""
        began = time.monotonic()
        try:
            bit, words = True, self._faults[name](stage)
        except Missed as missed:
            bit, words = False, str(missed)
        stage.fleet.keep()
        seconds = time.monotonic() - began
        self._fated.append(Fated(fault=name, bit=bit, words=words, seconds=seconds))
        mark = "+" if bit else "-"
        self._say(f"{mark} {number}/{len(self._plan.faults)} {name} ({seconds:.1f} s): {words[:300]}")
        return bit

    # ------------------------------------------------------------------ rest
    def _come_to_rest(self, stage: Stage, bootstrap: str) -> None:
        fleet, sender = stage.fleet, stage.sender
        sender.rush()
        if not fleet.wait(lambda: sender.sent_all or sender.error is not None, FLUSH_LIMIT_S):
            raise NotRecovered(f"the volume was not sent within {FLUSH_LIMIT_S:.0f} s")
        self._reach(stage, ends(bootstrap, self._plan.partitions))
        fleet.set_clocks(HOUR_S)
        sender.ask(lambda traffic, at: traffic.closing(at))
        waited = time.monotonic() + WAIT_S
        fleet.wait(lambda: time.monotonic() > waited, 2 * WAIT_S)
        self._be_quiet(stage)
        sender.stop()
        last = ends(bootstrap, self._plan.partitions)
        behind = {at: end for at, end in last.items() if sender.progress.reached.get(at, 0) < end}
        if behind:
            raise NotRecovered(f"input is left that no round has taken: {behind}, {sender.progress.reached}")

    def _reach(self, stage: Stage, last: dict[tuple[str, int], int]) -> None:
        reached = stage.sender.progress.reached
        if not stage.fleet.wait(lambda: all(reached.get(at, 0) >= end for at, end in last.items()), FLUSH_LIMIT_S):
            behind = {at: end - reached.get(at, 0) for at, end in last.items() if reached.get(at, 0) < end}
            raise NotRecovered(f"the input was not applied within {FLUSH_LIMIT_S:.0f} s; behind by {behind}")

    def _be_quiet(self, stage: Stage) -> None:
        """Wait until no round has been made for a while though all partitions run: nobody has more to say."""
        progress, everything = stage.sender.progress, list(range(self._plan.partitions))

        def quiet() -> bool:
            if time.monotonic() - max(progress.seen_at.values()) < QUIET_S:
                return False
            return sorted(number for worker in stage.fleet.running() for number in worker.owned()) == everything

        if not stage.fleet.wait(quiet, FLUSH_LIMIT_S):
            raise NotRecovered(f"rounds went on for {FLUSH_LIMIT_S:.0f} s after the last input")
