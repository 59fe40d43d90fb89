"""What is published about labels and ends of tasks, at the end of a round.

A posterior must be a distribution over the task's classes, its label the most likely one (`tie`: one of them), the
number of judgments the counted ones. Where nothing is known of any judge and all said the same, that is the label
(`checked`). A task that has reached its confidence may not stay open.
"""

from stream.audit.books import Pool, Task
from stream.audit.checked import demanded
from stream.audit.leases import is_met, settle
from stream.audit.records import Record
from stream.audit.round import Case
from stream.events import ConsensusRevised, ConsensusUpdated

ROUNDING = 1e-3


def publish(case: Case) -> None:
    """Follow the posteriors and settlements that a round publishes; call after the inputs and deadlines."""
    for (pool_name, name), (record, event) in case.round.consensus.items():
        task = case.pools[pool_name].tasks.get(name) if pool_name in case.pools else None
        if task is None:
            case.report(1, f"a posterior of task {name!r}, which does not exist", record)
            continue
        _posterior(case, task, record, event)
        case.touched[pool_name, name] = case.pools[pool_name], task
    for key in case.round.counted:
        pool, task = case.touched[key]
        if task.is_work and task.classes is not None and key not in case.round.consensus:
            case.report(
                1, f"a judgment changed {task.name!r}, its posterior is not published", case.round.record
            )
    for record, drift in case.round.drifts:
        if (drift.pool, drift.annotator, drift.skill) not in case.round.learned:
            case.report(1, f"{drift.annotator!r} has drifted in {drift.skill!r} without a judgment", record)
        if not 0.0 <= drift.low <= drift.high <= 1.0 or drift.score < 1.0:
            case.report(1, f"an alarm at {drift.score}, accuracy from {drift.low} to {drift.high}", record)
    for pool, task in list(case.touched.values()):
        _task(case, pool, task)
    case.touched.clear()


def _posterior(case: Case, task: Task, record: Record, event: ConsensusUpdated | ConsensusRevised) -> None:
    posterior = event.posterior
    if not task.is_work:
        case.report(1, f"a posterior of {task.name!r}, whose purpose is {task.purpose}", record)
        return
    if task.classes is None or len(posterior) != task.classes:
        case.report(1, f"{len(posterior)} probabilities for a task of {task.classes} classes", record)
        return
    if min(posterior) < 0 or abs(sum(posterior) - 1) > ROUNDING:
        case.report(1, f"a posterior that sums to {sum(posterior)}", record)
    _label(case, task, record, event.label, event.tie, posterior)
    if event.judgments != task.counted:
        case.report(1, f"a posterior of {event.judgments} judgments, {task.counted} count", record)
    if isinstance(event, ConsensusRevised):
        if task.settled is None or task.announcement is not None:
            case.report(1, f"task {task.name!r} is revised before it has settled", record)
        if task.label == event.label:
            case.report(1, f"task {task.name!r} is revised to the label it had", record)
    elif task.settled and task.announcement is None and task.label not in (None, event.label):
        case.report(1, f"the label of settled task {task.name!r} changes without a revision", record)
    task.posterior, task.label = posterior, event.label


def _label(case: Case, task: Task, record: Record, label: int, tie: bool, posterior: list[float]) -> None:
    """A label is among the most likely ones, tells a tie, and is what all said of whom nothing is known."""
    top = max(posterior)
    if not 0 <= label < len(posterior) or posterior[label] < top:
        case.report(1, f"label {label} is not the most likely one", record)
    if tie != (posterior.count(top) > 1):
        case.report(1, f"label {label} is {'said' if tie else 'not said'} to be drawn from a tie", record)
    said = demanded(task)
    if said is not None and (label != said or tie):
        others = f"a tie, {label} drawn" if tie else f"{label}"
        case.report(1, f"the label of {task.name!r} is {others}: all said {said}, of whom nothing is known", record)
    if posterior == task.posterior and task.label not in (None, label):
        case.report(1, f"label {label} of {task.name!r}, {task.label} by the same posterior", record)


def _task(case: Case, pool: Pool, task: Task) -> None:
    if is_met(case, pool, task):
        settle(case, pool, task, "consensus", "met_need")
    if task.settled is None and task.is_confident and task.counted >= task.overlap and task.is_sure:
        case.report(1, f"task {task.name!r} is as sure as asked and stays open", case.round.record)
    if task.announcement is None:
        return
    record, event = task.announcement
    task.announcement = None
    posterior = event.posterior or []
    if event.label is not None and task.is_work and len(posterior) == task.classes:
        _label(case, task, record, event.label, event.tie, posterior)
    elif event.tie or event.label is not None or event.posterior is not None:
        words = f"label {event.label}{', a tie,' if event.tie else ''} and {len(posterior)} probabilities"
        case.report(1, f"{task.name!r}, with {task.classes} classes, settles with {words}", record)
    task.label = event.label
    if not task.is_work and (event.label, event.posterior) != (None, None):
        case.report(1, f"a label of {task.name!r}, whose purpose is {task.purpose}", record)
    if event.judgments != task.counted:
        case.report(1, f"task settles with {event.judgments} judgments, {task.counted} count", record)
    if event.project != task.project.name:
        case.report(1, f"task settles in project {event.project!r}, not {task.project.name!r}", record)
    if event.outcome == "consensus" and not case.round.moved.get((pool.name, task.name)) and not task.is_sure:
        case.report(1, f"task {task.name!r} settles as consensus below its confidence", record)
    if event.posterior is not None and task.posterior is not None and event.posterior != task.posterior:
        case.report(1, f"task {task.name!r} settles with another posterior than published", record)
    if event.label is not None and (task.classes is None or event.label >= task.classes):
        case.report(1, f"task settles with label {event.label} of {task.classes} classes", record)
