"""`allocator why ASSIGNMENT`: why this person was offered this task, in words a team lead understands.

An assignment's name says where it is: partition-round-index. The offer and what became of it are in the topic
of assignments, the reasons in that of decisions, and how good the whole matching was in that of rounds. What was
answered and what the task's label is by now is added (`why_label`).
"""

import asyncio
import time

import click
import msgspec

from stream.events import (
    AssignmentEnded,
    AssignmentLeased,
    AssignmentOffered,
    Cause,
    DecisionMade,
    End,
    PoolRound,
    RoundCompleted,
)
from stream.settings import Settings, load
from stream.shell.commands.failures import NotRight, plain_errors
from stream.shell.commands.history import History
from stream.shell.commands.project_names import project_names
from stream.shell.commands.topic_reader import TopicReader
from stream.shell.commands.why_label import Label, find_label, label_in_words
from stream.topics import ASSIGNMENTS, DECISIONS, ROUNDS

EQUAL = 5e-5  # what four decimals don't show

ENDS: dict[End, str] = {
    "submitted": "The answer came",
    "declined": "The offer was declined",
    "expired": "The offer was not accepted in time",
    "abandoned": "The work was accepted, but no answer came in time",
    "withdrawn": "The offer was withdrawn",
}

CAUSES: dict[Cause, str] = {
    "cancel": "the task, its project or the work on it was cancelled",
    "pause": "the person, project or pool was paused",
    "absence": "the person was no longer there",
    "met_need": "the task needed no further judgment",
    "override": "the person's capacity was lowered",
    "erased": "the person was erased",
}


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """All that the topics say about one assignment."""

    offered: AssignmentOffered
    decision: DecisionMade
    leased: AssignmentLeased | None
    ended: AssignmentEnded | None
    pool: PoolRound | None
    label: Label | None = None


class UnknownAssignment(NotRight):
    """The topics hold no such assignment; the message says why that may be."""


def place(assignment: str) -> tuple[int, int]:
    """Partition and round in an assignment's name.

    Raises
    ------
    UnknownAssignment
        The name is not of the form partition-round-index.

    Examples
    --------
    >>> place("3-128-0")
    (3, 128)
    """
    parts = assignment.split("-")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise UnknownAssignment(f"{assignment!r} is not the name of an assignment; one looks like 3-128-0")
    return int(parts[0]), int(parts[1])


def find(settings: Settings, assignment: str) -> Explanation:
    """Read everything about an assignment from the topics.

    Raises
    ------
    UnknownAssignment
        There is none of this name, or not any more.
    """
    partition, number = place(assignment)
    if partition >= settings.partitions:
        raise UnknownAssignment(
            f"{assignment}: there is no partition {partition}, only {settings.partitions}"
        )
    history = History(settings, partition)
    try:
        decision = None
        for output in history.since(DECISIONS, number):
            if isinstance(output, DecisionMade) and output.assignment == assignment:
                decision = output
            if decision is not None or output.round > number:
                break
        offered, leased, ended = _course(history, assignment, number)
        if decision is None or offered is None:
            raise UnknownAssignment(
                f"{assignment} is not in the topics: it was never made, or it is older than their retention"
            )
        pool = None
        for completed in history.since(ROUNDS, number):
            if isinstance(completed, RoundCompleted):
                pool = next((p for p in completed.pools if p.pool == offered.pool), None)
            break
        label = find_label(history, offered.pool, offered.task, offered.annotator, number) if ended else None
        return Explanation(offered=offered, decision=decision, leased=leased, ended=ended, pool=pool, label=label)
    finally:
        history.close()


def _course(
    history: History, assignment: str, number: int
) -> tuple[AssignmentOffered | None, AssignmentLeased | None, AssignmentEnded | None]:
    offered, leased = None, None
    for output in history.since(ASSIGNMENTS, number):
        if offered is None and output.round > number:
            break
        if getattr(output, "assignment", None) != assignment:
            continue
        if isinstance(output, AssignmentOffered):
            offered = output
        elif isinstance(output, AssignmentLeased):
            leased = output
        elif isinstance(output, AssignmentEnded):
            return offered, leased, output
    return offered, leased, None


def _clock(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))


