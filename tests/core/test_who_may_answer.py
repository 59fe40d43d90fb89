"""An answer that nobody asked for counts only where an offer would have been allowed; changed rules withdraw offers."""

from typing import Any

import pytest

from stream import events as wire
from stream import topics
from tests.core.course import POOL, Course, Strangers, people, project, work


def answer(annotator: str, task: str, label: int = 0, **fields: Any) -> dict[str, Any]:
    return {"type": "judgment_submitted", "annotator": annotator, "task": task, "label": label, **fields}


def settled(course: Course) -> list[tuple[str, int, str | None]]:
    found = course.outputs(topics.JUDGMENTS)
    return [(event.outcome, event.count, event.reason) for event in found if isinstance(event, wire.JudgmentSettled)]


def ends(course: Course) -> list[tuple[str, str, str | None]]:
    found = course.outputs(topics.ASSIGNMENTS)
    return [(e.task, e.outcome, e.cause) for e in found if isinstance(e, wire.AssignmentEnded)]


def described(name: str, **profile: Any) -> dict[str, Any]:
    return {"type": "annotator_set", "annotator": name, "skills": ["*"], **profile}


def online(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "annotator_online", "annotator": name, "ttl_s": 1e6, **fields}


#: What keeps somebody from answering uninvited: what is said before, the word for it, and whether it holds for imports.
HINDRANCES: dict[str, tuple[list[dict[str, Any]], dict[str, Any], bool]] = {
    "list": ([], {"exclude": ["x"]}, True),
    "limit": ([project(max_per_annotator=0)], {}, True),
    "budget": ([project(budget=1), *work(1, first=90, overlap=1), online("y"), described("y")], {"priority": -5}, True),
    "profile": ([described("x", skills=["other"])], {}, False),
    "min_skill": ([], {"min_skill": 0.9}, False),
    "paused": ([{"type": "annotator_paused", "annotator": "x"}], {}, False),
    "presence": ([{"type": "annotator_offline", "annotator": "x"}], {}, False),
}


@pytest.mark.parametrize("reason", HINDRANCES)
@pytest.mark.parametrize("origin", ["live", "import"])
def test_an_uninvited_answer_counts_only_where_an_offer_would_have_been_allowed(reason: str, origin: str) -> None:
    """Nobody is offered the task: its pool has just begun, and the answer comes in the same round."""
    before, fields, holds_for_imports = HINDRANCES[reason]
    course = Course()
    course.told(described("x"), online("x"), *before)
    course.told(*work(1, **({"overlap": 1} | fields)), answer("x", "w0", origin=origin))
    counts = origin == "import" and not holds_for_imports
    assert settled(course) == [("unsolicited", 1, None) if counts else ("surplus", 0, reason)]


@pytest.mark.parametrize("what", ["project", "pool"])
def test_nobody_answers_uninvited_while_work_is_paused(what: str) -> None:
    course = Course()
    paused = project(state="paused") if what == "project" else {"type": "pool_paused"}
    course.told(described("x"), online("x"), project(), paused)
    course.told(*work(2, overlap=1), answer("x", "w0"), answer("x", "w1", origin="import"))
    assert settled(course) == [("surplus", 0, "paused"), ("unsolicited", 1, None)]


def test_an_uninvited_answer_that_may_count_does() -> None:
    course = Course()
    course.told(described("x"), online("x"), *work(1, overlap=1), answer("x", "w0", 1))
    assert settled(course) == [("unsolicited", 1, None)]


def test_whoever_is_at_work_with_all_their_capacity_answers_nothing_else() -> None:
    course = Course()
    course.told(described("x"), online("x"), *work(1, overlap=1))
    assert len(course.offers) == 1
    course.told(*work(1, first=1, overlap=1), answer("x", "w1"))
    assert settled(course) == [("surplus", 0, "capacity")]


def test_an_uninvited_answer_pushes_out_an_offer_and_never_work_in_hand() -> None:
    course = Course()
    course.told(*work(2, overlap=1), *people(["a", "b"]))
    mine = {offer.annotator: offer.task for offer in course.offers}
    course.told({"type": "assignment_accepted", "annotator": "b", "task": mine["b"]})
    course.told(described("x"), online("x", capacity=2), answer("x", mine["a"]), answer("x", mine["b"]))
    assert settled(course) == [("unsolicited", 1, None), ("surplus", 0, "need")]
    assert (mine["a"], "withdrawn", "met_need") in ends(course)
    course.told(answer("b", mine["b"]))
    assert settled(course) == [("counted", 1, None)]


def test_an_uninvited_answer_may_take_the_money_of_the_offer_that_it_pushes_out() -> None:
    course = Course()
    course.told(project(budget=1), *work(1, overlap=1), *people(["a"]))
    assert len(course.offers) == 1
    course.told(described("x"), online("x"), answer("x", "w0"))
    assert settled(course) == [("unsolicited", 1, None)]
    assert ends(course) == [("w0", "withdrawn", "met_need")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ([{"type": "task_updated", "task": "w0", "exclude": ["a"]}], "list"),
        ([{"type": "task_updated", "task": "w0", "only": ["z"]}], "list"),
        ([project(max_per_annotator=0)], "limit"),
        ([project(budget=0)], "closed"),
        ([described("a", skills=["other"])], "profile"),
        ([{"type": "task_updated", "task": "w0", "requires": ["x"]}], "profile"),
        ([{"type": "task_updated", "task": "w0", "min_skill": 0.9}], "min_skill"),
    ],
)
def test_a_changed_rule_withdraws_the_offer_and_a_late_answer_does_not_count(
    change: list[dict[str, Any]], reason: str
) -> None:
    course = Course()
    course.told(project(), *work(1, overlap=1), *people(["a"]))
    assert len(course.offers) == 1
    course.told(*change)
    assert ends(course) == [("w0", "withdrawn", "override")]
    course.told(answer("a", "w0"))
    assert settled(course) == [("late", 0, reason)]


