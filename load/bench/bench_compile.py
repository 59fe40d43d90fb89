"""What it costs to compile the kernels: all of them, and those that one changed line concerns.

Every measurement is a fresh copy of a source tree with a cache of its own, and what ``make setup`` runs: ``python -m
kernels`` and the rehearsal. Measured is processor time, user and system, of these processes, so that others on the
machine hardly count.

    cold       nothing is kept yet
    warm       nothing has changed: what it takes to find that out and load the code; part of all the others
    changed    one number in one kernel is another one (`CHANGES`); the rest is kept

Bars: what one change costs beyond ``warm``, at most a fifth of ``cold``, in the median over `CHANGES`; and with
``--before COMMIT``, cold at most half of what it was then.
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
PACKAGES = "kernels", "stream", "load"
CHANGED_BAR, BEFORE_BAR = 0.2, 0.5

#: One line each, in kernels of every package: file, text, what it is replaced by.
CHANGES = {
    "valuation": ("kernels/valuation.py", "AGE_WEIGHT = 0.1 ", "AGE_WEIGHT = 0.11 "),
    "candidates": ("kernels/candidates.py", "best = limit // 2", "best = limit // 3"),
    "teaching": ("kernels/teaching.py", "HOPELESS = 0.02\n", "HOPELESS = 0.03\n"),
    "lifecycle": ("kernels/lifecycle/tasks.py", "PROBES = 16 ", "PROBES = 17 "),
    "skill update": ("kernels/skill/update.py", "IDLE = 1e-3\n", "IDLE = 2e-3\n"),
    "skill value": ("kernels/skill/value.py", "UNTRIED = 8\n", "UNTRIED = 9\n"),
    "auction": ("kernels/auction/scaling.py", "AIM = 0.8\n", "AIM = 0.81\n"),
}


def copy(commit: str | None, folder: Path) -> None:
    """Put the packages of a commit, or of the working tree, into `folder`."""
    if commit is None:
        for package in PACKAGES:
            shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        return
    archive = ["git", "-C", str(ROOT), "archive", commit, *PACKAGES]
    packed = subprocess.run(archive, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed, check=True)


def compile_all(folder: Path) -> float:
    """Run what ``make setup`` runs, one after the other; returns seconds of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environ = {**os.environ, "PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    rehearsal = next(folder.glob("stream/shell/**/rehearsal.py")).relative_to(folder).with_suffix("")
    for module in ("kernels", ".".join(rehearsal.parts)):
        command = [sys.executable, "-m", module]
        subprocess.run(command, cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def change(folder: Path, path: str, old: str, new: str) -> None:
    """Replace one text of one file, the only one of its kind there."""
    source = (folder / path).read_text()
    if source.count(old) != 1:
        raise ValueError(f"{path}: expected {old!r} once, got it {source.count(old)} times")
    (folder / path).write_text(source.replace(old, new))


def measure(commit: str | None, changes: bool) -> dict[str, float]:
    """Seconds to compile one tree cold, warm, and after each change."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        copy(commit, folder)
        seconds = {"cold": compile_all(folder), "warm": compile_all(folder)}
        shutil.copytree(folder / "cache", folder / "kept")
        for name, (path, old, new) in CHANGES.items() if changes else ():
            change(folder, path, old, new)
            seconds[name] = compile_all(folder)
            change(folder, path, new, old)
            shutil.rmtree(folder / "cache")
            shutil.copytree(folder / "kept", folder / "cache")
    return seconds


@click.command()
@click.option("--before", metavar="COMMIT", help="Compile this commit too, and compare.")
def main(before: str | None) -> None:
    """Measure, print one JSON object, exit 1 above a bar. Example: --before HEAD~10"""
    now = measure(None, changes=True)
    then = measure(before, changes=False) if before else None
    shares = {name: (now[name] - now["warm"]) / now["cold"] for name in CHANGES}
    figures: dict[str, object] = {
        "seconds": {name: round(value, 1) for name, value in now.items()},
        "changed_share": {name: round(share, 3) for name, share in shares.items()},
        "changed_median": round(statistics.median(shares.values()), 3), "changed_bar": CHANGED_BAR,
    }  # fmt: skip
    ok = statistics.median(shares.values()) <= CHANGED_BAR
    if then is not None:
        share = now["cold"] / then["cold"]
        ok = ok and share <= BEFORE_BAR
        figures |= {
            "before": before, "before_seconds": {name: round(value, 1) for name, value in then.items()},
            "of_before": round(share, 3), "of_before_bar": BEFORE_BAR,
        }  # fmt: skip
    print(json.dumps(figures | {"ok": ok}))
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
