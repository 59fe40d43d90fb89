"""Judgments: every record gets exactly one outcome, every pair at most one net count.

| the pair is                             | outcome (count)                                              |
|-----------------------------------------|--------------------------------------------------------------|
| offered, leased                         | COUNTED (+1), the assignment ends as submitted               |
| judged, voided                          | DUPLICATE (0)                                                |
| refused, abandoned, lapsed, withdrawn   | LATE: +1 where it may (`unasked`), else 0                  |
| new, where an offer would be allowed    | UNSOLICITED (+1)                                             |
| new, otherwise                          | SURPLUS (0), with the reason                                 |

Late and unsolicited judgments that count push out one unaccepted offer if the task would else be over its need. One
that is offered but answered after the task settled still counts: its place was part of the need when it was offered.
"""

import numpy as np

from kernels.jit import inner
from kernels.lifecycle.codes import (
    COUNTED,
    DUPLICATE,
    EMIT_JUDGMENT,
    END_SUBMITTED,
    JUDGED,
    LATE,
    LEASED,
    NONE,
    OFFERED,
    ONE,
    REPLACED,
    SURPLUS,
    TAKEN_BACK,
    UNSOLICITED,
    VOIDED,
    WORK,
    ZERO,
)
from kernels.lifecycle.gathered import gathered
from kernels.lifecycle.lessons import earn
from kernels.lifecycle.pairs import emit, end_live, find, open_pair
from kernels.lifecycle.pool_columns import NOW, REFUSED
from kernels.lifecycle.presence import keep_to_rules
from kernels.lifecycle.scores import take_back
from kernels.lifecycle.tasks import gather, learn_judgment, review, tell
from kernels.lifecycle.unasked import why_not_late, why_not_uninvited
from kernels.rules.charges import judge
from kernels.skill import revise, seat


@inner
def is_label_of(task, label):
    """Is this a label of the task's classes (none for a task without classes)?"""
    if task.classes == 0:
        return label == NONE
    return 0 <= label < task.classes


@inner
def count(pool, t, p, at, retention_s):
    """The judgment of pair ``p`` counts: evidence, consensus, budget."""
    task = pool.tasks.records[t]
    pair = pool.pairs.records[p]
    pair.counted = 1
    task.counted += 1
    judge(pool, t, np.int64(pair.annotator), ONE)
    earn(pool, t, np.int64(pair.annotator))
    if task.classes and seat(pool.skills, np.int64(task.model), np.int64(pair.annotator)) == NONE:
        pool.counters[REFUSED] += 1
        return
    learn_judgment(pool, t, p, at, retention_s)


@inner
def judged_as(pool, fit, t, p, state, is_import):
    """Outcome, count and reason of a judgment of pair ``p`` whose former state was ``state`` (0: new)."""
    a = np.int64(pool.pairs.records[p].annotator)
    if state in (OFFERED, LEASED):
        return COUNTED, ONE, ZERO
    if state in (JUDGED, VOIDED):
        return DUPLICATE, ZERO, ZERO
    if state == 0:
        reason = why_not_uninvited(pool, fit, t, a, is_import)
        return (UNSOLICITED, ONE, ZERO) if reason == ZERO else (SURPLUS, ZERO, reason)
    reason = why_not_late(pool, fit, t, a)
    return (LATE, ONE, ZERO) if reason == ZERO else (LATE, ZERO, reason)


@inner
def withdraw_doubted(pool, fit, t, a, retention_s):
    """What was learned on task ``t`` from annotator ``a`` may have made somebody unfit for what they are offered."""
    keep_to_rules(pool, fit, a, True, retention_s)
    if pool.tasks.records[t].purpose != WORK:  # it teaches about nobody else
        return
    p = np.int64(pool.tasks.records[t].head)
    while p != NONE:
        if pool.pairs.records[p].counted:
            keep_to_rules(pool, fit, np.int64(pool.pairs.records[p].annotator), True, retention_s)
        p = np.int64(pool.pairs.records[p].next)


