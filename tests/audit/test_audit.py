"""The auditor finds nothing in a correct history, in whatever chunks it comes."""

import ast
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream.audit
from stream import topics
from stream.audit import Audit, IncompleteLog, Record, inputs, partition_of
from stream.audit import round as market_round
from stream.audit.log import TOPICS
from stream.audit.round import waiting_bytes
from tests.audit.history import (
    Step,
    correct,
    end,
    event,
    judgment,
    offer,
    policy,
    posterior,
    records,
    settled,
    settlement,
)

INPUTS_DLT = {topics.dead_letters(topic) for topic in topics.INPUTS}


def audit(log: list[Record]) -> list[str]:
    auditor = Audit(partition=0, partitions=1)
    auditor.feed(log)
    return [str(violation) for violation in auditor.finish()]


def test_a_correct_history_passes() -> None:
    assert audit(list(records(correct()))) == []


def test_every_round_and_record_is_followed() -> None:
    log = list(records(correct()))
    auditor = Audit(partition=0, partitions=1)
    auditor.feed(log)
    auditor.finish()
    assert (auditor.rounds, auditor.records) == (6, len(log))


def test_a_mark_that_a_letter_was_replayed_is_no_letter() -> None:
    log = list(records(correct()))
    letter = next(record for record in log if record.topic in INPUTS_DLT)
    mark = letter._replace(offset=letter.offset + 1000, value=None, headers=[(topics.REPLAYED, b"0")])
    assert audit([*log, mark]) == []
    assert audit([*log, mark._replace(headers=[])]) != []


def test_an_offer_that_outlives_a_late_judgment_makes_room_for_an_answer_that_is_there() -> None:
    """The late one did not reach the confidence, one more answer is wanted: the next to come pushes out the offer."""
    people = topics.ANNOTATORS
    task = event("task_created", 999, task="t", project="j", skill="s", classes=2, max_overlap=4, confidence=0.9)
    come = [event("annotator_set", 999, annotator=who, skills=["*"]) for who in "abc"]
    come += [event("annotator_online", 999, annotator=who) for who in "ab"]
    steps = [
        Step(1000.0, tasks=[task | {"overlap": 1}], annotators=come, outputs=offer("0-1-0", "t", "a", 1000)),
        Step(
            1010.0,
            annotators=[event("annotator_offline", 1009, annotator="a")],
            outputs=[end("0-1-0", "t", "a", 1010, "withdrawn", "absence"), *offer("0-2-0", "t", "b", 1010)],
        ),
        Step(
            1020.0,
            annotators=[
                judgment("t", "a", 1019, 1),
                judgment("t", "c", 1019, 1),
                event("truth_set", 1019, task="t", label=0),
            ],
            outputs=[
                settlement("t", "a", people, 6, "late", 1),
                settlement("t", "c", people, 7, "unsolicited", 1),
                end("0-2-0", "t", "b", 1020, "withdrawn", "met_need"),
                settled("t", "complete", [1.0, 0.0], 2),
                posterior("t", [1.0, 0.0], 2),
            ],
        ),
    ]
    assert audit(list(records(steps))) == []


def test_only_what_is_too_much_to_wait_for_one_task_may_be_turned_away() -> None:
    """64 KiB: the first two fit together, the third doesn't, and a small one still does."""
    events = [
        event("task_cancelled", 999, task="nowhere", note="n" * size) for size in (30_000, 30_000, 30_000, 1_000)
    ]
    first = topics.TASKS, 0, "unknown_task"
    turned_away = topics.TASKS, 2, "too_many_waiting"
    others = [(topics.TASKS, 1, "unknown_task"), (topics.TASKS, 3, "unknown_task")]

    def history(*dead: tuple[str, int, str]) -> list[str]:
        return audit(list(records([Step(1000.0, tasks=events, dead=list(dead)), Step(1060.0, dead=[first, *others])])))

    assert history(turned_away) == []
    assert any("too_many_waiting) has no dead letter" in words for words in history())
    too_early = topics.TASKS, 1, "too_many_waiting"
    assert any("(too_many_waiting) about no unusable record" in words for words in history(turned_away, too_early))


def test_what_no_longer_waits_makes_room_for_others() -> None:
    """After an erasure, after a time-out, after a creation."""

    def large(**fields: Any) -> dict[str, Any]:
        return event("task_cancelled", 999, task="t", note="n" * 30_000) | fields

    named = large(type="judgment_submitted", annotator="ann", label=0)
    people = topics.ANNOTATORS
    steps = [
        Step(1000.0, annotators=[named, large(), large()], dead=[(people, 2, "too_many_waiting")]),
        Step(
            1010.0,
            annotators=[event("annotator_erased", 1009, annotator="ann"), large(), large()],
            dead=[(people, 0, "erased"), (people, 5, "too_many_waiting")],
        ),
        Step(1065.0, dead=[(people, 1, "unknown_task")]),
        Step(1066.0, annotators=[large(), large()], dead=[(people, 7, "too_many_waiting")]),
        Step(
            1067.0,
            annotators=[event("task_created", 1066, task="t", project="j", skill="s"), large()],
            outputs=[settled("t", "cancelled", None, 0)],
        ),
    ]
    assert audit(list(records(steps))) == []


