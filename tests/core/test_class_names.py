"""Names of a project's classes: kept with the project, unchanged when absent, gone with null."""

from typing import Any

import msgspec

from stream import topics
from stream.core.saved.rows import POSITION
from stream.core.shard import Shard
from tests.core.histories import MARKET, PARTITION, PARTITIONS
from tests.core.test_erasure import POOL, Play, said


def names(shard: Shard, project: str) -> tuple[str, ...] | None:
    pool = shard.pools[POOL]
    return pool.labels.get(pool.projects.slots[project])


def project(at: float, **fields: Any) -> dict[str, Any]:
    return said("project_set", project="j", at=at, **fields)


def test_names_stay_when_absent_and_go_with_null() -> None:
    play = Play()
    play.round(project(1.0, labels=["cat", "dog"]))
    assert names(play.shard, "j") == ("cat", "dog")
    play.round(project(2.0, state="paused"))
    assert names(play.shard, "j") == ("cat", "dog")
    play.round(project(0.5, labels=["late"]))
    assert names(play.shard, "j") == ("cat", "dog"), "the newest `at` wins"
    play.round(project(3.0, labels=None))
    assert names(play.shard, "j") is None


def test_a_successor_knows_them_and_the_defaults() -> None:
    play = Play()
    first = project(1.0, labels=["Straße", "dog"], defaults={"skill": "s", "overlap": 2})
    play.round(first, project(1.0) | {"project": "k"})
    successor = Shard(PARTITION, MARKET, PARTITIONS)
    for table in topics.TABLES:
        successor.restore_many(table, play.shard.rows(table))
    successor.restored()
    assert names(successor, "j") == ("Straße", "dog")
    assert names(successor, "k") is None
    pool = successor.pools[POOL]
    assert msgspec.to_builtins(pool.defaults[pool.projects.slots["j"]]) == {"skill": "s", "overlap": 2}
    for table in topics.TABLES:
        ours, theirs = ({k: v for k, v in s.rows(table) if k != POSITION} for s in (play.shard, successor))
        assert ours == theirs


def test_a_project_of_which_only_names_are_known_is_heard_of() -> None:
    play = Play()
    play.round(project(0.0, labels=["cat", "dog"]))
    pool = play.shard.pools[POOL]
    assert not pool.is_unheard_of(pool.projects.slots["j"]), "else they would be forgotten with its last task"
