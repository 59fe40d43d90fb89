"""The histories that are played: those of `tests.core.histories`, and some that come back to its rarer corners.

| kind    | what it is about                                                             |
|---------|------------------------------------------------------------------------------|
| mixed   | every kind of event, as in the tests                                         |
| taught  | gold and training, rates up to 0.9, corrected truths                         |
| scored  | tasks without classes, scores, imports                                       |
| leaving | erasures, time that jumps: tasks and people go, others take their slots      |
| large   | some hundred people and tasks, many skills and classes: columns grow and move |
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from stream.core.batch import Range
from tests.core.histories import KINDS, Kinds, Record, Turn, Writer


def _with(**weights: float) -> Kinds:
    """The kinds of events with other weights."""
    return KINDS | {name: (weight, KINDS[name][1]) for name, weight in weights.items()}


class Taught(Writer):
    """Half of the tasks have a known answer, and people are there to be taught."""

    kinds: ClassVar[Kinds] = _with(truth_set=4, project_set=4, judgment_submitted=60, annotator_online=20)

    def created(self, event: dict[str, Any]) -> None:
        super().created(event)
        event |= {"project": self.rng.choice("jk"), "skill": "s", "requires": [], "only": [], "deadline": None}
        if self.rng.random() < 0.5:
            event["classes"] = self.rng.choice([2, 2, 4])
            event["purpose"], event["label"] = self.rng.choice(["gold", "training"]), 0
        elif "purpose" not in event:
            event["label"] = None

    def profile(self, event: dict[str, Any]) -> None:
        super().profile(event)
        event["skills"] = ["*"]

    def online(self, event: dict[str, Any]) -> None:
        super().online(event)
        event |= {"ttl_s": 3000.0, "until": None}

    def project(self, event: dict[str, Any]) -> None:
        super().project(event)
        event["gold_rate"], event["state"] = self.rng.choice([0.2, 0.9]), "active"


class Scored(Writer):
    """Answers that others score."""

    kinds: ClassVar[Kinds] = _with(judgment_scored=40, skill_seeded=6, judgment_retracted=5)

    def created(self, event: dict[str, Any]) -> None:
        super().created(event)
        if self.rng.random() < 0.7:
            event["classes"] = event["label"] = None


class Leaving(Writer):
    """Nothing stays for long."""

    kinds: ClassVar[Kinds] = _with(annotator_erased=6, annotator_offline=4, task_cancelled=6, project_set=5)

    def turns(self, n: int) -> Iterator[Turn]:
        for turn in super().turns(n):
            yield turn
            self.now += self.rng.choice([0.0, 0.0, 0.0, 400.0, 700.0])


class Large(Writer):
    """A pool that is larger than its first columns."""

    kinds: ClassVar[Kinds] = _with(annotator_online=40, judgment_submitted=200, annotator_offline=0.3, pool_paused=0.05)

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.people = [f"a{i}" for i in range(self.rng.choice([130, 300]))]
        self.ids = self.rng.choice([500, 900])
        self.is_begun = False

    def told(self, offers: list[tuple[str, str, str]]) -> None:
        self.offers = (offers + self.offers)[:400]

    def created(self, event: dict[str, Any]) -> None:
        super().created(event)
        event["skill"] = self.rng.choice(["s", "s", "r", *(f"skill-{i}" for i in range(12))])
        if "label" not in event:
            event["classes"] = self.rng.choice([2, 2, 3, 5, 20, None])

    def project(self, event: dict[str, Any]) -> None:
        super().project(event)
        event["project"] = self.rng.choice("jklmnopqr")
        event["budget"] = None

    def range(self, topic: str) -> Range:
        """A beginning that fills the pool, then a hundred events a turn."""
        given = super().range(topic)
        if topic == "tasks" and not self.is_begun:
            self.is_begun = True
            events = [self._made("annotator_set", annotator=name, skills=["*"]) for name in self.people]
            events += [self._made("annotator_online", annotator=name, ttl_s=3000.0, capacity=2) for name in self.people]
            for _ in range(self.ids):
                event = self._made("task_created")
                self.created(event)
                events.append(event)
        else:
            events = [self.event() for _ in range(100)]
        start = self.ends[topic] if given is None else given.start
        kept = [] if given is None else given.records
        at = self.ends[topic]
        made = [Record(at + i, e["pool"].encode(), msgspec.json.encode(e)) for i, e in enumerate(events)]
        self.ends[topic] = at + len(made)
        return Range(start, self.ends[topic], [*kept, *made])

    def _made(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "pool": self.pools[0], "at": self.now, **fields}


KIND_OF = {"mixed": Writer, "taught": Taught, "scored": Scored, "leaving": Leaving, "large": Large}
TURNS = {"large": 12}


def of(n: int) -> Iterator[tuple[str, int]]:
    """The kinds and seeds of ``n`` histories: half of them mixed, one in two hundred large."""
    usual = ["mixed", "taught", "mixed", "scored", "mixed", "leaving"]
    for seed in range(n):
        yield "large" if seed % 200 == 199 else usual[seed % len(usual)], seed
