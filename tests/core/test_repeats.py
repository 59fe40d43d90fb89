"""An id that a list holds twice counts once: in the state, in the market, in all that is published."""

import math
import random
from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest

from stream import events as wire
from stream import topics
from stream.audit import Audit
from stream.audit import Record as Seen
from stream.core.market import matching
from stream.core.saved.restore import Restorer
from stream.core.saved.rows import all_rows
from stream.core.shard import RoundResult
from stream.core.state.pools import PoolState
from tests.core.course import POOL, Course, people, project, work
from tests.core.histories import Record


def repeated(rng: random.Random, names: list[str]) -> list[str]:
    """Some of the names, most of them more than once, in any order."""
    some = rng.sample(names, rng.randint(2, len(names)))
    more = [name for name in some for _ in range(rng.choice([1, 2, 2, 3]))]
    rng.shuffle(more)
    return more


class Audited(Course):
    """A course whose every round is audited and whose every output is decoded."""

    def __init__(self) -> None:
        super().__init__()
        self.auditor = Audit(0, 1)
        self.ends: Counter[str] = Counter()

    def told(self, *events: dict[str, Any], after: float = 5.0) -> RoundResult:
        at = self.shard.position[topics.TASKS]
        now = self.now + after
        sent = [msgspec.json.encode({"pool": POOL, "at": now} | event) for event in events]
        self.auditor.feed(
            Seen(topics.TASKS, 0, *Record(at + i, POOL.encode(), value)) for i, value in enumerate(sent)
        )
        result = super().told(*events, after=after)
        for topic, pairs in result.outputs.items():
            self.auditor.feed(self.seen(topic, *pair) for pair in pairs)
        for topic, (_, end) in result.completed.offsets.items():
            self.auditor.reached(topic, end)
        assert [str(violation) for violation in self.auditor.check()] == []
        return result

    def seen(self, topic: str, key: bytes, value: bytes) -> Seen:
        wire.decode_result(value)
        self.ends[topic] += 1
        return Seen(topic, 0, self.ends[topic] - 1, key, value, ())


@pytest.mark.parametrize("full_pairs", [0, matching.FULL_PAIRS], ids=["sampled", "in full"])
def test_markets_of_lists_with_repeats_are_sane(full_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "FULL_PAIRS", full_pairs)
    offers = 0
    for seed in range(100):
        rng = random.Random(seed)
        names = [f"a{i}" for i in range(rng.randint(3, 8))]
        tasks = [
            event | {"only": repeated(rng, names), "value": rng.choice([0.5, 1.0, 4.0])}
            for event in work(rng.randint(3, 12), overlap=rng.choice([1, 2, 3]))
        ]
        course = Audited()
        course.told(project(), *(event for name in names for event in people([name], rng.choice([1, 2, 5]))), *tasks)
        for _ in range(3):
            for figures in course.result.completed.pools if course.result else []:
                assert 0.0 <= figures.gap <= course.shard.market.gap and figures.value <= figures.bound
            offers += len(course.offers)
            course.told(*course.answers(dict.fromkeys(names, 0.8), rng))
        for decision in course.outputs(topics.DECISIONS):
            assert math.isfinite(decision.price)
    assert offers > 1_000


@pytest.mark.parametrize("kind", ["only", "exclude"])
def test_a_repeat_leaves_a_tasks_list_where_it_comes_in(kind: str) -> None:
    course = Course()
    listed: dict[str, Any] = {kind: ["b", "a", "b", "a", "c"]}
    course.told(project(), *work(2, **listed))
    course.told({"type": "task_updated", "task": "w1", kind: ["c", "c", "a"]})
    for task, names in (("w0", ["b", "a", "c"]), ("w1", ["c", "a"])):
        pool = course.shard.pools[POOL]
        record = pool.columns.tasks.records[pool.tasks.slots[task]]
        start, n = int(record[kind]), int(record[f"{kind}_n"])
        assert [pool.annotators.ids[a] for a in pool.columns.lists.members[start : start + n]] == names


