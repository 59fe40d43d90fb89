"""Skill without labels: scores of judgments, imports from elsewhere, and the alarm when somebody has changed."""

import itertools
import random
from typing import Any

import pytest

from stream import events as wire
from stream import topics
from stream.core.state.skills import SkillReport, reports
from stream.shell.process.metrics import Metrics
from tests.core.course import POOL, Course, evidence, gold, people, project, truth, work


def essays(n: int, first: int = 0, **fields: Any) -> list[dict[str, Any]]:
    return [task | {"classes": None} for task in work(n, first, **fields)]


def judged(task: str, annotator: str) -> dict[str, Any]:
    return {"type": "judgment_submitted", "annotator": annotator, "task": task, "label": None}


def scored(task: str, annotator: str, score: float, source: str = "reviewer", **fields: Any) -> dict[str, Any]:
    said = {"type": "judgment_scored", "annotator": annotator, "task": task, "score": score, "source": source}
    return said | fields


def seeded(annotator: str, accuracy: float, weight: float, **fields: Any) -> dict[str, Any]:
    said = {"type": "skill_seeded", "annotator": annotator, "skill": "s", "accuracy": accuracy, "weight": weight}
    return said | fields


def report(course: Course, annotator: str) -> SkillReport:
    (found,) = reports(course.shard.pools[POOL], annotator)
    return found


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_one_score_of_a_judgment_counts_whatever_the_order_of_arrival(order: tuple[int, ...]) -> None:
    """A reviewer outranks a metric, a metric agreement; the newest of a source wins."""
    said = [
        scored("w0", "a", 0.1, "agreement", at=999_999.0), scored("w0", "a", 0.3, "metric"),
        scored("w0", "a", 0.5, "reviewer", at=10.0), scored("w0", "a", 0.75, "reviewer", at=11.0),
    ]  # fmt: skip
    course = Course()
    course.told(*essays(1), judged("w0", "a"))
    course.told(*(said[i] for i in order))
    known = report(course, "a")
    assert (known.classes, known.counted, known.judgments) == (None, 1, 7.0)
    assert known.mean == pytest.approx((6 * 0.7 + 0.75) / 7)
    course.told({"type": "judgment_retracted", "annotator": "a", "task": "w0"})
    course.told(scored("w0", "a", 0.9))  # nothing is left to score
    assert not list(reports(course.shard.pools[POOL], "a"))
    seat = course.columns.skills.seats[course.seat("a", 0)]
    assert (seat["score_sum"], seat["score_weight"], seat["judgments"]) == (0.0, 0.0, 0)


@pytest.mark.parametrize(
    ("task", "annotator", "words"),
    [("w1", "a", "without classes"), ("w0", "b", "Expected a judgment of this annotator")],
)
def test_what_has_no_score_is_refused(task: str, annotator: str, words: str) -> None:
    course = Course()
    course.told(*essays(1), *work(1, first=1), judged("w0", "a"))
    (letter,) = course.told(scored(task, annotator, 0.5)).dead_letters
    headers = dict(letter.headers)
    assert headers["reason"] == b"invalid" and words in headers["__streams.errors.message"].decode()


def test_work_without_labels_goes_to_the_better_scored_and_asks_for_proven_skill() -> None:
    course = Course()
    course.told(*essays(40, overlap=2), *people(["good", "poor"]))
    course.told(*(judged(f"w{i}", name) for i in range(30) for name in ("good", "poor")))
    course.told(*(scored(f"w{i}", name, {"good": 0.95, "poor": 0.4}[name]) for i in range(30)
                  for name in ("good", "poor")))  # fmt: skip
    course.told(*({"type": "task_cancelled", "task": f"w{i}"} for i in range(40)))
    course.told(*essays(1, first=50, overlap=1))
    assert [offer.annotator for offer in course.offers] == ["good"]
    course.told({"type": "task_cancelled", "task": "w50"}, *essays(2, first=60, min_skill=0.8))
    assert [offer.annotator for offer in course.offers] == ["good"]
    (decision,) = course.outputs(topics.DECISIONS)
    assert decision.skill_low >= 0.8


