"""What becomes of budgets in a round, once its events and the clock have acted.

A project whose budget is spent, with nothing under way, settles its open tasks as ``budget``: nobody will be asked any
more. A larger budget opens them again (``project_changed``). A project that has promised more than its budget says so
at once, and again whenever the budget changes and is still short. Only what the round has touched is looked at.
"""

import numpy as np

from kernels.lifecycle import project_spent
from stream.core.intake.turn import Short, Turn


def look_at_budgets(turn: Turn) -> None:
    """End what no budget is left for, and note who has become short of money."""
    pool = turn.pool
    columns, used = pool.columns, pool.projects.used
    records, opened, owed = columns.projects.records, columns.projects.opened, columns.projects.owed
    touched = np.flatnonzero(columns.dirty.projects[:used])
    for j in touched[records["budget"][touched] >= 0].tolist():
        project = records[j : j + 1]
        budget, counted = int(project["budget"][0]), int(project["counted"][0])
        promised = counted + int(owed[j])
        if promised <= budget:
            project["short"] = 0
        elif project["short"][0] != budget + 1:
            project["short"] = budget + 1
            turn.short.append(Short(pool.projects.ids[j] or "", promised, budget))
        if counted >= budget and not project["live"][0] and opened[j]:
            turn.apply_now(project_spent, j, pool.in_force.settled_retention_s)
            if counted <= budget:  # nothing is promised any more
                project["short"] = 0
    without = touched[records["budget"][touched] < 0]
    records["short"][without] = 0
