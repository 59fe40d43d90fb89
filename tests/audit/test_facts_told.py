"""Facts: what a round says of statements that something newer has overtaken is checked, and so is what then counts."""

from typing import Any

import pytest

from stream import topics
from stream.audit import Record
from tests.audit.test_presence_told import Outputs, audited, published

PAIR = {"task": "t0", "annotator": "a"}
OFFERED = {"type": "task_created", "task": "t0", "project": "j", "skill": "s", "overlap": 1}


def overtaken() -> tuple[list[Record], list[Outputs]]:
    """The same extension twice, and two corrections in the wrong order."""
    extended = {"type": "assignment_extended", **PAIR, "at": 1_020.0}
    corrected = {"type": "judgment_corrected", **PAIR}
    return published(
        (1_000.0, [
            {"type": "annotator_set", "annotator": "a", "skills": ["s"]},
            {"type": "annotator_online", "annotator": "a", "ttl_s": 5_000}, OFFERED | {"classes": 2},
        ]),
        (1_010.0, [{"type": "assignment_accepted", **PAIR}]),
        (1_020.0, [extended]),
        (1_030.0, [extended]),
        (1_040.0, [{"type": "judgment_submitted", **PAIR, "label": 1}]),
        (1_060.0, [corrected | {"label": 0, "at": 1_058.0}]),
        (1_070.0, [corrected | {"label": 1, "at": 1_050.0}]),
    )  # fmt: skip


def rounds(said: list[Outputs]) -> list[dict[str, Any]]:
    return [output for outputs in said for _, output in outputs if output["type"] == "round_completed"]


def outcomes(said: list[Outputs]) -> list[dict[str, Any]]:
    return [output for outputs in said for topic, output in outputs if topic == topics.JUDGMENTS]


def test_a_market_that_lets_the_newest_count_is_innocent() -> None:
    sent, said = overtaken()
    assert [one["outcome"] for one in outcomes(said)] == ["counted", "corrected", "outdated"]
    assert [one.get("ignored", {}) for one in rounds(said)].count({"assignment_extended": 1}) == 1
    assert audited(sent, said) == []


@pytest.mark.parametrize("planted", ["not counted", "counted twice", "counted for nothing"])
def test_what_changed_nothing_and_is_not_counted_is_found(planted: str) -> None:
    sent, said = overtaken()
    extended = next(one for one in rounds(said) if one.get("ignored"))
    if planted == "not counted":
        del extended["ignored"]
    elif planted == "counted twice":
        extended["ignored"] = {"assignment_extended": 2}
    else:
        rounds(said)[0]["ignored"] = {"task_updated": 1}
    assert audited(sent, said)


def test_a_correction_that_came_too_late_and_yet_counts_is_found() -> None:
    sent, said = overtaken()
    outcomes(said)[-1]["outcome"] = "corrected"
    assert audited(sent, said)


def test_a_correction_that_counts_and_is_called_outdated_is_found() -> None:
    sent, said = overtaken()
    outcomes(said)[1]["outcome"] = "outdated"
    assert audited(sent, said)
