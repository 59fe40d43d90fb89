"""The names that people and tools give to columns, and what a file is about.

    judgments   task, annotator, label [, at, duration_s]      who said what
    truth       task, truth                                    what is right
    people      annotator [, skills, attributes, …]            who is there
    tasks       task [, project, skill, overlap, …]            what is to be judged

Our names are the fields of the events (docs/contract.md) and `truth`. A name in a file is compared without capitals,
with `_` for spaces, hyphens and dots. Another name stands for ours only where the file has no column of our name.
"""

import re
from collections.abc import Sequence
from typing import Literal

from stream.events import AnnotatorSet, JudgmentSubmitted, TaskCreated

Kind = Literal["tasks", "people", "judgments", "truth"]
KINDS: tuple[Kind, ...] = ("tasks", "people", "judgments", "truth")

NEEDED: dict[Kind, tuple[str, ...]] = {
    "tasks": ("task",),
    "people": ("annotator",),
    "judgments": ("task", "annotator", "label"),
    "truth": ("task", "truth"),
}
FIELDS: dict[Kind, tuple[str, ...]] = {
    "tasks": TaskCreated.__struct_fields__,
    "people": (*AnnotatorSet.__struct_fields__, "present"),
    "judgments": (*JudgmentSubmitted.__struct_fields__, "truth"),
    "truth": ("pool", "at", "event_id", "task", "truth"),
}
OURS = {name for fields in FIELDS.values() for name in fields}

OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "task": (
        "task_id", "taskid", "item", "item_id", "itemid", "question", "question_id", "questionid", "unit", "unit_id",
        "unitid", "hit_id", "hitid", "doc", "doc_id", "docid", "document", "document_id", "example", "example_id",
        "object", "object_id", "sample", "sample_id", "image", "image_id", "orig_id", "aufgabe", "id",
    ),
    "annotator": (
        "worker", "worker_id", "workerid", "annotator_id", "annotatorid", "rater", "rater_id", "raterid", "user",
        "user_id", "userid", "coder", "labeler", "labeller", "labeler_id", "performer", "performer_id", "judge",
        "judge_id", "assessor", "completed_by", "amt_worker_ids", "person",
    ),
    "label": (
        "answer", "response", "annotation", "category", "class", "judgment", "judgement", "vote", "choice", "choices",
        "rating", "sentiment", "labels", "kategorie",
    ),
    "truth": (
        "gold", "gold_label", "goldlabel", "golden", "true_label", "truelabel", "ground_truth", "groundtruth", "gt",
        "correct", "expert",
    ),
    "at": (
        "timestamp", "time_stamp", "datetime", "date", "created_at", "createdat", "submitted_at", "submit_time",
        "submittime", "complete_time", "completetime", "completed_at", "answered_at",
    ),
    "duration_s": ("duration", "seconds", "lead_time", "work_time_in_seconds", "worktimeinseconds", "time_spent"),
    "skills": ("languages", "groups"),
    "cost": ("rate", "hourly_rate"),
}  # fmt: skip
STANDS_FOR = {other: ours for ours, others in OTHER_NAMES.items() for other in others}


def plain(name: str) -> str:
    """A column's name as it is compared: ``Worker ID`` is ``worker_id``, ``!amt_worker_ids`` is ``amt_worker_ids``."""
    return re.sub(r"[\s.\-_]+", "_", name.strip("\ufeff \t").lstrip("!#_").lower()).strip("_")


def named(header: Sequence[str]) -> list[str]:
    """Our name of every column of a header, the plain name where we have none.

    >>> named(["Task ID", "Worker", "Answer.label", "colour"])
    ['task', 'annotator', 'answer_label', 'colour']
    """
    found = [plain(cell) for cell in header]
    own = set(found) & OURS
    result = []
    for name in found:
        ours = STANDS_FOR.get(name, name)
        if name in OURS or ours in own:
            result.append(name)
            continue
        if ours in result:  # the first of two other names is meant: `id` beside `image`
            result.append(name)
            continue
        result.append(ours)
    return result


def header_words(cells: Sequence[str]) -> int:
    """How many cells of a line are names of columns that we know; 0 when the line is no header.

    >>> header_words(["task", "worker", "label"]), header_words(["t1", "w1", "yes"]), header_words(["t1", "a", "label"])
    (3, 0, 0)
    """
    names = named(cells)
    if not {"task", "annotator"} & set(names):
        return 0
    return sum(name in OURS for name in names)


def kind_of(columns: Sequence[str]) -> Kind | None:
    """What a file with these columns is about; None when they fit nothing."""
    has = set(columns)
    if has.issuperset(NEEDED["judgments"]):
        return "judgments"
    if has.issuperset(NEEDED["truth"]):
        return "truth"
    if "task" in has:
        return None if "annotator" in has else "tasks"
    return "people" if "annotator" in has else None
