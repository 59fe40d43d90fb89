"""The state machine: one event after another, in the order of the log.

One call applies a run of events of one pool. Every transition is a function in its own module; here is only which
event leads to which. Events have been checked against the contract, and ids are slots of known entities.
"""

import numpy as np

from kernels.jit import entry, inner
from kernels.lifecycle.codes import (
    ACCEPTED,
    AMENDED,
    BLOCKED,
    BREAK,
    BROKEN,
    CANCEL,
    CANCELLED,
    CAUSE_MET_NEED,
    CLOSED,
    COMPLETE,
    CORRECTED,
    CREATED,
    DECLINED,
    EMIT_BLOCKED,
    EMIT_IGNORED,
    EMIT_INVALID,
    EMIT_LEASED,
    END_DECLINED,
    EXTENDED,
    LEASED,
    LEFT,
    NONE,
    OFFERED,
    OFFLINE,
    ONLINE,
    OPEN,
    PAUSED,
    PRESENT,
    REFUSED,
    REQUESTED,
    RESUMED,
    RETRACTED,
    SCORED,
    SUBMITTED,
    TRUTH,
    UNCLEAR,
    WITHDRAWN,
    WORK,
    ZERO,
)
from kernels.lifecycle.deadlines import expire
from kernels.lifecycle.gathered import gathered
from kernels.lifecycle.judgments import is_label_of, relabel, retract, submit
from kernels.lifecycle.lessons import relearn
from kernels.lifecycle.offers import task_changed
from kernels.lifecycle.pairs import accept, answered, emit, emit_assignment, end_live, find
from kernels.lifecycle.pool_columns import EARLIEST, NOW, TASKS_USED
from kernels.lifecycle.presence import come_online, go_offline, heard, leave, pause, resume, set_presence
from kernels.lifecycle.room import has_room_for_event, most_of_event
from kernels.lifecycle.scores import score_judgment
from kernels.lifecycle.tasks import cancel, gather, review, settle, tell
from kernels.skill import revise


@inner
def create(pool, event, created, retention_s):
    """A task record prepared by the caller takes its slot; the first of an id counts."""
    t = np.int64(event.task)
    if pool.tasks.records[t].state != 0:
        return
    pool.tasks.records[t] = created[event.count]
    # here and not when the slot was taken: what earlier events of the run revisit must not depend on later ones
    pool.counters[TASKS_USED] = max(pool.counters[TASKS_USED], t + 1)
    task = pool.tasks.records[t]
    pool.tasks.wakeup[t] = min(task.deadline, pool.projects.records[task.project].deadline)
    pool.clock[EARLIEST] = min(pool.clock[EARLIEST], pool.tasks.wakeup[t])
    pool.dirty.tasks[t] = 1
    pool.tasks.owes[t] = NONE
    for k in range(pool.tasks.belief.shape[1]):
        pool.tasks.belief[t, k] = 0.0
    for k in range(pool.tasks.reported.shape[1]):
        pool.tasks.reported[t, k] = 0.0
    if task.classes:
        revise(pool.skills, gathered(pool, t, ZERO, np.int64(task.truth), event.at), ZERO, NONE, NONE)
    if pool.projects.records[task.project].state == CLOSED:
        cancel(pool, t, CANCEL, retention_s)
    review(pool, t, retention_s)


@inner
def set_truth(pool, event, retention_s):
    """An adjudicated label; open work is complete by it, a task of known answer goes on with another one."""
    t = np.int64(event.task)
    task = pool.tasks.records[t]
    if event.label >= task.classes:
        emit(pool, EMIT_INVALID, ZERO, ZERO, np.int64(event.index), t, NONE, np.nan)
        return
    if task.purpose != WORK:
        relearn(pool, t, np.int64(event.label), event.at)
        return
    task.truth = event.label
    pool.dirty.tasks[t] = 1
    n = gather(pool, t, NONE)
    revise(pool.skills, gathered(pool, t, n, np.int64(task.truth), event.at), ZERO, NONE, NONE)
    tell(pool, t, n)
    if task.state == OPEN:
        settle(pool, t, COMPLETE, CAUSE_MET_NEED, retention_s)


@inner
def ignore(pool, event):
    """An answer to what has ended, or one that was given before: it changes nothing."""
    emit(pool, EMIT_IGNORED, np.int64(event.kind), ZERO, NONE, NONE, NONE, np.nan)


@inner
def respond(pool, event, policy):
    """Accepted, extended, declined: answers to a live pair; anything else is ignored, and counted."""
    t = np.int64(event.task)
    p = find(pool, t, np.int64(event.annotator))
    if p == NONE or pool.pairs.records[p].state not in (OFFERED, LEASED):
        ignore(pool, event)
        return
    pair = pool.pairs.records[p]
    at = min(event.at, pool.clock[NOW])
    is_other = event.count != 0 and (event.count != pair.index + 1 or event.x != pair.round)
    if is_other or at < pair.answered_at or (at == pair.answered_at and pair.answer == event.kind):
        ignore(pool, event)
        return
    pair.answered_at = at
    pair.answer = event.kind
    pool.dirty.tasks[t] = 1
    task = pool.tasks.records[t]
    answered(pool, p)
    if event.kind == ACCEPTED:
        if pair.state == OFFERED:
            accept(pool, p, pool.clock[NOW] + task.lease_s)
            pool.clock[EARLIEST] = min(pool.clock[EARLIEST], pair.due)
            emit_assignment(pool, EMIT_LEASED, ZERO, ZERO, p, pair.due)
    elif event.kind == EXTENDED:
        if pair.state == LEASED and pair.extensions < policy.max_extensions:
            pair.extensions += 1
            pair.due += task.lease_s
            pool.dirty.tasks[t] = 1
            emit_assignment(pool, EMIT_LEASED, ZERO, ZERO, p, pair.due)
    else:
        is_break = event.detail == BREAK
        end_live(pool, p, WITHDRAWN if is_break else REFUSED, END_DECLINED, ZERO)
        if is_break:
            pause(pool, np.int64(event.annotator), event.at, np.inf, policy.settled_retention_s)
        if event.detail in (BROKEN, UNCLEAR):
            task.faults += 1
        if task.faults >= policy.block_declines and task.state == OPEN:
            emit(pool, EMIT_BLOCKED, ZERO, ZERO, NONE, t, NONE, np.nan)
            cancel(pool, t, BLOCKED, policy.settled_retention_s)
        review(pool, t, policy.settled_retention_s)


