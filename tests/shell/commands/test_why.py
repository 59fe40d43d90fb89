"""The explanation of an assignment, in words."""

from typing import get_args

import msgspec
import pytest

from stream.events import AssignmentEnded, AssignmentOffered, Cause, ConsensusUpdated, DecisionMade, End, PoolRound
from stream.shell.commands.why import CAUSES, ENDS, Explanation, UnknownAssignment, explain, place
from stream.shell.commands.why_label import Label

WHERE = {"pool": "acme", "partition": 3, "round": 128}
OFFERED = AssignmentOffered(
    **WHERE, assignment="3-128-0", task="t9", project="p", skill="s", annotator="ann", at=0.0,
    accept_by=60.0, lease_s=900.0,
)  # fmt: skip
DECIDED = DecisionMade(
    **WHERE, assignment="3-128-0", task="t9", annotator="ann", at=0.0, value=0.3, price=0.1,
    terms={"information": 0.32, "cost": -0.02}, runner_up="bob", runner_up_value=0.25, skill_low=0.71,
    policy=0,
)  # fmt: skip
POOL = PoolRound(pool="acme", open_tasks=40, free_annotators=7, offers=7, value=2.0, bound=2.0, gap=0.0001,
                 covers="all", pairs=90, unproven_value=0.0, taught_value=0.0)  # fmt: skip


def words(**changes: object) -> str:
    base = {"offered": OFFERED, "decision": DECIDED, "leased": None, "ended": None, "pool": POOL}
    return explain(Explanation(**base | changes))


def test_it_says_who_what_why_and_beside_whom() -> None:
    text = words()
    for part in ("ann was offered the task t9", "worth 0.3000", "+0.3200  information", "-0.0200  cost",
                 "bob, worth 0.2500", "0.0500 more", "up to 0.1000", "gained 0.2000", "at least 71%",
                 "40 open tasks", "within 0.01% of the best possible"):  # fmt: skip
        assert part in text


def test_it_says_of_how_much_the_proof_speaks() -> None:
    """In a large market the bound is over the pairs that were drawn; what was added beyond has none."""
    large = msgspec.structs.replace(POOL, covers="recalled", pairs=64_000, unproven_value=1.25)
    text = words(pool=large)
    assert "the best possible" not in text
    assert "within 0.01% of the best among the 64000 pairs it saw" in text and "worth 1.2500" in text
    assert "Beyond" not in words(pool=msgspec.structs.replace(large, unproven_value=0.0))
    assert "No work was worth its cost" in words(pool=msgspec.structs.replace(POOL, value=0.0, bound=0.0, pairs=0))


def test_it_says_what_became_of_it() -> None:
    ended = AssignmentEnded(
        **WHERE,
        assignment="3-128-0",
        task="t9",
        annotator="ann",
        at=5.0,
        outcome="withdrawn",
        cause="met_need",
    )
    assert "withdrawn (1970-01-01 00:00:05 UTC), because the task needed no further judgment" in words(
        ended=ended
    )
    assert "neither been accepted" in words()


def test_equal_people_are_called_equal() -> None:
    assert "ann was worth the same" in words(decision=msgspec.structs.replace(DECIDED, runner_up_value=0.3))


def test_a_better_runner_up_was_needed_elsewhere() -> None:
    text = words(decision=msgspec.structs.replace(DECIDED, runner_up_value=0.4))
    assert "bob was more useful on other work" in text


@pytest.mark.parametrize(
    ("answer", "label", "posterior", "judgments", "parts"),
    [
        (1, 1, [0.34, 0.66], 1, ["ann answered 1, and that is the label of the task: 66% likely, from this answer"]),
        (1, 1, [0.1, 0.9], 3, ["that is the label of the task: 90% likely, from 3 answers"]),
        (1, 0, [0.7, 0.3], 1, ["ann answered 1, but the label of the task is 0: 70% likely, from this answer alone",
                               "What is known of ann in this skill", "others or known truths have checked"]),
        (1, 0, [0.7, 0.3], 3, ["but the label of the task is 0: 70% likely, from 3 answers", "The answers differ"]),
        (1, 0, [0.5, 0.5], 2, ["ann answered 1. The labels 0 and 1 are equally likely", "0 was drawn by a hash"]),
        (2, 1, [0.2, 0.4, 0.4], 2, ["The labels 1 and 2 are equally likely", "1 was drawn"]),
        (1, 0, [1.0, 0.0], 1, ["is 0, not the 1 that ann answered: the true one is known by now"]),
        (0, 0, [1.0, 0.0], 1, ["is 0, as ann answered"]),
    ],
)  # fmt: skip
def test_it_says_what_the_label_has_to_do_with_the_answer(
    answer: int, label: int, posterior: list[float], judgments: int, parts: list[str]
) -> None:
    told = ConsensusUpdated(
        **WHERE, task="t9", skill="s", label=label, posterior=posterior, judgments=judgments,
        tie=posterior.count(max(posterior)) > 1,
    )  # fmt: skip
    text = words(label=Label(answer=answer, told=told))
    for part in parts:
        assert part in text
    assert "label of the task" not in words()


@pytest.mark.parametrize("cause", get_args(Cause))
def test_every_cause_of_a_withdrawal_is_said(cause: Cause) -> None:
    ended = AssignmentEnded(
        **WHERE, assignment="3-128-0", task="t9", annotator="ann", at=5.0, outcome="withdrawn", cause=cause
    )
    assert f"because {CAUSES[cause]}." in words(ended=ended)


@pytest.mark.parametrize("outcome", get_args(End))
def test_every_end_is_said(outcome: End) -> None:
    ended = AssignmentEnded(**WHERE, assignment="3-128-0", task="t9", annotator="ann", at=5.0, outcome=outcome)
    assert f"{ENDS[outcome]} (1970-01-01 00:00:05 UTC)." in words(ended=ended)


@pytest.mark.parametrize("name", ["", "3-128", "3-128-x", "a-b-c", "1-2-3-4"])
def test_other_names_are_refused_in_words(name: str) -> None:
    with pytest.raises(UnknownAssignment, match="3-128-0"):
        place(name)
