"""What counts as stuck."""

import time
from types import SimpleNamespace
from typing import Any

from stream.shell.worker.watchdog import Watchdog

LIMIT_S = 10.0


def stuck(after_s: float, unready: bool = False, waiting: bool = False, beating: bool = True) -> str | None:
    """What a watchdog finds `after_s` seconds after everything stood still."""
    now = time.monotonic()
    partition = SimpleNamespace(number=3, waiting_since=now if waiting else None)
    partitions: Any = SimpleNamespace(unready_since=now if unready else None, running=lambda: [partition])
    watchdog = Watchdog(partitions, LIMIT_S)
    watchdog._beat = now + after_s if beating else now
    return watchdog.stuck(now + after_s)


def test_an_idle_worker_is_not_stuck() -> None:
    assert stuck(1000.0) is None


def test_an_event_loop_that_stands_still_is_stuck() -> None:
    assert stuck(LIMIT_S - 1, beating=False) is None
    assert stuck(LIMIT_S + 1, beating=False) == "event loop"


def test_a_takeover_that_does_not_end_is_stuck() -> None:
    assert stuck(LIMIT_S - 1, unready=True) is None
    assert stuck(LIMIT_S + 1, unready=True) == "joining the group or taking over"


def test_input_that_no_commit_takes_is_stuck() -> None:
    assert stuck(LIMIT_S - 1, waiting=True) is None
    assert stuck(LIMIT_S + 1, waiting=True) == "partition 3"
