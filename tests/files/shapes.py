"""The shapes in which label files are published: the same few judgments as nine projects would have written them.

Each shape is a pair (text of the file, options to read it). All say the same: six tasks, three people, two classes, the
third person contradicts the others on every third task; one repeated row where the shape is known for it.
"""

from typing import NamedTuple

TASKS = [f"t{n}" for n in range(6)]
PEOPLE = ["w1", "w2", "w3"]
LONG = "https://images.example.org/archive/2014/" + "folder-with-a-long-name/" * 5


class Shape(NamedTuple):
    """One way to write the judgments down, and what the ids and classes are called in it."""

    text: str
    classes: tuple[str, str] = ("0", "1")
    options: tuple[str, ...] = ()


def judgments() -> list[tuple[str, str, int]]:
    """Task, person, class."""
    return [(task, who, (n + (who == "w3" and n % 3 == 0)) % 2) for n, task in enumerate(TASKS) for who in PEOPLE]


def table(header: str, row: str, names: tuple[str, str] = ("0", "1"), repeat: bool = False, task: str = "{}") -> str:
    """The judgments as lines; `row` is a format of task, worker, label and a running number."""
    lines = [row.format(task=task.format(t), worker=w, label=names[k], n=n) for n, (t, w, k) in enumerate(judgments())]
    if repeat:
        lines.insert(4, row.format(task=task.format("t0"), worker="w1", label=names[1], n=99))
    return "\n".join([*([header] if header else []), *lines]) + "\n"


SHAPES: dict[str, Shape] = {
    # crowd-kit, truth-inference benchmarks
    "plain with repeats": Shape(table("task,worker,label", "{task},{worker},{label}", repeat=True)),
    "question, worker, answer": Shape(
        table("question,worker,answer", "{task},{worker},{label}", ("no", "yes"), repeat=True), ("no", "yes")
    ),
    # Toloka's aggregation sets: tabs, hashes as ids, no header
    "tabs, no header": Shape(table("", "{task}\t{worker}\t{label}", repeat=True)),
    # pictures by address
    "long ids": Shape(table("task,worker,label", "{task},{worker},{label}", task=LONG + "{}.jpg")),
    # recognising textual entailment (Snow et al.): tabs, odd names of columns, the truth in every row
    "tabs, gold in the row": Shape(
        table(
            "!amt_annotation_ids\t!amt_worker_ids\torig_id\tresponse\tgold",
            "a{n}\t{worker}\t{task}\t{label}\t1",
        ),
        options=("--ignore-extra",),
    ),
    # relevance judgments of TREC's crowdsourcing track: spaces, no header, more columns than needed
    "spaces, header said": Shape(
        table("", "20 {worker} {task} 1 {label}"),
        options=("--header", "topic,worker,task,gold,label", "--ignore-extra"),
    ),
    # Figure Eight's full reports
    "unit and worker ids with underscores": Shape(
        table("_unit_id,_created_at,_trust,_worker_id,sentiment",
              "{task},2014-06-27 19:09:{n:02},0.9,{worker},{label}", ("Negative", "Positive")),
        ("Negative", "Positive"), ("--ignore-extra",),
    ),
    # Mechanical Turk's results
    "quoted, answer.label": Shape(
        table('"HITId","WorkerId","WorkTimeInSeconds","Answer.label"',
              '"{task}","{worker}","{n}","{label}"', ("cat", "dog")),
        ("cat", "dog"), ("--column", "label=Answer.label"),
    ),
    # a spreadsheet in German
    "semicolons of Excel": Shape(
        "\ufeff" + table("Aufgabe;Person;Antwort;;", "{task};{worker};{label};;", ("Straße", "Übung")).replace(
            "\n", "\r\n") + ";;;;\r\n\r\n",
        ("Straße", "Übung"), ("--column", "label=Antwort"),
    ),
}  # fmt: skip
