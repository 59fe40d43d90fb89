"""How an offer begins, is accepted and ends, and how a task settles, in the books of the auditor.

Each function changes the books as the rules say and takes the record that must say the same out of the
round; a record that is missing or says otherwise is a violation, and the books then follow the record, so
that one wrong record is not reported a hundred times.
"""

import heapq

from stream.audit.books import Pair, Pool, Task
from stream.audit.records import Record
from stream.audit.round import Case

#: State of a pair after each end of its assignment.
AFTER = {
    "submitted": "submitted", "declined": "closed", "expired": "returned", "abandoned": "closed",
    "withdrawn": "returned",
}  # fmt: skip


def later(case: Case, time: float, kind: str, what: object) -> None:
    """Note that something is due at a time."""
    case.numbered += 1
    heapq.heappush(case.due, (time, case.numbered, kind, what))


def end(case: Case, pair: Pair, *allowed: str, because: Record | None = None) -> None:
    """End a live pair: its end must be published in this round with one of the allowed outcomes.

    Parameters
    ----------
    allowed : str
        Outcomes; a withdrawal with its cause, as ``withdrawn:pause``. The first is the books' own opinion.
    because : Record, optional
        The input that brings the end about.
    """
    if "withdrawn:met_need" not in allowed and is_withdrawn(case, pair, ("met_need",)):
        pool = case.pools.get(case.round.ends[pair.assignment][1].pool)
        if pool is not None and is_met(
            case, pool, pair.task
        ):  # it ended before, by a posterior that is published later
            settle(case, pool, pair.task, "consensus", "met_need")
            return
    found = case.round.ends.pop(pair.assignment, None)
    outcome = allowed[0].partition(":")[0]
    reason = because or case.round.record
    if found is None:
        case.report(5, f"{pair.assignment} does not end, expected {allowed[0]}", pair.offer, reason)
    else:
        record, event = found
        said = event.outcome if event.cause is None else f"{event.outcome}:{event.cause}"
        if said not in allowed:
            case.report(
                5, f"{pair.assignment} ends as {said}, expected {allowed[0]}", pair.offer, reason, record
            )
        if (event.task, event.annotator) != (pair.task.name, pair.annotator.name):
            case.report(5, f"{pair.assignment} ends with another task or annotator", pair.offer, record)
        outcome = event.outcome
    drop(case, pair, outcome)


def drop(case: Case, pair: Pair, outcome: str) -> None:
    """Take a live pair out of the books."""
    task = pair.task
    (task.offered if pair.state == "offered" else task.leased).pop(pair.annotator.name)
    del pair.annotator.live[task.name]
    task.project.use(pair.annotator.name, -1)
    task.project.live -= 1
    case.paying[pair.annotator.pool.name, task.project.name] = pair.annotator.pool, task.project
    pair.state = AFTER[outcome]
    if pair.is_taught and outcome != "submitted":
        task.project.taught[pair.annotator.name] -= 1


def withdraw(case: Case, pairs: list[Pair], *causes: str, because: Record | None = None) -> None:
    """Withdraw unaccepted offers."""
    for pair in pairs:
        if pair.state == "offered":
            end(case, pair, *(f"withdrawn:{cause}" for cause in causes), because=because)


def lease(case: Case, pair: Pair, record: Record) -> None:
    """Accept an offer or extend a lease: a lease until now + lease_s, or one lease_s longer, is due."""
    task, found = pair.task, case.round.leases.get(pair.assignment)
    if pair.state == "offered":
        task.leased[pair.annotator.name] = task.offered.pop(pair.annotator.name)
        pair.state, pair.submit_by = "leased", case.round.at + task.lease_s
    else:
        pair.extensions += 1
        pair.submit_by += task.lease_s
    if not found:
        case.report(
            5, f"{pair.assignment} is accepted or extended, but no lease is published", pair.offer, record
        )
    else:
        said, event = found.pop(0)
        if not found:
            del case.round.leases[pair.assignment]
        if (event.task, event.annotator) != (task.name, pair.annotator.name):
            case.report(5, f"{pair.assignment} is leased with another task or annotator", pair.offer, said)
        if abs(event.submit_by - pair.submit_by) > 1e-6:
            case.report(
                5, f"lease until {event.submit_by}, expected {pair.submit_by}", pair.offer, record, said
            )
        pair.submit_by = event.submit_by
    later(case, pair.submit_by, "work", pair)


