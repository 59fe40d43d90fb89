"""What is refused changes nothing: neither the rows of the state nor what is in memory, and no pool is born of it."""

import pickle
from typing import Any

import pytest

from stream import topics
from stream.core.intake.partitioning import partition_of
from stream.core.saved.rows import POSITION
from stream.core.shard import Range, RoundResult, Shard
from stream.settings import Market
from tests.core.course import POOL, Course, Strangers, people
from tests.core.histories import Record

LONG = "ü" * 100
NEW = {"only": ["somebody"], "exclude": ["anybody"]}


def task(name: str, **fields: Any) -> dict[str, Any]:
    given = {"type": "task_created", "task": name, "project": "ghost", "skill": "rare", "classes": 2, "overlap": 2}
    return {key: value for key, value in (given | fields).items() if value is not None}


def answer(task: str, annotator: str, label: int | None, kind: str = "submitted") -> dict[str, Any]:
    return {"type": f"judgment_{kind}", "task": task, "annotator": annotator, "label": label}


def score(task: str, annotator: str) -> dict[str, Any]:
    return {"type": "judgment_scored", "task": task, "annotator": annotator, "score": 0.5, "source": "metric"}


INVALID = {
    "a task without a skill": task("x", skill=None),
    "work that knows its answer": task("x", label=1),
    "gold without an answer": task("x", purpose="gold"),
    "gold whose answer is none of its classes": task("x", purpose="gold", label=2, **NEW),
    "gold without classes that has an answer": task("x", purpose="gold", label=1, classes=None),
    "a task of less than its overlap": task("x", max_overlap=1, confidence=0.9, **NEW),
    "less than the overlap later": {"type": "task_updated", "task": "sure", "max_overlap": 1, **NEW},
    "an answer that is no class": answer("w0", "late", 2),
    "an answer that is no class, by a stranger": answer("w0", "stranger", 2),
    "no answer where there are classes": answer("w0", "stranger", None),
    "an answer where there are no classes": answer("plain", "stranger", 0),
    "a correction that is no class": answer("w0", "a", 7, "corrected"),
    "a correction that is no class, by a stranger": answer("w0", "stranger", 7, "corrected"),
    "a truth that is no class": {"type": "truth_set", "task": "w0", "label": 3},
    "a truth where there are no classes": {"type": "truth_set", "task": "plain", "label": 0},
    "a score of a label": score("w0", "a"),
    "a score of no judgment": score("plain", "late"),
    "a score of no judgment, by a stranger": score("plain", "stranger"),
    "a setting that is none": {"type": "settings_changed", "settings": {"accept_s": 5, "leases": 1}},
    "a setting out of bounds": {"type": "settings_changed", "settings": {"accept_s": 5, "lease_s": 0}},
}
MALFORMED = {
    "a long project": task("x", project=LONG),
    "a long skill": task("x", skill=LONG, **NEW),
    "a long task": task(LONG, **NEW),
    "a long name among the only ones": task("x", only=["somebody", LONG]),
    "a long name among the excluded": task("x", only=["somebody"], exclude=[LONG]),
    "a long name among the only ones later": {"type": "task_updated", "task": "w0", "only": ["somebody", LONG]},
    "a long name that is imported": {"type": "skill_seeded", "annotator": LONG, "skill": "rare", "accuracy": 0.5,
                                     "weight": 1.0},
    "a long skill that is imported": {"type": "skill_seeded", "annotator": "stranger", "skill": LONG, "accuracy": 0.5,
                                      "weight": 1.0},
    "a long name": {"type": "annotator_online", "annotator": LONG},
}  # fmt: skip
REFUSED = [(event, "invalid") for event in INVALID.values()] + [(event, "malformed") for event in MALFORMED.values()]
NAMES = [*INVALID, *MALFORMED]


def letters(result: RoundResult) -> list[str]:
    return [dict(letter.headers)["reason"].decode() for letter in result.dead_letters]


def state(shard: Shard) -> dict[bytes, bytes | None]:
    return {key: value for table in topics.TABLES for key, value in shard.rows(table) if key != POSITION}


def known(shard: Shard) -> Any:
    """What is in memory beside the rows."""
    return {
        name: pickle.dumps((pool.tasks.slots, pool.annotators.slots, pool.projects.slots, pool.skills.slots,
                            pool.models.slots, pool.lists.used, len(pool.fits.demands), pool.asked, pool.waiting))
        for name, pool in shard.pools.items()
    }  # fmt: skip


def changed(result: RoundResult) -> list[bytes]:
    return [key for rows in result.rows.values() for key, _ in rows if key != POSITION]


