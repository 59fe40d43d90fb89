"""What is going on, while it goes on: redrawn on a terminal, one line every five seconds elsewhere.

Plain ANSI: the cursor goes up and the lines are written anew. Deliberately no dependency and no key
bindings.
"""

from collections.abc import Sequence
from typing import TextIO

from load.world.figures import Lane
from load.world.live_market import Moment

EVERY_S = 5.0


def lines(name: str, moment: Moment) -> list[str]:
    """Return the view of one market: a heading and a line for each lane."""
    return [
        f"{name:<22}{'settled':>12}{'judgments/task':>17}{'accuracy':>11}{'idle':>8}{'too many':>11}",
        _lane("  allocator", moment.ours),
        _lane("  usual practice", moment.usual),
        "",
    ]


def _lane(name: str, lane: Lane) -> str:
    settled = f"{lane.settled}/{lane.tasks}"
    return (
        f"{name:<22}{settled:>12}{lane.per_settled:>17.2f}{lane.accuracy:>11.3f}"
        f"{lane.idle_share:>8.0%}{lane.over:>11}"
    )


class View:
    """Writes the view.

    Parameters
    ----------
    out : TextIO
        Redrawn in place when it is a terminal.
    names : sequence of str
        One a market.
    """

    def __init__(self, out: TextIO, names: Sequence[str]) -> None:
        self._out, self._names = out, names
        self._in_place = out.isatty()
        self._drawn = 0
        self._last = -EVERY_S

    def show(self, seconds: float, moments: Sequence[Moment], news: str) -> None:
        """Show the moments of all markets, `seconds` after the start."""
        if self._in_place:
            page = [f"second {seconds:4.0f}   {news}", ""]
            for name, moment in zip(self._names, moments, strict=True):
                page += lines(name, moment)
            self._out.write(f"\x1b[{self._drawn}F" if self._drawn else "")
            self._out.write("".join(f"{line}\x1b[K\n" for line in page))
            self._drawn = len(page)
        elif seconds - self._last >= EVERY_S:
            self._last = seconds
            parts = [
                f"{name} {moment.ours.settled}/{moment.ours.tasks} settled,"
                f" {moment.ours.judgments} judgments, accuracy {moment.ours.accuracy:.3f}"
                f" (usual {moment.usual.judgments}, {moment.usual.accuracy:.3f})"
                for name, moment in zip(self._names, moments, strict=True)
            ]
            self._out.write(f"  second {seconds:3.0f}: {'; '.join(parts)}; {news}\n")
        self._out.flush()
