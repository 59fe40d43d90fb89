"""How many events a round may take."""

import pytest

from stream.shell.worker.round_size import Budget


def settle(fixed_s: float, per_event_s: float, limit_s: float = 0.1, most: int = 50_000) -> int:
    """The bound after many full rounds of a constant cost."""
    budget = Budget(limit_s, most)
    for turn in range(60):
        events = budget.events if turn % 3 else max(1, budget.events // 2)
        budget.spent(events, fixed_s + per_event_s * events)
    return budget.events


def test_the_bound_settles_where_a_round_takes_its_limit() -> None:
    events = settle(fixed_s=0.01, per_event_s=20e-6)
    assert 0.01 + events * 20e-6 == pytest.approx(0.1, rel=0.1)


def test_matching_that_takes_longer_than_the_limit_does_not_shrink_rounds_to_nothing() -> None:
    events = settle(fixed_s=0.3, per_event_s=20e-6)
    assert events * 20e-6 == pytest.approx(0.3, rel=0.1)


def test_cheap_events_reach_the_upper_bound() -> None:
    assert settle(fixed_s=0.0, per_event_s=1e-7, most=7_000) == 7_000


def test_small_rounds_tell_what_to_expect_but_do_not_move_the_bound() -> None:
    budget = Budget(0.1, 50_000)
    before = budget.events
    for events in (1, 3, 2, 1) * 10:
        budget.spent(events, 0.001)
    assert budget.events == before
    assert budget.expected_s(2) == pytest.approx(0.001, rel=0.2)


def test_nothing_is_expected_before_the_first_round() -> None:
    assert Budget(0.1, 100).expected_s(1) == float("inf")
