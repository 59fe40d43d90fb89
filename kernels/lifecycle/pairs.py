"""Pairs: finding, linking and ending what an annotator and a task have to do with each other.

    (none) ──offer──▶ OFFERED ──accept──▶ LEASED
    OFFERED ──▶ LAPSED, WITHDRAWN (may be offered again), REFUSED, JUDGED
    LEASED  ──▶ JUDGED, REFUSED, ABANDONED
    JUDGED  ──retract──▶ VOIDED

Only these functions change a pair's state, so that live counts of task, annotator and project and both lists
always agree with it (invariant I1).
"""

import numpy as np

from kernels.buffers import append
from kernels.jit import entry, inner
from kernels.lifecycle.codes import (
    EMIT_ENDED,
    END_EXPIRED,
    END_WITHDRAWN,
    LAPSED,
    LEASED,
    NONE,
    OFFERED,
    ONE,
    WITHDRAWN,
    ZERO,
)
from kernels.lifecycle.lessons import pay_back
from kernels.lifecycle.pool_columns import AT_RISK, EMITTED, LAST_BAR, NOW, PAIRS_FREE, PAIRS_USED, REFUSED
from kernels.lifecycle.room import has_pair
from kernels.rules.charges import begin


@inner
def emit(pool, code, detail, count, event, t, a, at):
    """Append one emission and return its place, or NONE if it was refused (see `room`)."""
    k = append(pool.counters, EMITTED, pool.emissions.records.shape[0])
    if k == NONE:
        return k
    e = pool.emissions.records[k]
    e.code = code
    e.detail = detail
    e.cause = 0
    e.count = count
    e.event = event
    e.task = t
    e.annotator = a
    e.index = NONE
    e.round = 0
    e.at = at
    return k


@inner
def emit_assignment(pool, code, detail, cause, p, at):
    """Append an emission about the assignment that pair ``p`` is, as `emit` does."""
    pair = pool.pairs.records[p]
    k = emit(pool, code, detail, ZERO, NONE, np.int64(pair.task), np.int64(pair.annotator), at)
    if k == NONE:
        return k
    e = pool.emissions.records[k]
    e.cause = cause
    e.index = pair.index
    e.round = pair.round
    return k


@inner
def find(pool, t, a):
    """The pair of task ``t`` and annotator ``a``, or NONE."""
    p = np.int64(pool.tasks.records[t].head)
    while p != NONE and pool.pairs.records[p].annotator != a:
        p = np.int64(pool.pairs.records[p].next)
    return p


@inner
def open_pair(pool, t, a):
    """A new pair at the head of the task's list, or NONE if there is no room for it; there is none of the two yet."""
    if not has_pair(pool):
        pool.counters[REFUSED] += 1
        return NONE
    p = pool.counters[PAIRS_FREE]
    if p != NONE:
        pool.counters[PAIRS_FREE] = pool.pairs.records[p].next
    else:
        p = pool.counters[PAIRS_USED]
        pool.counters[PAIRS_USED] = p + 1
    pair = pool.pairs.records[p]
    pair.task = t
    pair.annotator = a
    pair.live_next = NONE
    pair.live_previous = NONE
    pair.state = 0
    pair.counted = 0
    pair.extensions = 0
    pair.source = 0
    pair.label = NONE
    pair.paid = 0
    pair.index = NONE
    pair.stamp = 0
    pair.score = 0
    pair.round = 0
    pair.due = np.inf
    pair.accepted_at = np.nan
    pair.scored_at = 0.0
    pair.said_at = 0.0
    pair.answered_at = 0.0
    pair.answer = 0
    pair.barred_until = 0.0
    pair.expiries = 0
    pair.next = pool.tasks.records[t].head
    pool.tasks.records[t].head = p
    pool.tasks.records[t].pairs += 1
    return p


@inner
def to_front(pool, t, p):
    """Move a pair to the head of its task's list, where the newest offer belongs."""
    task = pool.tasks.records[t]
    if task.head == p:
        return
    q = task.head
    while pool.pairs.records[q].next != p:
        q = pool.pairs.records[q].next
    pool.pairs.records[q].next = pool.pairs.records[p].next
    pool.pairs.records[p].next = task.head
    task.head = p


