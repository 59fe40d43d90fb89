"""Every kind of broken promise is found, and the records that show it are named."""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from stream import topics
from stream.audit import Audit, IncompleteLog, Record, Violation
from tests.audit.history import Step, correct, end, event, judgment, offer, posterior, records, settlement

Plant = Callable[[list[Step]], Any]
PLANTS: dict[str, tuple[int, str, Plant]] = {}


def planted(promise: int, words: str) -> Callable[[Plant], Plant]:
    """Register a change of the correct history that breaks a promise; the report must contain the words."""

    def register(plant: Plant) -> Plant:
        PLANTS[plant.__name__] = promise, words, plant
        return plant

    return register


def output(step: Step, kind: str, **fields: Any) -> dict[str, Any]:
    """The one output of a step with this type and these fields."""
    found = [
        item for item in step.outputs if item["type"] == kind and all(item[k] == v for k, v in fields.items())
    ]
    assert len(found) == 1
    return found[0]


def remove(step: Step, kind: str, **fields: Any) -> None:
    step.outputs.remove(output(step, kind, **fields))


def audit(log: list[Record]) -> list[Violation]:
    auditor = Audit(partition=0, partitions=1)
    auditor.feed(log)
    return auditor.finish()


@planted(1, "need 1")
def an_offer_beyond_the_need(steps: list[Step]) -> None:
    steps[0].outputs += offer("0-1-4", "t3", "b", 1000)
    steps[0].annotators[4]["capacity"] = 5
    steps[0].annotators[5]["capacity"] = 2


@planted(1, "max_overlap was 2")
def more_counted_than_the_maximum(steps: list[Step]) -> None:
    output(steps[2], "judgment_settled", annotator="d").update(outcome="unsolicited", count=1)


@planted(4, "with the reference 'https://tool/17', stated was None")
def an_offer_with_a_reference_that_nobody_stated(steps: list[Step]) -> None:
    output(steps[0], "assignment_offered", assignment="0-1-0")["ref"] = "https://tool/17"


@planted(4, "with the reference None, stated was 'open/t1'")
def an_offer_without_the_reference_of_its_task(steps: list[Step]) -> None:
    created = next(task for task in steps[0].tasks if task.get("task") == "t1" and task["type"] == "task_created")
    created["ref"] = "open/t1"


@planted(4, "with the reference 'new', stated was 'old'")
def an_offer_with_a_reference_of_a_statement_that_was_too_old(steps: list[Step]) -> None:
    created = next(task for task in steps[0].tasks if task.get("task") == "t1" and task["type"] == "task_created")
    created["ref"] = "old"
    steps[0].tasks.append(event("task_updated", created["at"] - 1, task="t1", ref="new"))
    for item in steps[0].outputs:
        if item["type"] == "assignment_offered" and item["task"] == "t1":
            item["ref"] = "new"


@planted(0, "odd fields {} according to the round, {'judgment_submitted.duration_s': 1} found")
def an_odd_field_that_the_round_does_not_count(steps: list[Step]) -> None:
    steps[1].annotators[1]["duration_s"] = -1


@planted(0, "odd fields {'judgment_submitted.duration_s': 1} according to the round, {} found")
def an_odd_field_that_was_none(steps: list[Step]) -> None:
    steps[1].record["odd"] = {"judgment_submitted.duration_s": 1}


@planted(5, "a usable record is a dead letter (malformed)")
def a_judgment_that_is_lost_to_a_side_field(steps: list[Step]) -> None:
    steps[1].annotators[1]["duration_s"] = -1
    steps[1].record["odd"] = {"judgment_submitted.duration_s": 1}
    steps[1].dead.append((topics.ANNOTATORS, len(steps[0].annotators) + 1, "malformed"))


@planted(1, "does not settle")
def a_task_that_met_its_need_stays_open(steps: list[Step]) -> None:
    remove(steps[2], "task_settled", task="t1")


@planted(1, "stays open")
def a_task_stays_open_at_its_confidence(steps: list[Step]) -> None:
    output(steps[3], "consensus_updated")["posterior"] = [0.05, 0.95]


