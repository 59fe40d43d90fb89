"""Room never runs out: whatever the kernels had at first, the round is the same, byte for byte."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernels.buffers import Overrun
from kernels.lifecycle.pool_columns import EMISSIONS_WANTED, EMITTED, REFUSED, Gathered
from kernels.packing import scatter
from stream import topics
from stream.core.intake import intake
from stream.core.intake import turn as turning
from stream.core.market import matching
from stream.core.saved.rows import dirty_rows
from stream.core.shard import RoundResult
from stream.core.state import pools
from stream.core.state.pools import PoolState
from tests.core.course import Course, gold, people, project, work
from tests.core.histories import Turn, Writer
from tests.core.least_room import with_least_room
from tests.core.test_oracle import offered, started

SEEDS = (3, 5, 7, 8)  # with the most offers
TURNS = 40
ROOT = Path(__file__).parents[2]


class Short(Writer):
    """Histories of several pools in which budgets run out, or have from the beginning."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.people = [f"a{i}" for i in range(12)]

    def event(self) -> dict[str, Any]:
        event = super().event()
        if event["type"] == "project_set":
            event["budget"] = self.rng.choice([None, None, None, None, 0, 2, 5, 40])
        return event


def history(seed: int) -> tuple[list[Turn], list[RoundResult]]:
    """The rounds of a history and what they commit."""
    writer = Short(seed)
    shard, turns, results = started(writer), [], []
    for turn in writer.turns(TURNS):
        turns.append(turn)
        results.append(shard.round(*turn))
        writer.told(offered(results[-1]))
    return turns, results


def again(seed: int, turns: list[Turn]) -> Iterator[RoundResult]:
    shard = started(Short(seed))
    return (shard.round(*turn) for turn in turns)


@pytest.mark.parametrize("pairs", [0, 30, 50_000])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_history_is_the_same_whatever_room_there_was_at_first(
    seed: int, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "FULL_PAIRS", pairs)
    monkeypatch.setattr(matching, "SAMPLE", 3)
    turns, results = history(seed)
    assert any(map(offered, results))
    with_least_room(monkeypatch)
    for before, after in zip(results, again(seed, turns), strict=True):
        assert after == before


def test_least_room_makes_kernels_stop_and_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test above would say nothing."""
    stops: list[str] = []

    def counted(name: str, kernel: Any, whole: Any) -> Any:
        def call(*arguments: Any) -> int:
            result = int(kernel(*arguments))
            if result != whole(arguments):
                stops.append(name)
            return result

        return call

    with_least_room(monkeypatch)
    monkeypatch.setattr(matching, "FULL_PAIRS", 0)
    monkeypatch.setattr(matching, "SAMPLE", 1)
    monkeypatch.setattr(turning, "apply", counted("apply", turning.apply, lambda given: len(given[1])))
    monkeypatch.setattr(intake, "advance", counted("advance", intake.advance, lambda given: 0))
    monkeypatch.setattr(matching, "offer", counted("offer", matching.offer, lambda given: len(given[1].tasks)))
    complete = matching.completion.complete
    monkeypatch.setattr(
        matching.completion, "complete", counted("complete", complete, lambda given: len(given[2]))
    )
    teach = matching.teaching.teach
    monkeypatch.setattr(matching.teaching, "teach", counted("teach", teach, lambda given: len(given[2])))
    grown = []
    enlarged = pools.buffers.enlarged
    monkeypatch.setattr(pools.buffers, "enlarged", lambda *given: grown.append(given) or enlarged(*given))
    for seed in SEEDS:
        history(seed)
    course = Course()
    course.told(*work(30, deadline=course.now + 60.0))
    assert len(list(course.told(after=100.0).outputs[topics.CONSENSUS])) == 30
    assert set(stops) == {"apply", "advance", "offer", "complete", "teach"}
    assert grown


POOLS = """
import sys
from tests.core.course import Course, people, project, work
course = Course()
tasks, names = 600, [f"a{i}" for i in range(60)]
for pool in "pqrs":
    one = project(budget=0), *work(tasks, overlap=1, value=5.0)
    other = work(tasks, first=tasks, overlap=1)
    course.told(*({**event, "pool": pool} for event in (*one, *({**task, "project": "k"} for task in other))))
