"""Whose answers have been checked, and what must therefore be the label of a task.

An answer is checked by another answer on its task or by a known truth (gold, training, an adjudicated label); an
import says something of an annotator too. Where nothing of the kind has ever been seen of an annotator in a skill, the
task at hand aside, nothing is known: a task that only such people have judged, all alike, has that label, and no tie.

The auditor forgets nothing: whoever has been compared with an answer stays so, also when that answer is taken back.
It can therefore demand less than the rules promise, never more.
"""

from stream.audit.books import Annotator, Pair, Task

ANYWHERE = ""
"""In place of the one task on which somebody has met others: there were several, or it was no task."""


def is_known(task: Task) -> bool:
    """Whether the task's answer is known."""
    return task.is_adjudicated or not task.is_work


def meet(task: Task) -> None:
    """A judgment counts or a truth is set: whoever has judged the task is compared with what there is."""
    if task.classes is None or (task.counted < 2 and not is_known(task)):
        return
    model = task.skill, task.classes
    for pair in task.pairs.values():
        if pair.state == "counted":
            met = pair.annotator.met
            met[model] = task.name if met.get(model, task.name) == task.name else ANYWHERE


def take_back(task: Task) -> None:
    """An answer of the task is taken back or changed: the others were compared with it for good."""
    if task.classes is None or task.counted < 2:
        return
    for pair in task.pairs.values():
        if pair.state == "counted":
            pair.annotator.met[task.skill, task.classes] = ANYWHERE


def is_unknown(pair: Pair) -> bool:
    """Whether nothing is known of whoever gave this answer, other answers on the same task aside."""
    task, annotator = pair.task, pair.annotator
    met = annotator.met.get((task.skill, task.classes or 0), task.name)
    return task.skill not in annotator.imported and met == task.name


def demanded(task: Task) -> int | None:
    """The label that the task must have; None where evidence may say otherwise."""
    if is_known(task):
        return None
    answers = [pair for pair in task.pairs.values() if pair.state == "counted"]
    if len(answers) != task.counted or len({pair.label for pair in answers}) != 1:
        return None  # somebody erased has judged it too, or they differ, or there is nobody
    return answers[0].label if all(is_unknown(pair) for pair in answers) else None


def learn_import(annotator: Annotator, skill: str) -> None:
    """Another system has said something of the annotator's skill."""
    annotator.imported.add(skill)