@pytest.mark.parametrize(
    "change",
    [{"type": "task_updated", "task": "w0", "exclude": ["a"]}, project(max_per_annotator=0), project(budget=0),
     described("a", skills=[])],
)  # fmt: skip
def test_accepted_work_finishes_whatever_changes(change: dict[str, Any]) -> None:
    course = Course()
    course.told(project(), *work(1, overlap=1), *people(["a"]))
    course.told({"type": "assignment_accepted", "annotator": "a", "task": "w0"})
    course.told(change)
    assert ends(course) == []
    course.told(answer("a", "w0"))
    assert settled(course) == [("counted", 1, None)]


def test_an_offer_of_which_the_change_says_nothing_stands() -> None:
    course = Course()
    course.told(project(), *work(2, overlap=1), *people(["a", "b"]))
    course.told(
        {"type": "task_updated", "task": "w0", "exclude": ["z"], "requires": []},
        project(max_per_annotator=5, budget=2), described("a", cost=3.0), described("b", skills=["s"]),
    )  # fmt: skip
    assert ends(course) == [] and len(course.shard.pools[POOL].columns.pairs.records) and course.offers == []


def test_an_acceptance_behind_the_change_in_the_same_round_comes_too_late() -> None:
    course = Course()
    course.told(*work(1, overlap=1), *people(["a"]))
    course.told(
        {"type": "task_updated", "task": "w0", "exclude": ["a"]},
        {"type": "assignment_accepted", "annotator": "a", "task": "w0"},
    )
    assert ends(course) == [("w0", "withdrawn", "override")]
    assert not [e for e in course.outputs(topics.ASSIGNMENTS) if isinstance(e, wire.AssignmentLeased)]


def test_a_lower_budget_withdraws_as_many_offers_as_it_takes() -> None:
    course = Course()
    course.told(project(), *work(5, overlap=1), *people(["a"], capacity=5))
    course.told({"type": "assignment_accepted", "annotator": "a", "task": "w4"})
    course.told(project(budget=3))
    assert [(task, cause) for task, _, cause in ends(course)] == [("w3", "override"), ("w2", "override")]


def test_skill_that_answers_put_in_doubt_withdraws_offers_that_ask_for_it() -> None:
    """Of sixty checked answers the last thirty are wrong: what was offered on the first thirty is withdrawn."""
    course = Course()
    gold = [{"type": "task_created", "task": f"g{i}", "project": "j", "skill": "s", "classes": 2, "purpose": "gold",
             "label": 0} for i in range(60)]  # fmt: skip
    course.told(project(gold_rate=0.0), *gold, *people(["a"], capacity=3))
    course.told(*(answer("a", f"g{i}") for i in range(30)))
    course.told(*work(1, overlap=1, min_skill=0.8))
    assert [offer.task for offer in course.offers] == ["w0"]
    course.told(*(answer("a", f"g{i}", 1) for i in range(30, 60)))
    assert ("w0", "withdrawn", "override") in ends(course)


def letters(course: Course) -> list[str]:
    assert course.result is not None
    return [dict(letter.headers)["reason"].decode() for letter in course.result.dead_letters]


def test_an_answer_by_somebody_whom_nobody_has_described_waits_until_somebody_does() -> None:
    course = Strangers()
    course.told(*work(1, overlap=1), answer("x", "w0", 1))
    assert settled(course) == [] and letters(course) == []
    course.told({"type": "judgment_corrected", "annotator": "x", "task": "w0", "label": 0}, after=20.0)
    course.told(described("x"), after=20.0)
    assert settled(course) == [("unsolicited", 1, None), ("corrected", 0, None)]


def test_it_does_not_wait_for_ever() -> None:
    course = Strangers()
    course.told(*work(1, overlap=1), answer("x", "w0", 1))
    course.told(after=59.0)
    assert letters(course) == []
    course.told(after=2.0)
    assert letters(course) == ["unknown_annotator"]
    course.told(described("x"), answer("x", "w0", 1))
    assert settled(course) == [("unsolicited", 1, None)]


def test_it_may_wait_for_its_task_first_and_for_its_person_then() -> None:
    course = Strangers()
    course.told(answer("x", "w0", 1))
    course.told(*work(1, overlap=1))
    assert settled(course) == []
    course.told(described("x"))
    assert settled(course) == [("unsolicited", 1, None)]


def test_past_work_needs_nobody_to_be_described() -> None:
    course = Strangers()
    course.told(*work(1, overlap=1), answer("x", "w0", 1, origin="import"))
    assert settled(course) == [("unsolicited", 1, None)]


def test_who_is_erased_while_their_answer_waits_is_forgotten_with_it() -> None:
    course = Strangers()
    course.told(*work(1, overlap=1), answer("x", "w0", 1))
    course.told({"type": "annotator_erased", "annotator": "x"})
    assert letters(course) == ["erased"]
