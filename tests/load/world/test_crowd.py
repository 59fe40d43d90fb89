"""Recorded labels as a market."""

from pathlib import Path

import pytest

from load.world.crowd import SPAMMER, DataError, Rule, accuracy, closing, credit, events, read, votes
from stream.events import AnnotatorSet, ProjectSet, TaskCreated, TaskDefaults, decode, encode


def write(folder: Path, labels: str, truth: str = "task,truth\na,0\n") -> Path:
    (folder / "labels.csv").write_text(labels)
    (folder / "truth.csv").write_text(truth)
    return folder


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("rte", (800, 164, 8000, 2, 800)),
        ("bluebird", (108, 39, 4212, 2, 108)),
        ("web", (2665, 177, 15567, 5, 2653)),
    ],
)
def test_shipped_sets_are_what_their_table_says(name: str, size: tuple[int, ...]) -> None:
    crowd = read(name)
    found = (len(crowd.answers), len(crowd.annotators), crowd.judgments, crowd.classes, len(crowd.truth))
    assert found == size


def test_a_repeated_pair_keeps_its_first_row(tmp_path: Path) -> None:
    crowd = read(write(tmp_path, "task,worker,label\na,p,1\na,p,0\n"))
    assert crowd.answers == {"a": {"p": 1}}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("task,worker,label\na,p,-1\n", "labels.csv:2: expected a class index"),
        ("task,worker,label\na,p,0\nb,p,x\n", "labels.csv:3: expected a class index"),
        ("task,worker\na,p\n", "no column 'label'"),
        ("task,worker,label\n", "no rows"),
        (f"task,worker,label\na,{SPAMMER},0\n", "the name of the added one"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, labels: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(write(tmp_path, labels))


def test_a_missing_folder_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a CSV file with the columns task, worker, label"):
        read(tmp_path / "nowhere")


def test_every_task_is_open_to_those_with_an_answer_and_to_the_spammer_only() -> None:
    crowd = read("bluebird")
    made = list(events(crowd, "pool", Rule(confidence=0.9, lease_s=3.0), at=1.0))
    tasks = [event for event in made if isinstance(event, TaskCreated)]
    assert {task.task: set(task.only) for task in tasks} == {
        task: {*given, SPAMMER} for task, given in crowd.answers.items()
    }
    profiles = {event.annotator for event in made if isinstance(event, AnnotatorSet)}
    assert profiles == {*crowd.annotators, SPAMMER}
    assert isinstance(made[0], ProjectSet) and isinstance(made[0].defaults, TaskDefaults)
    assert (made[0].defaults.confidence, made[0].defaults.lease_s) == (0.9, 3.0)


def test_every_event_survives_the_wire() -> None:
    made = list(events(read("rte").cut(5), "pool", Rule(), at=1.0))
    assert [decode(encode(event)) for event in made] == made


def test_closing_repeats_the_project_with_a_deadline() -> None:
    crowd = read("rte")
    opened = next(event for event in events(crowd, "pool", Rule(), at=1.0) if isinstance(event, ProjectSet))
    closed = closing(crowd, "pool", Rule(), at=9.0)
    assert (closed.deadline, closed.project, closed.defaults) == (9.0, opened.project, opened.defaults)


def test_a_cut_keeps_tasks_with_their_answers_and_truth() -> None:
    cut = read("rte").cut(7)
    assert len(cut.answers) == len(cut.truth) == 7
    assert cut.answers.keys() == cut.truth.keys()


def test_ties_share_credit() -> None:
    assert credit([1, 1, 1, 0], 2) == pytest.approx(1 / 3)
    assert credit([1, 1, 1, 0], 3) == 0.0


def test_tasks_without_a_judgment_are_ties_of_all_classes() -> None:
    crowd = read("rte")
    assert accuracy(crowd, {}) == pytest.approx(0.5)


def test_the_vote_of_all_has_the_accuracy_known_from_the_literature() -> None:
    crowd = read("rte")
    every = {task: votes(given.values(), crowd.classes) for task, given in crowd.answers.items()}
    assert accuracy(crowd, every) == pytest.approx(0.897, abs=0.0005)
