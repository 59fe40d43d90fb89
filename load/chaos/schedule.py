"""Which faults, in which order: every kind once, then drawn by weight until there are enough.

Clocks that step forward come last: what a partition once took for now, it keeps (time never runs backwards),
so after a step of an hour nothing expires for an hour, and a step back could no longer be told from that.
"""

from collections.abc import Collection
from random import Random

from load.chaos.catalogue import FAULTS

LAST = "clock an hour ahead"
#: faults that take a second or less; the others take the session timeout and more
QUICK = tuple(name for name in FAULTS if name.startswith(("input", "upstream", "wrong", "core")))
#: these harm a pool for good, or take as long as several others
ONCE = ("solve fails", "broker silent", "takeover hangs", "takeover blocks")
LAST_FROM = 0.75


def schedule(rng: Random, count: int, only: Collection[str] = ()) -> list[str]:
    """Draw `count` faults, at least one of each kind (or of each of `only`).

    Examples
    --------
    >>> drawn = schedule(Random(1), 70)
    >>> len(drawn), set(drawn) == set(FAULTS)
    (70, True)
    >>> drawn == schedule(Random(1), 70)
    True
    """
    kinds = [name for name in FAULTS if not only or name in only]
    drawn = list(kinds)
    weights = [0 if name in ONCE and name not in only else 6 if name in QUICK else 1 for name in kinds]
    if sum(weights):
        drawn += rng.choices(kinds, weights, k=max(0, count - len(drawn)))
    rng.shuffle(drawn)
    early = [name for name in drawn if name != LAST]
    late = [name for name in drawn if name == LAST]
    start = int(LAST_FROM * len(early))
    for name in late:
        early.insert(rng.randint(start, len(early)), name)
    return early