@planted(1, "has settled or does not exist")
def a_task_settles_again(steps: list[Step]) -> None:
    steps[4].outputs.append(output(steps[2], "task_settled") | {"round": 5})


@planted(1, "sums to")
def a_posterior_that_is_none(steps: list[Step]) -> None:
    output(steps[1], "consensus_updated")["posterior"] = [0.75, 0.75]


@planted(1, "the label of 't3' is 0: all said 1, of whom nothing is known")
def a_label_that_does_not_follow_the_only_answer(steps: list[Step]) -> None:
    output(steps[3], "consensus_updated").update(posterior=[0.7, 0.3], label=0)


@planted(1, "the label of 't3' is a tie, 1 drawn: all said 1, of whom nothing is known")
def an_only_answer_that_is_not_believed(steps: list[Step]) -> None:
    output(steps[3], "consensus_updated").update(posterior=[0.5, 0.5], label=1, tie=True)


@planted(1, "the label of 't1' is 0: all said 1, of whom nothing is known")
def a_settled_label_that_does_not_follow_what_all_said(steps: list[Step]) -> None:
    steps[1].annotators[1]["label"] = 1
    output(steps[1], "consensus_updated").update(posterior=[0.25, 0.75], label=1)
    steps[2].annotators[0]["label"] = 1


@planted(1, "label 0 is not said to be drawn from a tie")
def a_tie_that_is_not_told(steps: list[Step]) -> None:
    steps[2].annotators[0]["label"] = 1
    for kind in ("consensus_updated", "task_settled"):
        output(steps[2], kind)["posterior"] = [0.5, 0.5]


@planted(1, "label 0 is said to be drawn from a tie")
def a_tie_that_is_none(steps: list[Step]) -> None:
    output(steps[2], "consensus_updated")["tie"] = True


@planted(1, "label 0 of 't1', 1 by the same posterior")
def a_tie_that_is_drawn_anew(steps: list[Step]) -> None:
    steps[2].annotators[0]["label"] = 1
    for kind, label in (("consensus_updated", 1), ("task_settled", 0)):
        output(steps[2], kind).update(posterior=[0.5, 0.5], label=label, tie=True)


@planted(1, "label 0 is not the most likely one")
def a_task_that_settles_with_another_label_than_its_posterior_says(steps: list[Step]) -> None:
    output(steps[5], "task_settled")["label"] = 0


@planted(1, "settles with label None, a tie, and 0 probabilities")
def a_tie_without_a_label(steps: list[Step]) -> None:
    output(steps[1], "task_settled")["tie"] = True


@planted(1, "judgments, 1 count")
def a_posterior_of_judgments_that_do_not_count(steps: list[Step]) -> None:
    output(steps[1], "consensus_updated")["judgments"] = 2


@planted(2, "have met: closed")
def a_declined_pair_returns(steps: list[Step]) -> None:
    steps[2].outputs += offer("0-3-1", "t2", "a", 1070)


@planted(2, "have met: counted")
def a_judged_pair_returns(steps: list[Step]) -> None:
    output(steps[3], "assignment_offered")["annotator"] = "c"
    output(steps[3], "decision_made")["annotator"] = "c"


@planted(2, "settles as counted (+1), expected duplicate")
def a_judgment_counts_twice(steps: list[Step]) -> None:
    output(steps[2], "judgment_settled", outcome="duplicate").update(outcome="counted", count=1)


def figures(step: Step, **changes: float | str) -> None:
    """Let the round of a step that decided one offer, worth 0.5, say something else of it."""
    step.record["pools"] = [
        {"pool": "p", "open_tasks": 1, "free_annotators": 1, "offers": 1, "value": 0.5, "bound": 0.5, "gap": 0.0,
         "covers": "all", "pairs": 1, "unproven_value": 0.0, "taught_value": 0.0, "required": 1,
         "required_bound": 1} | changes
    ]  # fmt: skip


@planted(6, "a value of 0.5 and a bound of 0.4, which it should not exceed")
def a_bound_below_its_value(steps: list[Step]) -> None:
    figures(steps[3], bound=0.4, gap=-0.25)