def explain(why: Explanation) -> str:
    """The explanation in words.

    Parameters
    ----------
    why : Explanation

    Returns
    -------
    str
        Lines of text.
    """
    from kernels.terms import WORDS  # noqa: PLC0415 - no other command has to wait for kernels

    offer, decision = why.offered, why.decision
    lines = [
        f"{offer.assignment}: on {_clock(offer.at)}, {offer.annotator} was offered the task {offer.task}",
        f"(project {offer.project}, skill {offer.skill}, pool {offer.pool}; to be accepted by "
        f"{_clock(offer.accept_by)}).",
        "",
        *_course_in_words(why),
        "",
        f"Why. The offer was worth {decision.value:.4f}:",
    ]
    shown = sorted(decision.terms.items(), key=lambda term: -abs(term[1]))
    for name, term in shown:
        if term:
            lines.append(f"  {term:+8.4f}  {name}: {WORDS.get(name, 'a term of the value')}")
    lines += ["", *_beside_others(why)]
    return "\n".join(lines)


def _course_in_words(why: Explanation) -> list[str]:
    lines = []
    if why.leased is not None:
        lines.append(f"Accepted; the answer was due by {_clock(why.leased.submit_by)}.")
    if why.ended is None:
        lines.append("It is still open." if why.leased else "It has neither been accepted nor has it ended.")
    else:
        because = f", because {CAUSES[why.ended.cause]}" if why.ended.cause else ""
        lines.append(f"{ENDS[why.ended.outcome]} ({_clock(why.ended.at)}){because}.")
    if why.label is not None:
        lines += label_in_words(why.label, why.offered.annotator)
    return lines


def _beside_others(why: Explanation) -> list[str]:
    who, decision, pool = why.offered.annotator, why.decision, why.pool
    lines = []
    if decision.runner_up is None or decision.runner_up_value is None:
        lines.append("Nobody else was considered for this task in that round.")
    else:
        other, lead = decision.runner_up, decision.value - decision.runner_up_value
        beside = f"{abs(lead):.4f} {'more' if lead > 0 else 'less'} than that"
        lines += [
            f"The next best person for it was {other}, worth {decision.runner_up_value:.4f}:",
            f"{who} was worth {beside if abs(lead) >= EQUAL else 'the same'}.",
        ]
        if lead <= -EQUAL:
            lines.append(f"{other} was more useful on other work at that moment.")
    if decision.price > 0:
        gained = decision.value - decision.price
        lines += [
            f"Other tasks would have paid up to {decision.price:.4f} for {who}'s time:",
            f"this choice gained {gained:.4f}.",
        ]
    else:
        lines.append(f"No other task competed for {who}'s time.")
    if decision.skill_low > 0:
        sure = f"{decision.skill_low:.0%} of judgments of the skill {why.offered.skill}"
        lines.append(f"With 80 % certainty, {who} is right in at least {sure}.")
    if pool is not None:
        lines += [
            f"In that round {pool.open_tasks} open tasks met {pool.free_annotators} free people",
            f"and {pool.offers} offers were made.",
            *_proven(pool),
        ]
    return lines


def _proven(pool: PoolRound) -> list[str]:
    """How good a round's offers of work are together, and of how much of them that is proven."""
    if not pool.pairs:
        return ["No work was worth its cost to any of them."]
    if pool.covers == "all":
        return [f"Its offers of work together are within {pool.gap:.2%} of the best possible."]
    lines = [f"What the auction gave is within {pool.gap:.2%} of the best among the {pool.pairs} pairs it saw."]
    if pool.unproven_value:
        lines.append(f"Beyond them work worth {pool.unproven_value:.4f} was offered, whose rank nothing proves.")
    return lines


HELP = """Explain why ASSIGNMENT was made.

Example: allocator why 3-128-0

The name of an assignment is in every event of labeling.assignments.v1: its partition, round and index.
"""


@click.command(help=HELP)
@click.argument("assignment")
@click.option("--json", "as_json", is_flag=True, help="Print what the topics say, as JSON.")
def why(assignment: str, as_json: bool) -> None:
    """Print the explanation of one assignment; exits 1 when there is none."""
    with plain_errors():
        settings = load()
        found = find(settings, assignment)
        if found.label is not None:
            label = msgspec.structs.replace(found.label, names=asyncio.run(_names(settings, found.offered)))
            found = msgspec.structs.replace(found, label=label)
    click.echo(msgspec.json.encode(found).decode() if as_json else explain(found))


async def _names(settings: Settings, offer: AssignmentOffered) -> tuple[str, ...]:
    """Names of the classes of an offer's project."""
    async with TopicReader(settings) as reader:
        known = await project_names(reader, {offer.partition})
    return known.get((offer.pool, offer.project), ())
