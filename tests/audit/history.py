"""A small market written by hand: what came in, what a market must publish, round by round.

`correct()` is a history without a violation; a test changes a copy of it in one place. `records` writes it
as the records of one partition, with offsets, round records and headers as a real log has them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from stream import topics
from stream.audit import Record

POOL = "p"
TOPIC_OF = {
    "assignment_offered": topics.ASSIGNMENTS,
    "assignment_leased": topics.ASSIGNMENTS,
    "assignment_ended": topics.ASSIGNMENTS,
    "work_unavailable": topics.ASSIGNMENTS,
    "decision_made": topics.DECISIONS,
    "judgment_settled": topics.JUDGMENTS,
    "consensus_updated": topics.CONSENSUS,
    "consensus_revised": topics.CONSENSUS,
    "task_settled": topics.CONSENSUS,
    "task_blocked": topics.CONSENSUS,
    "skill_drifted": topics.CONSENSUS,
}
Fields = dict[str, Any]


@dataclass
class Step:
    """One round: its time, its inputs by topic, its outputs, its dead letters, changes to its record.

    ``policy`` is the version of the pool's policy.
    """

    at: float
    tasks: list[Fields] = field(default_factory=list)
    annotators: list[Fields] = field(default_factory=list)
    outputs: list[Fields] = field(default_factory=list)
    dead: list[tuple[str, int, str]] = field(default_factory=list)
    record: Fields = field(default_factory=dict)
    policy: int = 0


def event(kind: str, at: float, **fields: Any) -> Fields:
    return {"type": kind, "pool": POOL, "at": at, **fields}


def offer(
    name: str, task: str, annotator: str, at: float, skill_low: float = 0.6, required: bool = True
) -> list[Fields]:
    """An offer and its decision."""
    pair = {"pool": POOL, "assignment": name, "task": task, "annotator": annotator, "at": at}
    return [
        {
            "type": "assignment_offered", **pair, "project": "j", "skill": "s", "accept_by": at + 60,
            "lease_s": 900.0,
        },
        {
            "type": "decision_made", **pair, "value": 0.5, "price": 0.1,
            "terms": {"information": 0.7, "cost": -0.2}, "runner_up": None, "runner_up_value": None,
            "skill_low": skill_low, "policy": 0, "required": required,
        },
    ]  # fmt: skip


def lease(name: str, task: str, annotator: str, at: float) -> Fields:
    return event("assignment_leased", at, assignment=name, task=task, annotator=annotator, submit_by=at + 900)


def end(name: str, task: str, annotator: str, at: float, outcome: str, cause: str | None = None) -> Fields:
    return event(
        "assignment_ended", at, assignment=name, task=task, annotator=annotator, outcome=outcome, cause=cause
    )


def settlement(
    task: str, annotator: str, topic: str, offset: int, outcome: str, count: int, reason: str | None = None
) -> Fields:
    return {
        "type": "judgment_settled", "pool": POOL, "task": task, "project": "j", "annotator": annotator,
        "source": {"topic": topic, "partition": 0, "offset": offset}, "outcome": outcome,
        "count": count, "duration_s": None, "accepted_at": None, "reason": reason,
    }  # fmt: skip


def posterior(task: str, values: list[float], judgments: int, kind: str = "consensus_updated") -> Fields:
    return {
        "type": kind, "pool": POOL, "task": task, "skill": "s", "label": values.index(max(values)),
        "posterior": values, "judgments": judgments, "tie": values.count(max(values)) > 1,
    }  # fmt: skip


def settled(task: str, outcome: str, values: list[float] | None, judgments: int) -> Fields:
    return {
        "type": "task_settled", "pool": POOL, "task": task, "project": "j", "outcome": outcome,
        "label": None if values is None else values.index(max(values)), "posterior": values,
        "judgments": judgments, "tie": values is not None and values.count(max(values)) > 1,
    }  # fmt: skip


def judgment(
    task: str, annotator: str, at: float, label: int | None, kind: str = "judgment_submitted"
) -> Fields:
    return event(kind, at, task=task, annotator=annotator, label=label)


def correct() -> list[Step]:
    """Offers, leases, late and surplus work, expiry, absence, consensus, a dead letter, a wait."""
    tasks, people = topics.TASKS, topics.ANNOTATORS
    return [
        Step(
            1000.0,
            tasks=[
                event("project_set", 999, project="j", budget=20),
                event("task_created", 999, task="t1", project="j", skill="s", classes=2, overlap=2),
                event("task_created", 999, task="t2", project="j", skill="s", requires=["fr"], overlap=1),
                event(
                    "task_created", 999, task="t3", project="j", skill="s", classes=2, overlap=1,
                    max_overlap=3, confidence=0.9, only=["b", "c", "d"], min_skill=0.5,
                ),
                {"type": "task_created", "pool": POOL},
            ],
            annotators=[
                *(event("annotator_set", 999, annotator=name, skills=["s"]) for name in "bcd"),
                event("annotator_set", 999, annotator="a", skills=["*"], attributes=["fr"]),
                event("annotator_online", 999, annotator="a", capacity=2),
                event("annotator_online", 999, annotator="b"),
                event("annotator_online", 999, annotator="c", mode="pull"),
                event("task_cancelled", 999, task="t4"),
                event("judgment_submitted", 999, task="t9", annotator="a", label=0),
                event("annotator_online", 999, annotator="d"),
            ],
            outputs=[*offer("0-1-0", "t1", "a", 1000), *offer("0-1-1", "t1", "b", 1000),
                     *offer("0-1-2", "t2", "a", 1000), *offer("0-1-3", "t3", "d", 1000)],
            dead=[(tasks, 4, "malformed")],
        ),
        Step(
            1010.0,
            tasks=[event("task_created", 1009, task="t4", project="j", skill="s")],
            annotators=[
                event("assignment_accepted", 1009, task="t1", annotator="a"),
                judgment("t1", "b", 1009, 0),
                event("assignment_declined", 1009, task="t2", annotator="a", reason="unclear"),
            ],
            outputs=[
                settled("t4", "cancelled", None, 0),
                lease("0-1-0", "t1", "a", 1010),
                end("0-1-1", "t1", "b", 1010, "submitted"),
                settlement("t1", "b", people, 11, "counted", 1),
                posterior("t1", [0.75, 0.25], 1),
                end("0-1-2", "t2", "a", 1010, "declined"),
            ],
        ),
        Step(
            1070.0,
            annotators=[
                judgment("t1", "a", 1069, 0),
                judgment("t1", "a", 1069, 1),
                judgment("t1", "d", 1069, 1),
                event("work_requested", 1069, annotator="c", count=2),
            ],
            outputs=[
                end("0-1-0", "t1", "a", 1070, "submitted"),
                settlement("t1", "a", people, 13, "counted", 1),
                settlement("t1", "a", people, 14, "duplicate", 0),
                settlement("t1", "d", people, 15, "surplus", 0, "closed"),
                end("0-1-3", "t3", "d", 1070, "expired"),
                settled("t1", "complete", [0.9, 0.1], 2),
                posterior("t1", [0.9, 0.1], 2),
                *offer("0-3-0", "t3", "c", 1070),
                event("work_unavailable", 1070, annotator="c", reason="no_matching_task", retry_after_s=60.0),
            ],
            dead=[(people, 8, "unknown_task")],
        ),
        Step(
            1100.0,
            annotators=[
                judgment("t3", "c", 1099, 1),
                event("annotator_online", 1099, annotator="b", ttl_s=50),
            ],
            outputs=[
                end("0-3-0", "t3", "c", 1100, "submitted"),
                settlement("t3", "c", people, 17, "counted", 1),
                posterior("t3", [0.3, 0.7], 1),
                *offer("0-4-0", "t3", "b", 1100, required=False),
            ],
        ),
        Step(
            1155.0,
            annotators=[judgment("t1", "c", 1150, 1, "judgment_corrected")],
            outputs=[
                settlement("t1", "c", people, 19, "surplus", 0, "closed"),
                end("0-4-0", "t3", "b", 1155, "withdrawn", "absence"),
            ],
        ),
        Step(
            1160.0,
            annotators=[
                judgment("t3", "b", 1158, 1),
                event("judgment_retracted", 1159, task="t1", annotator="a"),
            ],
            outputs=[
                settlement("t3", "b", people, 20, "late", 1),
                settlement("t1", "a", people, 21, "retracted", -1),
                settled("t3", "consensus", [0.05, 0.95], 2),
                posterior("t3", [0.05, 0.95], 2),
                posterior("t1", [0.4, 0.6], 1, "consensus_revised"),
            ],
        ),
    ]  # fmt: skip


def policy(version: int = 0, since: dict[str, float] | None = None, **settings: float) -> Fields:
    """What a round says that the pool runs by."""
    return {"pool": POOL, "version": version, "since": since or {}, **settings}


def records(steps: list[Step]) -> Iterator[Record]:
    """Write a history as the records of partition 0 of 1."""
    encode = msgspec.json.encode
    ends = {topic: 0 for topic in (*topics.INPUTS, *topics.OUTPUTS, *map(topics.dead_letters, topics.INPUTS))}
    written: dict[tuple[str, int], bytes] = {}

    def write(topic: str, value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
        record = Record(topic, 0, ends[topic], POOL.encode(), value, headers)
        ends[topic] += 1
        return record

    for number, step in enumerate(steps, 1):
        starts = {topic: ends[topic] for topic in topics.INPUTS}
        for topic, events in ((topics.TASKS, step.tasks), (topics.ANNOTATORS, step.annotators)):
            for fields in events:
                written[topic, ends[topic]] = encode(fields)
                yield write(topic, encode(fields))
        for fields in step.outputs:
            yield write(TOPIC_OF[fields["type"]], encode({"partition": 0, "round": number, **fields}))
        for topic, offset, reason in step.dead:
            about = {"topic": topic, "partition": "0", "offset": str(offset)}
            headers = {f"__streams.errors.{name}": value for name, value in about.items()}
            headers |= {"reason": reason, "round": str(number)}
            yield write(
                topics.dead_letters(topic),
                written[topic, offset],
                tuple((name, value.encode()) for name, value in headers.items()),
            )
        offers = sum(fields["type"] == "assignment_offered" for fields in step.outputs)
        worth = sum(fields["value"] for fields in step.outputs if fields["type"] == "decision_made")
        promised = sum(fields["required"] for fields in step.outputs if fields["type"] == "decision_made")
        completed = {
            "type": "round_completed", "partition": 0, "round": number, "epoch": 1, "at": step.at,
            "seed": number,
            "offsets": {topic: [starts[topic], ends[topic]] for topic in topics.INPUTS}, "caught_up": True,
            "complete_until": step.at, "events": len(step.tasks) + len(step.annotators),
            "dead_letters": len(step.dead),
            "pools": [{"pool": POOL, "open_tasks": 1, "free_annotators": 1, "offers": offers, "value": worth,
                       "bound": 1.25 * worth, "gap": 0.2 if worth > 0 else 0.0, "covers": "all", "pairs": offers,
                       "unproven_value": 0.0, "taught_value": 0.0, "policy": step.policy, "required": promised,
                       "required_bound": promised}],
            "durations_ms": {}, "software": "test", "policies": [policy()] if number == 1 else [],
            "clock_ahead_s": 300.0,
        }  # fmt: skip
        yield write(topics.ROUNDS, encode(completed | step.record))
