"""What an answer and the label of its task have to do with each other, in words.

The settlement of a judgment says which input record it came from, and that says what was answered. What became of the
task's label is in the topic of consensus. How far an annotator is believed is state, which no topic holds; but the
rules say what can make a label differ from the only answer: checked evidence about whoever gave it, or a known truth.
"""

import msgspec

from stream.events import (
    ConsensusRevised,
    ConsensusUpdated,
    JudgmentCorrected,
    JudgmentSettled,
    JudgmentSubmitted,
    TaskSettled,
)
from stream.shell.commands.history import History
from stream.shell.commands.project_names import class_name
from stream.topics import CONSENSUS, JUDGMENTS

Told = ConsensusUpdated | ConsensusRevised | TaskSettled


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody answered, as it counts now, and the newest that was published of the task's label.

    ``names`` are those of the project's classes, if it has any.
    """

    answer: int
    told: Told
    names: tuple[str, ...] = ()

    def name(self, label: int | None) -> str:
        """A class as people call it."""
        return class_name(self.names, label) or "-"

    @property
    def posterior(self) -> list[float]:
        """Of the task's classes."""
        return self.told.posterior or []


def find_label(history: History, pool: str, task: str, annotator: str, number: int) -> Label | None:
    """Read the answer to an offer of round `number` and the task's label; None while there is no label or answer."""
    source, counts = None, 0
    for output in history.since(JUDGMENTS, number, naming=task):
        if not isinstance(output, JudgmentSettled) or (output.pool, output.task) != (pool, task):
            continue
        if output.annotator == annotator:
            counts += output.count
            source = output.source if output.count > 0 or output.outcome == "corrected" else source
    judgment = history.input(source.topic, source.offset) if source is not None and counts > 0 else None
    if not isinstance(judgment, JudgmentSubmitted | JudgmentCorrected) or judgment.label is None:
        return None
    told = None
    for output in history.since(CONSENSUS, number, naming=task):
        if isinstance(output, Told) and (output.pool, output.task) == (pool, task):
            told = output if output.label is not None else told
    return None if told is None else Label(answer=judgment.label, told=told)


def label_in_words(found: Label, who: str) -> list[str]:
    """Lines of text."""
    told, posterior, answer, label = found.told, found.posterior, found.name(found.answer), found.name(found.told.label)
    likely = max(posterior)
    if likely == 1.0:
        fits = "as" if told.label == found.answer else f"not the {answer} that"
        return [f"The label of the task is {label}, {fits} {who} answered: the true one is known by now."]
    if told.tie:
        tied = [found.name(one) for one, share in enumerate(posterior) if share == likely]
        return [
            f"{who} answered {answer}. The labels {', '.join(tied[:-1])} and {tied[-1]} are equally likely",
            f"({likely:.0%}): a tie, from which {label} was drawn by a hash of pool and task.",
        ]
    alone = told.judgments == 1
    basis = f"{likely:.0%} likely, from {'this answer alone' if alone else f'{told.judgments} answers'}"
    if told.label == found.answer:
        return [f"{who} answered {answer}, and that is the label of the task: {basis}."]
    lines = [f"{who} answered {answer}, but the label of the task is {label}: {basis}."]
    if alone:
        return [
            *lines,
            f"What is known of {who} in this skill, by answers that others or known truths have checked or by an",
            "import, and how often each label is given, make this one the likelier.",
        ]
    return [
        *lines,
        "The answers differ, or what is known of those who gave them, by answers that others or known truths have",
        "checked or by an import, makes this one the likelier.",
    ]
