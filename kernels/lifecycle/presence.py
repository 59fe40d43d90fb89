"""Presence: who may be offered work now, and what happens to work in hand when somebody goes.

    online ──offline event, ttl or until passed──▶ gone ──grace_s──▶ leases abandoned
    online ──missed_offers in a row──▶ absent ──any event of theirs──▶ online

Going withdraws unaccepted offers at once; accepted work waits ``grace_s`` for its annotator.
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
from kernels.lifecycle.pool_columns import EARLIEST
from kernels.lifecycle.tasks import review


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
    """Any event of the annotator ends an absence that missed offers had caused."""
    annotator = pool.annotators.records[a]
    if annotator.missed or annotator.absent:
        annotator.missed = 0
        annotator.absent = 0
        pool.dirty.annotators[a] = 1


@inner
def leave(pool, a, at, grace_s, retention_s):
    """The annotator is gone since ``at``."""
    annotator = pool.annotators.records[a]
    annotator.online = 0
    annotator.expires = np.inf
    pool.dirty.annotators[a] = 1
    withdraw_offers(pool, a, CAUSE_ABSENCE, NONE, retention_s)
    if annotator.live:
        annotator.gone_at = at
        pool.clock[EARLIEST] = min(pool.clock[EARLIEST], at + grace_s)


@inner
def come_online(pool, event, retention_s):
    """Session or heartbeat."""
    a = np.int64(event.annotator)
    annotator = pool.annotators.records[a]
    if event.at < annotator.presence_at:
        return
    annotator.presence_at = event.at
    annotator.online = 1
    annotator.paused = 0
    annotator.mode = event.detail
    annotator.capacity = event.count
    annotator.expires = min(event.at + event.x, event.y)
    annotator.gone_at = np.inf
    pool.clock[EARLIEST] = min(pool.clock[EARLIEST], annotator.expires)
    pool.dirty.annotators[a] = 1
    if annotator.live > annotator.capacity:
        withdraw_offers(pool, a, CAUSE_OVERRIDE, np.int64(annotator.capacity), retention_s)


@inner
def pause(pool, event, retention_s):
    """A break: no new work, leases stay."""
    a = np.int64(event.annotator)
    annotator = pool.annotators.records[a]
    if event.at < annotator.presence_at:
        return
    annotator.presence_at = event.at
    annotator.paused = 1
    pool.dirty.annotators[a] = 1
    withdraw_offers(pool, a, CAUSE_PAUSE, NONE, retention_s)


@inner
def go_offline(pool, event, now, grace_s, retention_s):
    """The end of a session."""
    a = np.int64(event.annotator)
    annotator = pool.annotators.records[a]
    if event.at < annotator.presence_at:
        return
    annotator.presence_at = event.at
    if annotator.online:
        leave(pool, a, now, grace_s, retention_s)
    pool.dirty.annotators[a] = 1


@inner
def is_free(pool, a, now):
    """May this annotator be offered something now (pull: asked for something)?"""
    annotator = pool.annotators.records[a]
    if not annotator.online or annotator.paused or annotator.absent or now >= annotator.expires:
        return False
    if annotator.mode == 1 and annotator.asked == 0:
        return False
    return annotator.live < annotator.capacity
