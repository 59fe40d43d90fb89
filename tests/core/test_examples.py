"""The contract's own examples, played into a shard: they lead to an offer and an answer."""

from typing import Any

import msgspec
import pytest

from stream import contract, events, topics
from stream.core.batch import Range
from stream.core.shard import Shard
from stream.settings import Market
from tests.core.course import Course, people, project, work
from tests.core.histories import Record

SAMPLES = contract.read_samples()
START = msgspec.json.decode(SAMPLES["project_set"])["at"]


class Played:
    """A shard to which examples are sent, each in a round of its own, a second after the other."""

    def __init__(self) -> None:
        self.shard, self.now = Shard(0, Market(), 1), START
        self.shard.restored()

    def told(self, name: str) -> list[Any]:
        event = msgspec.json.decode(SAMPLES[name]) | {"at": self.now}
        at = self.shard.position[topics.TASKS]
        record = Record(at, event["pool"].encode(), msgspec.json.encode(event))
        result = self.shard.round(Range(at, at + 1, [record]), None, self.now, self.now, True)
        assert not result.dead_letters, result.dead_letters
        self.now += 1.0
        return [
            events.decode_result(value)
            for topic in topics.OUTPUTS if topic != topics.ROUNDS for _, value in result.outputs[topic]
        ]  # fmt: skip


def documented(name: str, found: list[Any], *fields: str) -> None:
    """Among the outputs is one like the contract's example, in these fields."""
    (output,) = [one for one in found if contract.tag(type(one)) == name]
    example = events.decode_result(SAMPLES[name])
    assert [getattr(output, field) for field in fields] == [getattr(example, field) for field in fields]


def test_the_examples_lead_from_a_profile_to_an_offer_to_an_answer_that_counts() -> None:
    played = Played()
    for name in ("project_set", "annotator_set", "annotator_online"):
        assert played.told(name) == []
    offered = played.told("task_created")
    documented("assignment_offered", offered, "pool", "task", "project", "skill", "annotator", "lease_s")
    documented("decision_made", offered, "pool", "task", "annotator")
    documented("assignment_leased", played.told("assignment_accepted"), "pool", "task", "annotator")
    answered = played.told("judgment_submitted")
    documented("judgment_settled", answered, "pool", "task", "annotator", "outcome", "count", "duration_s")
    documented("consensus_updated", answered, "pool", "task", "skill")


@pytest.mark.parametrize("others", ["skill_seeded", "task_updated", "work_requested", "pool_resumed"])
def test_the_other_examples_do_not_take_the_offer_away(others: str) -> None:
    played = Played()
    for name in ("project_set", "annotator_set", "task_created", others):
        played.told(name)
    assert [contract.tag(type(one)) for one in played.told("annotator_online")].count("assignment_offered") == 1


def terms(task: dict[str, Any], **profile: Any) -> list[dict[str, float]]:
    """Of what a newcomer is offered of such a task, with everything else as the contract presets it."""
    course = Course()
    course.told(project(), *work(1, **task), *people(["new"], **profile))
    return [decision.terms for decision in course.outputs(topics.DECISIONS)]


def test_the_cost_of_the_example_is_what_the_contract_says_of_it() -> None:
    cost = msgspec.json.decode(SAMPLES["annotator_set"])["cost"]
    said = " ".join((events.AnnotatorSet.__doc__ or "").split())
    assert f"at {cost} an answer that takes 60 s costs 0.05, where" in said
    assert "by a newcomer, brings about 0.3." in said
    (offer,) = terms({}, cost=cost)
    assert Market().expected_s == 60.0
    assert offer["cost"] == pytest.approx(-0.05 - Market().judgment_cost)
    assert sum(value for name, value in offer.items() if name != "cost") == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(("cost", "is_offered"), [(0.0, True), (12.0, True), (25.0, False)])
def test_who_costs_more_than_an_answer_brings_is_asked_for_what_was_promised_alone(
    cost: float, is_offered: bool
) -> None:
    assert bool(terms({"overlap": 0}, cost=cost)) == is_offered
    assert terms({"overlap": 1}, cost=cost)
