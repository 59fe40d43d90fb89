"""What nothing refers to any more is forgotten: memory follows what there is, not what there has been."""

import random
from typing import Any

import numpy as np
import pytest

from stream.core.shard import Shard
from stream.core.state import lists
from stream.core.state.numbering import FEW, Numbering
from tests.core.course import POOL, Course, gold, people, project, work

CROWD = [f"a{i}" for i in range(40)]


def listed(course: Course, task: str) -> set[str]:
    """Whom a task in memory names in ``only``."""
    pool = course.shard.pools[POOL]
    record = course.columns.tasks.records[pool.tasks.slots[task]]
    start, n = int(record["only"]), int(record["only_n"])
    return {pool.annotators.ids[a] or "" for a in course.columns.lists.members[start : start + n]}


def gone(course: Course, first: int, n: int) -> list[dict[str, Any]]:
    return [{"type": "task_cancelled", "task": f"w{i}"} for i in range(first, first + n)]


def test_lists_of_tasks_that_left_memory_are_freed_and_others_stay_what_they_are() -> None:
    course = Course(settled_retention_s=10.0)
    course.told(*people(CROWD), *work(1, first=1_000_000, only=CROWD[3:6]))
    for first in range(0, 2000, 100):
        course.told(*work(100, first=first, only=CROWD[:35], exclude=CROWD[35:]))
        course.told(*gone(course, first, 100), after=1.0)
        course.told(after=20.0)
    pool = course.shard.pools[POOL]
    assert len(pool.tasks.slots) == 1
    assert pool.lists.used <= 2 * (100 * 40 + 3), "twice what is in memory at once"
    course.told(*work(30, first=5000, only=CROWD[:2]), {"type": "task_updated", "task": "w5001", "only": CROWD[7:9]})
    for _ in range(3):
        course.told(*work(40, first=6000 + int(course.now), only=CROWD[:30]), after=1.0)
    assert listed(course, "w1000000") == set(CROWD[3:6])
    assert listed(course, "w5000") == set(CROWD[:2]) and listed(course, "w5001") == set(CROWD[7:9])


def test_lists_that_an_update_replaces_are_freed() -> None:
    course = Course()
    course.told(*people(CROWD), *work(2, only=CROWD))
    for n in range(500):
        course.told({"type": "task_updated", "task": "w0", "only": CROWD[n % 10 : n % 10 + 20]}, after=1.0)
    pool = course.shard.pools[POOL]
    assert pool.lists.used < 1024 + 60
    assert listed(course, "w0") == set(CROWD[9:29]) and listed(course, "w1") == set(CROWD)


def test_profiles_that_nobody_has_any_more_are_freed() -> None:
    course = Course()
    course.told(*people(["keeps"], attributes=["always"]), *work(3, overlap=3, requires=["always"], only=["keeps"]))
    for n in range(2000):
        course.told(
            {"type": "annotator_set", "annotator": "a", "skills": ["s"], "attributes": [f"on day {n}"]}, after=1.0
        )
    fits = course.shard.pools[POOL].fits
    assert len(fits.profiles) <= FEW + 2 and fits.meets.shape[1] <= 2 * FEW + 4
    course.told(
        {"type": "annotator_online", "annotator": "a", "ttl_s": 1e6},
        *work(1, first=10, requires=["on day 1999"], overlap=1),
        *work(1, first=11, requires=["on day 1998"], overlap=1),
    )  # fmt: skip
    assert {(offer.task, offer.annotator) for offer in course.offers} == {("w10", "a")}


def test_demands_that_no_task_has_any_more_are_freed() -> None:
    course = Course(settled_retention_s=10.0)
    course.told(*work(1, first=1_000_000, requires=["always"], overlap=1))
    for n in range(300):
        course.told(*work(1, first=n, requires=[f"on day {n}"]), *gone(course, n - 1, 1), after=6.0)
    fits = course.shard.pools[POOL].fits
    assert len(fits.demands) <= FEW + 2 and fits.meets.shape[0] <= 2 * FEW + 4
    course.told(*people(["a"], attributes=["always"]))
    assert [(offer.task, offer.annotator) for offer in course.offers] == [("w1000000", "a")]


def test_a_number_that_is_free_is_given_again_lowest_first_and_those_in_use_stay() -> None:
    numbers = Numbering("nobody")
    for n in range(FEW):
        assert not numbers.is_crowded
        numbers.add(f"thing {n}")
    assert numbers.is_crowded
    numbers.keep([7, 9])
    assert not numbers.is_crowded
    assert (numbers[0], numbers[7], numbers[9]) == ("nobody", "thing 6", "thing 8")
    assert [numbers.add(f"later {n}") for n in range(3)] == [1, 2, 3]
    assert "thing 0" not in numbers.numbers and numbers.numbers["thing 8"] == 9