def same_rows(events: list[dict[str, Any]], others: list[dict[str, Any]]) -> bool:
    rows = []
    for told in (events, others):
        course = Course()
        course.told(*told)
        rows.append([dict(course.shard.rows(table)) for table in topics.TABLES])
    return rows[0] == rows[1]


@pytest.mark.parametrize("field", ["skills", "attributes", "grants"])
def test_a_repeat_in_a_profile_changes_nothing_that_is_stored(field: str) -> None:
    profile = {"type": "annotator_set", "annotator": "a", "skills": ["s"]}
    assert same_rows([profile | {field: ["s", "r", "s"]}], [profile | {field: ["s", "r"]}])


def test_a_repeat_in_what_a_task_requires_changes_nothing_that_is_stored() -> None:
    once: dict[str, Any]
    twice: dict[str, Any]
    once, twice = {"requires": ["x", "y"]}, {"requires": ["x", "y", "x"]}
    assert same_rows(work(1, **twice), work(1, **once))
    assert same_rows([project(defaults=twice)], [project(defaults=once)])
    updated = {"type": "task_updated", "task": "w0"}
    assert same_rows([*work(1), updated | twice], [*work(1), updated | once])


def test_a_request_that_names_a_project_twice_is_answered_as_if_once() -> None:
    def answered(projects: list[str]) -> list[str]:
        course = Course()
        pull = {"type": "annotator_online", "annotator": "a", "mode": "pull", "capacity": 3, "ttl_s": 1e6}
        course.told(project(), *work(3), *people(["a"]), pull)
        course.told({"type": "work_requested", "annotator": "a", "count": 3, "projects": projects})
        return [offer.task for offer in course.offers]

    assert answered(["j", "j", "i"]) == answered(["j", "i"]) != []


def test_a_list_is_as_long_as_it_was_sent() -> None:
    """The bound is on what must be read and stored: a list of 1,001 is refused, whatever it repeats."""
    course = Course()
    long = work(1, only=["a"] * (wire.LIST_ITEMS + 1))
    (letter,) = course.told(project(), *long).dead_letters
    assert dict(letter.headers)["reason"] == b"malformed"
    assert b"at most 1000, got a list of 1001 - at `$.only`" in dict(letter.headers)["__streams.errors.message"]
    assert not course.told(*work(1, only=["a"] * wire.LIST_ITEMS)).dead_letters


def test_rows_that_hold_a_repeat_lose_it_when_they_are_read() -> None:
    """Such rows were written before repeats left the lists."""
    course = Course()
    course.told(project(), *work(3, only=["a", "b", "c", "d"], exclude=["e", "f", "g"]))
    pool = course.shard.pools[POOL]
    record = pool.columns.tasks.records[pool.tasks.slots["w1"]]
    only, exclude = int(record["only"]), int(record["exclude"])
    pool.columns.lists.members[only : only + 4] = pool.columns.lists.members[[only + 1, only, only + 1, only]]
    pool.columns.lists.members[exclude + 2] = pool.columns.lists.members[exclude]
    restorer = Restorer(course.shard.market)
    for table in topics.TABLES:
        restorer.add(list(all_rows(pool, table)))
    again = restorer.pools()[POOL]
    assert listed(again, "w1") == (["b", "a"], ["e", "f"])
    assert listed(again, "w0") == listed(again, "w2") == (["a", "b", "c", "d"], ["e", "f", "g"])


def listed(pool: PoolState, task: str) -> tuple[list[str | None], list[str | None]]:
    record = pool.columns.tasks.records[pool.tasks.slots[task]]
    found = []
    for kind in ("only", "exclude"):
        slots = pool.columns.lists.members[int(record[kind]) : int(record[kind]) + int(record[f"{kind}_n"])]
        found.append([pool.annotators.ids[int(a)] for a in np.asarray(slots)])
    return found[0], found[1]
