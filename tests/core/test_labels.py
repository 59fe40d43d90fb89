"""Labels follow the answers: who is unknown is believed, ties are told and drawn, evidence may say otherwise."""

import random
from collections import Counter
from typing import Any

import msgspec
import pytest

from stream import events as wire
from stream import topics
from stream.audit import Audit, Record
from stream.core.ties import leader
from tests.core.course import POOL, Course, gold, project, truth

CLASSES = (2, 3, 7)


def task(name: str, classes: int, overlap: int, **fields: Any) -> dict[str, Any]:
    return {
        "type": "task_created", "project": "j", "task": name, "skill": f"s{classes}", "classes": classes,
        "overlap": overlap, **fields,
    }  # fmt: skip


def says(annotator: str, name: str, label: int, kind: str = "judgment_submitted") -> dict[str, Any]:
    return {"type": kind, "annotator": annotator, "task": name, "label": label}


def published(course: Course) -> list[Any]:
    """What the last round said of labels."""
    return [out for out in course.outputs(topics.CONSENSUS) if hasattr(out, "label")]


def settled(course: Course) -> dict[str, wire.TaskSettled]:
    return {out.task: out for out in published(course) if isinstance(out, wire.TaskSettled)}


def crowd(classes: int, each: int = 1) -> list[tuple[str, str, int]]:
    """300 answers (annotator, task, label) of people who give ``each`` and meet nobody."""
    rng = random.Random(classes)
    return [(f"a{classes}-{i // each}", f"t{classes}-{i}", rng.randrange(classes)) for i in range(300)]


@pytest.mark.parametrize("each", [1, 5, 30])
def test_labels_of_people_who_meet_nobody_are_their_answers(each: int) -> None:
    course = Course()
    said = {name: (who, k, label) for k in CLASSES for who, name, label in crowd(k, each)}
    course.told(project(), *(task(name, k, 1) for name, (_, k, _) in said.items()))
    right = 0
    for name, (who, classes, label) in said.items():
        course.told(says(who, name, label))
        end = settled(course)[name]
        assert end.posterior is not None
        assert not end.tie
        assert 1 / classes + 0.05 < max(end.posterior) <= 0.7
        right += end.label == label
    assert right == len(said) == 900


def test_all_in_one_round_is_the_same() -> None:
    course = Course()
    said = {name: (who, label) for k in CLASSES for who, name, label in crowd(k)}
    course.told(project(), *(task(name, int(name[1]), 1) for name in said))
    course.told(*(says(who, name, label) for name, (who, label) in said.items()))
    assert {name: end.label for name, end in settled(course).items()} == {n: label for n, (_, label) in said.items()}


@pytest.mark.parametrize("classes", CLASSES)
def test_what_all_say_of_whom_nothing_is_known_is_the_label_whatever_the_others_answers_are(classes: int) -> None:
    """Nineteen answers in twenty name class 0: how often a class is named is no evidence about who names another."""
    course, rng = Course(), random.Random(1)
    course.told(project(), *(task(f"t{i}", classes, 3) for i in range(100)))
    for i in range(100):
        label = rng.randrange(1, classes) if i % 20 == 0 else 0
        course.told(*(says(f"a{i}-{n}", f"t{i}", label) for n in range(3)))
        end = settled(course)[f"t{i}"]
        assert (end.label, end.tie) == (label, False)


def test_a_newcomer_is_believed_as_far_as_people_of_the_skill_were_right() -> None:
    """Nothing but gold is judged before, by others: nine in ten right, or six."""
    first = {}
    for right in (9, 6):
        course = Course()
        course.told(project(), *gold(60), task("t", 2, 1, skill="s"))
        course.told(*(
            says(f"a{n}", f"g{i}", truth(f"g{i}") ^ (i % 10 >= right)) for n in range(4) for i in range(60)
        ))  # fmt: skip
        course.told(says("new", "t", 1))
        end = settled(course)["t"]
        assert end.label == 1
        assert end.posterior is not None
        first[right] = end.posterior[1]
    assert 0.5 < first[6] < 0.65 < first[9] < 0.95


def play(order: list[int]) -> dict[str, tuple[int | None, bool]]:
    """Two people nobody knows disagree on each of 200 tasks of three classes."""
    course = Course()
    course.told(project(), *(task(f"t{i}", 3, 2) for i in order))
    course.told(*(says(f"a{i}-{n}", f"t{i}", 1 + n) for i in order for n in range(2)))
    ends = settled(course)
    for out in published(course):
        assert out.tie
        assert out.posterior[1] == out.posterior[2] > out.posterior[0]
        assert sum(out.posterior) == pytest.approx(1.0, abs=1e-4)
        assert out.label == ends[out.task].label
    return {name: (end.label, end.tie) for name, end in ends.items()}


