"""The rules together: what matching and offering ask of a pair. What its work is charged to is in `charges`.

Vacancies of the task and capacity of the annotator are no rules: they say how much there is, not who may have it.
"""

from typing import NamedTuple

import numpy as np

from kernels.jit import inner
from kernels.rules import attributes, barred, budget, listed, min_skill, once, pull, share

#: The rules of a pair, in the order in which they are asked: cheap ones and those that forbid most first.
OF_PAIRS = (attributes, listed, pull, share, once, barred, min_skill)
#: The rules that all annotators share.
OF_ALL = (budget,)


#: Where nobody restricts what they asked for.
UNRESTRICTED = np.zeros((0, 0), np.uint8)


class Fit(NamedTuple):
    """Who is fit for what, as far as it isn't in columns."""

    meets: np.ndarray  # u1[demands, profiles]: has the profile what the demand requires?
    grants: np.ndarray  # u1[demands, profiles]: does the profile vouch for the demand's skill?
    asked: np.ndarray  # u1[annotators, projects]: of what did they ask for work? Empty where nobody restricts


@inner
def allowed(pool, fit, t, a):
    """Every rule but those about what the annotator has done."""
    return (
        attributes.permits(pool, fit, t, a)
        and listed.permits(pool, fit, t, a)
        and pull.permits(pool, fit, t, a)
        and share.permits(pool, fit, t, a)
    )


@inner
def still_allowed(pool, fit, t, a):
    """Would the offer that the two have still be made, as far as rules go that people change?"""
    return (
        attributes.permits(pool, fit, t, a)
        and listed.permits(pool, fit, t, a)
        and share.is_kept(pool, t, a)
        and min_skill.permits(pool, fit, t, a)
    )


@inner
def permitted(pool, fit, t, a):
    """May the annotator have the task, if it has vacancies and they are free?"""
    if not (allowed(pool, fit, t, a) and once.permits(pool, fit, t, a) and barred.permits(pool, fit, t, a)):
        return False
    return min_skill.permits(pool, fit, t, a)
