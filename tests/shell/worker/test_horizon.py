"""Until when the input is known to be complete."""

from hypothesis import given
from hypothesis import strategies as st

from stream.shell.worker.horizon import KEPT, Horizon


def test_nothing_is_known_before_the_first_answer() -> None:
    horizon = Horizon()
    assert horizon.complete_until(100) == 0.0
    assert not horizon.reached(100)


def test_the_input_is_complete_only_up_to_fetches_whose_end_is_reached() -> None:
    horizon = Horizon()
    horizon.answered(1.0, 10)
    horizon.answered(2.0, 20)
    assert horizon.complete_until(9) == 0.0
    assert horizon.complete_until(19) == 1.0
    assert not horizon.reached(19)
    assert horizon.complete_until(20) == 2.0
    assert horizon.reached(20)


def test_idle_answers_move_time_on() -> None:
    horizon = Horizon()
    for sent in range(10 * KEPT):
        horizon.answered(float(sent), 5)
    assert horizon.complete_until(5) == 10 * KEPT - 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60))
def test_it_never_claims_more_than_the_log_holds(steps: list[tuple[bool, int]]) -> None:
    """Records are appended at known times; claimed completeness is checked against the log itself."""
    horizon, log, position, now = Horizon(), [], 0, 0.0
    for is_fetch, count in steps:
        now += 1.0
        if is_fetch:
            horizon.answered(now, len(log))
            position = max(position, len(log) - count)
        else:
            log += [now + 0.5] * count
            now += 0.5
        until = horizon.complete_until(position)
        assert all(at > until for at in log[position:])
