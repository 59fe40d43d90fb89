"""The auditor follows promises and budgets: what a shard publishes passes, a record that says otherwise is found."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from stream import topics
from stream.audit import Audit, Record
from tests.core.course import Course, people, project, work

Change = Callable[[dict[str, Any]], dict[str, Any] | None]


class Told(Course):
    """A course whose log can be audited."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[str, bytes | None, bytes]] = []

    def told(self, *events: dict[str, Any], after: float = 5.0) -> Any:
        result = super().told(*events, after=after)
        self.log += [(topics.TASKS, b"p", msgspec.json.encode(event)) for event in self.sent]
        self.log += [(topic, *pair) for topic, pairs in result.outputs.items() for pair in pairs]
        return result

    def audited(self, change: Change = lambda event: event) -> list[str]:
        """Violations found when every output is changed like this; None: it is missing."""
        auditor, ends = Audit(0, 1), dict[str, int]()
        for topic, key, value in self.log:
            found = change(msgspec.json.decode(value)) if topic not in topics.INPUTS else msgspec.json.decode(value)
            if found is not None:
                offset = ends.get(topic, 0)
                auditor.feed([Record(topic, 0, offset, key, msgspec.json.encode(found), ())])
                ends[topic] = offset + 1
        return [str(violation) for violation in auditor.finish()]


@pytest.fixture
def spent() -> Told:
    course = Told()
    course.told(project(budget=4), *work(3, overlap=2), *people(["a"], capacity=3))
    course.told(*({"type": "judgment_submitted", "annotator": "a", "task": f"w{i}", "label": 0} for i in range(3)))
    course.told(*people(["b"]), *work(1, first=7, overlap=0))
    (offer,) = course.offers
    course.told({"type": "judgment_submitted", "annotator": "b", "task": offer.task, "label": 0})
    course.told(project(budget=9), *people(["c"], capacity=9))
    return course


def test_promises_and_budgets_as_they_should_be_pass(spent: Told) -> None:
    assert spent.audited() == []


def without(kind: str, **fields: Any) -> Change:
    def change(event: dict[str, Any]) -> dict[str, Any] | None:
        is_it = event["type"] == kind and all(event.get(name) == value for name, value in fields.items())
        return None if is_it else event

    return change


def otherwise(kind: str, **fields: Any) -> Change:
    return lambda event: event | fields if event["type"] == kind else event


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("budget_short"), "has promised 6 judgments for a budget of 4 and doesn't say so"),
        (otherwise("budget_short", promised=5), "is said to have promised 5 of 4, expected 6 of 4"),
        (without("task_settled", outcome="budget", task="w7"), "does not settle, expected budget"),
        (otherwise("decision_made", required=False), "is required, its decision says otherwise"),
        (otherwise("decision_made", required=True), "is not required, its decision says otherwise"),
        (
            lambda event: event | {"pools": [pool | {"required": 0} for pool in event["pools"]]}
            if event["type"] == "round_completed" else event,
            "promises filled of",
        ),
    ],
)  # fmt: skip
def test_what_is_said_otherwise_is_found(spent: Told, change: Change, words: str) -> None:
    found = spent.audited(change)
    assert any(words in violation for violation in found), found