def test_lists_move_together_whatever_their_order() -> None:
    course = Course()
    course.told(project(), *people(CROWD), *work(60, only=CROWD[:20], exclude=CROWD[30:]))
    pool = course.shard.pools[POOL]
    rng = np.random.default_rng(1)
    kept = rng.permutation(60)[:25]
    expected = {int(t): listed(course, f"w{t}") for t in kept}
    pool.lists.keep(np.array([pool.tasks.slots[f"w{t}"] for t in kept]))
    assert pool.lists.used == 25 * 30
    assert {t: listed(course, f"w{t}") for t in expected} == expected


# ---------------------------------------------------------------------- what has rows
class Log:
    """The rows of a course, as its log holds them."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.rows: dict[tuple[str, bytes], bytes] = {}

    def told(self, *events: dict[str, Any], after: float = 5.0) -> None:
        result = self.course.told(*events, after=after)
        for table, changed in result.rows.items():
            for key, value in changed:
                if value is None:
                    self.rows.pop((table, key), None)
                else:
                    self.rows[table, key] = value

    def kinds(self) -> dict[str, list[str]]:
        """Names of entities by the kind of their rows."""
        found: dict[str, list[str]] = {}
        for _, key in self.rows:
            found.setdefault(key[:1].decode(), []).append(key[1:].partition(b"\0")[2].decode())
        return {kind: sorted(names) for kind, names in found.items()}

    def successor(self) -> Course:
        """Another course that goes on from the rows."""
        course = Course()
        course.shard = Shard(0, self.course.shard.market, 1)
        for (table, key), value in self.rows.items():
            course.shard.restore(table, key, value)
        course.shard.restored()
        course.now = self.course.now
        return course


def test_a_project_that_says_nothing_goes_with_its_last_task_and_leaves_its_slot() -> None:
    log = Log(Course(settled_retention_s=10.0))
    log.told(*people(["a"]), project(weight=2.0), *work(1), *work(2, first=10, project="typo"), *work(1, first=20))
    slot = log.course.shard.pools[POOL].projects.slots["typo"]
    log.told(*gone(log.course, 10, 1), after=1.0)
    log.told(after=20.0)
    assert "typo" in log.kinds()["j"], "one of its tasks is left"
    log.told(*gone(log.course, 11, 1), after=1.0)
    log.told(after=20.0)
    assert log.kinds()["j"] == ["j"]
    for course in (log.course, log.successor()):
        pool = course.shard.pools[POOL]
        assert "typo" not in pool.projects.slots
        course.told(*work(1, first=30, project="new"), *work(1, first=31, project="newer"))
        assert (pool.projects.slots["new"], pool.projects.slots["newer"]) == (slot, slot + 1)
        assert pool.columns.projects.records["weight"][slot] == 1.0


def test_what_somebody_said_of_a_project_or_did_in_it_is_remembered() -> None:
    log = Log(Course(settled_retention_s=10.0))
    judged = {"type": "judgment_submitted", "annotator": "a", "task": "w0", "label": 0}
    log.told(project(state="closed"), *people(["a"]), *work(1, project="judged"), judged)
    log.told(*work(1, first=1), *gone(log.course, 0, 1), after=1.0)
    log.told(after=20.0)
    log.told(after=50.0)
    assert not log.course.shard.pools[POOL].tasks.slots
    assert log.kinds()["j"] == ["j", "judged"]
    course = log.successor()
    course.told(*work(1, first=5), project(project="judged", budget=1), *work(1, first=6, project="judged"))
    assert course.offers == [], "closed, and the budget is used up"


def test_a_skill_that_nobody_has_shown_goes_with_its_last_task_and_one_that_somebody_has_stays() -> None:
    log = Log(Course(settled_retention_s=10.0))
    seeded = {"type": "skill_seeded", "annotator": "a", "skill": "imported", "accuracy": 0.9, "weight": 5.0}
    judged = {"type": "judgment_submitted", "annotator": "a", "task": "w0", "label": 0}
    log.told(*people(["a"]), *work(1), judged, seeded, *work(1, first=1, skill="imported"))
    log.told(*work(1, first=2, skill="typo"), *work(1, first=3, skill="typo", classes=5), *work(1, first=4, classes=7))
    pool = log.course.shard.pools[POOL]
    slots = [pool.models.slots[pool.skills.slots["typo"], k] for k in (2, 5)]
    skill_slot, evidence = pool.skills.slots["typo"], int(pool.columns.skills.used[2])
    log.told(*gone(log.course, 0, 5), after=1.0)
    log.told(after=20.0)
    assert log.kinds()["s"] == ["imported", "s"]
    assert log.kinds()["m"] == ["imported\x000", "imported\x002", "s\x002"]
    for course in (log.successor(), log.course):
        pool = course.shard.pools[POOL]
        course.told(*work(1, first=30, skill="new", classes=5), *work(1, first=31, skill="new", classes=2))
        assert pool.skills.slots["new"] == skill_slot
        assert [pool.models.slots[skill_slot, k] for k in (5, 2)] == slots
        models = course.columns.skills.models
        assert [models["classes"][m] for m in slots] == [5, 2] and not models["judgments"][slots].any()
    assert int(log.course.columns.skills.used[2]) == evidence, "the numbers of the forgotten ones are used again"


def test_a_model_used_again_knows_what_a_new_one_does() -> None:
    log = Log(Course(settled_retention_s=10.0))
    log.told(*people(["a", "b"]), *work(1, first=1, skill="typo", classes=3))
    log.told(*gone(log.course, 1, 1), after=1.0)
    log.told(after=20.0)
    fresh = Course()
    fresh.told(*people(["a", "b"]))
    for course in (log.course, fresh):
        course.told(*work(9, first=10, classes=3, skill="later"))
        for n in range(10, 19):
            for annotator, label in (("a", n % 3), ("b", n % 2)):
                course.told(
                    {"type": "judgment_submitted", "annotator": annotator, "task": f"w{n}", "label": label}, after=1.0
                )
    evidence = [course.columns.skills.evidence[: int(course.columns.skills.used[2])] for course in (log.course, fresh)]
    assert evidence[0].tobytes() == evidence[1].tobytes()
    assert log.course.columns.skills.models[:1].tobytes() == fresh.columns.skills.models[:1].tobytes()


# ---------------------------------------------------------------------- closed projects
def test_a_closed_project_forgets_what_annotators_have_in_it_and_leaves_its_rows() -> None:
    log, names = Log(Course(settled_retention_s=10.0)), [f"a{i}" for i in range(4)]
    judged = [{"type": "judgment_submitted", "annotator": name, "task": "w0", "label": 0} for name in names]
    other = {"type": "project_set", "project": "other", "max_per_annotator": 9}
    log.told(project(max_per_annotator=5, gold_rate=0.5), other, *gold(1, project="other"), *gold(1, first=1))
    log.told(*people(names), *work(1, overlap=9), *judged)
    columns = log.course.columns
    rows = [int(columns.projects.records[field][0]) for field in ("limited", "taught")]
    assert columns.limited.taken[rows[0], :4].all() and columns.taught.credit[rows[1], :4].all()
    log.told(project(state="closed", max_per_annotator=5), after=1.0)
    assert columns.projects.records["limited"][0] == rows[0], "its tasks are in memory"
    log.told(after=20.0)
    for course in (log.course, log.successor()):
        records = course.columns.projects.records
        assert records["limited"][0] == records["taught"][0] == -1
        taken, credit = course.columns.limited.taken, course.columns.taught.credit
        assert not taken[rows[0] : rows[0] + 1].any() and not credit[rows[1] : rows[1] + 1].any()
        course.told({"type": "project_set", "project": "third", "max_per_annotator": 1}, *gold(1, 7, project="third"))
        third = course.shard.pools[POOL].projects.slots["third"]
        assert [int(course.columns.projects.records[field][third]) for field in ("limited", "taught")] == rows


def test_a_closed_project_without_tasks_forgets_at_once_and_counts_anew_when_it_is_opened() -> None:
    course = Course(settled_retention_s=10.0)
    judged = [{"type": "judgment_submitted", "annotator": "a", "task": "w0", "label": 0}]
    course.told(project(max_per_annotator=1), *people(["a"]), *work(1, overlap=1), *judged)
    course.told(*work(1, first=1))
    assert course.offers == [], "they have had their share"
    course.told(*gone(course, 1, 1), after=20.0)
    course.told(after=20.0)
    course.told(project(state="closed", max_per_annotator=1))
    assert course.columns.projects.records["limited"][0] == -1
    course.told(project(state="active"), *work(3, first=10))
    assert len(course.offers) == 1 and course.columns.limited.taken[0, 0] == 1


# ---------------------------------------------------------------------- pools
def test_a_pool_in_which_somebody_only_asked_goes_with_all_its_rows() -> None:
    log = Log(Course())
    log.told({"type": "work_requested", "annotator": "lost"})
    assert not log.course.shard.pools and not log.rows.keys() - {("annotators", b"P")}
    log.told(*people(["a"]))
    assert list(log.course.shard.pools) == [POOL]


def test_a_pool_goes_when_the_last_thing_it_says_has_gone() -> None:
    log = Log(Course(settled_retention_s=10.0))
    asked = {"type": "work_requested", "annotator": "b"}
    log.told(*work(2, project="x", skill="y", requires=["z"], only=["nobody"]), asked)
    assert set(log.kinds()) == {"P", "p", "r", "a", "j", "s", "m", "t"}
    log.told(*gone(log.course, 0, 2), after=1.0)
    log.told(after=20.0)
    assert list(log.course.shard.pools) == [POOL], "ids are remembered"
    second = log.successor()
    log.told(after=30.0)
    assert not log.course.shard.pools and set(log.kinds()) == {"P"}
    assert log.course.shard.wakeup is None
    second.told(after=30.0)
    assert not second.shard.pools


def test_a_pool_is_remembered_for_what_somebody_said_in_it() -> None:
    judged = {"type": "judgment_submitted", "annotator": "a", "task": "w0", "label": 0}
    for events in (
        [{"type": "pool_paused"}], [{"type": "pool_paused"}, {"type": "pool_resumed"}], [project()], people(["a"]),
        [*work(1), judged], [{"type": "skill_seeded", "annotator": "a", "skill": "s", "accuracy": 0.9, "weight": 1.0}],
        [{"type": "annotator_offline", "annotator": "a"}],
    ):  # fmt: skip
        course = Course(settled_retention_s=10.0)
        course.told(*events, *work(1, first=5, project="x"))
        course.told(*gone(course, 0, 6), after=1.0)
        for _ in range(4):
            course.told(after=50.0)
        assert list(course.shard.pools) == [POOL], events


# ---------------------------------------------------------------------- a year
def size_of(course: Course) -> dict[str, int]:
    """How much a pool holds, by what it is."""
    pool = course.shard.pools[POOL]
    return {
        **{name: len(table) for name, table in pool.tables.tables.items()},
        "tasks named": len(pool.tasks.ids), "projects named": len(pool.projects.ids),
        "skills named": len(pool.skills.ids), "annotators named": len(pool.annotators.ids),
        "list members": pool.lists.used, "numbers of evidence": int(pool.columns.skills.used[2]),
        "demands": pool.fits.meets.shape[0], "profiles": pool.fits.meets.shape[1],
        "gone": len(pool.gone), "waiting": len(pool.waiting),
    }  # fmt: skip


def day(course: Course, n: int) -> None:
    """A project of its own with limits and gold, whose people change, by work that mostly gets done."""
    name, rng = f"project {n % 3}", random.Random(n)
    said = {"type": "project_set", "project": name, "max_per_annotator": 50, "gold_rate": 0.3}
    new = work(20, first=100 * n, project=name, overlap=1, requires=[f"day {n}"], only=CROWD[:10])
    typo = work(1, first=100 * n + 50, project=f"typo {n}", skill=f"typo {n}", classes=2 + n % 5, requires=["typo"])
    changed = people(CROWD[:10], attributes=[f"day {n}"])
    course.told({**said, "state": "active"}, *gold(5, first=100 * n, project=name), *new, *typo, *changed)
    for _ in range(4):
        course.told(*course.answers(dict.fromkeys(CROWD, 0.9), rng), after=60.0)
    cancelled = [{"type": "task_cancelled", "task": event["task"]} for event in (*new, *typo)]
    course.told(*cancelled, {**said, "state": "closed"}, after=60.0)
    course.told(after=86_400.0 - 360.0)


@pytest.mark.slow
def test_a_year_of_a_pool_takes_no_more_memory_than_a_month() -> None:
    course = Course(settled_retention_s=86_400.0)
    for n in range(30):
        day(course, n)
    month = size_of(course)
    for n in range(30, 365):
        day(course, n)
    year = size_of(course)
    for size in (month, year):
        assert size.pop("list members") <= lists.FEW, "a look at what is needed isn't worth its time before"
        assert size.pop("gone") <= 2 * 26, "of two days"
    assert year == month
    judged = int(course.columns.skills.models["judgments"].sum())
    assert judged > 365, "and what was learned is there"
