"""References of tasks and notes of pools and projects: handed on as they were stated, kept, changed, forgotten."""

import itertools
from typing import Any

import pytest

from stream import topics
from stream.core.saved.rows import POSITION
from stream.core.shard import RoundResult, Shard
from tests.core.course import Course
from tests.core.histories import MARKET, PARTITION, PARTITIONS, POOLS
from tests.core.test_erasure import Play, published, said
from tests.core.test_oracle import without_epoch

POOL = POOLS[0]


def task(name: str = "t", **fields: Any) -> dict[str, Any]:
    return said("task_created", task=name, project="j", skill="s", classes=2, overlap=3, **fields)


def somebody(name: str) -> list[dict[str, Any]]:
    return [said("annotator_set", annotator=name, skills=["*"]), said("annotator_online", annotator=name, ttl_s=1e6)]


def refs(result: RoundResult) -> list[str | None]:
    return [out.ref for out in published(result, topics.ASSIGNMENTS) if hasattr(out, "accept_by")]


def successor(play: Play) -> Shard:
    """A shard of the rows that were committed, which have to be those that it would write."""
    after = Shard(PARTITION, MARKET, PARTITIONS)
    for (table, key), value in play.rows.kept.items():
        after.restore(table, key, value)
    after.restored()
    written = {(table, key): value for table in topics.TABLES for key, value in after.rows(table) if key != POSITION}
    assert written == {place: value for place, value in play.rows.kept.items() if place[1] != POSITION}
    return after


def test_an_offer_carries_the_reference_of_its_task_or_none() -> None:
    play = Play()
    result = play.round(task(ref="https://tool/17"), *somebody("a"))
    assert refs(result) == ["https://tool/17"]
    play.round(said("task_cancelled", task="t"), said("annotator_offline", annotator="a"))
    assert refs(play.round(task("u"), *somebody("b"))) == [None]


def test_gold_has_references_like_work() -> None:
    course = Course()
    course.told(
        {"type": "project_set", "project": "j", "gold_rate": 0.9, "defaults": {"skill": "s", "classes": 2}},
        {"type": "task_created", "task": "g", "project": "j", "purpose": "training", "label": 1, "ref": "open/g"},
        {"type": "task_created", "task": "w", "project": "j", "min_skill": 0.9, "ref": "open/w"},
        {"type": "annotator_set", "annotator": "a", "skills": ["s"]},
        {"type": "annotator_online", "annotator": "a", "capacity": 2},
    )
    assert {offer.task: offer.ref for offer in course.offers}["g"] == "open/g"


UPDATES = [
    said("task_updated", task="t", at=1001.0, ref="one"),
    said("task_updated", task="t", at=1002.0, ref=None),
    said("task_updated", task="t", at=1002.0, ref="two"),
    said("task_updated", task="t", at=1003.0, priority=2),
    said("task_updated", task="t", at=999.0, ref="older than the task"),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(UPDATES))))[::7])
@pytest.mark.parametrize("first", [{}, {"ref": "zero"}])
def test_the_newest_statement_of_a_reference_counts_in_whatever_order(order: tuple[int, ...], first: Any) -> None:
    play = Play()
    play.round(task(**first), now=1010.0)
    for n in order:
        play.round(UPDATES[n], now=1010.0)
    assert refs(play.round(*somebody("a"), now=1010.0)) == ["two"]


def test_null_takes_a_reference_away_and_an_odd_one_leaves_it() -> None:
    play = Play()
    play.round(task(ref="one"))
    odd = play.round(said("task_updated", task="t", at=1001.0, ref=["x"])).completed.odd
    assert odd == {"task_updated.ref": 1}
    assert refs(play.round(*somebody("a"), now=1001.0)) == ["one"]
    play.round(said("task_updated", task="t", at=1002.0, ref=None), now=1002.0)
    assert refs(play.round(*somebody("b"), now=1002.0)) == [None]
    play.round(said("task_updated", task="t", at=1001.5, ref="late"), now=1003.0)
    assert refs(play.round(*somebody("c"), now=1003.0)) == [None], "what was taken away stays so"


