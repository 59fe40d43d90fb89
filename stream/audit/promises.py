"""What must hold at an offer: promises 1 to 4, and one decision for each offer.

An offer is judged by the books as they stand after the inputs of its round and what was due in it, and
after the earlier offers of the round.
"""

import math
from collections import Counter

from stream.audit.books import Annotator, Pair, Pool, Task
from stream.audit.leases import later
from stream.audit.records import Record
from stream.audit.round import Case, is_present
from stream.events import AssignmentOffered, DecisionMade

RAISED = 19


def offer(case: Case) -> None:
    """Follow the offers of a round, then the answers to requests for work."""
    given: Counter[tuple[str, str]] = Counter()
    seen: set[str] = set()
    taught: set[tuple[str, str]] = set()
    for index, (record, event) in enumerate(case.round.offers):
        decision = case.round.decisions.pop(event.assignment, None)
        if event.assignment in seen or not _is_name(case, event.assignment):
            case.report(5, f"{event.assignment} is no new name of an assignment of this round", record)
        seen.add(event.assignment)
        pool = case.pools.get(event.pool)
        task = None if pool is None else pool.tasks.get(event.task)
        annotator = None if pool is None else pool.annotators.get(event.annotator)
        if pool is None or task is None or annotator is None:
            case.report(
                4, f"an offer of {event.task!r} to {event.annotator!r}, one of which is unknown", record
            )
            continue
        _decision(case, pool, task, annotator, record, event, decision)
        _counts(case, task, annotator, record)
        _requirements(case, pool, task, annotator, record)
        _pull(case, pool, task, annotator, record, given)
        if not task.is_work:
            _lesson(case, pool, task, annotator, record, taught)
        _terms(case, pool, task, record, event)
        _book(case, pool, task, annotator, record, event, index)
        given[pool.name, annotator.name] += 1
    for record, decision_made in case.round.decisions.values():
        case.report(4, f"a decision about {decision_made.assignment}, which nobody was offered", record)
    _answers(case, given)


def _is_name(case: Case, assignment: str) -> bool:
    partition, _, rest = assignment.partition("-")
    number, _, index = rest.partition("-")
    return (partition, number) == (str(case.partition), str(case.round.completed.round)) and index.isdecimal()


def _decision(
    case: Case,
    pool: Pool,
    task: Task,
    annotator: Annotator,
    record: Record,
    event: AssignmentOffered,
    found: tuple[Record, DecisionMade] | None,
) -> None:
    if found is None:
        case.report(4, f"{event.assignment} is offered without a decision", record)
        return
    said, decision = found
    if (decision.pool, decision.task, decision.annotator) != (event.pool, event.task, event.annotator):
        case.report(4, f"the decision of {event.assignment} is about another pair", record, said)
    total = math.fsum(decision.terms.values())
    if not math.isclose(total, decision.value, rel_tol=1e-6, abs_tol=1e-9):
        case.report(4, f"terms sum to {total}, the value is {decision.value}", record, said)
    case.terms = case.terms or frozenset(decision.terms)
    if case.terms != frozenset(decision.terms):
        case.report(4, f"terms {sorted(decision.terms)} give away what others hide", record, said)
    if case.round.completed.policies is not None and decision.policy != pool.limits.version:
        wanted = pool.limits.version
        case.report(4, f"an offer by policy {decision.policy}, the pool is at {wanted}", record, said)
    is_required = task.is_work and task.counted + task.live < task.overlap
    if decision.required != is_required:
        words = "is" if is_required else "is not"
        case.report(4, f"{event.assignment} {words} required, its decision says otherwise", record, said)
    case.round.required[pool.name] += decision.required
    if decision.value <= 0 and not decision.required:
        case.report(4, f"an offer of value {decision.value}", record, said)
    waived = not task.is_work or task.skill in annotator.grants
    bar = 0.0 if task.min_skill is None or waived else task.min_skill
    if decision.skill_low < bar:
        case.report(4, f"skill {decision.skill_low}, {bar} is required", record, said)


def _lesson(
    case: Case, pool: Pool, task: Task, annotator: Annotator, record: Record, taught: set[tuple[str, str]]
) -> None:
    """Gold and training keep the project's share, as far as it can be told without posteriors.

    A task costs at least half a credit, a judgment of work earns at most r / (1 - r) credits at the highest share r
    that skill and drift can lead to. Examining for work that asks for more skill is free.
    """
    project = task.project
    who = pool.name, annotator.name
    if who in taught:
        case.report(4, f"{annotator.name!r} is tried twice in one round", record)
    taught.add(who)
    if project.gold_rate <= 0:
        case.report(4, f"project {project.name!r} wants no gold", record)
    if not _is_tried(task, annotator):
        return
    highest = min(RAISED * project.highest_rate, max(project.highest_rate, 0.5), 0.95)
    earned = project.worked.get(annotator.name, 0) * highest / (1 - highest)
    had = project.taught.get(annotator.name, 0)
    if had >= 2 * earned + 1:
        case.report(4, f"{annotator.name!r} has been given {had} tasks of gold or training and little work", record)


def _is_tried(task: Task, annotator: Annotator) -> bool:
    """Whether the task is given for its share, and can't be an examination."""
    return not task.is_work and (task.skill not in task.project.examined or task.skill in annotator.grants)


