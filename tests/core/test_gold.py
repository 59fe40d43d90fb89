"""Gold and training: when they are given, what they teach, and that nothing tells them from work."""

import random
from collections import Counter, defaultdict
from typing import Any

import msgspec
import numpy as np
import pytest

from kernels.skill.calibration import RAISE
from kernels.skill.skill_columns import DEFAULT_RHO
from kernels.terms import NAMES
from stream import events as wire
from stream import topics
from stream.core.shard import Shard
from stream.settings import Market
from tests.core.course import POOL, Course, evidence, gold, people, project, truth, work


def is_gold(task: str) -> bool:
    return task.startswith("g")


def long_course(rate: float, rounds: int, names: list[str], capacity: int = 1) -> list[list[wire.AssignmentOffered]]:
    """The offers of each round of a course with more than enough of everything."""
    course, rng = Course(), random.Random(7)
    right = dict.fromkeys(names, 0.9)
    course.told(project(gold_rate=rate), *work(rounds * len(names)), *gold(400), *people(names, capacity))
    seen = [course.offers]
    for _ in range(rounds):
        course.told(*course.answers(right, rng))
        seen.append(course.offers)
    return seen


@pytest.fixture(scope="module")
def course_of_ten() -> list[list[wire.AssignmentOffered]]:
    return long_course(0.1, 150, [f"a{i}" for i in range(10)], capacity=3)


def test_the_share_of_gold_falls_from_that_of_newcomers_to_the_projects_rate(
    course_of_ten: list[list[wire.AssignmentOffered]],
) -> None:
    offers = [offer for offers in course_of_ten for offer in offers]
    per: dict[str, list[bool]] = defaultdict(list)
    for offer in offers:
        per[offer.annotator].append(is_gold(offer.task))
    early = [known for given in per.values() for known in given[:12]]
    late = [known for given in per.values() for known in given[200:]]
    assert 0.2 < sum(early) / len(early) < 0.5  # at most one half, as they wait for their first work
    assert 0.09 < sum(late) / len(late) < 0.14  # n is at least 206 there
    assert len(late) > 1500


def test_nobody_gets_the_same_gold_twice_and_many_get_each(course_of_ten: list[list[wire.AssignmentOffered]]) -> None:
    met = Counter((offer.task, offer.annotator) for offers in course_of_ten for offer in offers)
    assert max(met.values()) == 1
    shown = Counter(task for task, _ in met if is_gold(task))
    assert max(shown.values()) >= 4


def test_the_place_of_an_offer_tells_nothing_of_its_purpose(course_of_ten: list[list[wire.AssignmentOffered]]) -> None:
    """Rank among the round's offers, and among those to the same annotator: as of work, within four deviations."""
    for by_annotator in (False, True):
        ranks = []
        for offers in course_of_ten:
            groups: dict[str, list[bool]] = defaultdict(list)
            for offer in offers:
                groups[offer.annotator if by_annotator else ""].append(is_gold(offer.task))
            for group in groups.values():
                ranks += [
                    (place + 0.5) / len(group) for place, known in enumerate(group) if known and len(group) > 1
                ]
        assert len(ranks) > 50
        assert abs(np.mean(ranks) - 0.5) < 4 * np.sqrt(1 / 12 / len(ranks))


def test_offers_of_gold_have_the_fields_and_values_of_work(course_of_ten: list[list[wire.AssignmentOffered]]) -> None:
    shapes: dict[bool, set[Any]] = {True: set(), False: set()}
    for offers in course_of_ten:
        for index, offer in enumerate(offers):
            fields = msgspec.to_builtins(offer)
            assert fields["assignment"].endswith(f"-{index}")
            for name in ("assignment", "annotator", "round", "at", "accept_by"):
                fields[name] = type(fields[name])
            wait = round(offer.accept_by - offer.at, 6)
            shapes[is_gold(offer.task)].add(str(sorted((fields | {"task": "", "wait": wait}).items())))
    assert shapes[True] == shapes[False] and len(shapes[True]) == 1


