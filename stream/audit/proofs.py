"""What a round states of the worth of its offers: does it add up, and is the value within the bound?

The auditor can't say whether the bound is one: it computes no values. But what a round says of itself must agree with
what it has decided, and a value above its own bound is a proof that proves nothing.

    value + unproven_value + taught_value = sum of the values of the pool's decisions
    value <= bound                          both finite; required work may be worth less than nothing
    gap = (bound - value) / larger of both  0 where they are one
    required <= required_bound              as many as the decisions say
    covers = all                            nothing is unproven; no pairs were looked at: nothing is worth anything

All up to rounding: sums of as many numbers in another order differ in their last digits.
"""

from collections.abc import Iterable
from math import isclose, isfinite

from stream.audit.round import Round
from stream.events import PoolRound

ROUNDING = 1e-9


def check_worth(this: Round) -> Iterable[str]:
    """Yield what is wrong with the figures of a round."""
    for pool in this.completed.pools:
        for what in _wrong(pool, this.worth.get(pool.pool, 0.0), this.required[pool.pool]):
            yield f"{what} in {pool.pool!r}"


def _wrong(pool: PoolRound, decided: float, required: int) -> Iterable[str]:
    figures = pool.value, pool.bound, pool.gap, pool.unproven_value, pool.taught_value
    if not all(map(isfinite, figures)):
        yield f"a value, a bound or a gap that is no number: {figures}"
        return
    stated = pool.value + pool.unproven_value + pool.taught_value
    if not _same(stated, decided):
        yield f"offers worth {stated} according to the round, {decided} according to its decisions"
    if pool.required != required or pool.required > pool.required_bound:
        yield f"{pool.required} promises filled of {pool.required_bound} by the round, {required} by its decisions"
    if pool.value > pool.bound + (abs(pool.bound) + 1) * ROUNDING:
        yield f"a value of {pool.value} and a bound of {pool.bound}, which it should not exceed"
    gap = (pool.bound - pool.value) / max(abs(pool.bound), abs(pool.value)) if pool.bound > pool.value else 0.0
    if not _same(pool.gap, gap):
        yield f"a gap of {pool.gap}, where value and bound make it {gap}"
    if pool.covers == "all" and pool.unproven_value:
        yield f"{pool.unproven_value} without a proof, where the bound is said to cover all pairs"
    if not pool.pairs and (abs(pool.value) > ROUNDING or abs(pool.bound) > ROUNDING):
        yield f"a value of {pool.value} and a bound of {pool.bound} over no pairs"


def _same(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=ROUNDING, abs_tol=ROUNDING)
