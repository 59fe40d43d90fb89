"""Lists of annotators: a task that names who may have it (``only``) or who may not (``exclude``)."""

from typing import Annotated, NamedTuple

import numpy as np

from kernels.jit import inner
from kernels.schema import Column

TASK = [("only", "<i4"), ("only_n", "<i4"), ("exclude", "<i4"), ("exclude_n", "<i4")]

WORDS = "the task is for others by name, or not for them"


class Lists(NamedTuple):
    """Slots of annotators whom tasks name, list after list: where one begins and how long it is, a task says."""

    members: Annotated[np.ndarray, Column(np.int32)]


@inner
def is_in(pool, start, n, a):
    """Is the annotator in this list?"""
    for i in range(start, start + n):  # noqa: SIM110 - generators don't compile
        if pool.lists.members[i] == a:
            return True
    return False


@inner
def permits(pool, fit, t, a):
    """Does no list of the task keep the annotator out?"""
    task = pool.tasks.records[t]
    if task.only_n and not is_in(pool, task.only, task.only_n, a):
        return False
    return not (task.exclude_n and is_in(pool, task.exclude, task.exclude_n, a))