def _counts(case: Case, task: Task, annotator: Annotator, record: Record) -> None:
    pair = task.pairs.get(annotator.name)
    if task.settled is None and task.counted + task.live + 1 > task.need:
        others = [other.offer for other in (*task.offered.values(), *task.leased.values())]
        case.report(
            1, f"{task.counted} counted and {task.live} live before it, need {task.need}", record, *others
        )
    if pair is not None and pair.state not in ("new", "returned"):
        case.report(2, f"{annotator.name!r} and {task.name!r} have met: {pair.state}", record, pair.offer)
    if pair is not None and pair.barred_until > case.round.at:
        what = f"{annotator.name!r} has let {task.name!r} go by {pair.expiries} times: barred until {pair.barred_until}"
        case.report(4, what, record, pair.offer)
    if len(annotator.live) + 1 > annotator.capacity:
        others = [other.offer for other in annotator.live.values()]
        case.report(3, f"{annotator.name!r} has capacity {annotator.capacity}", record, *others)


def _requirements(case: Case, pool: Pool, task: Task, annotator: Annotator, record: Record) -> None:
    project, at = task.project, case.round.at
    broken = {
        f"task {task.name!r} has settled as {task.settled}": task.settled is not None,
        f"project {project.name!r} is {project.state}": project.state != "active",
        f"pool {pool.name!r} is paused": pool.is_paused,
        f"{annotator.name!r} is absent": not is_present(annotator, at),
        f"{annotator.name!r} lacks the skill {task.skill!r}": not annotator.knows(task.skill),
        f"{annotator.name!r} lacks an attribute": not task.requires <= annotator.attributes,
        f"{annotator.name!r} is not among the only ones": bool(task.only) and annotator.name not in task.only,
        f"{annotator.name!r} is excluded": annotator.name in task.exclude,
        "the deadline of the task has passed": task.deadline is not None and task.deadline <= at,
        "the deadline of the project has passed": project.deadline is not None and project.deadline <= at,
        f"the budget of {project.name!r} is used up": project.budget is not None
        and project.used >= project.budget,
        f"{annotator.name!r} has had a full share of {project.name!r}": project.max_per_annotator is not None
        and project.used_by.get(annotator.name, 0) >= project.max_per_annotator,
    }
    for what, is_broken in broken.items():
        if is_broken:
            case.report(4, what, record)


def _pull(
    case: Case, pool: Pool, task: Task, annotator: Annotator, record: Record, given: Counter[tuple[str, str]]
) -> None:
    if annotator.mode != "pull":
        return
    asked = case.round.asked.get((pool.name, annotator.name), [])
    if given[pool.name, annotator.name] + 1 > sum(count for count, _, _ in asked):
        case.report(4, f"{annotator.name!r} pulls and has not asked for this", record)
    elif not any(not projects or task.project.name in projects for _, projects, _ in asked):
        case.report(4, f"{annotator.name!r} has not asked for work of {task.project.name!r}", record)


def _terms(case: Case, pool: Pool, task: Task, record: Record, event: AssignmentOffered) -> None:
    if (event.project, event.skill) != (task.project.name, task.skill):
        case.report(4, f"an offer of {task.name!r} with another project or skill", record)
    if event.ref != task.ref:
        case.report(4, f"an offer of {task.name!r} with the reference {event.ref!r}, stated was {task.ref!r}", record)
    lease_s = task.lease_s
    if event.lease_s != lease_s:
        case.report(5, f"lease_s is {event.lease_s}, expected {lease_s}", record)
    if abs(event.accept_by - (case.round.at + pool.limits.accept_s)) > 1e-6:
        case.report(5, f"accept_by is {event.accept_by} in a round of {case.round.at}", record)


def _book(
    case: Case,
    pool: Pool,
    task: Task,
    annotator: Annotator,
    record: Record,
    event: AssignmentOffered,
    index: int,
) -> None:
    pair = task.pairs.get(annotator.name)
    if pair is not None and pair.is_live:
        return
    if pair is None:
        pair = task.pairs[annotator.name] = Pair(task, annotator)
    pair.state, pair.assignment, pair.offer = "offered", event.assignment, record.name
    pair.order = case.round.completed.round, index
    pair.accept_by, pair.extensions, pair.is_taught = event.accept_by, 0, _is_tried(task, annotator)
    if pair.is_taught:
        taught = task.project.taught
        taught[annotator.name] = taught.get(annotator.name, 0) + 1
    task.offered[annotator.name] = pair
    annotator.live[task.name] = pair
    task.project.use(annotator.name, 1)
    task.project.live += 1
    later(case, pair.accept_by, "work", pair)


def _answers(case: Case, given: Counter[tuple[str, str]]) -> None:
    for who, asked in case.round.asked.items():
        wanted, answers = sum(count for count, _, _ in asked), case.round.unavailable.pop(who, [])
        short = given[who] < wanted
        if short and not answers:
            case.report(4, f"{who[1]!r} asked for {wanted}, got {given[who]} and no word why", asked[-1][2])
        if len(answers) > len(asked) or (answers and not short):
            case.report(
                4, f"{who[1]!r} is told that there is no work without need", *(a.name for a in answers)
            )
    for who, answers in case.round.unavailable.items():
        case.report(4, f"{who[1]!r} did not ask for work", *(answer.name for answer in answers))
