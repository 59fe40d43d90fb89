"""Ranges on their way to a shard: no hole, no repeat, whatever order of seeks and splits."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from stream.shell.worker.inbox import Inbox


class Record(NamedTuple):
    offset: int
    timestamp: int = 0


def records(start: int, end: int, gaps: set[int] | None = None) -> list[Record]:
    return [Record(offset) for offset in range(start, end) if offset not in (gaps or set())]


def test_a_range_behind_a_hole_is_refused_and_changes_nothing() -> None:
    inbox = Inbox(10)
    assert not inbox.put(12, 15, records(12, 15))
    assert (inbox.end, len(inbox)) == (10, 0)
    assert inbox.put(10, 15, records(10, 15))


def test_what_is_already_here_is_skipped() -> None:
    inbox = Inbox(10)
    assert inbox.put(5, 13, records(5, 13))
    assert inbox.put(8, 12, records(8, 12))
    assert inbox.put(11, 16, records(11, 16))
    taken = inbox.take(100)
    assert taken is not None
    assert (taken.start, taken.end, [r.offset for r in taken.records]) == (10, 16, [*range(10, 16)])


def test_a_range_of_markers_alone_moves_the_position() -> None:
    inbox = Inbox(4)
    assert inbox.put(4, 7, [])
    assert len(inbox) == 1
    taken = inbox.take(1)
    assert taken is not None
    assert (taken.start, taken.end, list(taken.records)) == (4, 7, [])
    assert inbox.take(1) is None


@given(
    cuts=st.lists(st.integers(1, 20), min_size=1, max_size=10),
    gaps=st.sets(st.integers(0, 200)),
    limits=st.lists(st.integers(0, 30), min_size=1),
    overlap=st.integers(0, 5),
)
def test_however_it_is_cut_every_record_is_taken_once_in_order(
    cuts: list[int], gaps: set[int], limits: list[int], overlap: int
) -> None:
    inbox, at = Inbox(0), 0
    for size in cuts:
        start = max(0, at - overlap)
        assert inbox.put(start, at + size, records(start, at + size, gaps))
        at += size
    seen: list[int] = []
    position = 0
    for limit in [*limits, *[50] * 10]:
        taken = inbox.take(limit)
        if taken is None:
            continue
        assert taken.start == position
        assert len(taken.records) <= limit
        assert all(taken.start <= r.offset < taken.end for r in taken.records)
        seen += [r.offset for r in taken.records]
        position = taken.end
    assert seen == [r.offset for r in records(0, at, gaps)]
    assert (position, inbox.position, inbox.end, inbox.records) == (at, at, at, 0)