@inner
def amend(pool, fit, event, changed, retention_s):
    """Simple fields of a task changed; ``label`` of the event has a bit for each that did and is new enough."""
    t = np.int64(event.task)
    task = pool.tasks.records[t]
    task.updated = max(task.updated, event.at)
    new = changed[event.count]
    if event.label & 1:
        task.priority = new.priority
    if event.label & 2:
        task.value = new.value
    if event.label & 4:
        task.deadline = new.deadline
    if event.label & 8:
        task.expected_s = new.expected_s
    if event.label & 16:
        task.lease_s = new.lease_s
    task_changed(pool, fit, t, retention_s)


@inner
def end_or_sum_sessions(pool, event, policy):
    """The default session ends, or what several sessions come to is another."""
    now, retention_s = pool.clock[NOW], policy.settled_retention_s
    if event.kind == OFFLINE:
        go_offline(pool, event, now, policy.grace_s, retention_s)
    elif event.kind == PRESENT:
        set_presence(pool, event, retention_s)
    else:
        leave(pool, np.int64(event.annotator), now, policy.grace_s, retention_s)


@inner
def request(pool, event):
    """Pull: ask for work; answered at the end of the round."""
    annotator = pool.annotators.records[event.annotator]
    annotator.asked = min(annotator.asked + event.count, 1_000_000)


@inner
def is_misfit(pool, event):
    """A label that is none of its task's: it is told, and not even a sign of life. What is refused changes nothing."""
    if event.kind not in (SUBMITTED, CORRECTED):
        return False
    if is_label_of(pool.tasks.records[event.task], np.int64(event.label)):
        return False
    t, a = np.int64(event.task), np.int64(event.annotator)
    emit(pool, EMIT_INVALID, ZERO, ZERO, np.int64(event.index), t, a, np.nan)
    return True


@entry
def apply(pool, fit, events, created, now, policy, at):
    """Apply events in order, from number ``at`` on; returns the number of the first that was not applied.

    It ends before its time where there may be no room for all that the next event brings (`room`): the caller takes
    the emissions, makes room for one event and calls again. What comes of the events doesn't depend on it.

    Parameters
    ----------
    pool : Pool
    fit : Fit
        Who is fit for what; nobody restricts what they asked for.
    events : EVENT[n]
    created : TASK[k]
        Records of created and amended tasks; an event's ``count`` is its place here.
    now : float
        The round's time, Unix seconds.
    policy : Policy
    """
    pool.clock[NOW] = now
    retention_s = policy.settled_retention_s
    emissions, evidence = most_of_event(pool)
    for i in range(at, events.shape[0]):
        if not has_room_for_event(pool, emissions, evidence):
            return i
        event = events[i]
        kind = event.kind
        if is_misfit(pool, event):
            continue
        if kind in (REQUESTED, ACCEPTED, EXTENDED, DECLINED, SUBMITTED, CORRECTED, RETRACTED, PAUSED, RESUMED):
            heard(pool, np.int64(event.annotator))
        if kind == SUBMITTED:
            submit(pool, fit, event, retention_s)
        elif kind in (ACCEPTED, EXTENDED, DECLINED):
            respond(pool, event, policy)
        elif kind == CREATED:
            create(pool, event, created, retention_s)
        elif kind == ONLINE:
            come_online(pool, event, retention_s)
        elif kind == CORRECTED:
            relabel(pool, fit, event, retention_s)
        elif kind == RETRACTED:
            retract(pool, fit, event, retention_s)
        elif kind == PAUSED:
            pause(pool, np.int64(event.annotator), event.at, event.x, retention_s)
        elif kind == RESUMED:
            resume(pool, event)
        elif kind in (OFFLINE, PRESENT, LEFT):
            end_or_sum_sessions(pool, event, policy)
        elif kind == REQUESTED:
            request(pool, event)
        elif kind == CANCELLED:
            cancel(pool, np.int64(event.task), CANCEL, retention_s)
        elif kind == AMENDED:
            amend(pool, fit, event, created, retention_s)
        elif kind == SCORED:
            score_judgment(pool, event)
        elif kind == TRUTH:
            set_truth(pool, event, retention_s)
    return events.shape[0]


@entry
def advance(pool, now, horizon, policy):
    """Let the clock act, after the events of the round; returns how many emissions it lacks room for, 0: done."""
    pool.clock[NOW] = now
    return expire(pool, horizon, policy)
