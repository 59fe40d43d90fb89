"""Random histories of a partition: every kind of event, repeats, disorder, rubbish, jumps of time.

A history is made from a seed alone. It reacts to nothing: that answers hit offers is a matter of few ids,
so that accepted, declined, late, unsolicited and impossible answers all come up.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NamedTuple

import msgspec

from stream.core.batch import Range
from stream.core.intake.partitioning import partition_of
from stream.settings import Market

PARTITION, PARTITIONS = 1, 3
MARKET = Market(
    accept_s=20.0, lease_s=60.0, grace_s=15.0, reference_wait_s=25.0, settled_retention_s=300.0,
    max_extensions=2,
    block_declines=2, candidates=4,
)  # fmt: skip


class Record(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, Any], ...] = ()


class Turn(NamedTuple):
    """The arguments of one round."""

    tasks: Range | None
    annotators: Range | None
    now: float
    complete_until: float
    caught_up: bool


POOLS = [name for name in map("pool{}".format, range(50)) if partition_of(name.encode(), PARTITIONS) == PARTITION][:2]
NUL = next(n for n in map("pool{}\0".format, range(50)) if partition_of(n.encode(), PARTITIONS) == PARTITION)
ELSEWHERE = next(n for n in map("pool{}".format, range(50)) if partition_of(n.encode(), PARTITIONS) != PARTITION)


#: how often each kind of event comes, and what fills it in
Kinds = dict[str, tuple[float, Callable[["Writer", dict[str, Any]], None]]]


class Writer:
    """Makes the events of one history."""

    kinds: ClassVar[Kinds]

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        rng = self.rng
        self.now = 1_000_000.0
        self.pools = POOLS[: rng.choice([1, 1, 2])]
        self.people = [f"a{i}" for i in range(rng.choice([3, 6, 10]))]
        self.ids = rng.choice([6, 15, 40])
        self.offers: list[tuple[str, str, str]] = []  # what was offered lately: (pool, task, annotator)
        self.answered: list[tuple[str, str, str]] = []
        self.ends = {"tasks": rng.randrange(5), "annotators": 0}
        self.sent: list[tuple[bytes, bytes]] = []
        self.set_at = 0.0  # when settings were stated last

    def turns(self, n: int) -> Iterator[Turn]:
        """Yield rounds; `told` may be called between them."""
        rng = self.rng
        behind = 0.0
        for _ in range(n):
            self.now += rng.choice([0.0, 0.5, 3.0, 3.0, 10.0, 10.0, 30.0, rng.choice([0.0, 30.0, 70.0, 400.0])])
            behind = rng.choice([0.0, 0.0, 0.0, behind, 15.0, 100.0])
            ranges = {name: self.range(name) for name in self.ends}
            yield Turn(ranges["tasks"], ranges["annotators"], self.now, self.now - behind, behind == 0.0)

    def told(self, offers: list[tuple[str, str, str]]) -> None:
        """Hear of offers: some of the coming answers will be about them."""
        self.offers = (offers + self.offers)[:30]

    def range(self, topic: str) -> Range | None:
        rng = self.rng
        if rng.random() < 0.1:
            return None
        start = at = self.ends[topic]
        records = []
        for _ in range(rng.choice([0, 1, 3, 8, 20, 60])):
            records.append(Record(at, *self.record()))
            at += rng.choice([1, 1, 1, 1, 2])  # what is left out are control markers
        self.ends[topic] = at = at + rng.choice([0, 1])
        return Range(start, at, records)

    def record(self) -> tuple[bytes | None, bytes | None]:
        rng = self.rng
        dice = rng.random()
        if dice < 0.02:
            return rng.choice([
                (self.pools[0].encode(), b"{"), (self.pools[0].encode(), b"\xff\xfe"), (None, b"{}"),
                ((b"\xff\xf0", b"k" * 129)[len(self.sent) % 2], b"{}"),
                (self.pools[0].encode(), None), (ELSEWHERE.encode(), b"{}"),
                (self.pools[0].encode(), b'{"type":"task_created","pool":"%s","at":1}' % POOLS[0].encode()),
                (self.pools[-1].encode(), b'{"type":"pool_resumed","pool":"other","at":1}'),
                (self.pools[-1].encode(), b'{"x":' + b"[" * 20_000),
                (NUL.encode(), b'{"type":"pool_resumed","pool":"%s\\u0000","at":1}' % NUL[:-1].encode()),
            ])  # fmt: skip
        if dice < 0.08 and self.sent:
            return rng.choice(self.sent[-50:])
        event = self.event()
        if "task" in event and rng.random() < 0.1:
            event["note"] = "n" * 40_000  # nobody reads it; two of them are too many to wait for one task
        text = msgspec.json.encode(event)
        if rng.random() < 0.02:
            text = rng.choice([b"\xef\xbb\xbf" + text, text[:-1] + b',"x":NaN}', text[:-1] + b',"at":%d}' % self.now])
        sent = event["pool"].encode(), text
        self.sent.append(sent)
        return sent

    def event(self) -> dict[str, Any]:
        rng = self.rng
        kind = rng.choices(list(self.kinds), [weight for weight, _ in self.kinds.values()])[0]
        late = rng.choice([0.0, 0.0, 0.1, 2.0, 2.0, 30.0, -2.0, rng.choice([0.0, 0.0, 0.0, 500.0, -1000.0])])
        event = {"type": kind, "pool": rng.choice(self.pools), "at": max(0.0, self.now - late)}
        self.kinds[kind][1](self, event)
        if rng.random() < 0.05:
            self.odd(event)
        return event

    def odd(self, event: dict[str, Any]) -> None:
        """What real clients send: a value that no field may hold, a number otherwise written, a wrong unit."""
        rng = self.rng
        match rng.randrange(6):
            case 0:
                event[rng.choice(["event_id", "duration_s", "reason", "mode", "until", "ttl_s"])] = rng.choice(ODD)
            case 1:
                event[rng.choice(["capacity", "count", "projects", "ref", "note"])] = rng.choice(ODD)
            case 2:
                name = rng.choice([name for name in event if name != "pool"])
                event[name] = float(event[name]) if type(event[name]) is int else rng.choice(ODD)
            case 3:
                event["at"] *= rng.choice([1e3, 1e6, 1e9])
            case 4:
                event["event_id"] = rng.choice([17, 17.0, 17.5])
            case 5:
                event["type"] = str(event["type"]).title().replace("_", "")

    # ------------------------------------------------------------------ parts of events
    def task(self, event: dict[str, Any]) -> None:
        oldest = int(self.now - 1_000_000) // 60 * self.ids // 4
        event["task"] = f"t{oldest + self.rng.randrange(self.ids)}"

    def person(self, event: dict[str, Any]) -> None:
        event["annotator"] = self.rng.choice(self.people)

    def pair(self, event: dict[str, Any]) -> None:
        self.task(event)
        self.person(event)
        if self.offers and self.rng.random() < 0.7:
            event["pool"], event["task"], event["annotator"] = self.rng.choice(self.offers)
        if self.rng.random() < 0.003:
            event["annotator"] = "ü" * 100

    def fields(self, event: dict[str, Any], chance: float) -> None:
        """Some of a task's fields."""
        rng = self.rng
        overlap = rng.choice([1, 1, 2, 2, 3])
        for name, value in {
            "overlap": overlap,
            "max_overlap": rng.choice([None, overlap, overlap + 1, overlap + 3, overlap + 3, 1]),
            "confidence": rng.choice([None, 0.6, 0.8, 0.9, 0.97]),
            "priority": rng.choice([-1, 0, 0, 3]),
            "value": rng.choice([0.5, 1.0, 5.0]),
            "deadline": rng.choice([None, None, self.now + 50, self.now + 200, self.now - 5]),
            "expected_s": rng.choice([None, 10.0]),
            "lease_s": rng.choice([None, 30.0, 600.0]),
            "requires": rng.choice([[], [], ["x"], ["x", "y"]]),
            "min_skill": rng.choice([None, None, 0.5, 0.6, 0.75]),
        }.items():
            if rng.random() < chance:
                event[name] = value

    def some(self) -> list[str]:
        some = self.rng.sample(self.people, self.rng.choice([0, 0, 0, 1, 2, 3]))
        return some + some[1:]  # who is named twice counts once

    def created(self, event: dict[str, Any]) -> None:
        rng = self.rng
        self.task(event)
        event["project"] = rng.choice("jkl")
        event["skill"] = rng.choice(["s", "s", "r"])
        classes = rng.choice([2, 2, 2, 3, None])
        event["classes"] = classes
        if rng.random() < 0.3:
            event["ref"] = rng.choice(REFS)
        if rng.random() < 0.25:
            event["purpose"] = rng.choice(["gold", "gold", "training"])
            event["label"] = None if classes is None else rng.choice([0, 0, 1])
        if rng.random() < 0.02:
            event["label"] = rng.choice([1, 2])
        if rng.random() < 0.7:  # easy to staff
            event["overlap"], event["confidence"] = rng.choice([1, 2]), rng.choice([None, 0.8])
            event["max_overlap"] = event["overlap"] + rng.choice([0, 2])
            if rng.random() < 0.2:  # people must prove themselves on the gold beside it
                event["min_skill"] = 0.75
            if rng.random() < 0.1:
                event["only"], event["exclude"] = self.some(), self.some()
            return
        if rng.random() < 0.03:
            del event["skill"]
        self.fields(event, 0.5)
        if rng.random() < 0.3:
            event["only"], event["exclude"] = self.some(), self.some()

    def updated(self, event: dict[str, Any]) -> None:
        self.task(event)
        self.fields(event, 0.25)
        event.pop("min_skill", None)
        if self.rng.random() < 0.3:
            event["ref"] = self.rng.choice(REFS)
        if self.rng.random() < 0.2:
            event["only"] = self.some()

    def label(self, event: dict[str, Any]) -> None:
        self.pair(event)
        event["label"] = self.rng.choice([0, 0, 0, 0, 1, 1, None, self.rng.choice([1, 2, 7])])
        self.answered = [(event["pool"], event["task"], event["annotator"]), *self.answered][:15]
        if self.rng.random() < 0.5:
            event["duration_s"] = self.rng.choice([1.5, 20.0])

    def truth(self, event: dict[str, Any]) -> None:
        self.task(event)
        event["label"] = self.rng.choice([0, 1, 1, 2])

    def project(self, event: dict[str, Any]) -> None:
        rng = self.rng
        event["project"] = rng.choice("jkl")
        event["state"] = rng.choice(["active"] * 12 + ["paused", "paused", "closed"])
        event["budget"] = rng.choice([None, None, 3, 10, 100])
        event["gold_rate"] = rng.choice([0.0, 0.02, 0.2, 0.2, 0.9])
        event["max_per_annotator"] = rng.choice([None, None, 2, 6])
        event["deadline"] = rng.choice([None, None, None, self.now + 300])
        event["weight"] = rng.choice([0.5, 1.0, 2.0])
        presets = [{}, {}, {"skill": "r", "overlap": 2}, {"max_overlap": None, "classes": 3}, None]
        event["defaults"] = rng.choice(presets)
        self.said_in_part(event, "state", "budget", "gold_rate", "max_per_annotator", "deadline", "weight", "defaults")

    def noted(self, event: dict[str, Any]) -> None:
        event["note"] = self.rng.choice(["Ask Ana.", "closed on Mondays", None, "ü" * 1500])

    def said_in_part(self, event: dict[str, Any], *fields: str) -> None:
        """Now and then some fields are left out."""
        if self.rng.random() < 0.4:
            for field in self.rng.sample(fields, self.rng.randrange(1, len(fields))):
                event.pop(field, None)

    def profile(self, event: dict[str, Any]) -> None:
        rng = self.rng
        self.person(event)
        event["skills"] = rng.choice([["*"], ["*"], ["*"], ["*"], ["s"], ["r", "s"], []])
        event["attributes"] = rng.choice([[], ["x"], ["x", "y"], ["x", "y"]])
        event["grants"] = rng.choice([[], ["s"]])
        event["cost"] = rng.choice([0.0, 0.0, 5.0])
        self.said_in_part(event, "skills", "attributes", "grants", "cost")

    def online(self, event: dict[str, Any]) -> None:
        rng = self.rng
        self.person(event)
        if rng.random() < 0.7:
            event["capacity"] = rng.choice([1, 1, 2, 3, 5])
        if rng.random() < 0.7:
            event["mode"] = rng.choice(["push", "push", "push", "pull"])
        self.session(event)
        event["ttl_s"] = rng.choice([5.0, 40.0, 300.0, 3000.0, 3000.0])
        event["until"] = rng.choice([None, None, None, self.now + 60])

    def session(self, event: dict[str, Any]) -> None:
        """Most people have one; a few have several, now and then named by an id that is too long."""
        session = self.rng.choice([None, None, None, "", "x", "y", f"s{self.rng.randrange(40)}"])
        if event["annotator"] < "a2" or event["annotator"] in ("a7", "a8"):
            event["session"] = "ü" * 100 if self.rng.random() < 0.01 else session

    def offline(self, event: dict[str, Any]) -> None:
        self.person(event)
        self.session(event)

    def paused(self, event: dict[str, Any]) -> None:
        self.person(event)
        event["until"] = self.rng.choice([None, self.now + 40, self.now + 300, self.now - 5])

    def requested(self, event: dict[str, Any]) -> None:
        self.person(event)
        event["count"] = self.rng.choice([1, 1, 2, 4])
        event["projects"] = self.rng.choice([[], [], ["j"], ["k", "l"]])

    def declined(self, event: dict[str, Any]) -> None:
        self.pair(event)
        event["reason"] = self.rng.choice(["broken", "unclear", "broken", "other", "break"])

    def scored(self, event: dict[str, Any]) -> None:
        rng = self.rng
        self.pair(event)
        if self.answered and rng.random() < 0.8:
            event["pool"], event["task"], event["annotator"] = rng.choice(self.answered)
        event["score"] = rng.choice([0.0, 0.123456, 0.5, 0.9, 1.0])
        event["source"] = rng.choice(["reviewer", "metric", "agreement"])

    def seeded(self, event: dict[str, Any]) -> None:
        rng = self.rng
        self.person(event)
        event["skill"] = rng.choice(["s", "s", "r", "q", "ü" * 100])
        event["accuracy"], event["weight"] = rng.choice([0.2, 0.7, 0.95]), rng.choice([0.0, 3.0, 100.0])

    def settings(self, event: dict[str, Any]) -> None:
        """Some settings; now and then with the `at` of others before, or such as no policy has."""
        rng = self.rng
        names = rng.sample(list(SETTINGS), rng.choice([1, 1, 2, 4]))
        event["settings"] = {name: rng.choice(SETTINGS[name]) for name in names}
        if rng.random() < 0.2:
            event["settings"] |= rng.choice(NO_SETTINGS)
        if rng.random() < 0.3:
            event["at"] = self.set_at
        self.set_at = event["at"]

    def forbidden(self, event: dict[str, Any]) -> None:
        self.task(event)
        self.person(event)


