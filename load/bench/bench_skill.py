"""The skill model on real crowd data, beside crowd-kit: `python -m load.bench.bench_skill`.

Ten seeds, random order, one pass, parameters fixed for all sets. Prints a table and, as the last line,
one JSON object with the figures, the bars they are held against, and `ok`; the exit status is 1 when a
figure is below its bar.

The sets in `load/world/data` are always used. The bars over six sets need `med_treat`, which is not shipped (no
licence upstream): give the folder that holds it with --extra or ALLOCATOR_CROWD_DATA. Without it the bars
over the mean are not checked and `ok` says so by being false for them, never by leaving them out.

Simulated crowds (`skill_crowds`) show what six sets can't: that no kind of crowd is labelled much worse than by batch
Dawid-Skene, and after how many judgments a spammer is contained and a good newcomer qualifies.

Time per update is measured on synthetic streams with five judgments a task and one revisit, and given
also in passes over the memory of the same state.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kernels import skill
from kernels.study.recorded import Learned, Recorded, replay
from load.bench.skill_crowds import FAMILIES, Beside, beside, newcomer, spammer
from load.world.crowd import DATA, Crowd, read
from stream.study import evaluation, practice
from stream.study.evaluation import Labels

SHIPPED = ("rte", "bluebird", "SP_amt", "CF_amt", "web")
EXTRA = "med_treat"
SEEDS = 10
GOLD = 50
STOP = 0.95
BUSY = 20

ACCURACY = {
    "rte": 0.926,
    "bluebird": 0.889,
    "SP_amt": 0.943,
    "CF_amt": 0.857,
    "web": 0.83,
    "med_treat": 0.956,
}
MEAN_ACCURACY = 0.903
WORST_SEED = 0.012
LOG_LOSS = 0.27
CALIBRATION = 0.04
COVERAGE = (0.85, 0.93)
CLAIM = 0.02
POINTS = 0.04
FEWER_THAN_USUAL = 0.25
FEWER_THAN_FIVE = (0.55, 0.45)
IN_FLIGHT = 0.01
UPDATE_US = {2: 0.5, 5: 1.0}
BELOW_PEER = 0.02
FAMILY_SEEDS = 3
PEOPLE_SEEDS = 200
CONTAINED = 30
QUALIFIES = 25


class Bar(NamedTuple):
    """One figure against its bar; `value` None: not measured."""

    name: str
    value: float | None
    bar: str
    ok: bool


def at_least(name: str, value: float | None, bar: float) -> Bar:
    """Bar a figure must reach."""
    return Bar(name, value, f">= {bar:g}", value is not None and value >= bar)


def at_most(name: str, value: float | None, bar: float) -> Bar:
    """Bar a figure must not exceed."""
    return Bar(name, value, f"<= {bar:g}", value is not None and value <= bar)


class Set(NamedTuple):
    """Figures of one data set, means over the seeds; `by_seed` accuracy of each."""

    vote: float
    by_seed: list[float]
    log_loss: float
    calibration: float
    coverage: float
    claim: float
    usual: tuple[float, float]
    five: tuple[float, float]
    same_judgments: float
    fewer_than_usual: float
    fewer_than_five: float
    in_flight: float
    peer: float | None


def arrays(crowd: Crowd) -> Labels:
    """Number the tasks and annotators of a label set."""
    tasks = {task: t for t, task in enumerate(crowd.answers)}
    people = {person: w for w, person in enumerate(crowd.annotators)}
    rows = [(tasks[t], people[w], label) for t, given in crowd.answers.items() for w, label in given.items()]
    task, annotator, label = np.array(rows, np.int32).T.copy()
    truth = np.array([crowd.truth.get(t, -1) for t in tasks], np.int32)
    return Labels(task, annotator, label, np.zeros(len(rows)), truth, crowd.classes)


def measure(labels: Labels, seeds: int) -> Set:
    """Run one data set."""
    none = np.full(len(labels.truth), -1, np.int32)
    everything = labels.task, labels.label, labels.truth, labels.classes
    plain, told, claims, usual, five, curves, flying = [], [], [], [], [], [], []
    for seed in range(seeds):
        order = evaluation.draw_order(labels, seed)
        gold = evaluation.draw_gold(labels, GOLD, seed)
        plain.append(evaluation.quality(labels, evaluation.one_pass(labels, order, none)))
        told.append(evaluation.quality(labels, evaluation.one_pass(labels, order, gold)))
        closed = evaluation.allocated(labels, seed, gold, stop=STOP)
        claims.append((closed.claimed, closed.right))
        usual.append(practice.two_plus_one(*everything, order))
        five.append(practice.fixed_overlap(*everything, 5, order))
        curves.append(evaluation.allocated(labels, seed, none))
        flying.append(evaluation.allocated(labels, seed, none, busy=BUSY))
    two = np.mean(usual, axis=0)
    fixed = np.mean(five, axis=0)
    level = float(np.mean([evaluation.accuracy_at(c, two[1]) for c in curves]))
    claimed, right = np.nanmean(claims, axis=0)
    votes = practice.votes(labels.task, labels.label, len(labels.truth), labels.classes)
    return Set(
        vote=practice.accuracy(votes, labels.truth),
        by_seed=[q.accuracy for q in plain],
        log_loss=float(np.mean([q.log_loss for q in told])),
        calibration=float(np.mean([q.calibration_error for q in told])),
        coverage=float(np.mean([q.coverage for q in told if q.coverage is not None])),
        claim=float(claimed - right),
        usual=(float(two[0]), float(two[1])),
        five=(float(fixed[0]), float(fixed[1])),
        same_judgments=level,
        fewer_than_usual=1.0 - _spent(curves, float(two[0])) / float(two[1]),
        fewer_than_five=1.0 - _spent(curves, float(fixed[0])) / float(fixed[1]),
        in_flight=level - float(np.mean([evaluation.accuracy_at(c, two[1]) for c in flying])),
        peer=peer(labels),
    )


class People(NamedTuple):
    """Judgments until people are known: of half of the spammers and nine in ten, likewise of newcomers."""

    spammer: float
    spammer_most: float
    newcomer: float
    newcomer_most: float


def people(seeds: int = PEOPLE_SEEDS) -> People:
    """Simulate spammers and newcomers."""
    contained = np.quantile([spammer(seed) for seed in range(seeds)], (0.5, 0.9))
    qualified = np.quantile([newcomer(seed) for seed in range(seeds)], (0.5, 0.9))
    return People(*(float(x) for x in (*contained, *qualified)))


def _spent(curves: list[evaluation.Curve], accuracy: float) -> float:
    """Mean judgments per task until `accuracy`; a curve that never gets there counts with all it spent."""
    found = [evaluation.needed(c, accuracy) for c in curves]
    return float(
        np.mean([len(c.accuracy) / c.tasks if f is None else f for c, f in zip(curves, found, strict=True)])
    )


def peer(labels: Labels) -> float | None:
    """Accuracy of crowd-kit's Dawid-Skene on all judgments; None when crowd-kit is not installed."""
    try:
        pandas = import_module("pandas")  # both come with the extra `bench`
        dawid_skene = import_module("crowdkit.aggregation").DawidSkene
    except ModuleNotFoundError:
        return None
    frame = pandas.DataFrame({"task": labels.task, "worker": labels.annotator, "label": labels.label})
    proba = dawid_skene(n_iter=100).fit_predict_proba(frame)
    scores = np.zeros((len(labels.truth), labels.classes))
    scores[np.ix_(proba.index.to_numpy(), proba.columns.to_numpy())] = proba.to_numpy()
    return practice.accuracy(scores, labels.truth)


