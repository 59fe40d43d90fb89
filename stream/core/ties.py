"""Which label a posterior gives: the most probable one, and where several are, one drawn by a hash of pool and task.

    label = tied[H mod n],    tied = the n classes of the largest probability, lowest first
    H     = BLAKE2b-64 of the pool's id, a NUL and the task's id, read as a big-endian number

A posterior is published as multiples of 2^-16 (`kernels.skill.calibration`), so classes tie when their entries are
equal, not when they are close. The draw depends on ids alone: it is the same in every output about a task, for every
worker and for every replay, and over many tasks no class is favoured.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple


class Leader(NamedTuple):
    """The label of a posterior, and whether another one is as likely."""

    label: int
    tie: bool


def leader(pool: str, task: str, posterior: Sequence[float]) -> Leader:
    """Return the label of a posterior of the task, which is not empty.

    Examples
    --------
    >>> leader("support", "t-17", [0.25, 0.75])
    Leader(label=1, tie=False)
    >>> leader("support", "t-17", [0.5, 0.5]), leader("support", "t-20", [0.5, 0.5])
    (Leader(label=0, tie=True), Leader(label=1, tie=True))
    """
    top = max(posterior)
    first = posterior.index(top)
    if posterior.count(top) == 1:
        return Leader(first, False)
    tied = [label for label, share in enumerate(posterior) if share == top]
    drawn = hashlib.blake2b(f"{pool}\0{task}".encode(), digest_size=8).digest()
    return Leader(tied[int.from_bytes(drawn, "big") % len(tied)], True)
