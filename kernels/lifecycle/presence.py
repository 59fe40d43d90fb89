"""Presence: who may be offered work now, and what happens to work in hand when somebody goes.

    online ──offline event────────▶ gone ──grace_s──▶ leases abandoned
    online ──ttl or until passed──▶ lapsed: accepted work keeps its lease
    online ──missed_offers silences in a row──▶ absent ──an act of theirs──▶ online
    paused (a break) ──resumed, or its time──▶ as before; beside all of the above

Going, lapsing and a break withdraw unaccepted offers at once. An act is an answer, a request, a break or its end, or a
new session after an ended one; a heartbeat is none. Whoever has lapsed keeps the time of it in ``expires``.
"""

import numpy as np

from kernels.jit import inner
from kernels.lifecycle.codes import (
    ABANDONED,
    CAUSE_ABSENCE,
    CAUSE_OVERRIDE,
    CAUSE_PAUSE,
    END_ABANDONED,
    END_WITHDRAWN,
    LEASED,
    NONE,
    OFFERED,
    WITHDRAWN,
    ZERO,
)
from kernels.lifecycle.pairs import end_live
from kernels.lifecycle.pool_columns import EARLIEST, NOW
from kernels.lifecycle.tasks import review
from kernels.rules import min_skill
from kernels.rules.predicate import still_allowed


@inner
def withdraw_offers(pool, a, cause, keep, retention_s):
    """Withdraw unaccepted offers of annotator ``a``, newest first, until at most ``keep`` works are live."""
    p = np.int64(pool.annotators.records[a].live_head)
    while p != NONE and pool.annotators.records[a].live > keep:
        following = np.int64(pool.pairs.records[p].live_next)
        if pool.pairs.records[p].state == OFFERED:
            t = np.int64(pool.pairs.records[p].task)
            end_live(pool, p, WITHDRAWN, END_WITHDRAWN, cause)
            review(pool, t, retention_s)
        p = following


@inner
def keep_to_rules(pool, fit, a, only_doubted, retention_s):
    """Withdraw offers of annotator ``a`` that would no longer be made; ``only_doubted``: their skill alone is."""
    p = np.int64(pool.annotators.records[a].live_head)
    while p != NONE:
        following = np.int64(pool.pairs.records[p].live_next)
        if pool.pairs.records[p].state == OFFERED:
            t = np.int64(pool.pairs.records[p].task)
            stays = min_skill.permits(pool, fit, t, a) if only_doubted else still_allowed(pool, fit, t, a)
            if not stays:
                end_live(pool, p, WITHDRAWN, END_WITHDRAWN, CAUSE_OVERRIDE)
                review(pool, t, retention_s)
        p = following


@inner
def return_leases(pool, a, retention_s):
    """The annotator did not come back: accepted work is abandoned."""
    p = np.int64(pool.annotators.records[a].live_head)
    while p != NONE:
        following = np.int64(pool.pairs.records[p].live_next)
        if pool.pairs.records[p].state == LEASED:
            t = np.int64(pool.pairs.records[p].task)
            end_live(pool, p, ABANDONED, END_ABANDONED, ZERO)
            review(pool, t, retention_s)
        p = following


@inner
def heard(pool, a):
    """An act of the annotator ends an absence that silences had caused."""
    annotator = pool.annotators.records[a]
    if annotator.missed or annotator.absent:
        annotator.missed = 0
        annotator.absent = 0
        pool.dirty.annotators[a] = 1


@inner
def silent(pool, a, missed_offers):
    """Offers or leases of the annotator have run out together, and nothing was heard."""
    annotator = pool.annotators.records[a]
    annotator.missed += 1
    pool.dirty.annotators[a] = 1
    if annotator.missed >= missed_offers:
        annotator.absent = 1


@inner
def lapse(pool, a, retention_s):
    """No heartbeat came in time: nothing new, but what was accepted may be finished."""
    pool.annotators.records[a].online = 0
    pool.dirty.annotators[a] = 1
    withdraw_offers(pool, a, CAUSE_ABSENCE, NONE, retention_s)


@inner
def come_online(pool, event, retention_s):
    """Session or heartbeat."""
    a = np.int64(event.annotator)
    annotator = pool.annotators.records[a]
    if event.at < annotator.presence_at:
        return
    if not annotator.online and annotator.expires == np.inf:  # somebody begins: the last session was ended
        heard(pool, a)
    annotator.presence_at = event.at
    annotator.online = 1
    annotator.mode = event.detail
    annotator.capacity = event.count
    annotator.expires = min(event.at + event.x, event.y)
    annotator.gone_at = np.inf
    pool.clock[EARLIEST] = min(pool.clock[EARLIEST], annotator.expires)
    pool.dirty.annotators[a] = 1
    if annotator.live > annotator.capacity:
        withdraw_offers(pool, a, CAUSE_OVERRIDE, np.int64(annotator.capacity), retention_s)


@inner
def pause(pool, a, at, until, retention_s):
    """A break: no new work, leases stay. Of equally new ones the longest counts."""
    annotator = pool.annotators.records[a]
    if at < annotator.break_at or (at == annotator.break_at and annotator.paused and until <= annotator.break_until):
        return
    annotator.break_at = at
    annotator.break_until = until
    annotator.paused = until > pool.clock[NOW]
    pool.dirty.annotators[a] = 1
    if annotator.paused:
        pool.clock[EARLIEST] = min(pool.clock[EARLIEST], until)
        withdraw_offers(pool, a, CAUSE_PAUSE, NONE, retention_s)


@inner
def resume(pool, event):
    """The break is over, unless another one began then or later."""
    annotator = pool.annotators.records[event.annotator]
    if event.at <= annotator.break_at:
        return
    annotator.break_at = event.at
    annotator.break_until = np.inf
    annotator.paused = 0
    pool.dirty.annotators[event.annotator] = 1


@inner
def go_offline(pool, event, now, grace_s, retention_s):
    """The end of a session: accepted work has its time of grace."""
    a = np.int64(event.annotator)
    annotator = pool.annotators.records[a]
    if event.at < annotator.presence_at:
        return
    annotator.presence_at = event.at
    is_there = annotator.online or annotator.expires != np.inf
    annotator.online = 0
    annotator.expires = np.inf
    pool.dirty.annotators[a] = 1
    withdraw_offers(pool, a, CAUSE_ABSENCE, NONE, retention_s)
    if is_there and annotator.live:
        annotator.gone_at = now
        pool.clock[EARLIEST] = min(pool.clock[EARLIEST], now + grace_s)


@inner
def is_free(pool, a, now):
    """May this annotator be offered something now (pull: asked for something)?"""
    annotator = pool.annotators.records[a]
    if not annotator.online or annotator.paused or annotator.absent or now >= annotator.expires:
        return False
    if annotator.mode == 1 and annotator.asked == 0:
        return False
    return annotator.live < annotator.capacity