def test_a_tie_is_told_and_drawn_from_the_ids_alone() -> None:
    forwards, backwards = play(list(range(200))), play(list(reversed(range(200))))
    assert forwards == backwards
    drawn = Counter(label for label, _ in forwards.values())
    assert drawn.keys() == {1, 2}
    assert min(drawn.values()) > 70
    assert {name: label for name, (label, _) in forwards.items()} == {
        name: leader(POOL, name, [0.2, 0.4, 0.4]).label for name in forwards
    }


def test_a_tie_of_all_classes_stays_one_after_rounding() -> None:
    """65,536 can't be divided by three."""
    course = Course()
    course.told(project(), task("t", 3, 3))
    course.told(*(says(f"a{n}", "t", n) for n in range(3)))
    for out in published(course):
        assert out.tie
        assert len(set(out.posterior)) == 1


def test_the_tie_of_a_settled_task_is_no_revision_until_somebody_breaks_it() -> None:
    course = Course()
    course.told(project(), task("t", 2, 2))
    course.told(says("a", "t", 0), says("b", "t", 1))
    drawn = settled(course)["t"].label
    assert drawn is not None
    other = "a" if drawn == 1 else "b"
    course.told({"type": "judgment_retracted", "annotator": "b" if drawn == 1 else "a", "task": "t"})
    [out] = published(course)
    assert isinstance(out, wire.ConsensusRevised)
    assert (out.label, out.tie) == (0 if other == "a" else 1, False)


def contrary(course: Course, name: str) -> None:
    """A person wrong on 38 of 40 gold tasks."""
    course.told(project(), *gold(40))
    course.told(*(says(name, f"g{i}", 1 - truth(f"g{i}") if i % 20 else truth(f"g{i}")) for i in range(40)))


def test_evidence_of_a_person_may_say_otherwise() -> None:
    course = Course()
    contrary(course, "x")
    course.told(task("t", 2, 1, skill="s"), says("x", "t", 1))
    assert settled(course)["t"].label == 0


def test_so_may_an_import() -> None:
    course = Course()
    course.told(project(), task("t", 2, 1))
    course.told({"type": "skill_seeded", "annotator": "x", "skill": "s2", "accuracy": 0.05, "weight": 50})
    course.told(says("x", "t", 1))
    assert settled(course)["t"].label == 0


def test_evidence_of_another_number_of_classes_does_not() -> None:
    course = Course()
    contrary(course, "x")
    course.told(task("t", 3, 1, skill="s"), says("x", "t", 1))
    assert settled(course)["t"].label == 1


def test_whose_only_company_has_left_is_unknown_again() -> None:
    """x has met one other, who takes the answer back: what is left of x has been checked by nobody."""
    course = Course()
    course.told(project(), *(task(f"t{i}", 2, 1) for i in range(30)), task("both", 2, 2))
    course.told(says("x", "both", 1), says("y", "both", 0))
    course.told({"type": "judgment_retracted", "annotator": "y", "task": "both"})
    for i in range(30):
        course.told(says("x", f"t{i}", 0 if i < 29 else 1))
        end = settled(course)[f"t{i}"]
        assert end.label == (0 if i < 29 else 1)
        assert end.posterior is not None
        assert max(end.posterior) <= 0.7


def spoilt(value: bytes, label: int) -> bytes:
    """An output with another label, and a posterior for it."""
    out: Any = wire.decode_result(value)
    if not getattr(out, "posterior", None):
        return value
    others = 0.4 / (len(out.posterior) - 1)
    posterior = [0.6 if k == label else others for k in range(len(out.posterior))]
    return wire.encode(msgspec.structs.replace(out, label=label, posterior=posterior))


def audited(course: Course, rounds: list[list[dict[str, Any]]], label: int | None = None) -> list[str]:
    """What the auditor says of these rounds, with every label replaced by ``label`` if given."""
    auditor, ends = Audit(0, 1), Counter[str]()

    def feed(topic: str, key: bytes | None, value: bytes | None) -> None:
        auditor.feed([Record(topic, 0, ends[topic], key, value, ())])
        ends[topic] += 1

    for events in rounds:
        ends[topics.TASKS] = course.shard.position[topics.TASKS]
        result = course.told(*events)
        for event in course.sent:
            feed(topics.TASKS, POOL.encode(), wire.encode(event))
        for topic, pairs in result.outputs.items():
            for key, value in pairs:
                feed(topic, key, value if label is None else spoilt(value, label))
    return [violation.what for violation in auditor.finish()]


def rounds_of(k: int) -> list[list[dict[str, Any]]]:
    said = crowd(k)
    answers = [[says(who, name, label)] for who, name, label in said]
    return [[project(), *(task(name, k, 1) for _, name, _ in said)], *answers]


def test_the_auditor_finds_nothing_in_it_and_a_label_that_does_not_follow() -> None:
    assert audited(Course(), rounds_of(3)) == []
    wrong = [what for what in audited(Course(), rounds_of(3), label=0) if "of whom nothing is known" in what]
    others = sum(label != 0 for _, _, label in crowd(3))
    assert len(wrong) == 2 * others > 0  # in the posterior and at the end of each task