@inner
def submit(pool, fit, event, retention_s):
    """Apply a submitted judgment (or a corrected one whose submission is not here), whose label fits."""
    t, a, index = np.int64(event.task), np.int64(event.annotator), np.int64(event.index)
    p = find(pool, t, a)
    state = ZERO
    if p == NONE:
        p = open_pair(pool, t, a)
        if p == NONE:
            return
    else:
        state = np.int64(pool.pairs.records[p].state)
    outcome, counts, reason = judged_as(pool, fit, t, p, state, event.detail != 0)
    pair = pool.pairs.records[p]
    if outcome != DUPLICATE:
        if outcome == COUNTED:
            if state == OFFERED:
                pair.accepted_at = pool.clock[NOW]
            end_live(pool, p, JUDGED, END_SUBMITTED, ZERO)
        pair.state = JUDGED
        pair.label = event.label
        pair.said_at = event.at
        pool.dirty.tasks[t] = 1
    accepted_at = pair.accepted_at if outcome != DUPLICATE else np.nan
    k = emit(pool, EMIT_JUDGMENT, outcome, counts, index, t, a, accepted_at)
    if k != NONE:
        pool.emissions.records[k].cause = reason
    if counts:
        count(pool, t, p, event.at, retention_s)
        review(pool, t, retention_s)
        withdraw_doubted(pool, fit, t, a, retention_s)


@inner
def relabel(pool, fit, event, retention_s):
    """Apply a corrected judgment, whose label fits."""
    t, a, index = np.int64(event.task), np.int64(event.annotator), np.int64(event.index)
    task = pool.tasks.records[t]
    p = find(pool, t, a)
    if p == NONE or pool.pairs.records[p].state not in (JUDGED, VOIDED):
        submit(pool, fit, event, retention_s)
        return
    pair = pool.pairs.records[p]
    outcome = DUPLICATE if pair.state == VOIDED else REPLACED
    accepted_at = pair.accepted_at if outcome != DUPLICATE else np.nan
    emit(pool, EMIT_JUDGMENT, outcome, ZERO, index, t, a, accepted_at)
    if outcome == DUPLICATE:
        return
    pool.dirty.tasks[t] = 1
    if pair.counted and task.classes and pair.label != event.label:
        n = gather(pool, t, p)
        judged = gathered(pool, t, n, np.int64(task.truth), event.at)
        revise(pool.skills, judged, ZERO, n - 1, np.int64(event.label))
        pair.stamp = pool.gathered.stamps[n - 1]
        tell(pool, t, n)
    pair.label = event.label
    pair.said_at = event.at
    review(pool, t, retention_s)
    withdraw_doubted(pool, fit, t, a, retention_s)


@inner
def retract(pool, fit, event, retention_s):
    """Apply a retracted judgment."""
    t, a, index = np.int64(event.task), np.int64(event.annotator), np.int64(event.index)
    task = pool.tasks.records[t]
    p = find(pool, t, a)
    outcome, counts = TAKEN_BACK, ZERO
    if p != NONE:
        pair = pool.pairs.records[p]
        if pair.state == VOIDED:
            outcome = DUPLICATE
        elif pair.state == JUDGED:
            pool.dirty.tasks[t] = 1
            if pair.counted:
                counts = NONE
                if task.classes:
                    n = gather(pool, t, p)
                    mine = pool.gathered.seats[n - 1]
                    judged = gathered(pool, t, n, np.int64(task.truth), event.at)
                    revise(pool.skills, judged, ZERO, n - 1, NONE)
                    pool.dirty.seats[mine] = 1
                    tell(pool, t, n - 1)
                pair.counted = 0
                task.counted -= 1
                judge(pool, t, a, NONE)
            take_back(pool, p)
            pair.state = VOIDED
    emit(pool, EMIT_JUDGMENT, outcome, counts, index, t, a, np.nan)
    if counts:
        review(pool, t, retention_s)
        withdraw_doubted(pool, fit, t, a, retention_s)
