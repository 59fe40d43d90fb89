"""Tasks: need, room, settling, consensus.

    need = overlap                                    counted < overlap: promised
         = counted                                    confidence reached or counted = max_overlap
         = counted + 1                                otherwise: a further one, if it is worth its price

A task settles as soon as counted >= need. ``vacancies`` = need - counted - live of an open task in an active project;
where it is negative, unaccepted offers are withdrawn, newest first, and accepted work finishes. A task that asks for no
confidence, or has no classes, has a max_overlap above its overlap only where nothing is promised (overlap 0). A task
whose answer is known (gold, training) has an overlap of everybody and no confidence, and tells nobody a posterior.
"""

import numpy as np

from kernels.jit import inner
from kernels.lifecycle.codes import (
    ACTIVE,
    CAUSE_CANCEL,
    CAUSE_MET_NEED,
    COMPLETE,
    CONSENSUS,
    EMIT_CONSENSUS,
    EMIT_DRIFTED,
    EMIT_SETTLED,
    EXHAUSTED,
    NONE,
    ONE,
    OPEN,
    SETTLED,
    WORK,
    ZERO,
)
from kernels.lifecycle.gathered import gathered
from kernels.lifecycle.lessons import WINDOW
from kernels.lifecycle.pairs import emit, withdraw_newest
from kernels.lifecycle.pool_columns import EARLIEST, NOW, REFUSED, REVISIT, TASKS_USED
from kernels.rules import budget
from kernels.skill import alarms, drift, revise

REVISITS = 1  # open tasks looked at again for each judgment: on recorded sets one gives .820, four .821
PROBES = 16  # slots looked at to find them


@inner
def reached(pool, t):
    """Does the calibrated posterior reach the confidence asked for?"""
    top = -1.0
    for k in range(np.int64(pool.tasks.records[t].classes)):
        top = max(top, pool.tasks.reported[t, k])
    return top >= pool.tasks.records[t].confidence


@inner
def asks_confidence(task):
    """A confidence counts only where there is a posterior."""
    return task.classes > 0 and not np.isnan(task.confidence)


@inner
def is_sure(pool, t):
    """Do answers, or a known truth, reach the confidence that the task asks for?"""
    task = pool.tasks.records[t]
    return asks_confidence(task) and (task.counted > 0 or task.truth >= 0) and reached(pool, t)


@inner
def need(pool, t):
    """How many judgments the open task ``t`` needs in all, given those it has."""
    task = pool.tasks.records[t]
    if task.counted < task.overlap:
        return task.overlap
    if task.counted >= task.max_overlap or is_sure(pool, t):
        return task.counted
    return task.counted + 1


@inner
def note(pool, t):
    """Keep what the project's open work lacks of the judgments promised."""
    task = pool.tasks.records[t]
    owes = NONE
    if task.state == OPEN and task.purpose == WORK:
        owes = np.int64(max(task.overlap - task.counted, 0))
    before = np.int64(pool.tasks.owes[t])
    if owes == before:
        return
    pool.tasks.owes[t] = owes
    if budget.is_limited(pool, t):  # it may become short, or have nothing left to do
        pool.dirty.projects[task.project] = 1
    pool.projects.opened[task.project] += np.int64(owes >= 0) - np.int64(before >= 0)
    pool.projects.owed[task.project] += max(owes, 0) - max(before, 0)


@inner
def reopen(pool, t):
    """A settled task goes on; the caller reviews it."""
    task = pool.tasks.records[t]
    task.state = OPEN
    task.outcome = 0
    task.settled = np.inf
    task.label = NONE
    pool.tasks.wakeup[t] = min(task.deadline, pool.projects.records[task.project].deadline)
    pool.clock[EARLIEST] = min(pool.clock[EARLIEST], pool.tasks.wakeup[t])
    pool.dirty.tasks[t] = 1


@inner
def settle(pool, t, outcome, cause, retention_s):
    """The one end of a task; unaccepted offers are withdrawn. Its label is named when the round is published."""
    task = pool.tasks.records[t]
    task.state = SETTLED
    task.outcome = outcome
    task.settled = pool.clock[NOW]
    task.label = NONE
    pool.tasks.wakeup[t] = task.settled + retention_s
    pool.clock[EARLIEST] = min(pool.clock[EARLIEST], pool.tasks.wakeup[t])
    pool.dirty.tasks[t] = 1
    while withdraw_newest(pool, t, cause):
        pass
    pool.tasks.vacancies[t] = 0
    note(pool, t)
    emit(pool, EMIT_SETTLED, outcome, ZERO, NONE, t, NONE, np.nan)


