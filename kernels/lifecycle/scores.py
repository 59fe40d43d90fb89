"""Scores: what others say about a judgment that no label can be compared with.

A judgment on a task without classes may be scored by several sources. One score counts: a reviewer's word outranks
a metric's, a metric's that of agreement with others, and within a source the newest ``at`` wins; so the order in
which scores arrive never matters. The score is one observation of the annotator's skill, counted judgment or not,
until the judgment is retracted. It is kept in units of 2^-16, hence taking it back is exact.
"""

import math

import numpy as np

from kernels.jit import inner
from kernels.lifecycle.codes import EMIT_INVALID, JUDGED, NONE, ONE, VOIDED, ZERO
from kernels.lifecycle.pairs import emit, find
from kernels.lifecycle.pool_columns import REFUSED
from kernels.skill import score, seat

UNITS = 65536.0


@inner
def take_back(pool, p):
    """The score of pair ``p``, if it has one, no longer counts."""
    pair = pool.pairs.records[p]
    if pair.source:
        s = np.int64(pool.skills.seat_of[pool.tasks.records[pair.task].model, pair.annotator])  # scored: it has one
        score(pool.skills, s, pair.score / UNITS, NONE, 0.0)
        pool.dirty.seats[s] = 1
        pair.source = 0


@inner
def score_judgment(pool, event):
    """Apply a score; ``detail`` of the event is the rank of its source, ``x`` the score 0..1."""
    t, a = np.int64(event.task), np.int64(event.annotator)
    p = find(pool, t, a)
    if pool.tasks.records[t].classes or p == NONE or pool.pairs.records[p].state not in (JUDGED, VOIDED):
        emit(pool, EMIT_INVALID, ZERO, ZERO, np.int64(event.index), t, a, np.nan)
        return
    pair = pool.pairs.records[p]
    outranked = event.detail < pair.source or (event.detail == pair.source and event.at < pair.scored_at)
    if pair.state == VOIDED or outranked:
        return
    s = seat(pool.skills, np.int64(pool.tasks.records[t].model), a)
    if s == NONE:
        pool.counters[REFUSED] += 1
        return
    take_back(pool, p)
    pair.source = event.detail
    pair.scored_at = event.at
    pair.score = np.int64(math.floor(event.x * UNITS + 0.5))
    score(pool.skills, s, pair.score / UNITS, ONE, event.at)
    pool.dirty.seats[s] = 1
    pool.dirty.tasks[t] = 1
