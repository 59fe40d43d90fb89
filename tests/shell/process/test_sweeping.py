"""A long read searches for circles of objects by fetches, and leaves the search as it found it."""

import gc
import weakref

import pytest

from stream.shell.commands.topic_reader import FETCHES_PER_SWEEP, swept_by_fetches


class Fetch:
    """What the Kafka client leaves behind: a circle that holds a fetch."""

    def __init__(self) -> None:
        self.itself = self


def test_circles_go_within_a_few_fetches() -> None:
    with swept_by_fetches() as fetched:
        left = weakref.ref(Fetch())
        for _ in range(FETCHES_PER_SWEEP - 1):
            fetched()
        assert left() is not None  # else this test would not see whether the sweep does anything
        fetched()
        assert left() is None


@pytest.mark.parametrize("on", [True, False])
def test_the_search_is_left_as_it_was(on: bool) -> None:
    before = gc.isenabled()
    try:
        gc.enable() if on else gc.disable()
        with pytest.raises(KeyError), swept_by_fetches():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() is on
    finally:
        gc.enable() if before else gc.disable()
