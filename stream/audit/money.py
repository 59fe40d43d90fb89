"""What budgets bring about at the end of a round's events: who is told to be short, and which tasks end as ``budget``.

A project whose budget is spent, with nothing under way, has no open work left. One that has promised more judgments
than its budget allows says so in the round in which that budget was set; whenever it says so, its figures are right.
"""

from stream.audit.books import Project
from stream.audit.leases import settle
from stream.audit.round import Case


def spend(case: Case) -> None:
    """Follow the budgets that this round may have used up; call after what time has brought about."""
    paying, case.paying = case.paying, {}
    for key, (pool, project) in paying.items():
        if pool.projects.get(project.name) is not project or project.budget is None:
            continue
        _tell(case, key, project)
        if project.live == 0 and project.used >= project.budget:
            for task in list(project.open.values()):
                if task.is_work:
                    settle(case, pool, task, "budget", "met_need")
            case.paying.pop(key, None)


def _tell(case: Case, key: tuple[str, str], project: Project) -> None:
    said = case.round.short.pop(key, None)
    if said is None:
        if key in case.round.funded and project.promised > (project.budget or 0):
            told = f"{project.promised} judgments for a budget of {project.budget}"
            case.report(1, f"project {project.name!r} has promised {told} and doesn't say so", case.round.record)
        return
    record, event = said
    if (event.promised, event.budget) != (project.promised, project.budget) or event.promised <= event.budget:
        stated = f"{event.promised} of {event.budget}"
        found = f"{project.promised} of {project.budget}"
        case.report(1, f"project {project.name!r} is said to have promised {stated}, expected {found}", record)
