"""The command: the large run, the trials, the two runs that must be found guilty, one verdict."""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import FrameType

import click
import msgspec

from load.chaos.catalogue import FAULTS
from load.chaos.crashes import pause_unfenced
from load.chaos.run import PLANTED, Outcome, Plan, Run
from load.chaos.schedule import schedule
from load.chaos.trials import TRIALS, Trial, attempt
from load.chaos.verdict import Verdict, judge
from stream.local import KafkaUnavailable

EXAMPLES = """
\b
Examples:
  python -m load.chaos                                    the whole proof
  python -m load.chaos --seed 7 --keep                    another course of events; leaves its logs
  python -m load.chaos --events 50000 --faults 10         a short one (below the bars)
  python -m load.chaos --only "broker dies" --only join --events 20000 --no-trials
"""

PARTITIONS, WORKERS = 4, 2
CONTROL_EVENTS, CONTROL_S = 15_000, 25.0
DOUBLED = 3


def controls(seed: int, folder: Path, say: Callable[[str], None]) -> dict[str, Outcome]:
    """Do the runs that the auditor must not let pass."""
    found = {}
    for name, faults, environment in (
        ("unfenced", ["wakes unfenced"] * 3, {"ALLOCATOR_FAULT_UNFENCED": "1"}),
        ("double offer", [], {"ALLOCATOR_FAULT_DOUBLE_OFFER": str(DOUBLED)}),
    ):
        say(f"control run: {name}")
        plan = Plan(
            seed=seed, partitions=2, workers=2, events=CONTROL_EVENTS, seconds=CONTROL_S, faults=faults,
            environment=environment,
        )  # fmt: skip
        found[name] = Run(plan, folder / name.replace(" ", "-"), say, {"wakes unfenced": pause_unfenced}).run()
    return found


@click.command(epilog=EXAMPLES)
@click.option("--seed", default=1, show_default=True, help="Of the schedule and of all traffic.")
@click.option("--events", default=1_050_000, show_default=True, help="Input events of the large run.")
@click.option("--minutes", default=11.0, show_default=True, help="Over which the volume is spread.")
@click.option("--faults", default=66, show_default=True, help="How many to draw; every kind at least once.")
@click.option("--only", multiple=True, type=click.Choice(list(FAULTS)), help="Only this fault; may be repeated.")
@click.option("--trials/--no-trials", default=True, show_default=True, help="Faults on brokers of their own.")
@click.option("--controls/--no-controls", "with_controls", default=True, show_default=True, help="Guilty runs.")
@click.option("--keep", is_flag=True, help="Leave logs and data behind, and say where.")
def main(
    seed: int, events: int, minutes: float, faults: int, only: tuple[str, ...], trials: bool, with_controls: bool,
    keep: bool,
) -> None:  # fmt: skip
    """Hurt a deployment in every way we know, and prove that nothing is lost, doubled or let in.

    Starts brokers and workers of its own. The last line is one JSON object {figures, bars, ok}; exits 1 when a
    judge has found something, a fault of the matrix never had its effect, or the run stays below its bars.
    """
    signal.signal(signal.SIGTERM, _leave)
    folder = Path(tempfile.mkdtemp(prefix="allocator-chaos-"))
    started = time.monotonic()

    def say(words: str) -> None:
        click.echo(f"[{time.monotonic() - started:6.1f} s] {words}")

    try:
        plan = Plan(
            seed=seed, partitions=PARTITIONS, workers=WORKERS, events=events, seconds=60.0 * minutes,
            faults=schedule(Random(seed), faults, only), environment=PLANTED,
        )  # fmt: skip
        say(f"{len(plan.faults)} faults of {len(set(plan.faults))} kinds, seed {seed}, files in {folder}")
        large = Run(plan, folder / "run", say).run()
        tried = [_try(name, trial, folder, say) for name, trial in TRIALS.items()] if trials else []
        guilty = controls(seed, folder, say) if with_controls else {}
    except KafkaUnavailable as unavailable:
        click.echo(f"error: {unavailable}", err=True)
        sys.exit(unavailable.exit_code)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    verdict: Verdict = judge(large, tried, guilty, time.monotonic() - started)
    for words in verdict.findings:
        say(words)
    click.echo(msgspec.json.encode(verdict).decode())
    sys.exit(0 if verdict.ok else 1)


def _leave(number: int, frame: FrameType | None) -> None:
    """Workers and brokers must not outlive the command."""
    raise SystemExit(128 + number)


def _try(name: str, trial: Trial, folder: Path, say: Callable[[str], None]) -> tuple[str, bool, str]:
    began = time.monotonic()
    passed, words = attempt(trial, folder / f"trial-{len(name)}-{name.split(maxsplit=1)[0]}")
    say(f"{'+' if passed else '-'} trial: {name} ({time.monotonic() - began:.1f} s): {words[:300]}")
    return name, passed, words


if __name__ == "__main__":
    main()