def update_us(classes: int, tasks: int = 40_000, people: int = 200, repeats: int = 5) -> tuple[float, float]:
    """Return microseconds per judgment (five a task, one revisit), and the run in passes over its memory.

    CPU time of this thread, so that other work on the machine counts as little as possible.
    """
    random = np.random.default_rng(classes)
    truth = random.integers(classes, size=tasks).astype(np.int32)
    task = np.repeat(np.arange(tasks, dtype=np.int32), 5)
    annotator = ((task * 7 + np.tile(np.arange(5), tasks) * 41) % people).astype(np.int32)
    wrong = random.integers(classes, size=len(task))
    label = np.where(random.random(len(task)) < 0.8, truth[task], wrong).astype(np.int32)
    labels = Labels(task, annotator, label, np.zeros(len(task)), truth, classes)
    order = np.arange(len(task))
    none = np.full(tasks, -1, np.int32)
    start = (np.arange(tasks + 1) * 5).astype(np.int64)
    best = float("inf")
    for _ in range(repeats):
        skills = skill.empty(
            1, people, people, skill.model_width(classes) + people * skill.evidence_width(classes), classes
        )
        m = skill.open_model(skills, classes)
        table = np.zeros((3, len(task)), np.int32)
        belief = np.zeros((tasks, skill.belief_width(classes)), np.float32)
        reported = np.zeros((tasks, classes), np.float32)
        recorded = Recorded(labels.task, labels.annotator, labels.label, labels.at)
        learned = Learned(none, start, table, belief, reported)
        began = time.thread_time()
        replay(skills, m, order, recorded, learned, 1)
        best = min(best, time.thread_time() - began)
    state = np.zeros(skills.evidence.nbytes + table.nbytes + belief.nbytes + reported.nbytes, np.uint8)
    passes = []
    for _ in range(repeats):
        began = time.thread_time()
        state.view(np.uint64)[: len(state) // 8].sum()
        passes.append(time.thread_time() - began)
    return best / len(task) * 1e6, best / min(passes)


def bars(
    sets: dict[str, Set],
    clock: dict[int, tuple[float, float]],
    families: dict[str, Beside],
    known: People,
) -> Iterator[Bar]:
    """Hold the figures against the bars."""
    for name, bar in ACCURACY.items():
        yield at_least(f"accuracy {name}", float(np.mean(sets[name].by_seed)) if name in sets else None, bar)
    whole = set(sets) == set(ACCURACY)

    def mean(of: Callable[[Set], float]) -> float | None:
        return float(np.mean([of(s) for s in sets.values()])) if whole else None

    yield at_least("accuracy mean", mean(lambda s: float(np.mean(s.by_seed))), MEAN_ACCURACY)
    by_seed = np.mean([s.by_seed for s in sets.values()], axis=0)
    spread = float(by_seed.mean() - by_seed.min()) if whole else None
    yield at_most("mean minus worst seed", spread, WORST_SEED)
    yield at_most(f"log-loss, {GOLD} gold", mean(lambda s: s.log_loss), LOG_LOSS)
    yield at_most(f"calibration error, {GOLD} gold", mean(lambda s: s.calibration), CALIBRATION)
    covered = mean(lambda s: s.coverage)
    low, high = COVERAGE
    yield Bar(
        f"coverage of 90 % intervals, {GOLD} gold",
        covered,
        f"{low:g} to {high:g}",
        covered is not None and low <= covered <= high,
    )
    yield at_most(f"|claimed - right| at {STOP}, {GOLD} gold", mean(lambda s: abs(s.claim)), CLAIM)
    yield at_least("points over two + tie-break", mean(lambda s: s.same_judgments - s.usual[0]), POINTS)
    yield at_least("fewer than two + tie-break", mean(lambda s: s.fewer_than_usual), FEWER_THAN_USUAL)
    yield at_least("fewer than fixed 5, mean", mean(lambda s: s.fewer_than_five), FEWER_THAN_FIVE[0])
    least = min(s.fewer_than_five for s in sets.values()) if whole else None
    yield at_least("fewer than fixed 5, each", least, FEWER_THAN_FIVE[1])
    yield at_most(f"loss with {BUSY} answers under way", mean(lambda s: s.in_flight), IN_FLIGHT)
    against = [f.ours - f.peer for f in families.values() if f.peer is not None]
    measured = len(against) == len(FAMILIES)
    yield at_least("simulated, worst against Dawid-Skene", min(against) if measured else None, -BELOW_PEER)
    yield at_most("judgments until a spammer is contained, nine in ten", known.spammer_most, CONTAINED)
    yield at_most("judgments until a newcomer qualifies, nine in ten", known.newcomer_most, QUALIFIES)
    for classes, (us, _) in clock.items():
        yield at_most(f"microseconds per judgment, K = {classes}", us, UPDATE_US[classes])


def table(sets: dict[str, Set]) -> Iterator[str]:
    """Yield the table, one row a set."""
    yield (
        f"{'set':<10} {'ours':>6} {'vote':>6} {'DS':>6} {'loss':>6} {'ECE':>6} {'cover':>6} {'claim':>6}"
        f" {'2+1 acc / at':>13} {'same n':>7} {'fewer':>6} {'fixed 5':>7} {'fewer':>6} {'busy':>6}"
    )
    for name, s in sets.items():
        ours = np.mean(s.by_seed)
        peers = "     -" if s.peer is None else f"{s.peer:6.3f}"
        yield (
            f"{name:<10} {ours:6.4f} {s.vote:6.3f} {peers} {s.log_loss:6.3f} {s.calibration:6.3f}"
            f" {s.coverage:6.2f} {s.claim:+6.3f} {s.usual[0]:6.3f} / {s.usual[1]:4.2f}"
            f" {s.same_judgments:7.3f} {s.fewer_than_usual:6.0%}"
            f" {s.five[0]:7.3f} {s.fewer_than_five:6.0%} {s.in_flight:+6.3f}"
        )


def simulated(families: dict[str, Beside], known: People) -> Iterator[str]:
    """Yield what the simulated crowds show."""
    yield f"{'simulated':<32} {'ours':>6} {'vote':>6} {'DS':>6}"
    for name, f in families.items():
        yield f"{name:<32} {f.ours:6.3f} {f.vote:6.3f} " + ("     -" if f.peer is None else f"{f.peer:6.3f}")
    yield (
        f"contained: half of the spammers after {known.spammer:.0f} judgments, nine in ten after"
        f" {known.spammer_most:.0f}; qualified: half of the newcomers after {known.newcomer:.0f}, nine in ten after"
        f" {known.newcomer_most:.0f}"
    )


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--extra", type=Path, help=f"folder that holds {EXTRA}/ (default: ALLOCATOR_CROWD_DATA)"
    )
    parser.add_argument("--no-families", action="store_true", help="leave out the simulated crowds")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--sets", nargs="*", default=[*SHIPPED, EXTRA])
    options = parser.parse_args()
    given = os.environ.get("ALLOCATOR_CROWD_DATA")
    extra = options.extra or (Path(given) if given else None)
    sets: dict[str, Set] = {}
    for name in options.sets:
        folder = DATA / name if name in SHIPPED else extra / name if extra else None
        if folder is None:
            print(f"{name}: not measured, its folder was not given (--extra)", file=sys.stderr)
            continue
        sets[name] = measure(arrays(read(folder)), options.seeds)
    families = {
        name: beside(family, FAMILY_SEEDS, peer) for name, family in FAMILIES.items() if not options.no_families
    }
    known = people()
    clock = {classes: update_us(classes) for classes in UPDATE_US}
    print("\n".join([*table(sets), *simulated(families, known)]))
    for classes, (us, passes) in clock.items():
        print(
            f"K = {classes}: {us:.2f} microseconds per judgment, {passes:.0f} passes over the state in memory"
        )
    held = list(bars(sets, clock, families, known))
    for bar in held:
        shown = "not measured" if bar.value is None else f"{bar.value:.4f}"
        print(f"{'ok ' if bar.ok else 'LOW'} {bar.name}: {shown} ({bar.bar})")
    ok = all(bar.ok for bar in held)
    print(
        json.dumps(
            {
                "bench": "skill",
                "figures": {bar.name: bar.value for bar in held},
                "bars": {bar.name: bar.bar for bar in held},
                "sets": {name: s._asdict() for name, s in sets.items()},
                "simulated": {name: f._asdict() for name, f in families.items()},
                "people": known._asdict(),
                "below": [bar.name for bar in held if not bar.ok],
                "ok": ok,
            }
        )
    )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