course.told(*({**event, "pool": pool} for pool in "pqrs" for event in people(names)))
print(sorted(pool.offers for pool in course.result.completed.pools), len(course.result.dead_letters))
"""


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [1, 2])
def test_the_final_pass_offers_more_than_the_auction_could(capacity: int) -> None:
    """600 tasks whose project may spend nothing fill what the auction looks at; 600 others are left to the final pass.

    In a process of its own: written over, memory may end it.
    """
    script = POOLS.replace("people(names)", f"people(names, capacity={capacity})")
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{[60 * capacity] * 4} 0"


def busy(course: Course) -> PoolState:
    """A pool in which offers are open."""
    course.told(project(), *work(8), *people(["a", "b", "c"], capacity=3))
    assert course.offers
    return course.shard.pools["p"]


def test_a_refused_emission_is_an_error_and_never_silence() -> None:
    course = Course()
    pool = busy(course)
    room = len(pool.columns.emissions.records)
    pool.columns.counters[EMITTED], pool.columns.counters[EMISSIONS_WANTED] = room, room + 1
    with pytest.raises(Overrun, match=f"'p': expected room for {room + 1} emissions, got {room}"):
        course.told(*({"type": "assignment_accepted", "annotator": o.annotator, "task": o.task} for o in course.offers))


def test_a_refused_pair_is_an_error_before_anything_is_committed() -> None:
    course = Course()
    pool = busy(course)
    pool.columns.counters[REFUSED] = 1
    with pytest.raises(Overrun, match="1 found none"):
        course.told({"type": "annotator_paused", "annotator": "a"})


def test_judgments_beyond_the_scratch_are_an_error() -> None:
    course = Course()
    course.told(project(), *work(1, overlap=4), *people(["a", "b", "c", "d"]))
    pool = course.shard.pools["p"]
    few = Gathered(*(column[:2].copy() for column in pool.columns.gathered))
    pool.tables.pool = pool.columns._replace(gathered=few)
    answers = [
        {"type": "judgment_submitted", "annotator": a, "task": "w0", "label": 1} for a in ["a", "b", "c"]
    ]
    course.told(*answers[:2])
    with pytest.raises(Overrun):
        course.told(answers[2])


@pytest.mark.parametrize("what", ["closed", "paused"])
def test_a_project_of_many_open_offers_is_told_to_its_end(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task's emissions find room one after the other, however little there is."""
    results = []
    for _ in range(2):
        course = Course()
        course.told(project(), *work(40), *gold(2), *people([f"a{i}" for i in range(20)], capacity=4))
        results.append([course.told(project(state=what)), course.told({"type": "pool_paused"})])
        with_least_room(monkeypatch)
    assert results[0] == results[1]
    assert sum(map(len, results[0][0].outputs.values())) > 60


def test_rows_are_packed_and_restored_with_the_least_room(monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course()
    pool = busy(course)
    pool.columns.dirty.tasks[: pool.tasks.used] = 1
    plain = dirty_rows(pool)["tasks"]
    with_least_room(monkeypatch)
    pool.columns.dirty.tasks[: pool.tasks.used] = 1
    assert dirty_rows(pool)["tasks"] == plain and len(plain) == 8


def test_a_part_of_a_row_outside_of_its_column_is_refused() -> None:
    one = np.ones(1, np.int64)
    column = np.zeros(4, np.uint8)
    for starts, lengths, places in ((0, 5, 0), (3, 2, 0), (0, 2, 3), (-1, 1, 0), (0, 1, -1), (0, -1, 0)):
        with pytest.raises(Overrun):
            scatter(np.arange(4, dtype=np.uint8), starts * one, lengths * one, column, places * one)
    assert not column.any()
