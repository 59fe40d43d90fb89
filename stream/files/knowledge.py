"""What a deployment would refuse of a row, asked before anything is sent.

A worker can only put an event that speaks of an unknown task, or of a class that the task doesn't have, among the dead
letters, a minute later. Who asks the committed state first can name the line.
"""

from typing import Protocol

from msgspec import UNSET

from stream.events import AnnotatorSet, Event, JudgmentSubmitted, TaskCreated, TaskDefaults, TaskUpdated, TruthSet
from stream.files.fields import Fault


class Knowledge(Protocol):
    """What is known of the deployment that the events go to; see `stream.shell.commands.state`."""

    def task(self, pool: str, task: str) -> tuple[str, int] | None:
        """Project and number of classes (0: none) of a task; None when there is none of this id."""

    def has_gone(self, pool: str, task: str) -> bool:
        """Whether a task of this id has settled so long ago that its books are closed."""

    def has_annotator(self, pool: str, annotator: str) -> bool:
        """Whether somebody of this id is known."""

    def defaults(self, pool: str, project: str) -> TaskDefaults:
        """What a project presets for its tasks."""


def compare(event: Event, label: str | None, known: Knowledge, fresh: dict[int, int]) -> bool:
    """Whether the task or person of an event is there already.

    Parameters
    ----------
    event : Event
    label : str, optional
        The class as the file has it.
    known : Knowledge
    fresh : dict
        Tasks that are sent before, hash of pool and id to the number of classes (-1: unknown).

    Raises
    ------
    Fault
        The deployment would refuse the event.
    """
    if isinstance(event, AnnotatorSet):
        return known.has_annotator(event.pool, event.annotator)
    if isinstance(event, TaskCreated):
        if event.skill is UNSET and known.defaults(event.pool, event.project).skill is UNSET:
            expected = f"no row, no --skill and no preset of the project {event.project} says which skill is needed"
            raise Fault("skill", None, f"{expected}. For example --skill animals")
        return known.task(event.pool, event.task) is not None
    assert isinstance(event, JudgmentSubmitted | TaskUpdated | TruthSet)
    task, sent = known.task(event.pool, event.task), fresh.get(hash((event.pool, event.task)))
    if task is None and sent is None:
        if known.has_gone(event.pool, event.task):
            raise Fault("task", event.task, "this task has settled so long ago that its books are closed")
        expected = f"expected a task that the pool {event.pool} has: import the tasks first, or both files together"
        raise Fault("task", event.task, expected)
    classes = task[1] if task is not None else (sent or 0)
    if isinstance(event, TaskUpdated) or classes < 0:
        return True
    column = "truth" if isinstance(event, TruthSet) else "label"
    if event.label is None:
        if classes:
            raise Fault(column, "", f"expected a class of this task, which has {classes}, such as 0")
    elif not classes:
        raise Fault(column, label, "this task has no classes: leave the cell empty")
    elif event.label >= classes:
        raise Fault(column, label, f"expected a class of this task, which has {classes}, such as 0")
    return True
