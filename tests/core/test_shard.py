"""What a shard promises to whoever runs it, beside what the oracle checks."""

import pytest

from stream.core.shard import InputHole, Range, Shard
from stream.settings import Market
from stream.topics import TABLES, TASKS
from tests.core.histories import Record


def test_a_dead_letter_keeps_the_original_key_value_and_headers() -> None:
    shard = Shard(0, Market(), 1)
    shard.restored()
    record = Record(offset=0, key=b"p", value=b"{", headers=(("traceparent", b"00-1"),))
    result = shard.round(Range(0, 1, [record]), None, 1.0, 1.0, True)
    (letter,) = result.dead_letters
    assert (letter.topic, letter.key, letter.value) == (f"{TASKS}-dlt", b"p", b"{")
    assert letter.headers[0] == ("traceparent", b"00-1")
    assert ("reason", b"malformed") in letter.headers


def test_a_record_that_waited_for_its_task_keeps_its_headers_through_a_takeover() -> None:
    shard = Shard(0, Market(reference_wait_s=10.0), 1)
    shard.restored()
    value = b'{"type":"task_cancelled","pool":"p","at":1,"task":"t"}'
    shard.round(Range(0, 1, [Record(0, b"p", value, (("traceparent", b"\xff-1"),))]), None, 1.0, 1.0, True)
    successor = Shard(0, Market(reference_wait_s=10.0), 1)
    for table in TABLES:
        for key, row in shard.rows(table):
            successor.restore(table, key, row)
    successor.restored()
    (letter,) = successor.round(None, None, 20.0, 20.0, True).dead_letters
    assert letter.headers[0] == ("traceparent", b"\xff-1")
    assert ("reason", b"unknown_task") in letter.headers


def test_a_range_beyond_the_position_is_a_hole_and_changes_nothing() -> None:
    shard = Shard(0, Market(), 1)
    shard.restored()
    with pytest.raises(InputHole, match="starts at 5, position is 0"):
        shard.round(Range(5, 6, []), None, 1.0, 1.0, True)
    assert shard.round_number == 0 and shard.position[TASKS] == 0