@entry
def free_pairs(pool, t):
    """Return all pairs of a task that leaves memory."""
    p = pool.tasks.records[t].head
    while p != NONE:
        following = pool.pairs.records[p].next
        pool.pairs.records[p].next = pool.counters[PAIRS_FREE]
        pool.counters[PAIRS_FREE] = p
        p = following
    pool.tasks.records[t].head = NONE
    pool.tasks.records[t].pairs = 0


@inner
def make_live(pool, p, state):
    """A pair becomes OFFERED: it joins the annotator's live list and the live counts."""
    pair = pool.pairs.records[p]
    pair.state = state
    task = pool.tasks.records[pair.task]
    annotator = pool.annotators.records[pair.annotator]
    pair.live_previous = NONE
    pair.live_next = annotator.live_head
    if annotator.live_head != NONE:
        pool.pairs.records[annotator.live_head].live_previous = p
    annotator.live_head = p
    annotator.live += 1
    if state == OFFERED:
        task.offered += 1
    else:
        task.leased += 1
    begin(pool, np.int64(pair.task), np.int64(pair.annotator), ONE)
    pool.dirty.tasks[pair.task] = 1
    pool.dirty.annotators[pair.annotator] = 1


@inner
def end_live(pool, p, state, outcome, cause):
    """A live pair ends in ``state``; emits the one end of its assignment and returns its place."""
    pair = pool.pairs.records[p]
    task = pool.tasks.records[pair.task]
    annotator = pool.annotators.records[pair.annotator]
    if pair.state == OFFERED:
        task.offered -= 1
    else:
        task.leased -= 1
    if pair.live_previous == NONE:
        annotator.live_head = pair.live_next
    else:
        pool.pairs.records[pair.live_previous].live_next = pair.live_next
    if pair.live_next != NONE:
        pool.pairs.records[pair.live_next].live_previous = pair.live_previous
    pair.live_next = NONE
    pair.live_previous = NONE
    annotator.live -= 1
    if not annotator.online and annotator.expires != np.inf:  # they have lapsed, see `presence`
        pool.counters[AT_RISK] -= 1
    pair.state = state
    pair.due = np.inf
    begin(pool, np.int64(pair.task), np.int64(pair.annotator), NONE)
    pool.dirty.tasks[pair.task] = 1
    pool.dirty.annotators[pair.annotator] = 1
    pay_back(pool, p, outcome)
    return emit_assignment(pool, EMIT_ENDED, outcome, cause, p, np.nan)


@inner
def expire_offer(pool, p, accept_s):
    """Nobody has answered an offer: others come first for a while, a longer one each time in a row."""
    pair = pool.pairs.records[p]
    pair.expiries += 1
    pair.barred_until = pool.clock[NOW] + pair.expiries * accept_s
    pool.clock[LAST_BAR] = max(pool.clock[LAST_BAR], pair.barred_until)
    k = end_live(pool, p, LAPSED, END_EXPIRED, ZERO)
    if k != NONE:
        pool.emissions.records[k].at = pair.barred_until  # so that somebody can wake the pool then


@inner
def answered(pool, p):
    """Something was said of an offer: the next that isn't answered is the first in a row again."""
    if pool.pairs.records[p].expiries:
        pool.pairs.records[p].expiries = 0
        pool.dirty.tasks[pool.pairs.records[p].task] = 1


@inner
def accept(pool, p, lease_until):
    """An OFFERED pair becomes LEASED."""
    pair = pool.pairs.records[p]
    task = pool.tasks.records[pair.task]
    task.offered -= 1
    task.leased += 1
    pair.state = LEASED
    pair.due = lease_until
    pair.accepted_at = pool.clock[NOW]
    pool.dirty.tasks[pair.task] = 1


@inner
def withdraw_newest(pool, t, cause):
    """Withdraw the newest unaccepted offer of a task; False when there is none."""
    p = np.int64(pool.tasks.records[t].head)
    while p != NONE:
        if pool.pairs.records[p].state == OFFERED:
            end_live(pool, p, WITHDRAWN, END_WITHDRAWN, cause)
            return True
        p = np.int64(pool.pairs.records[p].next)
    return False
