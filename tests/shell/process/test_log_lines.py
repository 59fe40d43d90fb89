"""What a worker says about itself can be read while things go wrong."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from stream.shell.process.log_lines import REPEAT_S, Log, Repetitions, configure


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure("json", "info", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def record(message: str, at: float, *args: object) -> logging.LogRecord:
    made = logging.LogRecord("aiokafka", logging.ERROR, "x.py", 1, message, args, None)
    made.created = at
    return made


def test_a_library_that_repeats_itself_is_heard_once_in_a_while_with_the_number_of_times():
    repetitions = Repetitions()
    passed = [one for i in range(1000) if repetitions.filter(one := record("no node %s", 0.01 * i, i))]
    assert len(passed) == 2  # ten seconds
    assert [one.withheld for one in passed] == [0, int(REPEAT_S / 0.01) - 1]


def test_another_message_passes_at_once():
    repetitions = Repetitions()
    assert repetitions.filter(record("one", 0.0))
    assert repetitions.filter(record("other", 0.0))
    assert not repetitions.filter(record("one", 0.1))


def test_events_of_our_own_always_pass(stream: io.StringIO):
    for _ in range(3):
        Log("allocator.test").info("round_committed", partition=1)
    logging.getLogger("kafka").error("away")
    logging.getLogger("kafka").error("away")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["round_committed"] * 3 + ["library"]
    assert lines[0]["partition"] == 1
