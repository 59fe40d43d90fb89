"""One pool that is told events round by round and whose offers a test may answer: histories written by hand."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from kernels import skill
from stream import events as wire
from stream import topics
from stream.core.shard import Range, RoundResult, Shard
from stream.settings import Market
from tests.core.histories import Record

POOL = "p"


class Course:
    """A pool that is told events and answers its own offers, one round after another.

    Whoever judges before anybody has described them is introduced: for any skill, right before.
    """

    def __init__(self, **market: Any) -> None:
        self.known: set[str] = set()
        self.shard = Shard(0, Market(**market), 1)
        self.shard.restored()
        self.now = 1_000_000.0
        self.offers: list[wire.AssignmentOffered] = []  # of the last round
        self.result: RoundResult | None = None
        self.sent: list[dict[str, Any]] = []  # in the last round

    def told(self, *events: dict[str, Any], after: float = 5.0) -> RoundResult:
        """One round with these events."""
        self.now += after
        self.sent = [{"pool": POOL, "at": self.now} | event for event in self._introduced(events)]
        start = self.shard.position[topics.TASKS]
        records = [
            Record(
                start + i,
                event["pool"].encode(),
                msgspec.json.encode(event),
            )
            for i, event in enumerate(self.sent)
        ]
        given = Range(start, start + len(records), records)
        self.result = self.shard.round(given, None, self.now, self.now, True)
        self.offers = [out for out in self.outputs(topics.ASSIGNMENTS) if isinstance(out, wire.AssignmentOffered)]
        return self.result

    def _introduced(self, events: tuple[dict[str, Any], ...]) -> Iterator[dict[str, Any]]:
        for event in events:
            name, kind = event.get("annotator"), event["type"]
            if kind.startswith("judgment_") and kind != "judgment_scored" and name not in self.known:
                pool = {"pool": event["pool"]} if "pool" in event else {}
                yield {"type": "annotator_set", "annotator": name, "skills": ["*"], **pool}
                self.known.add(str(name))
            if kind == "annotator_set":
                self.known.add(str(name))
            elif kind == "annotator_erased":
                self.known.discard(str(name))
            yield event

    def outputs(self, topic: str) -> Iterator[Any]:
        assert self.result is not None
        return (wire.decode_result(value) for _, value in self.result.outputs[topic])

    def answers(self, right: dict[str, float], rng: random.Random) -> list[dict[str, Any]]:
        """Answers to the offers of the last round; everybody is right as often as ``right`` says."""
        return [
            {
                "type": "judgment_submitted", "annotator": offer.annotator, "task": offer.task,
                "label": truth(offer.task) ^ (rng.random() >= right[offer.annotator]),
            }
            for offer in self.offers
        ]  # fmt: skip

    @property
    def columns(self) -> Any:
        return self.shard.pools[POOL].columns

    def seat(self, annotator: str, classes: int = 2) -> int:
        pool = self.shard.pools[POOL]
        model = pool.models.slots[pool.skills.slots["s"], classes]
        return int(pool.columns.skills.seat_of[model, pool.annotators.slots[annotator]])

    def at_least(self, annotator: str, bar: float) -> float:
        pool = self.shard.pools[POOL]
        model = np.int64(pool.models.slots[pool.skills.slots["s"], 2])
        return float(skill.at_least(pool.columns.skills, model, np.int64(self.seat(annotator)), bar))


class Strangers(Course):
    """A course in which nobody is introduced."""

    def _introduced(self, events: tuple[dict[str, Any], ...]) -> Iterator[dict[str, Any]]:
        return iter(events)


def truth(task: str) -> int:
    return int(task[1:]) % 2


def project(**fields: Any) -> dict[str, Any]:
    return {"type": "project_set", "project": "j", **fields}


def work(n: int, first: int = 0, **fields: Any) -> list[dict[str, Any]]:
    common = {"type": "task_created", "project": "j", "skill": "s", "classes": 2, "overlap": 2, **fields}
    return [common | {"task": f"w{i}"} for i in range(first, first + n)]


def gold(n: int, first: int = 0, **fields: Any) -> list[dict[str, Any]]:
    common = {"type": "task_created", "project": "j", "skill": "s", "classes": 2, "purpose": "gold", **fields}
    return [common | {"task": f"g{i}", "label": truth(f"g{i}")} for i in range(first, first + n)]


def people(names: list[str], capacity: int = 1, **profile: Any) -> list[dict[str, Any]]:
    return [
        event
        for name in names
        for event in (
            {"type": "annotator_set", "annotator": name, "skills": ["*"], **profile},
            {"type": "annotator_online", "annotator": name, "capacity": capacity, "ttl_s": 1e6},
        )
    ]


def evidence(course: Course, annotator: str) -> Any:
    """The sums that a posterior can depend on."""
    skills = course.columns.skills
    seat = skills.seats[course.seat(annotator)]
    width = int(skill.evidence_width(2))
    counts = skills.evidence[seat["offset"] : seat["offset"] + width].tolist()
    return counts, seat["doubt"], seat["judgments"], seat["gold"], seat["gold_right"]
