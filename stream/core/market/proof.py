"""What the offers of a round are measured against: an upper bound that owes nothing to their value.

Required work comes first (`kernels.seating`): which of it is done follows from its order, not from its worth, and the
number of seats filled is its own bound. Value and bound speak of who does it and of what is bought beside it: no offers
that fill the same seats are worth more than the bound. To the auction a required pair is worth more than any other, by
the same ``lift`` for all; whoever states a figure takes the lift off again.

The auction's prices bound what any set of offers could be worth, each valued as when the matching began: the sum of
the prices of all free places, and of what every task would keep at these prices (`kernels.auction.dual_bound`). Room
and capacity are those that offers must respect. A project's budget is one limit for all its tasks together; that an
annotator may have only so much of a project is left out, which can only make the bound too large. So nobody need trust
the auction, nor what cut its demand.

Which pairs the bound speaks of is part of what is said:

    all         every pair of an open task and a free annotator was valued. The final pass finds nothing that wasn't,
                and what it offers is worth no more than it was then (a task is worth less with every offer made on
                it), so its offers count in the value
    recalled    only pairs that were drawn. What the final pass adds lies outside: it is stated beside, unproven

Tasks of known answer are offered before and after; what they teach is no part of the market and stated by itself.
"""

from typing import NamedTuple

import numpy as np

from kernels import auction
from stream.core.state.growth import Array
from stream.events import Covers

ULP = 2.0**-52
Rows = tuple[Array, Array, Array]


class Proof(NamedTuple):
    """The value of a round's offers in one pool, and what is proven of it."""

    value: float
    bound: float
    covers: Covers
    pairs: int
    unproven_value: float = 0.0
    taught_value: float = 0.0
    required: int = 0
    required_bound: int = 0
    waiting: int = 0

    @property
    def gap(self) -> float:
        """The distance of value and bound relative to the larger of both; 0 where they are one."""
        return (self.bound - self.value) / max(abs(self.bound), abs(self.value)) if self.bound > self.value else 0.0


def every_pair(dense: Array) -> Rows:
    """A dense market in compressed rows; pairs of value 0 are there, but nobody takes them."""
    n, m = dense.shape
    indices = np.empty((n, m), np.int32)
    indices[:] = np.arange(m)
    return np.arange(0, n * m + 1, m), indices.ravel(), dense.ravel()


def bound_of(
    rows: Rows, demand: Array, capacity: Array, group: Array | None, budget: Array | None, price: Array,
    lifted: float = 0.0,
) -> float:  # fmt: skip
    """What no offers of these pairs could exceed that fill all that is required.

    Parameters
    ----------
    rows : indptr, indices, values
    demand, capacity : int64[n], int64[m]
        Most offers of each task and of each annotator.
    group, budget : int64[n], int64[groups], or None
        Tasks of a group share its budget; -1: of none.
    price : float64[m]
        Any prices: good ones give a low bound.
    lifted : float
        By how much the values of what is required are lifted in all; the bound is not.
    """
    bound = float(auction.dual_bound(*rows, demand, capacity, price, group=group, budget=budget))
    bound = max(bound, 0.0)  # a sum of differences may end a rounding below 0; no offer at all is worth 0
    # rounded up by more than a sum of as many numbers can be off, and the value with it: a bound is never below
    return bound * (1.0 + (len(demand) + 2 * len(capacity) + 8) * ULP) - lifted
