"""Presence: who may be offered work now, and what happens to work in hand when somebody goes.

    online ──offline event────────▶ gone ──grace_s──▶ leases abandoned
    online ──ttl or until passed──▶ lapsed: accepted work keeps its lease, and is at risk
    online ──missed_offers silences in a row──▶ away ──an act of theirs──▶ back
    paused (a break) ──resumed, or its time──▶ as before; beside all of the above

Going, lapsing and a break withdraw unaccepted offers at once. An act is an answer, a request, a break or its end, or a
new session after an ended one; a heartbeat is none. Whoever has lapsed keeps the time of it in ``expires``.

Here is one session a person, the default one, whose facts come in any order: of each the newest counts, and an end of
a session counts before a heartbeat of the same time. Of whoever has more, the sessions are kept in
``stream/core/state/sessions.py``, and what they come to arrives as PRESENT or LEFT.
"""

import numpy as np

from kernels.jit import inner
from kernels.lifecycle.codes import (
    ABANDONED,
    CAUSE_ABSENCE,
    CAUSE_OVERRIDE,
    CAUSE_PAUSE,
    EMIT_AWAY,
    EMIT_BACK,
    END_ABANDONED,
    END_WITHDRAWN,
    LEASED,
    NONE,
    OFFERED,
    WITHDRAWN,
    ZERO,
)
from kernels.lifecycle.pairs import emit, end_live
from kernels.lifecycle.pool_columns import AT_RISK, EARLIEST, NOW
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
    """An act of the annotator ends an absence that silences had caused, and it is told."""
    annotator = pool.annotators.records[a]
    if annotator.missed or annotator.absent:
        if annotator.absent:
            emit(pool, EMIT_BACK, ZERO, ZERO, NONE, ZERO, a, np.nan)
        annotator.missed = 0
        annotator.absent = 0
        pool.dirty.annotators[a] = 1


@inner
def silent(pool, a, missed_offers):
    """Offers or leases of the annotator have run out together, and nothing was heard: too often, and they are away."""
    annotator = pool.annotators.records[a]
    annotator.missed += 1
    pool.dirty.annotators[a] = 1
    if annotator.missed >= missed_offers and not annotator.absent:
        annotator.absent = 1
        emit(pool, EMIT_AWAY, ZERO, ZERO, np.int64(annotator.missed), ZERO, a, np.nan)


@inner
def is_lapsed(annotator):
    """Did no heartbeat come in time, while nobody has ended the session?"""
    return not annotator.online and annotator.expires != np.inf


@inner
def lapse(pool, a, retention_s):
    """No heartbeat came in time: nothing new, but what was accepted may be finished."""
    pool.annotators.records[a].online = 0
    pool.dirty.annotators[a] = 1
    pool.counters[AT_RISK] += pool.annotators.records[a].live
    withdraw_offers(pool, a, CAUSE_ABSENCE, NONE, retention_s)


@inner
def appear(pool, a, expires, retention_s):
    """Somebody is there until ``expires``, or longer if another heartbeat comes."""
    annotator = pool.annotators.records[a]
    if is_lapsed(annotator):
        pool.counters[AT_RISK] -= annotator.live
    elif not annotator.online:  # somebody begins: what was before was ended
        heard(pool, a)
    annotator.online = 1
    annotator.expires = expires
    annotator.gone_at = np.inf
    pool.clock[EARLIEST] = min(pool.clock[EARLIEST], expires)
    pool.dirty.annotators[a] = 1
    keep_capacity(pool, a, retention_s)


@inner
def keep_capacity(pool, a, retention_s):
    """Nobody holds more unaccepted offers than their capacity allows."""
    annotator = pool.annotators.records[a]
    if annotator.live > annotator.capacity:
        withdraw_offers(pool, a, CAUSE_OVERRIDE, np.int64(annotator.capacity), retention_s)


@inner
def leave(pool, a, now, grace_s, retention_s):
    """The last session of somebody was ended: accepted work has its time of grace."""
    annotator = pool.annotators.records[a]
    is_there = annotator.online or annotator.expires != np.inf
    if is_lapsed(annotator):
        pool.counters[AT_RISK] -= annotator.live
    annotator.online = 0
    annotator.expires = np.inf
    pool.dirty.annotators[a] = 1
    withdraw_offers(pool, a, CAUSE_ABSENCE, NONE, retention_s)
    if is_there and annotator.live:
        annotator.gone_at = now
        pool.clock[EARLIEST] = min(pool.clock[EARLIEST], now + grace_s)


@inner
def is_new(annotator, at, expires):
    """Is a heartbeat the newest of the session, or of equally new ones the one that ends first?"""
    if annotator.expires == np.inf or at > annotator.presence_at:
        return True
    return at == annotator.presence_at and expires < annotator.expires


@inner
def come_online(pool, event, retention_s):
    """A heartbeat of the default session: what it states, and that somebody is there; the newest of each counts."""
    a, at = np.int64(event.annotator), event.at
    annotator = pool.annotators.records[a]
    if at <= annotator.ended_at:
        return
    # of equally new statements the larger counts; 0: it states none
    if event.count and (
        at > annotator.capacity_at or (at == annotator.capacity_at and event.count > annotator.capacity)
    ):
        annotator.capacity = event.count
        annotator.capacity_at = at
        pool.dirty.annotators[a] = 1
    if event.detail and (
        at > annotator.mode_at or (at == annotator.mode_at and event.detail > annotator.mode + 1)
    ):
        annotator.mode = event.detail - 1
        annotator.mode_at = at
        pool.dirty.annotators[a] = 1
    expires = min(at + event.x, event.y)
    if is_new(annotator, at, expires):
        annotator.presence_at = at
        appear(pool, a, expires, retention_s)
    else:
        keep_capacity(pool, a, retention_s)


@inner
def go_offline(pool, event, now, grace_s, retention_s):
    """The end of the default session: what was stated before it no longer counts."""
    a, at = np.int64(event.annotator), event.at
    annotator = pool.annotators.records[a]
    if at <= annotator.ended_at:
        return
    annotator.ended_at = at
    pool.dirty.annotators[a] = 1
    if annotator.capacity_at <= at:
        annotator.capacity = 1
        annotator.capacity_at = NONE
    if annotator.mode_at <= at:
        annotator.mode = 0
        annotator.mode_at = NONE
    if annotator.presence_at <= at:
        leave(pool, a, now, grace_s, retention_s)
    else:
        keep_capacity(pool, a, retention_s)


@inner
def set_presence(pool, event, retention_s):
    """What several sessions of one person come to."""
    annotator = pool.annotators.records[event.annotator]
    annotator.capacity = event.count
    annotator.mode = event.detail
    appear(pool, np.int64(event.annotator), event.x, retention_s)


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
def is_free(pool, a, now):
    """May this annotator be offered something now (pull: asked for something)?"""
    annotator = pool.annotators.records[a]
    if not annotator.online or annotator.paused or annotator.absent or now >= annotator.expires:
        return False
    if annotator.mode == 1 and annotator.asked == 0:
        return False
    return annotator.live < annotator.capacity