def test_an_update_that_is_refused_changes_no_reference() -> None:
    play = Play()
    play.round(task(ref="one", confidence=0.9, max_overlap=4))
    result = play.round(said("task_updated", task="t", at=1001.0, ref="two", overlap=4, max_overlap=3))
    assert len(result.dead_letters) == 1
    assert refs(play.round(*somebody("a"))) == ["one"]


def test_a_reference_is_in_no_row_but_its_own_and_a_successor_offers_it() -> None:
    play = Play()
    play.round(task(ref="https://tool/17"), task("u"))
    holding = [key for (_, key), value in play.rows.kept.items() if b"https://tool/17" in value]
    assert [key[:1] for key in holding] == [b"l"]
    play.shard = successor(play)
    assert sorted(
        refs(
            play.round(
                said("annotator_set", annotator="a", skills=["*"]),
                said("annotator_online", annotator="a", capacity=2, ttl_s=1e6),
            )
        ),
        key=str,
    ) == [None, "https://tool/17"]


def test_a_reference_leaves_with_its_task() -> None:
    play = Play()
    play.round(task(ref="https://tool/17"))
    play.round(said("task_cancelled", task="t"))
    play.round(now=1000.0 + MARKET.settled_retention_s + 1)
    assert not any(b"https://tool/17" in value for value in play.rows.kept.values())
    pool = play.shard.pools[POOL]
    assert pool.refs == {} and "t" in pool.gone
    successor(play)


NOTES = [
    said("pool_set", at=1001.0, note="one"),
    said("pool_set", at=1002.0, note="two"),
    said("pool_set", at=1003.0),
    said("pool_set", at=1002.0, note=None),
    said("pool_set", at=1002.0, note="alpha"),
]


@pytest.mark.parametrize("order", list(itertools.permutations(range(len(NOTES))))[::11])
def test_the_newest_note_of_a_pool_counts_in_whatever_order(order: tuple[int, ...]) -> None:
    play = Play()
    for n in order:
        play.round(NOTES[n])
    assert play.shard.pools[POOL].note == "two"
    assert successor(play).pools[POOL].note == "two"


def test_a_note_is_no_sign_that_its_pool_may_be_forgotten() -> None:
    play = Play()
    play.round(said("pool_set", at=0.0, note="closed on Mondays"))
    assert play.shard.pools[POOL].note == "closed on Mondays"
    play.round(said("pool_set", note=None))
    assert successor(play).pools[POOL].note_at == 1000.0, "an older note must not come back"
    quiet = Play()
    quiet.round(said("pool_set"))
    assert POOL not in quiet.shard.pools


def test_a_note_of_a_project_stays_when_absent_and_goes_with_null() -> None:
    play = Play()

    def note() -> str | None:
        pool = play.shard.pools[POOL]
        assert successor(play).pools[POOL].notes == pool.notes
        return pool.notes.get(pool.projects.slots["j"])

    play.round(said("project_set", project="j", at=1.0, note="Ask Ana {first}", labels=["cat", "dog"]))
    assert note() == "Ask Ana {first}"
    play.round(said("project_set", project="j", at=2.0, state="paused"))
    assert note() == "Ask Ana {first}"
    play.round(said("project_set", project="j", at=3.0, note=None))
    assert note() is None


def test_rounds_of_a_successor_are_the_same_bytes() -> None:
    play = Play()
    play.round(
        task(ref="one"), task("u", ref="two"), said("pool_set", note="n"), said("project_set", project="j", note="m")
    )
    after = successor(play)
    events = [said("task_updated", task="t", at=1001.0, ref="three"), *somebody("a")]
    other = Play()
    other.shard, other.rows = after, play.rows
    assert without_epoch(play.round(*events)) == without_epoch(other.round(*events))