def test_when_the_next_gold_comes_cannot_be_counted(course_of_ten: list[list[wire.AssignmentOffered]]) -> None:
    per: dict[str, list[bool]] = defaultdict(list)
    for offers in course_of_ten:
        for offer in offers:
            per[offer.annotator].append(is_gold(offer.task))
    gaps: Counter[int] = Counter()
    for given in per.values():
        places = [place for place, known in enumerate(given) if known and place > 100]
        gaps.update(np.diff(places).tolist())
    assert max(gaps.values()) < 0.35 * gaps.total()
    assert len(gaps) >= 8


def test_a_rate_of_zero_means_none() -> None:
    for offers in long_course(0.0, 20, ["a", "b"]):
        assert not any(is_gold(offer.task) for offer in offers)


def test_decisions_on_gold_hide_in_information() -> None:
    course, rng = Course(), random.Random(1)
    course.told(project(gold_rate=0.5), *work(60), *gold(30), *people(["a"], cost=10.0))
    decided = []
    for _ in range(20):
        decided += list(course.outputs(topics.DECISIONS))
        course.told(*course.answers({"a": 0.9}, rng))
    assert any(is_gold(decision.task) for decision in decided)
    for decision in decided:
        assert tuple(decision.terms) == NAMES
        assert decision.value == pytest.approx(sum(decision.terms.values())) and decision.value > 0
        assert decision.terms["information"] > 0 > decision.terms["cost"]


def test_gold_publishes_no_consensus_and_ends_without_a_label() -> None:
    course, rng = Course(), random.Random(1)
    course.told(project(gold_rate=0.5), *work(60), *gold(6), *people(["a", "b"]))
    said = []
    for _ in range(12):
        course.told(*course.answers({"a": 0.9, "b": 0.9}, rng))
        said += list(course.outputs(topics.CONSENSUS))
    course.told({"type": "task_cancelled", "task": "g0"}, project(state="closed"))
    said += list(course.outputs(topics.CONSENSUS))
    about = [out for out in said if is_gold(out.task)]
    assert {type(out) for out in about} == {wire.TaskSettled}
    assert Counter(out.task for out in about) == Counter(f"g{i}" for i in range(6))
    assert all((out.outcome, out.label, out.posterior) == ("cancelled", None, None) for out in about)


def test_gold_spends_budget_and_settles_like_any_judgment() -> None:
    course, rng = Course(), random.Random(1)
    course.told(project(gold_rate=0.9, budget=7), *work(60), *gold(60), *people(["a"], capacity=2))
    for _ in range(12):
        course.told(*course.answers({"a": 0.9}, rng))
    record = course.columns.projects.records[0]
    assert (record["counted"], record["live"]) == (7, 0)


def test_an_annotator_without_the_skill_that_work_asks_for_proves_it_on_gold() -> None:
    """A good newcomer qualifies, by gold alone, within 25 judgments; somebody who guesses is let be within 30."""
    course, rng = Course(), random.Random(3)
    right = {"good": 0.95, "guess": 0.5}
    course.told(project(), *work(200, min_skill=0.8), *gold(100), *people(list(right)))
    given: Counter[str] = Counter()
    qualified: dict[str, int] = {}
    for _ in range(60):
        for offer in course.offers:
            if is_gold(offer.task):
                given[offer.annotator] += 1
            else:
                qualified.setdefault(offer.annotator, given[offer.annotator])
        course.told(*course.answers(right, rng))
    assert 5 <= qualified["good"] <= 25
    assert "guess" not in qualified and 10 <= given["guess"] <= 30
    assert course.at_least("good", 0.8) > 0.8 and course.at_least("guess", 0.8) <= 0.02