def test_an_import_counts_once_the_newest_wins_and_models_to_come_have_it() -> None:
    course = Course()
    course.told(seeded("a", 0.9, 20.0, at=50.0), seeded("a", 0.9, 20.0, at=50.0), seeded("a", 0.1, 99.0, at=40.0))
    course.told(*work(1), *people(["a"]))  # the model of two classes is new
    known = report(course, "a")
    assert (known.classes, known.counted, known.judgments) == (2, 0, 26.0)
    assert known.mean == pytest.approx((6 * 0.7 + 20 * 0.9) / 26)
    course.told(seeded("a", 0.6, 4.0, at=60.0))
    assert report(course, "a").mean == pytest.approx((6 * 0.7 + 4 * 0.6) / 10)
    course.told(seeded("a", 0.5, 0.0, at=70.0))
    assert not list(reports(course.shard.pools[POOL], "a"))


def test_somebody_imported_as_good_may_do_at_once_what_asks_for_skill() -> None:
    course = Course()
    course.told(*work(2, min_skill=0.8, overlap=1), *people(["known", "new"]), seeded("known", 0.95, 100.0))
    assert {offer.annotator for offer in course.offers} == {"known"}


def test_a_fall_is_an_event_with_what_is_known_now_and_a_metric() -> None:
    course, rng = Course(), random.Random(1)
    course.told(project(), *gold(200))
    alarms: list[wire.SkillDrifted] = []
    metrics = Metrics()
    for i in range(200):
        right = rng.random() < (0.95 if i < 100 else 0.3)
        result = course.told(
            {"type": "judgment_submitted", "annotator": "a", "task": f"g{i}", "label": truth(f"g{i}") ^ (not right)}
        )
        metrics.committed(0, result, {}, 0.0, 0)
        found = [out for out in course.outputs(topics.CONSENSUS) if isinstance(out, wire.SkillDrifted)]
        assert not found or i >= 100
        alarms += found
        if found:
            known = report(course, "a")
            assert found[0].score >= 1.0 and known.alarms == len(alarms)
            assert (found[0].mean, found[0].low, found[0].high) == (known.mean, known.low, known.high)
            assert found[0].judgments == known.judgments < i
    assert 1 <= len(alarms) <= 6  # a fall by .65, looked for in steps of .2
    assert alarms[0].round < 100 + 40
    assert metrics.registry.get_sample_value("allocator_skill_drifts_total") == len(alarms)


def test_evidence_of_gold_does_not_depend_on_who_else_answered() -> None:
    alone, among = Course(), Course()
    for course in (alone, among):
        course.told(*gold(10))
    answers = [
        {"type": "judgment_submitted", "annotator": "a", "task": f"g{i}", "label": int(i % 3 == 0)} for i in range(10)
    ]
    others = [
        {"type": "judgment_submitted", "annotator": f"b{n}", "task": f"g{i}", "label": n % 2}
        for i in range(10)
        for n in range(12)
    ]
    alone.told(*answers)
    among.told(*others[::2], *answers, *others[1::2])
    assert evidence(alone, "a") == evidence(among, "a")


def test_a_new_pool_begins_with_newcomers_whatever_is_known_of_them_elsewhere() -> None:
    """The same people, project, skill and tasks in another pool: it learns from its own judgments alone."""
    elsewhere = [
        event | {"pool": "q"}
        for event in (
            project(), *work(3), *people(["a", "b"]),
            *(
                {"type": "judgment_submitted", "annotator": a, "task": f"w{t}", "label": t % 2}
                for t in range(2) for a in "ab"
            ),
        )
    ]  # fmt: skip
    course, rng = Course(), random.Random(2)
    course.told(project(gold_rate=0.5), *gold(40), *work(40), *people(["a", "b"]))
    for _ in range(40):
        course.told(*course.answers({"a": 1.0, "b": 0.5}, rng))
    course.told(*elsewhere)
    alone = Course()
    alone.told(*elsewhere, after=course.now - alone.now)
    for annotator, right in (("a", True), ("b", False)):
        (here,) = reports(course.shard.pools["q"], annotator)
        assert [here] == list(reports(alone.shard.pools["q"], annotator))
        assert (report(course, annotator).mean > 0.8) == right
        assert here.judgments == 6 + 2
