"""Events that wait for a task that nobody has created: one row, which must stay small and cheap to add to."""

from typing import Any

import pytest

from stream.core.shard import Range, Shard
from stream.core.state.waiting import Waiting
from stream.settings import Market
from stream.topics import OVERHEAD_BYTES, TABLES, TASKS
from tests.core.histories import Record

LEAST_INPUT_BYTES = 64 << 10
#: of a record and its batch, beside key and value
FRAME_BYTES = 256
SMALLEST = b'{"type":"task_cancelled","pool":"p","at":1,"task":"t"}'
Headers = tuple[tuple[str, bytes | None], ...]


def told(events: int, headers: Headers = ()) -> tuple[Shard, int]:
    """A shard that was told so many events about one unknown task; how many it refused."""
    shard = Shard(0, Market(), 1)
    shard.restored()
    records = [Record(offset, b"p", SMALLEST, headers) for offset in range(events)]
    result = shard.round(Range(0, events, records), None, 1.0, 1.0, True)
    assert {dict(letter.headers)["reason"] for letter in result.dead_letters} <= {b"too_many_waiting"}
    return shard, len(result.dead_letters)


def row_bytes(shard: Shard) -> int:
    (size,) = (len(key) + len(value or b"") for key, value in shard.rows("tasks") if key[:1] == b"w")
    return size


@pytest.mark.slow
@pytest.mark.parametrize(
    "headers", [(), (("", None),), (("", None),) * 1_000, (("n", b"v"),) * 50, (("", b""),) * 7_000]
)
def test_a_row_full_of_the_smallest_events_and_headers_is_one_that_its_topic_takes(headers: Headers) -> None:
    shard, refused = told(1_500, headers)
    assert refused
    assert row_bytes(shard) <= shard.pools["p"].waiting_bytes["t"] + FRAME_BYTES
    assert row_bytes(shard) + FRAME_BYTES <= LEAST_INPUT_BYTES + OVERHEAD_BYTES


def test_the_first_event_waits_whatever_its_size_and_its_row_is_taken_too() -> None:
    """A header of nothing takes two bytes in a record, so the largest record holds half as many as it has bytes."""
    shard, refused = told(2, (("", None),) * ((LEAST_INPUT_BYTES - len(SMALLEST)) // 2))
    assert refused == 1
    assert row_bytes(shard) + FRAME_BYTES <= LEAST_INPUT_BYTES + OVERHEAD_BYTES


def test_an_event_that_waits_costs_the_same_however_many_do(monkeypatch: pytest.MonkeyPatch) -> None:
    sized = 0
    size: Any = vars(Waiting)["size"].fget

    def counted(waits: Waiting) -> int:
        nonlocal sized
        sized += 1
        return size(waits)

    monkeypatch.setattr(Waiting, "size", property(counted))
    _, refused = told(3_000)
    assert refused
    assert sized <= 2 * 3_000


def test_a_successor_counts_what_waits_as_its_predecessor_did() -> None:
    shard, _ = told(400)
    successor = Shard(0, Market(), 1)
    for table in TABLES:
        for key, value in shard.rows(table):
            successor.restore(table, key, value)
    successor.restored()
    assert successor.pools["p"].waiting_bytes == shard.pools["p"].waiting_bytes
    records = [Record(offset, b"p", SMALLEST) for offset in range(400, 800)]
    again = [one.round(Range(400, 800, records), None, 2.0, 2.0, True).dead_letters for one in (shard, successor)]
    assert again[0] == again[1] != []
    assert successor.position[TASKS] == 800