@planted(6, "a gap of 0.001, where value and bound make it 0.5")
def a_gap_that_its_numbers_deny(steps: list[Step]) -> None:
    figures(steps[3], bound=1.0, gap=0.001)


@planted(6, "offers worth 0.75 according to the round, 0.5 according to its decisions")
def a_value_of_what_nobody_decided(steps: list[Step]) -> None:
    figures(steps[3], covers="recalled", unproven_value=0.25)


@planted(6, "0.25 without a proof, where the bound is said to cover all pairs")
def a_proof_of_everything_beside_what_is_unproven(steps: list[Step]) -> None:
    figures(steps[3], value=0.25, bound=0.25, unproven_value=0.25)


@planted(6, "over no pairs")
def a_value_of_no_pairs(steps: list[Step]) -> None:
    figures(steps[3], pairs=0)


@planted(3, "has capacity 1")
def an_offer_beyond_the_capacity(steps: list[Step]) -> None:
    steps[0].annotators[4]["capacity"] = 1


@planted(4, "lacks the skill")
def an_offer_without_the_skill(steps: list[Step]) -> None:
    steps[0].annotators[0]["skills"] = ["other"]


@planted(4, "lacks an attribute")
def an_offer_without_a_required_attribute(steps: list[Step]) -> None:
    steps[0].annotators[3]["attributes"] = []


@planted(4, "not among the only ones")
def an_offer_to_somebody_else_than_the_only_ones(steps: list[Step]) -> None:
    steps[0].tasks[3]["only"] = ["b", "d"]


@planted(4, "is excluded")
def an_offer_to_an_excluded_annotator(steps: list[Step]) -> None:
    steps[0].tasks[1]["exclude"] = ["b"]


@planted(4, "is absent")
def an_offer_to_somebody_absent(steps: list[Step]) -> None:
    steps[3].annotators[1]["ttl_s"] = 1


@planted(4, "is absent")
def an_offer_to_somebody_on_a_break(steps: list[Step]) -> None:
    steps[3].annotators.append(event("annotator_paused", 1099, annotator="b"))


@planted(4, "is paused")
def an_offer_in_a_paused_pool(steps: list[Step]) -> None:
    steps[3].tasks.append(event("pool_paused", 1099))


@planted(4, "project 'j' is paused")
def an_offer_in_a_paused_project(steps: list[Step]) -> None:
    steps[3].tasks.append(event("project_set", 1099, project="j", state="paused"))


@planted(4, "has settled")
def an_offer_of_a_settled_task(steps: list[Step]) -> None:
    output(steps[3], "assignment_offered")["task"] = "t1"
    output(steps[3], "decision_made")["task"] = "t1"


@planted(4, "budget of 'j' is used up")
def an_offer_beyond_the_budget(steps: list[Step]) -> None:
    steps[0].tasks[0]["budget"] = 3


@planted(4, "full share")
def an_offer_beyond_the_share_of_an_annotator(steps: list[Step]) -> None:
    steps[0].tasks[0]["max_per_annotator"] = 1


@planted(4, "deadline of the task has passed")
def an_offer_after_the_deadline(steps: list[Step]) -> None:
    steps[3].record["complete_until"] = 1090.0
    steps[0].tasks[3]["deadline"] = 1095.0


@planted(4, "0.5 is required")
def an_offer_below_the_required_skill(steps: list[Step]) -> None:
    output(steps[0], "decision_made", task="t3")["skill_low"] = 0.4


@planted(4, "terms sum to")
def terms_that_do_not_sum_to_the_value(steps: list[Step]) -> None:
    output(steps[0], "decision_made", task="t3")["terms"]["information"] = 0.8


@planted(4, "without a decision")
def an_offer_without_a_decision(steps: list[Step]) -> None:
    remove(steps[0], "decision_made", task="t3")


@planted(4, "pulls and has not asked")
def an_offer_that_nobody_asked_for(steps: list[Step]) -> None:
    steps[2].annotators.pop()
    remove(steps[2], "work_unavailable")


