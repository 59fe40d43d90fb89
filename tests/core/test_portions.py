"""A copy made in portions while rounds go on, followed by the log from its first portion, is the state."""

import pytest

from stream.core.saved.rows import POSITION
from stream.core.shard import Shard
from tests.core.course import Course
from tests.core.histories import MARKET, PARTITION, PARTITIONS, Writer
from tests.core.test_oracle import TURNS, offered, started


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_copy_in_portions_and_the_log_after_its_beginning_give_the_state(seed: int, size: int) -> None:
    writer = Writer(seed)
    shard = started(writer)
    copy: dict[bytes, bytes] = {}
    log: list[tuple[bytes, bytes | None]] = []
    left = None
    for number, turn in enumerate(writer.turns(TURNS)):
        result = shard.round(*turn)
        writer.told(offered(result))
        if left is not None:
            log += [row for rows in result.rows.values() for row in rows]
        if number == TURNS // 4:
            left = shard.portions(size)
        if left is not None:
            copy.update((key, value) for key, value in next(left, []) if value is not None)
    assert left is not None
    for rows in left:
        copy.update((key, value) for key, value in rows if value is not None)
    successor = Shard(PARTITION, MARKET, PARTITIONS)
    successor.restore_many("", dict(copy))
    successor.restore_many("", log)
    successor.restored()
    for table in ("tasks", "annotators", "skills"):
        expected = {key: value for key, value in shard.rows(table) if key != POSITION}
        assert {key: value for key, value in successor.rows(table) if key != POSITION} == expected
    assert successor.position == shard.position
    assert successor.round_number == shard.round_number


def test_a_pool_may_go_between_two_portions() -> None:
    course = Course()
    course.told({"type": "pool_paused", "pool": "a"}, {"type": "task_cancelled", "task": "t", "pool": "b"})
    left = course.shard.portions(1)
    copy = dict([*next(left), *next(left)])
    log = [row for rows in course.told(after=100.0).rows.values() for row in rows]
    assert set(course.shard.pools) == {"a"}, "the task never came"
    for rows in left:
        copy.update(rows)
    successor = Shard(0, MARKET, 1)
    successor.restore_many("", copy)
    successor.restore_many("", log)
    successor.restored()
    assert set(successor.pools) == {"a"}
