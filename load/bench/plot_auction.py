"""Plot time against size beside OR-tools: ``python -m load.bench.plot_auction bench.json docs/auction.svg``.

``bench.json`` is the last line that `load.bench.bench_auction` prints (table ``size``).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl


def main(source: str, target: str) -> None:
    """Draw one line per family and solver, both axes logarithmic."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "auction"  # the same figures give the same file
    from matplotlib import pyplot as plt  # noqa: PLC0415 (after the backend is chosen)

    rows = json.loads(Path(source).read_text().strip().splitlines()[-1])["size"]
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for colour, family in zip(("C0", "C1", "C2"), sorted({row["family"] for row in rows}), strict=False):
        mine = sorted(
            (row["tasks"], row["ours"]["ms"], row["ortools"]["ms"]) for row in rows if row["family"] == family
        )
        tasks, ours, theirs = zip(*mine, strict=True)
        axes.loglog(tasks, theirs, "o--", color=colour, label=f"OR-tools, {family}")
        axes.loglog(tasks, ours, "o-", color=colour, label=f"auction, {family}")
    axes.set_xlabel("tasks (32 candidates each)")
    axes.set_ylabel("CPU ms, one thread")
    axes.set_title("From nothing to a certified gap of 1e-3")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(target, metadata={"Date": None}, bbox_inches="tight")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
