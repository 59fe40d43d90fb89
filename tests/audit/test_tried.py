"""The promises about gold, training and skill without labels, checked from outside: a correct history, and faults."""

import re
from collections.abc import Callable

import pytest

from stream import topics
from stream.audit import Audit
from tests.audit.history import Fields, Step, end, event, judgment, offer, posterior, records, settled, settlement

PEOPLE = topics.ANNOTATORS


def drifted(**fields: float) -> Fields:
    known = {"mean": 0.5, "low": 0.3, "high": 0.7, "judgments": 30.0, "score": 1.1}
    return {"type": "skill_drifted", "pool": "p", "annotator": "a", "skill": "s", **known, **fields}


def tried() -> list[Step]:
    """Work and gold side by side; a drift alarm; the project ends. Work without classes is scored."""
    common = {"project": "j", "skill": "s", "classes": 2}
    return [
        Step(
            1000.0,
            tasks=[
                event("project_set", 999, project="j", gold_rate=0.1),
                event("task_created", 999, task="w1", overlap=1, **common),
                event("task_created", 999, task="g1", purpose="gold", label=0, min_skill=0.9, **common),
                event("task_created", 999, task="g2", purpose="training", label=1, overlap=1, **common),
                event("task_created", 999, task="x1", project="j", skill="s", overlap=1),
                event("task_created", 999, task="g3", purpose="gold", **common),
            ],
            annotators=[
                event("annotator_set", 999, annotator="a", skills=["*"]),
                event("annotator_online", 999, annotator="a", capacity=3),
            ],
            outputs=[
                *offer("0-1-0", "g1", "a", 1000, required=False), *offer("0-1-1", "w1", "a", 1000),
                *offer("0-1-2", "x1", "a", 1000),
            ],
            dead=[(topics.TASKS, 5, "invalid")],
        ),
        Step(
            1010.0,
            annotators=[
                judgment("g1", "a", 1009, 1),
                judgment("w1", "a", 1009, 0),
                judgment("x1", "a", 1009, None),
                event("judgment_scored", 1009, task="x1", annotator="a", score=0.5, source="metric"),
                event("judgment_scored", 1009, task="w1", annotator="a", score=0.5, source="metric"),
                event("skill_seeded", 1009, annotator="a", skill="s", accuracy=0.8, weight=3),
                event("truth_set", 1009, task="g1", label=1),
            ],
            outputs=[
                end("0-1-0", "g1", "a", 1010, "submitted"),
                settlement("g1", "a", PEOPLE, 2, "counted", 1),
                end("0-1-1", "w1", "a", 1010, "submitted"),
                settlement("w1", "a", PEOPLE, 3, "counted", 1),
                end("0-1-2", "x1", "a", 1010, "submitted"),
                settlement("x1", "a", PEOPLE, 4, "counted", 1),
                drifted(),
                settled("w1", "complete", [0.7, 0.3], 1),
                settled("x1", "complete", None, 1),
                posterior("w1", [0.7, 0.3], 1),
                *offer("0-2-0", "g2", "a", 1010, required=False),
            ],
            dead=[(PEOPLE, 6, "invalid")],
        ),
        Step(
            1020.0,
            tasks=[event("project_set", 1019, project="j", state="closed")],
            outputs=[
                end("0-2-0", "g2", "a", 1020, "withdrawn", "cancel"),
                settled("g1", "cancelled", None, 1),
                settled("g2", "cancelled", None, 0),
            ],
        ),
    ]  # fmt: skip


def found(steps: list[Step]) -> list[str]:
    auditor = Audit(partition=0, partitions=1)
    auditor.feed(records(steps))
    return [str(violation) for violation in auditor.finish()]


def of(step: Step, kind: str, **fields: str) -> Fields:
    (item,) = (
        item for item in step.outputs if item["type"] == kind and all(item.get(k) == v for k, v in fields.items())
    )
    return item


def test_gold_scores_imports_and_alarms_as_they_should_be_pass() -> None:
    assert found(tried()) == []


def gold_where_the_project_wants_none(steps: list[Step]) -> None:
    steps[0].tasks[0]["gold_rate"] = 0.0


def two_tries_in_one_round(steps: list[Step]) -> None:
    steps[0].outputs += offer("0-1-3", "g2", "a", 1000, required=False)
    steps[0].annotators[1]["capacity"] = 4
    steps[1].outputs = [item for item in steps[1].outputs if item.get("assignment") != "0-2-0"]
    of(steps[2], "assignment_ended", assignment="0-2-0")["assignment"] = "0-1-3"


def more_gold_than_work_has_earned(steps: list[Step]) -> None:
    """The judgments of work are of another project."""
    for place in (1, 4):
        steps[0].tasks[place]["project"] = "k"
    for step in steps:
        for item in step.outputs:
            if item.get("task") in ("w1", "x1") and "project" in item:
                item["project"] = "k"


def a_posterior_of_gold(steps: list[Step]) -> None:
    steps[1].outputs.append(posterior("g1", [0.1, 0.9], 1))


def a_label_of_gold(steps: list[Step]) -> None:
    of(steps[2], "task_settled", task="g1").update(label=1, posterior=[0.0, 1.0])


def a_decision_that_gives_gold_away(steps: list[Step]) -> None:
    of(steps[1], "decision_made")["terms"] = {"lesson": 0.7, "cost": -0.2}


def gold_that_settles_by_truth(steps: list[Step]) -> None:
    steps[1].outputs.append(settled("g1", "complete", None, 1))


def gold_without_its_answer_is_taken(steps: list[Step]) -> None:
    steps[0].dead.clear()


def a_score_of_a_label_is_taken(steps: list[Step]) -> None:
    steps[1].dead.clear()


def a_score_of_a_judgment_is_refused(steps: list[Step]) -> None:
    steps[1].dead.append((PEOPLE, 5, "invalid"))


def an_import_is_refused(steps: list[Step]) -> None:
    steps[1].dead.append((PEOPLE, 7, "invalid"))


def an_alarm_without_a_judgment(steps: list[Step]) -> None:
    of(steps[1], "skill_drifted")["skill"] = "t"


def an_alarm_below_its_threshold(steps: list[Step]) -> None:
    of(steps[1], "skill_drifted")["score"] = 0.9


FAULTS: dict[Callable[[list[Step]], None], str] = {
    gold_where_the_project_wants_none: "promise 4 .*wants no gold",
    two_tries_in_one_round: "promise 4 .*tried twice in one round",
    more_gold_than_work_has_earned: "promise 4 .*1 tasks of gold or training and little work",
    a_posterior_of_gold: "promise 1 .*whose purpose is gold",
    a_label_of_gold: "promise 1 .*a label of 'g1'",
    a_decision_that_gives_gold_away: "promise 4 .*give away",
    gold_that_settles_by_truth: "promise 1 ",
    gold_without_its_answer_is_taken: "promise 5 .*no dead letter",
    a_score_of_a_label_is_taken: "promise 5 .*no dead letter",
    a_score_of_a_judgment_is_refused: "promise 5 .*usable record is a dead letter",
    an_import_is_refused: "promise 5 .*usable record is a dead letter",
    an_alarm_without_a_judgment: "promise 1 .*without a judgment",
    an_alarm_below_its_threshold: "promise 1 .*an alarm at 0.9",
}


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: str(plant.__name__))
def test_a_broken_promise_about_gold_or_scores_is_found(plant: Callable[[list[Step]], None]) -> None:
    steps = tried()
    plant(steps)
    violations = found(steps)
    assert any(re.search(FAULTS[plant], violation) for violation in violations), violations
