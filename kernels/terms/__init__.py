"""Terms: what a pair's value is the sum of. One module a term:

    worth     kernel: the term, from a `Case`, the columns and the weights of the pool's policy
    WORDS     what it says, to people (``allocator why``)

A term has its own name in the decision of every offer, and where it has a weight, that is a setting of the policy.
"""

from typing import NamedTuple

from kernels.jit import inner
from kernels.terms import accuracy, cost, coverage, deadline_urgency, information

OF_VALUE = (information, accuracy, coverage, cost, deadline_urgency)
NAMES = tuple(module.__name__.rpartition(".")[2] for module in OF_VALUE)
WORDS = {name: module.WORDS for name, module in zip(NAMES, OF_VALUE, strict=True)}
COUNT = len(OF_VALUE)
INFORMATION, COST = OF_VALUE.index(information), OF_VALUE.index(cost)


class Case(NamedTuple):
    """What terms are reckoned from, beside task and annotator."""

    weight: float  # `kernels.valuation.importance` times `trust`
    ability: float  # the annotator's, in the task's model
    information: float  # what the judgment tells about the truth, nats
    accuracy: float  # by how much it makes the label better, expected


@inner
def reckon(pool, t, a, case, policy, out):
    """Fill ``out`` float64[COUNT] with the terms of task ``t`` and annotator ``a``; returns their sum."""
    out[0] = information.worth(pool, t, a, case, policy)
    out[1] = accuracy.worth(pool, t, a, case, policy)
    out[2] = coverage.worth(pool, t, a, case, policy)
    out[3] = cost.worth(pool, t, a, case, policy)
    out[4] = deadline_urgency.worth(pool, t, a, case, policy)
    total = out[0]
    for k in range(1, COUNT):
        total += out[k]
    return total