@pytest.mark.parametrize("together", [True, False])
def test_gold_calibrates_the_skill_and_the_fit_outlives_the_process(together: bool) -> None:
    """Where all err on the same tasks, answers depend on each other: rho is fitted above its start, else below."""
    course, rng = Course(), random.Random(2)
    names = [f"a{i}" for i in range(8)]
    course.told(project(gold_rate=0.9), *gold(60), *people(names), *work(1))
    for first in range(60):
        course.told(
            *(
                {"type": "judgment_submitted", "annotator": name, "task": f"g{first}", "origin": "import",
                 "label": truth(f"g{first}") ^ (first % 3 == 0 if together else rng.random() < 0.3)}
                for name in names
            )
        )  # fmt: skip
    model = course.columns.skills.models[0]
    assert model["gold"] == 60 * len(names)
    assert (model["rho"] > DEFAULT_RHO * RAISE[model["engine"]]) == together
    second = Shard(0, Market(), 1)
    for table in topics.TABLES:
        for key, value in course.shard.rows(table):
            second.restore(table, key, value)
    second.restored()
    restored = second.pools[POOL].columns.skills.models[0]
    assert (restored["rho"], restored["gold"]) == (model["rho"], model["gold"])


@pytest.mark.parametrize("undone", ["retracted", "corrected", "truth"])
def test_what_is_taken_back_on_gold_has_never_taught(undone: str) -> None:
    """Retraction, correction and another truth leave the sums of a course in which it had never been otherwise."""

    def judged(task: str, annotator: str, label: int, kind: str = "submitted") -> dict[str, Any]:
        return {"type": f"judgment_{kind}", "annotator": annotator, "task": task, "label": label}

    names, rng = [f"a{i}" for i in range(12)], random.Random(5)
    answers = [judged(f"g{i}", name, rng.choice([0, 1])) for i in range(4) for name in names]
    wrong = gold(4)
    plain, other = Course(), Course()
    if undone == "truth":
        wrong[2] = wrong[2] | {"label": 1 - wrong[2]["label"]}
    plain.told(*gold(4), *people(names))
    other.told(*wrong, *people(names))
    left_out = [event for event in answers if (event["task"], event["annotator"]) != ("g1", "a3")]
    if undone == "retracted":
        plain.told(*left_out)
        other.told(*answers)
        other.told({"type": "judgment_retracted", "annotator": "a3", "task": "g1"})
    elif undone == "corrected":
        first = next(event for event in answers if event not in left_out)
        plain.told(*answers)
        other.told(*left_out, first | {"label": 1 - first["label"]})
        other.told(first | {"type": "judgment_corrected"})
    else:
        plain.told(*answers)
        other.told(*answers)
        other.told({"type": "truth_set", "task": "g2", "label": truth("g2")})
    for name in names:
        assert evidence(plain, name) == evidence(other, name)


def test_gold_that_everybody_has_seen_is_worn_out() -> None:
    course = Course()
    names = [f"a{i}" for i in range(1010)]
    course.told(*gold(1))
    course.told(
        *({"type": "judgment_submitted", "annotator": name, "task": "g0", "label": 0} for name in names)
    )
    outcomes = Counter(out.outcome for out in course.outputs(topics.JUDGMENTS))
    assert outcomes == {"unsolicited": 1000, "surplus": 10}
    (ended,) = course.outputs(topics.CONSENSUS)
    assert (ended.outcome, ended.label) == ("complete", None)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"purpose": "gold", "label": None}, "Expected the known label"),
        ({"purpose": "training", "label": 2}, "Expected the known label"),
        ({"purpose": "work", "label": 1}, "Expected no label for work"),
        ({"purpose": "gold", "classes": None, "label": 1}, "Expected no label for a task without classes"),
    ],
)
def test_a_known_label_is_stated_exactly_where_there_is_one(fields: dict[str, Any], words: str) -> None:
    course = Course()
    (letter,) = course.told(gold(1)[0] | fields).dead_letters
    headers = dict(letter.headers)
    assert headers["reason"] == b"invalid" and words in headers["__streams.errors.message"].decode()


def test_without_an_answer_gold_is_given_again_and_costs_nothing() -> None:
    course = Course(accept_s=10.0, missed_offers=100)
    course.told(project(gold_rate=0.9), *gold(1), *work(40), *people(["a"]))
    given = 0
    for _ in range(60):
        answers = course.answers({"a": 1.0}, random.Random(0))
        course.told(*(event for event in answers if not is_gold(event["task"])), after=20.0)
        given += sum(is_gold(offer.task) for offer in course.offers)
    assert given > 5
    assert float(course.columns.taught.credit[0, 0]) > 0.5
