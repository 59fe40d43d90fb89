"""The generator's ledger acquits what is right and convicts everything else."""

from typing import Any, NamedTuple

import pytest

from load.chaos.ledger import ABORTED, EVENT, HEADER, JUDGMENT, Check, Ledger, Verdict, mark
from stream.events import JudgmentSettled, Source, encode
from stream.topics import JUDGMENTS, TASKS, dead_letters

KINDS = (EVENT, JUDGMENT, "malformed", JUDGMENT)
ABOUT = ("p", "t", "a")


class Rec(NamedTuple):
    topic: str
    partition: int
    offset: int
    value: bytes
    headers: list[tuple[str, bytes]]


def given(number: int, offset: int | None = None) -> Rec:
    return Rec(TASKS, 0, number if offset is None else offset, b"", [(HEADER, b"%d" % number)])


def settled(offset: int, annotator: str = "a") -> Rec:
    source = Source(topic=TASKS, partition=0, offset=offset)
    output = JudgmentSettled(
        pool="p", partition=0, round=1, task="t", project="x", annotator=annotator, source=source, outcome="counted",
        count=1, duration_s=None, accepted_at=None,
    )  # fmt: skip
    return Rec(JUDGMENTS, 0, offset, encode(output), [])


def dead(offset: int, reason: str) -> Rec:
    headers = {"topic": TASKS, "partition": "0", "offset": str(offset)}
    named = [(f"__streams.errors.{name}", value.encode()) for name, value in headers.items()]
    return Rec(dead_letters(TASKS), 0, offset, b"", [*named, ("reason", reason.encode())])


def books() -> Ledger:
    ledger = Ledger()
    for kind in KINDS:
        ledger.acknowledge(ledger.enter(kind, mark(*ABOUT)))
    return ledger


def judge(ledger: Ledger, inputs: list[Any], judgments: list[Any], letters: list[Any], **how: bool) -> Verdict:
    check = Check(ledger)
    for record in inputs:
        check.take_input(record)
    for record in judgments:
        check.take_judgment(record)
    for record in letters:
        check.take_dead_letter(record)
    return check.verdict(**how)


RIGHT = (
    [given(0), given(1), given(2), given(3)],
    [settled(1)],
    [dead(2, "malformed"), dead(3, "unknown_task")],
)


def test_what_is_right_is_acquitted() -> None:
    verdict = judge(books(), *RIGHT)
    assert (verdict.problems, verdict.words) == (0, [])
    assert (verdict.records, verdict.judgments, verdict.settled) == (4, 2, 1)
    assert verdict.dead_letters == {"malformed": 1, "unknown_task": 1}


def test_a_record_that_lies_in_the_log_twice_must_settle_twice() -> None:
    inputs, judgments, letters = RIGHT
    twice = [*inputs, given(1, offset=9)]
    assert judge(books(), twice, judgments, letters).problems == 1
    verdict = judge(books(), twice, [*judgments, settled(9)], letters)
    assert (verdict.problems, verdict.repeated) == (0, 1)


@pytest.mark.parametrize(
    ("inputs", "judgments", "letters", "words"),
    [
        (RIGHT[0], [], RIGHT[2], "settled 0 times"),
        (RIGHT[0], [settled(1), settled(1)], RIGHT[2], "settled 2 times"),
        (RIGHT[0], RIGHT[1], [*RIGHT[2], dead(1, "unknown_task")], "settled 1 times, dead letters ['unknown_task']"),
        (RIGHT[0], [], [*RIGHT[2], dead(1, "malformed")], "for the reason malformed"),
        (RIGHT[0], [settled(1, "b")], RIGHT[2], "as the judgment of 'b'"),
        (RIGHT[0], [settled(1), settled(0)], RIGHT[2], "event"),
        (RIGHT[0], [settled(1), settled(77)], RIGHT[2], "which nobody can see"),
        (RIGHT[0], RIGHT[1], [dead(2, "internal"), dead(3, "too_old")], "should be one dead letter (malformed)"),
        (RIGHT[0], RIGHT[1], [dead(3, "too_old")], "should be one dead letter (malformed)"),
        (RIGHT[0][1:], RIGHT[1], RIGHT[2], "1 acknowledged records are not in the log"),
        ([*RIGHT[0], given(17)], RIGHT[1], RIGHT[2], "none of the generator's"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_convicted(inputs: list[Rec], judgments: list[Rec], letters: list[Rec], words: str) -> None:
    verdict = judge(books(), inputs, judgments, letters)
    assert verdict.problems
    assert any(words in said for said in verdict.words), verdict.words


def test_what_was_aborted_may_not_be_seen() -> None:
    ledger = Ledger()
    ledger.enter(ABORTED)
    assert judge(ledger, [], [], []).problems == 0
    assert judge(ledger, [given(0)], [], []).problems


def test_after_compaction_records_may_be_missing_and_no_more_than_that() -> None:
    inputs, _, letters = RIGHT
    assert judge(books(), inputs[1:], [settled(1)], letters, is_whole=False).problems == 0
    assert judge(books(), inputs[1:], [], letters, is_whole=False).problems == 1


def test_unacknowledged_entries_are_counted_but_not_what_was_aborted() -> None:
    ledger = books()
    ledger.enter(EVENT)
    ledger.enter(ABORTED)
    assert ledger.unacknowledged() == 1
