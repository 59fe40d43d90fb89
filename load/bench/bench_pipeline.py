"""How many events one worker fully processes a second, beside a plain Faust agent on the same broker.

    python -m load.bench.bench_pipeline

*Fully* means decoded, applied, skill updated, matched, written in transactions with all outputs and rows. The
set-up keeps it honest: a warm phase first creates at least 50,000 outstanding offers; with the worker
stopped, their answers and new arrivals are written to the inputs,

    40 % judgments, each of an outstanding offer; 20 % acceptances, each before the judgment of its offer
    15 % new tasks; 25 % heartbeats, profiles and changed tasks

and the worker starts again. The clock runs from the time of its first round to the moment a read_committed
reader has the record of the round that reaches the end of the input. At least 95 % of the judgments must
settle as counted.

The peer (`load.bench.plain_faust`) reads a part of the same events from the same broker in the same run. CPU time
is that of the process from its first event on. The last line is one JSON object; exit code 1 below the bar.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec
from kafka.admin import KafkaAdminClient, NewTopic

from load.bench.plain_faust import CHANGELOG
from load.system.deployment import Reader, deployment, fill, pool_in
from load.system.worker_process import Worker
from stream.events import (
    AnnotatorOnline,
    AnnotatorSet,
    AssignmentAccepted,
    AssignmentOffered,
    Event,
    JudgmentSettled,
    JudgmentSubmitted,
    ProjectSet,
    RoundCompleted,
    TaskCreated,
    TaskUpdated,
)
from stream.local import kafka_or_exit
from stream.topics import ANNOTATORS, ASSIGNMENTS, JUDGMENTS, ROUNDS, TASKS

PARTITIONS = 4
POOLS = 4  # per partition
PEOPLE, CAPACITY = 200, 17
OFFERS = 50_000
RATIO_BAR, COUNTED_BAR = 15.0, 0.95
PHASE_LIMIT_S = 240.0

Said = tuple[str, Event]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Figures, bars, verdict."""

    outstanding_offers: int
    events: int
    seconds: float
    events_per_s: float
    cpu_us_per_event: float
    rounds: int
    judgments: int
    counted_share: float
    plain_events: int
    plain_events_per_s: float
    plain_cpu_us_per_event: float
    ratio: float
    ratio_bar: float
    counted_bar: float
    ok: bool


