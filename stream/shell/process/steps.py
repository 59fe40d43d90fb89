"""The steps of a round, a takeover and a rebalance by name: where a process may die and its successor must go on.

Nothing happens here. The code says which step it has reached, and a proof that must end a process at a named place puts
a `reach` of its own in the place of this one (`load/planted`, which is no part of an installation).
"""

from typing import Literal, get_args

#: in their order: an ``after`` is also the ``before`` of what follows it
Step = Literal[
    "round.taken",  # input taken, nothing applied
    "begin.before",  # solved and encoded
    "begin.after",  # in a transaction, nothing produced
    "produce.during",  # the first batch handed over
    "produce.after",  # all batches handed over
    "commit.during",  # the commit is about to be asked for
    "commit.after",  # committed, not yet accounted: "before acknowledge"
    "acknowledge.after",  # position known to the process
    "fence.after",  # takeover: the predecessor is fenced, nothing read
    "recovery.during",  # takeover: the first rows are read
    "recovery.after",  # takeover: the state is linked, no round yet
    "rebalance.revoked",  # a rebalance has begun, its last rounds are committed
    "rebalance.assigned",  # partitions are assigned, none is taken over
]
STEPS: tuple[Step, ...] = get_args(Step)


def reach(step: Step) -> None:
    """Say that this process has come to `step`."""