@planted(4, "no word why")
def a_request_without_an_answer(steps: list[Step]) -> None:
    remove(steps[2], "work_unavailable")


@planted(5, "was never offered or has ended already")
def an_offer_ends_twice(steps: list[Step]) -> None:
    steps[4].outputs.append(end("0-1-0", "t1", "a", 1155, "submitted"))


@planted(5, "does not end, expected expired")
def an_expired_offer_stays(steps: list[Step]) -> None:
    remove(steps[2], "assignment_ended", outcome="expired")


@planted(5, "does not end, expected withdrawn:absence")
def an_offer_to_somebody_gone_stays(steps: list[Step]) -> None:
    remove(steps[4], "assignment_ended")


@planted(5, "was never offered or has ended already")
def an_offer_is_withdrawn_for_a_better_one(steps: list[Step]) -> None:
    steps[1].outputs.append(end("0-1-3", "t3", "c", 1010, "withdrawn", "override"))


@planted(5, "does not settle")
def a_judgment_is_lost(steps: list[Step]) -> None:
    remove(steps[2], "judgment_settled", annotator="d")


@planted(5, "settled before")
def a_judgment_settles_again(steps: list[Step]) -> None:
    steps[4].outputs.append(settlement("t1", "b", topics.ANNOTATORS, 11, "counted", 1))


@planted(5, "is a dead letter")
def a_judgment_settles_and_is_a_dead_letter(steps: list[Step]) -> None:
    steps[2].dead.append((topics.ANNOTATORS, 15, "invalid"))


@planted(5, "malformed) has no dead letter")
def an_unusable_record_is_skipped(steps: list[Step]) -> None:
    steps[0].dead.clear()


@planted(5, "an event about an unknown task is lost")
def a_waiting_event_is_lost(steps: list[Step]) -> None:
    steps[2].dead.clear()


@planted(5, "expected unknown_task")
def a_waiting_event_has_the_wrong_reason(steps: list[Step]) -> None:
    steps[2].dead[0] = (topics.ANNOTATORS, 8, "too_old")


@planted(5, "expected late")
def late_work_does_not_count(steps: list[Step]) -> None:
    output(steps[5], "judgment_settled", annotator="b")["count"] = 0


@planted(5, "lease until")
def a_lease_is_cut_short(steps: list[Step]) -> None:
    output(steps[1], "assignment_leased")["submit_by"] = 1011.0


@planted(5, "accept_by is")
def an_offer_without_time_to_accept(steps: list[Step]) -> None:
    output(steps[0], "assignment_offered", task="t3")["accept_by"] = 1001.0


@planted(5, "nobody accepted it")
def a_lease_that_nobody_accepted(steps: list[Step]) -> None:
    steps[1].annotators[0]["type"] = "assignment_extended"


@planted(0, "follows round 3")
def a_round_is_missing(steps: list[Step]) -> None:
    steps[3].record["round"] = 5


@planted(0, "expected from")
def a_range_of_input_is_left_out(steps: list[Step]) -> None:
    steps[4].record["offsets"] = {topics.TASKS: [6, 6], topics.ANNOTATORS: [20, 20]}


@planted(0, "runs backwards")
def time_runs_backwards(steps: list[Step]) -> None:
    steps[4].record["at"] = 900.0


@planted(0, "dead letters according to the round")
def a_round_that_counts_wrongly(steps: list[Step]) -> None:
    steps[2].record["dead_letters"] = 0


@planted(0, "wrong partition or under another key")
def an_output_of_another_pool(steps: list[Step]) -> None:
    output(steps[1], "consensus_updated")["pool"] = "q"


@planted(0, "nobody can read")
def an_output_that_is_none(steps: list[Step]) -> None:
    del output(steps[1], "consensus_updated")["label"]


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_found_and_named(name: str) -> None:
    promise, words, plant = PLANTS[name]
    steps = correct()
    plant(steps)
    log = list(records(steps))
    found = audit(log)
    matching = [violation for violation in found if violation.promise == promise and words in violation.what]
    assert matching, [str(violation) for violation in found]
    names = {record.name for record in log}
    for violation in found:
        assert violation.records, violation
        assert set(violation.records) <= names


