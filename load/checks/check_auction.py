"""The long correctness check of the auction: ``python -m load.checks.check_auction``.

* 50,000 random degenerate markets, half of them from hostile prices and infeasible held arcs, are solved to the
  proven optimum of OR-tools, and the independent certificate agrees.
* 50,000 rounds of persistent markets under random changes likewise.
* The same markets give the same bits in other processes, in several threads, and compiled for a generic processor.
* Planted faults: each of `FAULTS` is written into a copy of the kernels, and the check above must notice it.

Exit code 1 at the first violation.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kernels.auction import Market, certificate, solve
from load.checks.auction_random import Case, changes, hostile_start, market, optimum

FAULTS = (
    # file, what it says, what it is made to say: the price update of a bid; the drop test, twice; that of an offer; the
    # bound of an audit; the bound of a round; the best of a row; the certificate, twice
    ("slots.py", "return second if second < bid else bid", "return second if second > bid else bid"),
    ("audit.py", "worst < max(outside - 2.0 * eps, -eps)", "worst < -1e9 * eps"),
    ("audit.py", "book.price[j] < least:", "book.price[j] > least:"),
    ("reverse.py", "price[j] = min(price[j], left_out)", "price[j] = 0.0"),
    ("audit.py", "(book.tasks[i].need > 0 or outside > worst)", "book.tasks[i].need > 0"),
    ("bound.py", "lower >= least", "lower > 2.0 * least"),
    ("lanes.py", "if d > 0:", "if d > 9:"),
    ("certificate.py", "bound += capacity[j] * price[j]", "bound += price[j]"),
    ("certificate.py", "while t > 0 and largest[t - 1] < s:", "while t > 1 and largest[t - 1] < s:"),
)


class Violation(Exception):
    """A promise that did not hold."""


def expect(holds: bool, promise: str, where: object) -> None:
    """Raise `Violation` unless it holds."""
    if not holds:
        raise Violation(f"{promise}: {where}")


def check_markets(count: int, seed: int) -> None:
    """`count` random markets equal OR-tools, certified."""
    rng = np.random.default_rng(seed)
    for t in range(count):
        case = market(rng)
        price, held = hostile_start(rng, case) if t % 2 else (None, None)
        s = solve(*case, gap_tol=0.0, abs_tol=0.5, price=price, held=held, max_work=10**7)
        value, bound, _ = certificate(*case, s.held, s.price)
        expect(s.status == 0, "the target is met", (seed, t))
        expect(value == s.primal == optimum(*case), "the value is OR-tools' optimum", (seed, t))
        expect(abs(bound - s.bound) <= 1e-9 * max(1.0, bound), "the certificate agrees", (seed, t))


def check_rounds(count: int, seed: int) -> None:
    """`count` rounds of changing markets equal OR-tools, certified."""
    rng = np.random.default_rng(seed)
    done = 0
    while done < count:
        m, n = int(rng.integers(1, 30)), int(rng.integers(2, 14))
        room = int(rng.integers(1, min(n, 9) + 1))
        places = np.arange(0, m * room + 1, room)
        blank = np.tile(np.arange(room, dtype=np.int32), m)
        capacity = rng.integers(-1, 5, n)
        live = Market(places, blank, np.zeros(m * room), np.zeros(m, np.int64), capacity, max_capacity=6)
        for turn in range(20):
            tasks = rng.choice(m, m if turn == 0 else int(rng.integers(0, min(m, 5) + 1)), replace=False)
            live.set_tasks(tasks, *changes(rng, n, room, tasks.size))
            annotators = rng.choice(n, int(rng.integers(0, min(n, 3) + 1)), replace=False)
            live.set_capacities(annotators, rng.integers(-1, 5, annotators.size))
            r = live.solve(gap_tol=0.0, abs_tol=0.5, max_work=10**7)
            case, held = live.snapshot()
            value, bound, _ = certificate(*case, held, live.price)
            expect(r.status == 0, "the target is met", (seed, done))
            expect(value == r.primal == optimum(*case), "the value is OR-tools' optimum", (seed, done))
            expect(abs(bound - r.bound) <= 1e-9 * max(1.0, bound), "the certificate agrees", (seed, done))
            done += 1


def digest(count: int = 200, seed: int = 7) -> str:
    """Hash of every bit of `count` solutions with a gap, prices and work included."""
    rng = np.random.default_rng(seed)
    total = hashlib.sha256()
    for _ in range(count):
        case: Case = market(rng, m_max=200, n_max=60)
        wobbled = case[2] * rng.uniform(0.5, 1.5, case[2].size)
        s = solve(case[0], case[1], wobbled, case[3], case[4])
        for part in s:
            total.update(np.asarray(part).tobytes())
    return total.hexdigest()


def check_bits() -> None:
    """One digest in this process, in threads, in another process, and for a generic processor."""
    here = digest()
    with ThreadPoolExecutor(4) as pool:
        expect(set(pool.map(lambda _: digest(), range(4))) == {here}, "threads give the same bits", here)
    with tempfile.TemporaryDirectory() as cache:
        for name in ({}, {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": cache}):
            command = [sys.executable, "-c", "from load.checks.check_auction import digest; print(digest())"]
            out = subprocess.run(command, env=os.environ | name, capture_output=True, text=True, check=True).stdout
            expect(out.strip() == here, "another process gives the same bits", name)


def check_faults() -> None:
    """Every planted fault is noticed."""
    root = Path(__file__).parents[2]
    for file, says, wrong in FAULTS:
        with tempfile.TemporaryDirectory() as copy:
            for package in ("kernels", "load"):
                shutil.copytree(root / package, Path(copy, package), ignore=shutil.ignore_patterns("__pycache__"))
            path = Path(copy, "kernels", "auction", file)
            text = path.read_text()
            expect(says in text, "the place of the fault exists", (file, says))
            path.write_text(text.replace(says, wrong))
            options = ["--markets", "1000", "--rounds", "1000", "--only"]
            command = [sys.executable, "-m", "load.checks.check_auction", *options]
            run = subprocess.run(
                command, cwd=copy, check=False, env=os.environ | {"PYTHONPATH": copy}, capture_output=True, text=True
            )
            noticed = run.returncode == 1 and "violated" in run.stdout
            print(f"  {file}: {wrong!r}: {run.stdout.strip() or run.stderr[-200:]}", flush=True)
            expect(noticed, "a planted fault is noticed", (file, wrong))


def main(arguments: list[str]) -> int:
    """Run all checks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="store_true", help="no bits, no faults")
    options = parser.parse_args(arguments)
    try:
        check_markets(options.markets, options.seed)
        print(f"{options.markets} markets equal OR-tools", flush=True)
        check_rounds(options.rounds, options.seed)
        print(f"{options.rounds} rounds equal OR-tools", flush=True)
        if not options.only:
            check_bits()
            print("same bits in threads, processes and for a generic processor", flush=True)
            check_faults()
            print(f"{len(FAULTS)} planted faults noticed", flush=True)
    except Violation as violation:
        print(f"violated: {violation}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
