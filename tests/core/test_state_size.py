"""The state is as small as the architecture says, and what has settled leaves it."""

import re
from pathlib import Path

import pytest

from kernels import skill
from stream.core.state.pools import PoolState
from tests.core.course import POOL, Course, gold, people, project, truth, work

PAGE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (a task|each .+|an annotator|a skill.*) \| (\d+) \| (\d+) \| (\d+) \|$", re.MULTILINE)


@pytest.mark.parametrize("place, classes", [(0, 2), (1, 5), (2, 20)])
def test_the_documented_bytes_are_those_of_the_columns(place: int, classes: int) -> None:
    pool = PoolState(POOL)
    pool.models.of(pool.skill("s"), classes)
    tables = pool.tables
    number = tables["evidence"].row_bytes()
    measured = [
        tables["tasks"].row_bytes(),
        tables["pairs"].row_bytes(),
        tables["annotators"].row_bytes(),
        tables["seats"].row_bytes() + number * int(skill.evidence_width(classes)),
        tables["models"].row_bytes(beside="annotators") + number * int(skill.model_width(classes)),
    ]
    assert [int(row[1 + place]) for row in ROW.findall(PAGE)] == measured


def test_a_settled_task_leaves_memory_after_its_retention_and_what_it_taught_stays() -> None:
    course = Course(settled_retention_s=100.0, accept_s=10.0, missed_offers=100)
    course.told(project(gold_rate=0.5), *work(50), *gold(10), *people(["a", "b"]))
    course.told(
        *(
            {"type": "judgment_submitted", "annotator": name, "task": task, "label": truth(task), "origin": "import"}
            for task in [*(f"w{i}" for i in range(50)), *(f"g{i}" for i in range(10))]
            for name in ("a", "b")
        )
    )
    pool = course.shard.pools[POOL]
    counted = pool.columns.skills.seats["judgments"][: int(pool.columns.skills.used[1])].tolist()
    course.told({"type": "project_set", "project": "j", "state": "closed"})
    assert len(pool.tasks.slots) == 60
    course.told(after=150.0)
    pool = course.shard.pools[POOL]
    assert not pool.tasks.slots and not pool.columns.tasks.records["state"].any()
    used = int(pool.columns.counters[0])
    course.told({"type": "project_set", "project": "j"}, *work(50, first=100), after=150.0)
    course.told(
        *(
            {"type": "judgment_submitted", "annotator": "a", "task": f"w{i}", "label": 0, "origin": "import"}
            for i in range(100, 150)
        )
    )
    pool = course.shard.pools[POOL]
    assert int(pool.columns.counters[0]) == used  # their pairs are used again
    assert pool.columns.skills.seats["judgments"][:2].tolist() == [counted[0] + 50, counted[1]]
    assert {key for key, _ in course.shard.rows("tasks") if key.startswith(b"t")} == {
        f"t{POOL}\0w{i}".encode() for i in range(100, 150)
    }