LOG = list(records(correct()))
OUTPUTS = [
    place
    for place, record in enumerate(LOG)
    # the last round record ends what is checked
    if record.topic not in topics.INPUTS and place != len(LOG) - 1
]


def renumbered(log: list[Record]) -> list[Record]:
    ends: Counter[str] = Counter()
    found = []
    for record in log:
        found.append(record._replace(offset=ends[record.topic]))
        ends[record.topic] += 1
    return found


@pytest.mark.parametrize("place", OUTPUTS, ids=[f"{place}-{LOG[place].topic}" for place in OUTPUTS])
def test_no_output_can_be_missing_or_there_twice(place: int) -> None:
    for log in (LOG[:place] + LOG[place + 1 :], LOG[: place + 1] + LOG[place:]):
        try:
            assert audit(renumbered(log)), LOG[place]
        except IncompleteLog:
            assert LOG[place].topic == topics.ROUNDS


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_log_never_ends_the_auditor(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(20):
        log = list(LOG)
        for _ in range(rng.choice([1, 3, 10])):
            place = rng.randrange(len(log))
            value = msgspec.json.decode(log[place].value or b"")
            if isinstance(value, dict) and value and rng.random() < 0.5:
                field, other = rng.choice(list(value)), rng.choice(LOG)
                value[field] = msgspec.json.decode(other.value or b"").get(
                    field, rng.choice([None, "x", 7, []])
                )
                log[place] = log[place]._replace(value=msgspec.json.encode(value))
            elif rng.random() < 0.5:
                del log[place]
            else:
                log[place : place + 2] = reversed(log[place : place + 2])
        with suppress(IncompleteLog):
            audit(renumbered(log))


def test_a_withdrawn_need_is_followed() -> None:
    """Lowering the overlap withdraws unaccepted offers; keeping them is a violation."""
    steps = correct()[:1]
    lower = event("task_updated", 1001, task="t1", overlap=1)
    kept, withdrawn = Step(1005.0, tasks=[lower]), Step(1005.0, tasks=[lower])
    withdrawn.outputs = [end("0-1-1", "t1", "b", 1005, "withdrawn", "met_need")]
    assert audit(list(records([*steps, withdrawn]))) == []
    [violation] = audit(list(records([*steps, kept])))
    assert "does not end" in violation.what


def test_a_confidence_reached_between_two_judgments_of_one_round_is_accepted() -> None:
    """The posterior within a round is not published: what follows from it is."""
    steps = correct()[:1]
    steps[0].annotators[5]["capacity"] = 2
    for output_ in steps[0].outputs:
        if output_["task"] == "t3":
            output_["annotator"] = "b"
    both = Step(
        1005.0,
        annotators=[
            judgment("t3", "d", 1004, 1),
            judgment("t3", "b", 1004, 1),
            judgment("t3", "a", 1004, 1),
        ],
        outputs=[
            settlement("t3", "d", topics.ANNOTATORS, 10, "surplus", 0, "min_skill"),
            end("0-1-3", "t3", "b", 1005, "submitted"),
            settlement("t3", "b", topics.ANNOTATORS, 11, "counted", 1),
            settlement("t3", "a", topics.ANNOTATORS, 12, "surplus", 0, "closed"),
            {"type": "task_settled", "pool": "p", "task": "t3", "project": "j", "outcome": "consensus",
             "label": 1, "posterior": [0.05, 0.95], "judgments": 1},
            posterior("t3", [0.05, 0.95], 1),
        ],
    )  # fmt: skip
    assert audit(list(records([*steps, both]))) == []
    # without the settlement the last judgment found an open question
    both.outputs = [item for item in both.outputs if item["type"] != "task_settled"]
    both.outputs[-1] = posterior("t3", [0.3, 0.7], 1)
    assert [violation.what for violation in audit(list(records([*steps, both])))] == [
        "'a' on 't3' settles as surplus (+0, closed), expected surplus (+0, list)"
    ]
