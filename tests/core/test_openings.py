"""How many tasks need somebody and how many people are free: what the gauges show, after every round."""

import random

import numpy as np

from kernels.lifecycle import codes
from kernels.lifecycle.pool_columns import NOW
from stream.core.shard import Openings, Shard
from stream.settings import Market
from stream.topics import ANNOTATORS, TABLES, TASKS
from tests.core.course import Course, gold, people, project, work
from tests.core.histories import MARKET, PARTITION, PARTITIONS, Writer


def counted(shard: Shard) -> tuple[int, int, int]:
    """By looking at every task and everybody, each pool as of the last round that concerned it."""
    tasks = free = at_risk = 0
    for pool in shard.pools.values():
        columns = pool.columns
        for t in range(pool.tasks.used):
            tasks += bool(columns.tasks.vacancies[t] > 0 and columns.tasks.records[t]["purpose"] == codes.WORK)
        for record in columns.annotators.records[: pool.annotators.used]:
            may_be_there = record["online"] and not record["paused"] and not record["absent"]
            wants = record["mode"] != codes.PULL or record["asked"] > 0
            has_room = record["live"] < record["capacity"] and record["expires"] > columns.clock[NOW]
            free += bool(may_be_there and wants and has_room)
            has_lapsed = not record["online"] and np.isfinite(record["expires"])
            at_risk += record["live"] if has_lapsed else 0
    return tasks, free, int(at_risk)


def test_where_nobody_is_left_the_work_that_comes_is_counted() -> None:
    """No market is solved then; the figures used to stay as the last market had them."""
    course = Course()
    course.told(project(), *work(1, overlap=1), *people(["a"]))
    assert len(course.offers) == 1
    result = course.told({"type": "annotator_offline", "annotator": "a"})
    assert (result.open_tasks, result.free_annotators) == (1, 0)
    result = course.told(*work(10_000, first=1))
    assert (result.open_tasks, result.free_annotators) == (10_001, 0)


def test_pools_that_a_round_does_not_concern_are_counted_too() -> None:
    course = Course()
    other = [event | {"pool": "q"} for event in (project(), *work(3))]
    course.told(*other, project(), *gold(2), *people(["a", "b"], capacity=2))
    result = course.told(*people(["c"]))
    assert (result.open_tasks, result.free_annotators) == (3, 3)


def test_the_sums_are_those_of_every_pool_through_histories_and_takeovers() -> None:
    for seed in range(6):
        writer = Writer(seed)
        shard = Shard(PARTITION, MARKET, PARTITIONS)
        shard.restored()
        shard.position = {TASKS: writer.ends["tasks"], ANNOTATORS: writer.ends["annotators"]}
        for number, turn in enumerate(writer.turns(30)):
            if number == 15:
                successor = Shard(PARTITION, MARKET, PARTITIONS)
                for table in TABLES:
                    successor.restore_many(table, dict(shard.rows(table)))
                successor.restored()
                shard = successor
            result = shard.round(*turn)
            assert (result.open_tasks, result.free_annotators, result.at_risk) == counted(shard)


def test_a_pool_that_goes_is_counted_no_more() -> None:
    openings = Openings()
    rng = random.Random(3)
    kept: dict[str, tuple[int, int, int]] = {}
    for _ in range(200):
        pool = f"p{rng.randrange(5)}"
        kept[pool] = rng.choice([(0, 0, 0), (rng.randrange(9), rng.randrange(9), rng.randrange(9))])
        openings.put(pool, *kept[pool])
        sums = openings.tasks, openings.annotators, openings.at_risk
        assert sums == tuple(np.sum(list(kept.values()), axis=0).tolist())


def test_a_successor_knows_them_before_its_first_round() -> None:
    course = Course()
    course.told(project(), *work(4, overlap=1), *people(["a"]))
    successor = Shard(0, Market(), 1)
    for table in TABLES:
        successor.restore_many(table, dict(course.shard.rows(table)))
    successor.restored()
    assert (successor.openings.tasks, successor.openings.annotators) == (3, 0)