def is_met(case: Case, pool: Pool, task: Task) -> bool:
    """Whether this round may have settled the task already, on a posterior that was not published yet.

    Posteriors are published once a round, so within a round the auditor can't know which judgment reached the
    confidence. One did if the round settles the task as consensus.
    """
    said = case.round.settled.get((pool.name, task.name))
    return (
        task.settled is None
        and (task.is_confident or (pool.name, task.name) in case.round.met)
        and (task.counted >= task.overlap or (pool.name, task.name) in case.round.met)
        and said is not None
        and said[1].outcome == "consensus"
    )


def remember_met(case: Case, pool: Pool, task: Task) -> None:
    """Before a count or an overlap changes: the confidence may have been reached at the one it has now."""
    if is_met(case, pool, task):
        case.round.met.add((pool.name, task.name))


def settle(
    case: Case, pool: Pool, task: Task, outcome: str, *causes: str, because: Record | None = None
) -> None:
    """Settle an open task: the round must publish this outcome, and its unaccepted offers are withdrawn."""
    if task.settled is not None:
        return
    if outcome != "consensus" and is_met(case, pool, task):
        outcome, causes = "consensus", ("met_need",)
    said = case.round.settled.pop((pool.name, task.name), None)
    reason = because or case.round.record
    if said is None:
        case.report(1, f"task {task.name!r} does not settle, expected {outcome}", reason)
    elif said[1].outcome != outcome:
        case.report(
            1, f"task {task.name!r} settles as {said[1].outcome}, expected {outcome}", reason, said[0]
        )
    if said is not None:
        task.announcement = said
    task.settled, task.settled_at = outcome, case.round.at
    task.closes_at = case.round.at + pool.limits.settled_retention_s
    task.project.open.pop(task.name, None)
    case.touch(pool, task)
    later(case, task.closes_at, "retention", (pool, task))
    withdraw(case, list(task.offered.values()), *causes, because=because)


def trim(case: Case, pool: Pool, task: Task, *causes: str, because: Record | None = None) -> None:
    """Follow what a changed count or need brings about: settle when met, withdraw offers beyond the need.

    Which of several offers is withdrawn is the market's choice. With a confidence so is whether one is, in a round that
    settles the task as consensus: which judgment reached the confidence nobody has published. In any other round it
    was not reached, and one more judgment is needed.
    """
    case.touch(pool, task)
    if task.settled is not None:
        return
    said = case.round.settled.get((pool.name, task.name))
    if task.counted >= task.max_overlap:
        outcome = "exhausted" if task.max_overlap > task.overlap else "complete"
        if task.is_confident:
            outcome = (
                said[1].outcome if said and said[1].outcome in ("consensus", "exhausted") else "exhausted"
            )
        settle(case, pool, task, outcome, *causes, because=because)
        return
    floor = task.overlap
    if task.counted >= task.overlap:
        floor = task.counted + (not task.is_confident or said is None or said[1].outcome != "consensus")
    excess = task.counted + task.live - floor
    chosen = [pair for pair in task.offered.values() if is_withdrawn(case, pair, causes)]
    chosen.sort(key=lambda pair: case.round.ends[pair.assignment][0].offset)
    if not task.is_confident and len(chosen) < excess:
        chosen += [pair for pair in task.offered.values() if pair not in chosen]
    withdraw(case, chosen[: max(excess, 0)], *causes, because=because)


def is_withdrawn(case: Case, pair: Pair, causes: tuple[str, ...]) -> bool:
    """Whether this round publishes the withdrawal of a pair for one of the causes."""
    found = case.round.ends.get(pair.assignment)
    return found is not None and found[1].outcome == "withdrawn" and found[1].cause in causes
