"""Figures in documents are those of a bench's last kept run: ``python -m load.bench.keep [BENCH [OPTIONS]]``.

With the name of a bench (`bench-latency`, as `make` knows it) it runs the bench, passes on what that prints and keeps
its last line, a JSON object, as ``docs/figures/BENCH.json``: with the day, the commit and the machine. Whether the
bench's bars were met is no matter here; its exit code is passed on.

Then, and without a name at once, every marked place of README and docs is written anew. A mark says which bench, which
figure, and how Python's `format` writes it; the figure stands between it and an empty comment:

    p50 <!-- bench-latency event_to_offer.p50_ms .1f -->8.0<!-- --> ms

A list, of one number a seed, is written by its `mean`, `max` or `sum`, which are then the figure's last name; of a
single number each of them is that number.
"""

import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "docs" / "figures"
MARK = re.compile(r"<!-- (bench-[a-z-]+) ([\w.]+) (\S+) -->(.*?)<!-- -->", re.DOTALL)
OF_LISTS: dict[str, Callable[[Sequence[float]], float]] = {"mean": statistics.fmean, "max": max, "sum": sum}


def documents() -> list[Path]:
    """README and all pages of docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def kept() -> dict[str, Any]:
    """What is kept, by bench."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(KEPT.glob("*.json"))}


def figure(found: Any, name: str) -> float:
    """One figure of a bench by its dotted name.

    Raises
    ------
    KeyError
        The bench has no such figure.
    """
    for part in name.split("."):
        if part in OF_LISTS and not isinstance(found, dict):
            found = OF_LISTS[part](found if isinstance(found, list) else [found])
        elif isinstance(found, dict) and part in found:
            found = found[part]
        else:
            raise KeyError(f"{name}: expected a figure, there is no {part!r}")
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise KeyError(f"{name}: expected one number, got {found!r}")
    return found


def written(text: str, all_kept: Mapping[str, Any]) -> str:
    """A document with the figures that are kept at its marks.

    >>> written("in <!-- bench-x took.ms .1f -->9<!-- --> ms", {"bench-x": {"figures": {"took": {"ms": 8.04}}}})
    'in <!-- bench-x took.ms .1f -->8.0<!-- --> ms'
    """

    def at(mark: re.Match[str]) -> str:
        bench, name, form, _ = mark.groups()
        if bench not in all_kept:
            raise KeyError(f"{bench}: expected docs/figures/{bench}.json; make figures BENCH={bench} writes it")
        return f"<!-- {bench} {name} {form} -->{format(figure(all_kept[bench]['figures'], name), form)}<!-- -->"

    return MARK.sub(at, text)


def commit() -> str:
    """The commit of this tree, with a plus if something of it has changed since."""

    def git(*command: str) -> str:
        return subprocess.run(("git", *command), cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "--short=12", "HEAD") + ("+" if git("status", "--porcelain") else "")


def run(bench: str, options: Sequence[str]) -> int:
    """Run a bench and keep its last line; returns its exit code."""
    began = commit()
    command = [sys.executable, "-m", f"load.bench.{bench.replace('-', '_')}", *options]
    last = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
    try:
        figures = json.loads(last)
    except ValueError:
        print(f"{bench}: its last line is no JSON object, nothing is kept", file=sys.stderr)
        return process.returncode or 1
    told = {
        "command": " ".join(("make figures", f"BENCH={bench}", *([f'ARGS="{" ".join(options)}"'] if options else []))),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": began,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "figures": figures,
    }
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{bench}.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return process.returncode


def main(arguments: Sequence[str]) -> int:
    """Run and keep, if a bench is named; write the documents."""
    code = run(arguments[0], arguments[1:]) if arguments else 0
    all_kept = kept()
    for path in documents():
        text = path.read_text(encoding="utf-8")
        new = written(text, all_kept)
        if new != text:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: figures written")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
