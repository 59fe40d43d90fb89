"""A market played through before the group is joined, so that no real round has to wait for a compiler.

Numba compiles a kernel when it is first called with some types. The rehearsal calls all that rounds call, in
the way they call it: every kind of event, matching with and without classes, in full and by sample, tasks of known
answer, expiry, the rows and their restoration. What it compiles is kept on disk; the next start only loads it.
"""

import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from kernels import skill
from stream import events as wire
from stream.core.batch import Range
from stream.core.intake.partitioning import partition_of
from stream.core.shard import Shard
from stream.settings import Market
from stream.topics import ANNOTATORS, TASKS

POOL = "rehearsal"
AT = 1_700_000_000.0
# together more pairs than a market may have to be evaluated in full
CROWD, WORK = 160, 1_600


class _Record(NamedTuple):
    offset: int
    key: bytes
    value: bytes
    timestamp: int
    headers: tuple[()]


class _Stage:
    """A shard and the offsets of its imagined inputs."""

    def __init__(self, market: Market) -> None:
        self.shard = Shard(partition_of(POOL.encode(), 1), market, 1)
        self.shard.restored()
        self.rows: list[tuple[str, bytes, bytes | None]] = []

    def round(
        self, at: float, tasks: Iterable[wire.Event] = (), annotators: Iterable[wire.Event] = ()
    ) -> None:
        """One round at time `at`, complete up to then."""
        ranges = [self._range(TASKS, tasks), self._range(ANNOTATORS, annotators)]
        result = self.shard.round(ranges[0], ranges[1], at, at, True)
        self.rows += [(table, key, value) for table, rows in result.rows.items() for key, value in rows]

    def _range(self, topic: str, events: Iterable[wire.Event]) -> Range | None:
        start = self.shard.position[topic]
        records = [
            _Record(start + index, POOL.encode(), wire.encode(event), int(event.at * 1000), ())
            for index, event in enumerate(events)
        ]
        return Range(start, start + len(records), records) if records else None


def _script(stage: _Stage) -> None:
    def people(count: int, mode: str = "push") -> list[wire.Event]:
        said: list[wire.Event] = []
        for number in range(count):
            name = f"a{number}"
            said.append(wire.AnnotatorSet(pool=POOL, at=AT, annotator=name, skills=("*",), attributes=("x",)))
            said.append(
                wire.AnnotatorOnline(
                    pool=POOL, at=AT, annotator=name, capacity=2, mode="pull" if mode == "pull" else "push"
                )
            )
        return said

    def about(kind: Any, task: str, annotator: str, at: float, **fields: object) -> wire.Event:
        event: wire.Event = kind(pool=POOL, at=at, task=task, annotator=annotator, **fields)
        return event

    tasks: list[wire.Event] = [
        wire.ProjectSet(
            pool=POOL, at=AT, project="p", budget=100_000, max_per_annotator=10_000, gold_rate=0.9
        ),
        wire.TaskCreated(pool=POOL, at=AT, task="plain", project="p", skill="s", overlap=2, requires=("x",)),
    ]
    tasks += [
        wire.TaskCreated(
            pool=POOL, at=AT, task=f"t{number}", project="p", skill=f"s{classes}", classes=classes, overlap=2,
            max_overlap=5, confidence=0.9, deadline=AT + 5000.0, only=("a0", "a1", "a2") if number == 1 else
            (),
        )
        for number, classes in enumerate((2, 2, 2, 3, 5))
    ]  # fmt: skip
    tasks += [
        wire.TaskCreated(
            pool=POOL, at=AT, task=f"g{number}", project="p", skill="s2", classes=2, purpose="gold", label=1
        )
        for number in range(3)
    ]
    tasks.append(
        wire.TaskCreated(pool=POOL, at=AT, task="hard", project="p", skill="s2", classes=2, min_skill=0.95)
    )
    seeded = wire.SkillSeeded(pool=POOL, at=AT, annotator="a0", skill="s2", accuracy=0.9, weight=5.0)
    stage.round(AT, tasks, [*people(4), seeded])
    stage.round(AT + 1, (), [about(wire.AssignmentAccepted, "t0", f"a{n}", AT + 1) for n in range(4)])
    answers = [about(wire.JudgmentSubmitted, "g0", f"a{n}", AT + 2, label=n % 2) for n in range(4)]
    answers += [
        about(wire.JudgmentSubmitted, f"t{t}", f"a{n}", AT + 2, label=(t + n) % 2, duration_s=5.0)
        for t in range(5)
        for n in range(4)
    ]
    stage.round(AT + 2, (), [*answers, about(wire.JudgmentSubmitted, "plain", "a0", AT + 2, label=None)])
    stage.round(
        AT + 3,
        [
            wire.TaskUpdated(pool=POOL, at=AT + 3, task="t1", priority=2),
            wire.TruthSet(pool=POOL, at=AT + 3, task="t2", label=1),
            wire.TaskCancelled(pool=POOL, at=AT + 3, task="t3"),
        ],
        [
            about(wire.JudgmentCorrected, "t0", "a0", AT + 3, label=1),
            about(wire.JudgmentScored, "plain", "a0", AT + 3, score=0.5, source="metric"),
            wire.TruthSet(pool=POOL, at=AT + 3, task="g0", label=0),
            about(wire.JudgmentRetracted, "t0", "a1", AT + 3),
            about(wire.AssignmentExtended, "t4", "a2", AT + 3),
            about(wire.AssignmentDeclined, "plain", "a3", AT + 3, reason="broken"),
            about(wire.AssignmentAccepted, "unknown", "a3", AT + 3),
            wire.AnnotatorPaused(pool=POOL, at=AT + 3, annotator="a1"),
            wire.AnnotatorOffline(pool=POOL, at=AT + 3, annotator="a2"),
        ],
    )
    stage.round(AT + 4, [wire.PoolPaused(pool=POOL, at=AT + 4)], people(1, "pull"))
    stage.round(
        AT + 5,
        [wire.PoolResumed(pool=POOL, at=AT + 5)],
        [wire.WorkRequested(pool=POOL, at=AT + 5, annotator="a0", count=2)],
    )
    crowd = [
        wire.TaskCreated(
            pool=POOL, at=AT, task=f"w{number}", project="p", skill="s2", classes=2, overlap=2, max_overlap=4,
            confidence=0.95,
        )
        for number in range(WORK)
    ]  # fmt: skip
    stage.round(AT + 6, crowd, people(CROWD))
    settings: dict[str, float] = {"grace_s": 30.0, "settled_retention_s": 3600.0}
    stage.round(AT + 7, [wire.SettingsChanged(pool=POOL, at=AT + 7, settings=settings)])
    stage.round(AT + 400)  # offers expire, sessions end
    stage.round(AT + 10_000)


def rehearse(market: Market) -> None:
    """Play the market through once, and restore a shard from its rows.

    Parameters
    ----------
    market : Market
        Rules to rehearse with.
    """
    stage = _Stage(market)
    _script(stage)
    skill.known(stage.shard.pools[POOL].columns.skills, 0, 0)  # what a drift alarm says
    successor = Shard(stage.shard.partition, market, 1)
    for table, key, value in stage.rows:
        successor.restore(table, key, value)
    successor.restored()


if __name__ == "__main__":
    began = time.monotonic()
    rehearse(Market())
    print(f"market rehearsed in {time.monotonic() - began:.1f} s")