def begun() -> Course:
    """People and tasks of every kind, judged and not; somebody has missed an offer; nothing more is to be offered."""
    course = Strangers(missed_offers=2, accept_s=20.0)
    common = {"project": "j", "skill": "s"}
    course.told(
        task("w0", **common),
        task("sure", **common, overlap=3, max_overlap=5, confidence=0.9, only=["nobody"]),
        task("plain", **common, classes=None, overlap=5),
        task("g", **common, purpose="gold", label=1),
        *people(["a", "late"]),
        answer("w0", "a", 1),
        answer("plain", "a", None),
        {"type": "annotator_offline", "annotator": "a"},
    )
    course.told(after=30.0)
    (slot,) = [course.shard.pools[POOL].annotators.slots["late"]]
    assert course.columns.annotators.records[slot]["missed"] == 1
    course.told({"type": "pool_paused"})
    return course


@pytest.fixture
def course() -> Course:
    return begun()


@pytest.mark.parametrize(("event", "reason"), REFUSED, ids=NAMES)
def test_an_event_that_is_refused_leaves_the_state_as_it_was(course: Course, event: Any, reason: str) -> None:
    before, names = state(course.shard), known(course.shard)
    result = course.told(event)
    assert letters(result) == [reason]
    assert changed(result) == []
    assert state(course.shard) == before
    assert known(course.shard) == names


@pytest.mark.parametrize(("event", "reason"), REFUSED, ids=NAMES)
def test_it_does_so_behind_a_task_of_the_same_round(course: Course, event: Any, reason: str) -> None:
    """The task that it speaks of may not have reached the columns yet."""
    twin = begun()
    names = {"w0": "n0", "plain": "nplain", "sure": "nsure"}
    fresh = [
        task("n0", project="j"),
        task("nplain", project="j", classes=None),
        task("nsure", project="j", overlap=3, max_overlap=5, confidence=0.9),
    ]
    result = course.told(*fresh, event | {"task": names.get(event.get("task", ""), event.get("task"))}
                         if "task" in event else event)  # fmt: skip
    expected = twin.told(*fresh)
    assert letters(result) == [reason]
    assert changed(result) == changed(expected)
    assert state(course.shard) == state(twin.shard)
    assert known(course.shard) == known(twin.shard)


@pytest.mark.parametrize(("event", "reason"), REFUSED, ids=NAMES)
def test_no_pool_is_born_of_what_is_refused(event: Any, reason: str) -> None:
    course = Strangers()
    result = course.told(event)
    if "task" not in event or event["type"] == "task_created":
        assert letters(result) == [reason]
    else:  # it waits for its task in vain
        assert letters(result) == [] and set(course.shard.pools) == {POOL}
        successor = restored([result])
        assert state(successor) == state(course.shard)
        result = course.told(after=100.0)
        assert letters(result) == ["unknown_task"]
        assert (b"p" + POOL.encode() + b"\0", None) in result.rows["annotators"]
    assert course.shard.pools == {} and state(course.shard) == {}
    assert course.shard.wakeup is None


def restored(results: list[RoundResult]) -> Shard:
    shard = Shard(0, Market(), 1)
    for result in results:
        for table, rows in result.rows.items():
            shard.restore_many(table, rows)
    shard.restored()
    return shard


def test_a_pool_that_has_died_may_be_born_again() -> None:
    course = Strangers()
    results = [course.told(answer("w0", "a", 1)), course.told(after=100.0), course.told(task("w0"), *people(["a"]))]
    assert len(course.offers) == 1
    assert state(restored(results)) == state(course.shard)


@pytest.mark.parametrize("kind", ["pool_resumed", "annotator_erased", "pair_forbidden"])
def test_what_changes_nothing_bears_no_pool_either(kind: str) -> None:
    course = Strangers()
    result = course.told({"type": kind, "annotator": "a", "task": "t", "at": 0.0})
    assert changed(result) == [] and course.shard.pools == {}


def test_a_paused_pool_stays_though_nothing_is_in_it() -> None:
    course = Strangers()
    course.told({"type": "pool_paused"})
    course.told(after=100.0)
    assert set(course.shard.pools) == {POOL} and course.shard.pools[POOL].paused


def test_a_key_that_is_longer_than_an_id_is_refused_before_it_is_hashed() -> None:
    """Hashing takes time by its length: a key of a megabyte a tenth of a second."""
    key = next(key for key in (b"%d" % n + b"x" * 1_000_000 for n in range(9)) if partition_of(key, 2) == 1)
    shard = Shard(0, Market(), 2)
    shard.restored()
    result = shard.round(Range(0, 1, [Record(0, key, b"{}")]), None, 1e6, 1e6, True)
    assert letters(result) == ["wrong_key"]
