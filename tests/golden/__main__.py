"""Play histories in this tree and in another commit's: ``python -m tests.golden BASE [--histories N] [--parallel]``.

BASE is checked out under ``build/golden`` (kept for the next time, with its compiled kernels). One JSON object is the
last line; the exit code is 1 if anything published differs.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.core.histories import MARKET, PARTITION, PARTITIONS, Turn
from tests.golden.driven import Digests, Driven, Play, played
from tests.golden.plays import KIND_OF, TURNS, of

ROOT = Path(__file__).parents[2]
TURNS_USUAL = 30
LENGTH = 300  # characters of a difference that are shown


class Case(NamedTuple):
    """A history as this tree has played it."""

    kind: str
    seed: int
    play: Play
    digests: Digests


class Other:
    """The other tree: a process of its own that plays what it is sent."""

    def __init__(self, tree: Path) -> None:
        own = tree / "tests" / "golden" / "driven.py"
        script = own if own.exists() else ROOT / "tests" / "golden" / "driven.py"
        environment = os.environ | {"PYTHONPATH": str(tree), "NUMBA_CACHE_DIR": str(tree / "build" / "numba")}
        self.process = subprocess.Popen(
            [sys.executable, str(script)], cwd=tree, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def send(self, play: Play) -> None:
        """Let it play; `answer` waits for the end."""
        assert self.process.stdin is not None
        text = msgspec.msgpack.encode(play)
        self.process.stdin.write(len(text).to_bytes(8) + text)
        self.process.stdin.flush()

    def answer(self) -> tuple[Digests, dict[str, list[str]]]:
        assert self.process.stdout is not None
        head = self.process.stdout.read(8)
        if len(head) < 8:
            raise RuntimeError(f"the other tree ended with code {self.process.wait()}: see above")
        return msgspec.msgpack.decode(
            self.process.stdout.read(int.from_bytes(head)), type=tuple[Digests, dict[str, list[str]]]
        )

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


def checked_out(base: str) -> Path:
    """A work tree of the commit."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    commit = git("rev-parse", "--verify", f"{base}^{{commit}}")
    tree = ROOT / "build" / "golden" / commit[:12]
    if not tree.exists():
        git("worktree", "prune")
        git("worktree", "add", "--detach", str(tree), commit)
    return tree


def history(kind: str, seed: int) -> Case:
    """Play one history in this tree; its answers follow from what this tree offers."""
    writer = KIND_OF[kind](seed)
    length = TURNS.get(kind, TURNS_USUAL)
    play = Play(
        market=msgspec.structs.asdict(MARKET), partition=PARTITION, partitions=PARTITIONS,
        start={"labeling.tasks.v1": writer.ends["tasks"], "labeling.annotators.v1": writer.ends["annotators"]},
        takeover=1 + seed % (length - 1), turns=[],
    )  # fmt: skip
    driven, digests = Driven(play), Digests()
    for turn in writer.turns(length):
        play.turns.append(plain(turn))
        digests.append(driven.round(play.turns[-1]))
        writer.told(driven.offers)
    return Case(kind, seed, play, digests)


def plain(turn: Turn) -> tuple[Any, ...]:
    """A turn without types of this tree."""
    ranges = (
        None if given is None else (given.start, given.end, [tuple(record) for record in given.records])
        for given in turn[:2]
    )
    return *ranges, *turn[2:]


def difference(case: Case, digests: Digests, other: Other) -> dict[str, Any] | None:
    """The first difference of a history, shown as both trees have it; None if there is none."""
    if digests == case.digests:
        return None
    at = next(i for i, pair in enumerate(zip(case.digests, digests, strict=True)) if pair[0] != pair[1])
    parts = [name for name in case.digests[at] if case.digests[at][name] != digests[at].get(name)]
    rounds = zip(case.digests, digests, strict=True)
    later = {name for ours, theirs in rounds for name in ours if ours[name] != theirs.get(name)}
    asked = case.play._replace(detail=at)
    other.send(asked)
    theirs, ours = other.answer()[1][parts[0]], played(asked)[1][parts[0]]
    i = next((i for i, (a, b) in enumerate(zip(theirs, ours, strict=False)) if a != b), min(len(theirs), len(ours)))
    items = {name: found[i] if i < len(found) else "" for name, found in (("base", theirs), ("here", ours))}
    same = sum(1 for _ in takewhile(lambda both: both[0] == both[1], zip(*items.values(), strict=False)))
    begins = max(0, same - LENGTH // 2)
    shown = {name: item[begins : begins + LENGTH] for name, item in items.items()}
    where = {"kind": case.kind, "seed": case.seed, "round": at, "parts": parts, "later": sorted(later), "item": i}
    return where | shown


def compared(n: int, other: Other, parallel: bool) -> Iterator[dict[str, Any] | None]:
    """The first difference of each history; with ``parallel`` both trees play at the same time."""
    waiting: list[Case] = []
    for kind, seed in of(n):
        case = history(kind, seed)
        if parallel and waiting:
            yield difference(waiting[0], other.answer()[0], other)
            waiting.clear()
        other.send(case.play)
        waiting.append(case)
        if not parallel:
            yield difference(waiting.pop(), other.answer()[0], other)
    for case in waiting:
        yield difference(case, other.answer()[0], other)


def main() -> int:
    """Play, compare, say so."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("base", help="commit to compare with")
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--parallel", action="store_true", help="use two processors")
    arguments = parser.parse_args()
    began = time.monotonic()
    other = Other(checked_out(arguments.base))
    found: list[dict[str, Any] | None] = []
    for first in compared(arguments.histories, other, arguments.parallel):
        found.append(first)
        if len(found) % 50 == 0:
            print(f"{len(found)} histories, {sum(f is not None for f in found)} differ", file=sys.stderr, flush=True)
    other.close()
    different = [one for one in found if one is not None]
    differing: dict[str, int] = {}
    for one in different:
        for part in one["later"]:
            differing[part] = differing.get(part, 0) + 1
    report = {
        "base": arguments.base, "histories": len(found), "equal": len(found) - len(different), "differing": differing,
        "first_difference": different[0] if different else None, "seconds": round(time.monotonic() - began, 1),
        "ok": not different,
    }  # fmt: skip
    print(json.dumps(report))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