def market(at: float) -> Iterator[Said]:
    """Pools, people and as many tasks as there is room for offers."""
    for pool in pools():
        yield TASKS, ProjectSet(pool=pool, at=at, project="p")
        for number in range(PEOPLE):
            who = f"a{number}"
            yield ANNOTATORS, AnnotatorSet(pool=pool, at=at, annotator=who, skills=("*",))
            yield ANNOTATORS, _online(pool, at, who)
        for number in range(PEOPLE * CAPACITY // 2):
            yield TASKS, _task(pool, at, f"t{number}")


def pools() -> list[str]:
    """Names of all pools, as many in each partition."""
    return [pool_in(p, PARTITIONS, nth) for nth in range(POOLS) for p in range(PARTITIONS)]


def _online(pool: str, at: float, who: str) -> AnnotatorOnline:
    return AnnotatorOnline(pool=pool, at=at, annotator=who, capacity=CAPACITY, ttl_s=36000.0)


def _task(pool: str, at: float, name: str) -> TaskCreated:
    skill = f"s{hash_of(name) % 4}"
    return TaskCreated(
        pool=pool, at=at, task=name, project="p", skill=skill, classes=2, overlap=2, max_overlap=4
    )


def hash_of(name: str) -> int:
    """A small number that belongs to a name, the same in every process."""
    return sum(name.encode())


def answers(offers: list[AssignmentOffered], at: float, seed: int) -> list[Said]:
    """The mix of the measured phase: every offer is judged, everything else in proportion."""
    draw = random.Random(seed)
    draw.shuffle(offers)
    judgments = len(offers)
    said: list[tuple[float, Said]] = []
    for index, offer in enumerate(offers):
        pool, who, task = offer.pool, offer.annotator, offer.task
        when = draw.random()
        label = hash_of(task) % 2 if draw.random() < 0.85 else 1 - hash_of(task) % 2
        judged = JudgmentSubmitted(pool=pool, at=at, annotator=who, task=task, label=label, duration_s=20.0)
        said.append((when, (ANNOTATORS, judged)))
        if index < judgments // 2:
            accepted = AssignmentAccepted(pool=pool, at=at, annotator=who, task=task)
            said.append((when * draw.random(), (ANNOTATORS, accepted)))
    names = pools()
    for number in range(judgments * 15 // 40):
        said.append((draw.random(), (TASKS, _task(draw.choice(names), at, f"new{number}"))))
    for number in range(judgments * 25 // 40):
        pool, who = draw.choice(names), f"a{draw.randrange(PEOPLE)}"
        other: Said = (ANNOTATORS, _online(pool, at, who))
        if number % 10 == 0:
            other = (ANNOTATORS, AnnotatorSet(pool=pool, at=at, annotator=who, skills=("*",)))
        elif number % 10 == 1:
            task = f"t{draw.randrange(PEOPLE * CAPACITY // 2)}"
            other = (TASKS, TaskUpdated(pool=pool, at=at, task=task, priority=draw.randrange(3)))
        said.append((draw.random(), other))
    said.sort(key=lambda entry: entry[0])
    return [event for _, event in said]


class Meter:
    """A worker's own figures, from `/metrics`."""

    def __init__(self, worker: Worker) -> None:
        self._url = worker.ready_url.replace("/readyz", "/metrics")

    def read(self, name: str) -> float:
        """Value of a series without labels; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(self._url, timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return 0.0
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0


class Bench:
    """One run on one broker."""

    def __init__(self, bootstrap: str, folder: Path, worker: Worker, seed: int) -> None:
        self._bootstrap, self._folder, self._worker, self._seed = bootstrap, folder, worker, seed
        self._meter = Meter(worker)

    def run(self, plain_events: int) -> Verdict:
        """Warm phase, answers, measured phase, peer."""
        offers = self._warm_up()
        events = answers(offers, time.time(), self._seed)
        click.echo(f"{len(offers)} offers are outstanding; {len(events)} events are written")
        ends = fill(self._bootstrap, PARTITIONS, events)
        results = Reader(self._bootstrap, (JUDGMENTS,), PARTITIONS)
        seconds, cpu_s, rounds = self._measure(ends)
        settled = [output for output in results.rest() if isinstance(output, JudgmentSettled)]
        results.close()
        judged = sum(isinstance(event, JudgmentSubmitted) for _, event in events)
        counted = sum(one.outcome == "counted" for one in settled)
        click.echo(f"the worker took {seconds:.2f} s; now the plain agent, {plain_events} events")
        plain = self._plain(plain_events)
        rate, plain_rate = len(events) / seconds, plain["events"] / plain["seconds"]
        return Verdict(
            outstanding_offers=len(offers),
            events=len(events),
            seconds=seconds,
            events_per_s=rate,
            cpu_us_per_event=1e6 * cpu_s / len(events),
            rounds=rounds,
            judgments=judged,
            counted_share=counted / judged,
            plain_events=plain_events,
            plain_events_per_s=plain_rate,
            plain_cpu_us_per_event=1e6 * plain["cpu_s"] / plain["events"],
            ratio=rate / plain_rate,
            ratio_bar=RATIO_BAR,
            counted_bar=COUNTED_BAR,
            ok=rate / plain_rate >= RATIO_BAR and counted >= COUNTED_BAR * judged,
        )

    def _warm_up(self) -> list[AssignmentOffered]:
        reader = Reader(self._bootstrap, (ASSIGNMENTS,), PARTITIONS)
        fill(self._bootstrap, PARTITIONS, market(time.time()))
        self._worker.start()
        self._worker.wait_until_ready(limit_s=300.0)
        offers: list[AssignmentOffered] = []

        def enough() -> bool:
            offers.extend(output for output in reader.poll() if isinstance(output, AssignmentOffered))
            return len(offers) >= OFFERS

        self._until(enough, lambda: f"{len(offers)} of {OFFERS} offers")
        self._worker.stop()
        offers.extend(output for output in reader.rest() if isinstance(output, AssignmentOffered))
        reader.close()
        return offers

    def _measure(self, ends: dict[tuple[str, int], int]) -> tuple[float, float, int]:
        # the rounds only: whoever read all outputs now would take the worker's time
        reader = Reader(self._bootstrap, (ROUNDS,), PARTITIONS, from_end=True)
        self._worker.start()
        idle_cpu_s = 0.0
        while self._meter.read("allocator_rounds_total") == 0.0:
            self._worker.check()
            idle_cpu_s = self._meter.read("process_cpu_seconds_total")
            time.sleep(0.02)
        rounds: list[RoundCompleted] = []
        reached: dict[tuple[str, int], int] = {}

        def done() -> bool:
            for output in reader.poll():
                if isinstance(output, RoundCompleted):
                    rounds.append(output)
                    reached.update({(t, output.partition): end for t, (_, end) in output.offsets.items()})
            return all(reached.get(place, 0) >= end for place, end in ends.items())

        self._until(done, lambda: f"{len(rounds)} rounds")
        ended = time.time()
        cpu_s = self._meter.read("process_cpu_seconds_total") - idle_cpu_s
        reader.close()
        return ended - min(one.at for one in rounds), cpu_s, len(rounds)

    def _plain(self, events: int) -> dict[str, float]:
        admin = KafkaAdminClient(bootstrap_servers=self._bootstrap)
        admin.create_topics([NewTopic(CHANGELOG, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"})])
        admin.close()
        self._worker.stop()
        result = self._folder / "plain.json"
        arguments = [self._bootstrap, str(PARTITIONS), str(events), str(result)]
        with (self._folder / "plain.log").open("wb") as log:
            subprocess.run(
                [sys.executable, "-m", "load.bench.plain_faust", *arguments],
                stdout=log,
                stderr=log,
                check=True,
                timeout=PHASE_LIMIT_S,
            )
        found: dict[str, float] = json.loads(result.read_text())
        return found

    def _until(self, claim: Callable[[], bool], progress: Callable[[], str]) -> None:
        end = time.monotonic() + PHASE_LIMIT_S
        while not claim():
            self._worker.check()
            if time.monotonic() > end:
                raise TimeoutError(f"no more than {progress()} after {PHASE_LIMIT_S:.0f} s")


@click.command()
@click.option("--seed", default=1, show_default=True)
@click.option("--plain-events", default=40_000, show_default=True, help="Events for the plain agent.")
def main(seed: int, plain_events: int) -> None:
    """Measure one worker and its peer and judge them."""
    with kafka_or_exit() as bootstrap, tempfile.TemporaryDirectory(prefix="bench-pipeline-") as folder:
        hours = 36000.0
        with deployment(bootstrap, PARTITIONS, Path(folder), accept_s=hours, lease_s=hours) as worker:
            verdict = Bench(bootstrap, Path(folder), worker, seed).run(plain_events)
    click.echo(msgspec.json.encode(verdict).decode())
    if not verdict.ok:
        sys.exit(1)


if __name__ == "__main__":
    main()
