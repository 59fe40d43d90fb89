"""What a shard promises to whoever runs it, beside what the oracle checks."""

import pytest

from stream.core.shard import InputHole, Range, Shard
from stream.settings import Market
from stream.topics import OVERHEAD_BYTES, TABLES, TASKS
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


@pytest.mark.parametrize(
    ("key", "value", "reason", "words"),
    [
        (b"p", b'{"type":"%b"}' % (b"x" * 500_000), b"malformed", "at `$.type`"),
        (b"p", b'{"type":"project_set","pool":"p","at":1,"project":"j","state":"%b"}' % (b"m" * 500_000),
         b"malformed", "at `$.state`"),
        (b"\1" * 500_000, b'{"type":"pool_paused","pool":"p","at":1}', b"wrong_key", "use the pool's id"),
    ],
)  # fmt: skip
def test_a_dead_letter_has_room_for_its_message_however_large_the_record(
    key: bytes, value: bytes, reason: bytes, words: str
) -> None:
    """A decoder repeats what it refuses: the broker would refuse the letter, and the worker end again and again."""
    shard = Shard(0, Market(), 1)
    shard.restored()
    (letter,) = shard.round(Range(0, 1, [Record(0, key, value)]), None, 10.0, 10.0, True).dead_letters
    headers = dict(letter.headers)
    assert headers["reason"] == reason
    assert words in headers["__streams.errors.message"].decode()
    assert (letter.key, letter.value) == (key, value)
    assert sum(len(name) + len(text) for name, text in letter.headers) < 10_000 < OVERHEAD_BYTES


def test_a_range_beyond_the_position_is_a_hole_and_changes_nothing() -> None:
    shard = Shard(0, Market(), 1)
    shard.restored()
    with pytest.raises(InputHole, match="starts at 5, position is 0"):
        shard.round(Range(5, 6, []), None, 1.0, 1.0, True)
    assert shard.round_number == 0 and shard.position[TASKS] == 0