@inner
def review(pool, t, retention_s):
    """After any change of an open task: settle it if its need is met, else recompute its vacancies."""
    task = pool.tasks.records[t]
    if task.state != OPEN:
        pool.tasks.vacancies[t] = 0
        return
    wanted = need(pool, t)
    if task.counted >= wanted:
        outcome = COMPLETE
        if is_sure(pool, t):
            outcome = CONSENSUS
        elif asks_confidence(task) or task.max_overlap > task.overlap:
            outcome = EXHAUSTED
        settle(pool, t, outcome, CAUSE_MET_NEED, retention_s)
        return
    while task.counted + task.offered + task.leased > wanted and withdraw_newest(pool, t, CAUSE_MET_NEED):
        pass
    vacant = wanted - task.counted - task.offered - task.leased
    note(pool, t)
    pool.tasks.vacancies[t] = max(vacant, 0) if pool.projects.records[task.project].state == ACTIVE else 0


@inner
def gather(pool, t, last):
    """Copy the counted judgments of a task to the scratch arrays, ``last`` (a pair or NONE) at the end; their number.

    Oldest first, whatever was offered or judged in between: the order of the task's list is newest first. Of a task
    whose answer is known only the newest few: its judgments don't depend on each other (see `lessons`). Of work all
    fit, because `max_overlap` ends below `JUDGMENTS`; one that did not would be refused and counted.
    """
    room = np.int64(pool.gathered.seats.shape[0])
    most = np.int64(pool.tasks.records[t].pairs)
    if pool.tasks.records[t].purpose != WORK:
        most = np.int64(1 + pool.tasks.records[t].counted % WINDOW)
    if last != NONE:
        most -= 1
        room -= 1
    n = 0
    p = np.int64(pool.tasks.records[t].head)
    while p != NONE and n < most:
        pair = pool.pairs.records[p]
        if pair.counted and p != last:
            if n == room:
                pool.counters[REFUSED] += 1
                break
            pool.gathered.seats[n] = pool.skills.seat_of[pool.tasks.records[t].model, pair.annotator]
            pool.gathered.labels[n] = pair.label
            pool.gathered.stamps[n] = pair.stamp
            n += 1
        p = np.int64(pair.next)
    i = 0
    j = n - 1
    while i < j:
        pool.gathered.seats[i], pool.gathered.seats[j] = pool.gathered.seats[j], pool.gathered.seats[i]
        pool.gathered.labels[i], pool.gathered.labels[j] = pool.gathered.labels[j], pool.gathered.labels[i]
        pool.gathered.stamps[i], pool.gathered.stamps[j] = pool.gathered.stamps[j], pool.gathered.stamps[i]
        i += 1
        j -= 1
    if last != NONE:
        pair = pool.pairs.records[last]
        pool.gathered.seats[n] = pool.skills.seat_of[pool.tasks.records[t].model, pair.annotator]
        pool.gathered.labels[n] = pair.label
        pool.gathered.stamps[n] = pair.stamp
        n += 1
    return n


@inner
def tell(pool, t, n):
    """Announce a changed posterior once a round; the ``n`` seats gathered for it have changed."""
    task = pool.tasks.records[t]
    pool.dirty.models[task.model] = 1
    for j in range(n):
        pool.dirty.seats[pool.gathered.seats[j]] = 1
    pool.dirty.tasks[t] = 1
    if task.purpose == WORK and not task.changed:
        task.changed = 1
        emit(pool, EMIT_CONSENSUS, ZERO, ZERO, NONE, t, NONE, np.nan)


@inner
def revisit(pool, t, at, retention_s):
    """Let a few other open tasks of the same model profit from what was just learned."""
    used = pool.counters[TASKS_USED]
    done = 0
    for _ in range(min(PROBES, used)):
        if done == REVISITS:
            break
        u = pool.counters[REVISIT] % used
        pool.counters[REVISIT] = u + 1
        other = pool.tasks.records[u]
        if u == t or other.state != OPEN or other.counted == 0 or other.model != pool.tasks.records[t].model:
            continue
        if other.purpose != WORK:
            continue
        done += 1
        n = gather(pool, u, NONE)
        others = gathered(pool, u, n, np.int64(other.truth), at)
        change = revise(pool.skills, others, ZERO, NONE, NONE)
        if change > 0.0:
            tell(pool, u, n)
            review(pool, u, retention_s)


@inner
def learn_judgment(pool, t, p, at, retention_s):
    """Let the new counted judgment of pair ``p`` move the task's posterior and its annotators' evidence."""
    task = pool.tasks.records[t]
    if task.classes == 0:
        return
    n = gather(pool, t, p)
    s = np.int64(pool.gathered.seats[n - 1])
    before = alarms(pool.skills, s)
    revise(pool.skills, gathered(pool, t, n, np.int64(task.truth), at), ONE, NONE, NONE)
    pool.pairs.records[p].stamp = pool.gathered.stamps[n - 1]
    if alarms(pool.skills, s) > before:
        a = np.int64(pool.pairs.records[p].annotator)
        emit(pool, EMIT_DRIFTED, ZERO, ZERO, NONE, t, a, drift(pool.skills, s))
    tell(pool, t, n)
    if task.state == OPEN:
        revisit(pool, t, at, retention_s)


@inner
def cancel(pool, t, outcome, retention_s):
    """End an open task without asking its need."""
    if pool.tasks.records[t].state == OPEN:
        settle(pool, t, outcome, CAUSE_CANCEL, retention_s)