def test_an_event_that_waits_costs_the_auditor_the_same_however_many_do(monkeypatch: pytest.MonkeyPatch) -> None:
    sized = 0

    def counted(record: Record) -> int:
        nonlocal sized
        sized += 1
        return waiting_bytes(record)

    monkeypatch.setattr(inputs, "waiting_bytes", counted)
    monkeypatch.setattr(market_round, "waiting_bytes", counted)
    few = [event("task_cancelled", 999, task="nowhere") for _ in range(300)]
    assert audit(list(records([Step(1000.0, tasks=few)]))) == []
    assert 300 <= sized <= 2 * 300


@pytest.mark.parametrize("topic", [topics.ASSIGNMENTS, topics.ROUNDS])
def test_an_output_nested_too_deeply_is_a_violation_and_no_crash(topic: str) -> None:
    deep = b'{"type":"task_blocked","round":1,"x":' + b"[" * 100_000
    assert audit([*records(correct()), Record(topic, 0, 10_000, b"p", deep)]) != []


@given(st.randoms(use_true_random=False))
def test_chunks_and_the_pace_of_topics_do_not_matter(rng: random.Random) -> None:
    streams = {topic: [record for record in records(correct()) if record.topic == topic] for topic in TOPICS}
    auditor = Audit(partition=0, partitions=1)
    found = []
    while any(streams.values()):
        topic = rng.choice([topic for topic, left in streams.items() if left])
        size = rng.randint(1, 5)
        auditor.feed(streams[topic][:size])
        del streams[topic][:size]
        found += auditor.check()
    assert found + auditor.finish() == []


def test_rounds_are_checked_as_soon_as_they_are_complete() -> None:
    auditor = Audit(partition=0, partitions=1)
    log = list(records(correct()))
    auditor.feed(record for record in log if record.topic != topics.CONSENSUS)
    assert auditor.check() == []
    assert (auditor.rounds, auditor.starving()) == (0, {topics.CONSENSUS, topics.dead_letters(topics.TASKS)})
    auditor.feed(record for record in log if record.topic == topics.CONSENSUS)
    for topic in INPUTS_DLT:
        auditor.ended(topic)
    assert auditor.check() == []
    assert (auditor.rounds, auditor.starving()) == (3, {topics.DECISIONS})  # whose last record is of round 4
    assert auditor.finish() == []
    assert auditor.rounds == 6


def test_open_work_and_unread_input_at_the_end_are_fine() -> None:
    steps = correct()[:2]
    log = list(records(steps))
    unread = Record(topics.TASKS, 0, 6, b"p", b"{}")
    assert audit([*log, unread]) == []


def test_memory_is_given_back_when_books_close() -> None:
    auditor = Audit(partition=0, partitions=1)
    first, *rest = correct()
    first.record["policies"] = [policy(settled_retention_s=100.0)]
    auditor.feed(records([first, *rest, Step(1300.0), Step(1500.0), Step(1700.0)]))
    assert auditor.finish() == []
    pool = auditor.pools["p"]
    assert set(pool.tasks) == {"t2"}
    assert pool.gone == {}
    assert auditor.waiting == 0


def test_a_log_without_its_beginning_is_refused() -> None:
    steps = correct()
    steps[0].record["round"] = 7
    with pytest.raises(IncompleteLog, match="round 7"):
        audit(list(records(steps)))


def test_a_market_of_many_partitions_checks_its_own() -> None:
    auditor = Audit(partition=3, partitions=16)
    auditor.feed([])
    assert auditor.finish() == []


def test_the_auditor_imports_nothing_else_of_this_project() -> None:
    """Its verdict is worth something because it shares no rule with what it judges."""
    folder = Path(stream.audit.__file__).parent
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                found.add(node.module or "")
            elif isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
    ours = {name for name in found if name.split(".")[0] in ("stream", "kernels", "load")}
    modules = {"stream.audit", *(f"stream.audit.{path.stem}" for path in folder.glob("*.py"))}
    assert ours <= modules | {"stream.events", "stream.topics"}


@pytest.mark.parametrize(
    ("key", "hashed"),
    # from Kafka's own UtilsTest.testMurmur2, made positive
    [
        (b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829), (b"abc", 479470107),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)  # fmt: skip
def test_partitions_are_those_of_kafka(key: bytes, hashed: int) -> None:
    assert partition_of(key, 1 << 20) == (hashed & 0x7FFFFFFF) % (1 << 20)


def test_an_offer_that_waits_in_an_unfinished_input_is_not_overdue() -> None:
    """Between accept_by and the horizon answers may still wait in the log."""
    start = Step(
        1000.0,
        tasks=[event("task_created", 999, task="t", project="j", skill="s", overlap=1)],
        annotators=[
            event("annotator_set", 999, annotator="a", skills=["s"]),
            event("annotator_online", 999, annotator="a", ttl_s=9000),
        ],
        outputs=offer("0-1-0", "t", "a", 1000),
    )
    behind = Step(1100.0, record={"complete_until": 1050.0})
    assert audit(list(records([start, behind]))) == []
    assert len(audit(list(records([start, behind, Step(1100.0)])))) == 1
