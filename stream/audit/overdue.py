"""What time alone brings about in a round, after its inputs: expiry, absence, deadlines, forgetting.

Nothing lapses later than the round's horizon min(at, complete_until): answers that wait in the log are
never punished. Due times sit in a heap; an entry that no longer holds is skipped. Work in hand comes first,
then presence, then tasks: an offer that is due in the round in which its annotator goes has expired.
"""

import heapq

from stream.audit.attendance import keep_capacity, look, silent
from stream.audit.books import Annotator, Pair, Pool, Task
from stream.audit.leases import end, is_met, later, settle, withdraw
from stream.audit.round import Case, Waiting

ORDER = ("work", "break", "presence", "grace", "task", "wait", "retention", "gone")


def sweep(case: Case) -> None:
    """Throw away due times that no longer hold once they may be half of all: far deadlines of tasks long settled."""
    if len(case.due) < case.sweep_at:
        return
    case.due = [entry for entry in case.due if _holds(entry[0], entry[2], entry[3])]
    heapq.heapify(case.due)
    case.sweep_at = 2 * len(case.due) + 64


def _holds(at: float, kind: str, what: object) -> bool:
    match kind, what:
        case "work", Pair(state="offered", accept_by=by) | Pair(state="leased", submit_by=by):
            return at == by
        case "presence", Annotator(watched=by):
            return at == by
        case "break", Annotator(is_paused=True, break_until=until):
            return at == until
        case "grace", Annotator(gone_since=since, pool=pool):
            return since is not None and at == since + pool.limits.grace_s
        case "retention", (Pool(), Task(closes_at=by)):
            return at == by
        case "task", (Pool(), Task(settled=None, watched=by)):
            return at == by
    return kind in ("wait", "gone")  # each of them ends by itself


def lapse(case: Case) -> None:
    """Follow everything that is due in this round."""
    sweep(case)
    for pool_name, name in list(case.round.settled):
        pool = case.pools.get(pool_name)
        task = None if pool is None else pool.tasks.get(name)
        if pool is not None and task is not None and is_met(case, pool, task):
            settle(case, pool, task, "consensus", "met_need")
    due: dict[str, list[object]] = {kind: [] for kind in ORDER}
    while case.due and case.due[0][0] <= case.round.horizon:
        _, _, kind, what = heapq.heappop(case.due)
        due[kind].append(what)
    quiet = {id(annotator): annotator for pair in due["work"] for annotator in _expire(case, pair)}
    for annotator in quiet.values():
        silent(case, annotator)
        if annotator.is_absent:
            withdraw(case, annotator.offered(), "absence")
    for item in due["break"]:
        match item:
            case Annotator(is_paused=True, break_until=until) if until <= case.round.horizon:
                item.is_paused, item.break_until = False, float("inf")
    fewer = [item for item in due["presence"] if isinstance(item, Annotator) and look(case, item)]
    for item in due["grace"]:
        _return(case, item)
    for item in due["task"]:
        _close(case, item)
    for annotator in fewer:  # a session that lives has less room than one that has lapsed
        keep_capacity(case, annotator)
    for item in due["wait"]:
        _give_up(case, item)
    for item in due["gone"]:
        match item:
            case (Pool() as pool, str() as name):
                pool.gone.pop(name, None)
    case.closing = due["retention"]


def _expire(case: Case, pair: object) -> list[Annotator]:
    """End due work; return its annotator, of whom nothing was heard."""
    match pair:
        case Pair(state="offered", accept_by=by) if by <= case.round.horizon:
            end(case, pair, "expired")
            pair.expiries += 1
            pair.barred_until = case.round.at + pair.expiries * pair.annotator.pool.limits.accept_s
        case Pair(state="leased", submit_by=by) if by <= case.round.horizon:
            end(case, pair, "abandoned")
        case _:
            return []
    return [pair.annotator]


def _return(case: Case, annotator: object) -> None:
    """The time of grace is over: accepted work is abandoned."""
    match annotator:
        case Annotator(gone_since=float(since), pool=pool) if since + pool.limits.grace_s <= case.round.horizon:
            annotator.gone_since = None
            for pair in list(annotator.live.values()):
                end(case, pair, "abandoned")


def _close(case: Case, item: object) -> None:
    match item:
        case (Pool() as pool, Task(settled=None) as task):
            if task.due is not None and task.due <= case.round.horizon:
                settle(case, pool, task, "deadline", "cancel")


def _give_up(case: Case, waits: object) -> None:
    match waits:
        case Waiting(record, _, pool, task):
            waiting = case.waiting.get((pool, task), [])
            if not any(other is waits for other in waiting):
                return
            case.drop_waiting(waits)
            dead = case.round.dead.pop((record.topic, record.offset), None)
            if dead is None:
                case.report(5, "an event about an unknown task is lost", record, case.round.record)
            elif dead.reason != (reason := "unknown_annotator" if task.startswith("\0" * 129) else "unknown_task"):
                case.report(5, f"a dead letter for {dead.reason}, expected {reason}", record, dead.record)


def forget(case: Case) -> None:
    """Close the books of tasks that settled long ago; call after the round's posteriors."""
    for item in case.closing:
        _forget(case, item)
    case.closing = []
    for project in case.concerned:
        if project.state == "closed" and not project.kept:
            project.forget()
    case.concerned = []


def _forget(case: Case, item: object) -> None:
    """The books of a settled task are closed; its id is remembered as long again."""
    match item:
        case (Pool() as pool, Task() as task) if pool.tasks.get(task.name) is task:
            if task.closes_at > case.round.horizon:
                return  # by other limits than those of now: another entry is due then
            if task.leased:
                task.closes_at = max(pair.submit_by for pair in task.leased.values())
                later(case, task.closes_at, "retention", item)
                return
            if not task.project.is_limited:
                for pair in task.pairs.values():
                    task.project.share(pair.annotator.name, -(pair.state == "counted"))
            del pool.tasks[task.name]
            task.project.kept -= 1
            case.concerned.append(task.project)
            pool.gone[task.name] = case.round.at
            # ids are forgotten in the order in which their tasks left, whatever the limits were then
            pool.gone_until = max(pool.gone_until, case.round.at + pool.limits.settled_retention_s)
            later(case, pool.gone_until, "gone", (pool, task.name))