def _nothing(writer: Writer, event: dict[str, Any]) -> None:
    """An event without fields of its own."""


SETTINGS: dict[str, list[float]] = {
    "accept_s": [8, 20.0, 45], "lease_s": [25.0, 60.0], "expected_s": [10.0, 300.0], "grace_s": [0.5, 15.0, 90.0],
    "reference_wait_s": [1.0, 25.0, 120.0], "settled_retention_s": [20.0, 300.0, 2000.0], "max_extensions": [0, 2, 5],
    "block_declines": [1, 2, 4], "missed_offers": [1, 2, 4], "candidates": [1, 4, 64], "gap": [0.001, 0.2],
    "judgment_cost": [0, 0.02, 0.2], "least_ability": [0.0, 0.45, 0.9],
}  # fmt: skip
ODD: list[Any] = [-0.2, True, "", "soon", {}, [], ["x", 1], 1e300, 10**30, None, "x" * 3000]
REFS = ["https://tool/17", "", None, "ö" * 256, "ö" * 257]
NO_SETTINGS = [{"acept_s": 20.0}, {"gap": 1.0}, {"max_extensions": 1.5}, {"lease_s": 0}, {"candidates": 0}, {"x": 1}]
KINDS: Kinds = {
    "task_created": (20, Writer.created),
    "task_updated": (5, Writer.updated),
    "task_cancelled": (2, Writer.task),
    "truth_set": (1.5, Writer.truth),
    "project_set": (2, Writer.project),
    "pool_paused": (0.3, _nothing),
    "pool_resumed": (1.5, _nothing),
    "pool_set": (0.5, Writer.noted),
    "annotator_set": (6, Writer.profile),
    "annotator_online": (14, Writer.online),
    "annotator_paused": (1, Writer.paused),
    "annotator_resumed": (3, Writer.person),
    "annotator_offline": (2, Writer.offline),
    "work_requested": (4, Writer.requested),
    "assignment_accepted": (14, Writer.pair),
    "assignment_extended": (3, Writer.pair),
    "assignment_declined": (6, Writer.declined),
    "judgment_submitted": (30, Writer.label),
    "judgment_corrected": (3, Writer.label),
    "judgment_retracted": (2, Writer.pair),
    "annotator_erased": (0.7, Writer.person),
    "judgment_scored": (3, Writer.scored),
    "skill_seeded": (1.5, Writer.seeded),
    "settings_changed": (3, Writer.settings),
    "pair_forbidden": (0.3, Writer.forbidden),
}
Writer.kinds = KINDS
