"""The lifecycle of tasks, offers and judgments: a state machine over the columns of one pool.

`layout` holds the columns, `pairs` the state of an annotator and a task, `tasks` need and settling, `judgments`
what becomes of each record, `presence` who is there, `deadlines` what the clock does, `offers` how matched pairs
become offers, `apply` which event leads to which transition.
"""

from kernels.lifecycle import codes
from kernels.lifecycle.apply import advance, apply
from kernels.lifecycle.deadlines import relink, reschedule
from kernels.lifecycle.offers import annotator_changed, offer, pool_paused, project_changed, project_spent, task_changed
from kernels.lifecycle.pool_columns import ANNOTATOR, EMISSION, EVENT, PAIR, PROJECT, TASK, Policy, Pool, blank

__all__ = [
    "ANNOTATOR",
    "EMISSION",
    "EVENT",
    "PAIR",
    "PROJECT",
    "TASK",
    "Policy",
    "Pool",
    "advance",
    "annotator_changed",
    "apply",
    "blank",
    "codes",
    "offer",
    "pool_paused",
    "project_changed",
    "project_spent",
    "relink",
    "reschedule",
    "task_changed",
]
