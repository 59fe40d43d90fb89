"""``max_per_annotator``: how many of a project's judgments one annotator may give, live work among them."""

from typing import Annotated, NamedTuple

import numpy as np

from kernels.jit import entry, inner
from kernels.lifecycle.codes import LEASED, NONE, OFFERED, ONE
from kernels.schema import Column

PROJECT = [("cap", "<i4"), ("limited", "<i4")]

WORDS = "they have judged as much of the project as one person may"


class Limited(NamedTuple):
    """A row a project with ``max_per_annotator``: its number is ``project.limited``.

    ``taken[row, a]`` counts the judgments and live work of annotator ``a`` in it.
    """

    taken: Annotated[np.ndarray, Column(np.int32, per="annotators")]


@inner
def permits(pool, fit, t, a):
    """Has the annotator still a share of the task's project?"""
    project = pool.projects.records[pool.tasks.records[t].project]
    return project.limited == NONE or pool.limited.taken[project.limited, a] < project.cap


@inner
def is_kept(pool, t, a):
    """Is what the annotator has of the task's project, this task among it, within their share?"""
    project = pool.projects.records[pool.tasks.records[t].project]
    return project.limited == NONE or pool.limited.taken[project.limited, a] <= project.cap


@inner
def charge(pool, t, a, amount):
    """Change what the annotator has taken of the task's project."""
    row = pool.projects.records[pool.tasks.records[t].project].limited
    if row != NONE:
        pool.limited.taken[row, a] += amount
        pool.dirty.annotators[a] = 1


@entry
def count_taken(pool, j, row, tasks):
    """Count from the pairs of the first ``tasks`` slots what each annotator has taken of a project limited just now."""
    for t in range(tasks):
        task = pool.tasks.records[t]
        if task.state == 0 or task.project != j:
            continue
        p = np.int64(task.head)
        while p != NONE:
            pair = pool.pairs.records[p]
            if pair.counted or pair.state in (OFFERED, LEASED):
                pool.limited.taken[row, pair.annotator] += ONE
                pool.dirty.annotators[pair.annotator] = 1
            p = np.int64(pair.next)
