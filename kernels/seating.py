"""Promises: which required judgments get somebody in this round, whatever they are worth.

A *seat* is one judgment that an open task still lacks of its overlap. Seats come in the order in which they are to be
filled; one gets its place if everybody before it keeps theirs (who sits where may change): what comes of it is the best
that can be had in that order, seat by seat. It is the method of augmenting paths for matchings; a search that fails has
found people who are all taken and whose seats nobody else can take, so nobody looks at them again (Kuhn 1955, Hall's
condition). Who does what in the end is the auction's (``stream/core/market/matching.py``); it may move everybody, but
leaves no seat out that is filled here.

Contained annotators (`kernels.skill.contained`) fill no promise, for their answers would count and mean nothing; but
one in 32 of those tasks that others answer too, by which they can return.
"""

from typing import NamedTuple

import numpy as np

from kernels.jit import entry, inner
from kernels.lifecycle.codes import NONE
from kernels.lifecycle.pool_columns import NOW
from kernels.rules.predicate import permitted
from kernels.skill import ability
from kernels.valuation import may_fill, standing_of

UNKNOWN = np.int64(255)  # a standing that nobody has asked for
MOST = np.int64(1 << 40)


class Seats(NamedTuple):
    """Required judgments in the order in which they are to be filled; what they get is written here."""

    tasks: np.ndarray  # i4[n] slots
    row: np.ndarray  # i4[n]: number of the task among those that have seats
    before: np.ndarray  # i4[n]: the seat before it of the same task, NONE: it is the first
    newest: np.ndarray  # i4[rows]: the newest filled seat of a task
    holder: np.ndarray  # i4[n]: out, place among the free annotators; NONE: not filled
    behind: np.ndarray  # i4[n]: the next seat of the same person
    left: np.ndarray  # i8[projects]: judgments that its budget still allows; used up


class People(NamedTuple):
    """The free annotators, and scratch."""

    free: np.ndarray  # i4[m] slots
    room: np.ndarray  # i8[m]: how many more offers each may get; used up
    first: np.ndarray  # i4[m]: the newest seat of each
    standing: np.ndarray  # u1[models, m]: see `standing`
    seen: np.ndarray  # i4[m]: the last search that came by
    over: np.ndarray  # u1[m]: no search needs to come by
    via: np.ndarray  # i4[m]: the seat that would take a place here
    of: np.ndarray  # i4[m]: the project whose seats alone may make room for it; NONE: any
    queue: np.ndarray  # i4[m]
    open: np.ndarray  # i4[m]: those with room, in front
    count: np.ndarray  # type: ignore[assignment] # i8[4]


WITH_ROOM, OVER, QUEUED, WAITING = 0, 1, 2, 3


def seats_of(tasks: np.ndarray, order: np.ndarray, left: np.ndarray) -> Seats:
    """Seats of tasks, one for each entry: ``tasks`` int32[n] slots, those of a task in the order of its seats."""
    _, row = np.unique(tasks, return_inverse=True)
    row = row.reshape(-1)[order].astype(np.int32)
    n = len(tasks)
    by_task = np.argsort(row, kind="stable")
    before = np.full(n, -1, np.int32)
    follows = row[by_task][1:] == row[by_task][:-1]
    before[by_task[1:][follows]] = by_task[:-1][follows]
    nobody = np.full((2, n), -1, np.int32)
    newest = np.full(int(row.max(initial=-1)) + 1, -1, np.int32)
    return Seats(tasks[order], row, before, newest, nobody[0], nobody[1], left)


def people_of(free: np.ndarray, room: np.ndarray, models: int) -> People:
    """The free annotators: slots, and how many offers each may get; in a pool of so many models."""
    m = len(free)
    with_room = np.flatnonzero(room > 0).astype(np.int32)
    opened = np.zeros(m, np.int32)
    opened[: len(with_room)] = with_room
    nothing = np.full((5, m), -1, np.int32)
    return People(
        free, room.copy(), nothing[0], np.full((models, m), UNKNOWN, np.uint8), nothing[1], np.zeros(m, np.uint8),
        nothing[2], nothing[3], nothing[4], opened, np.array([len(with_room), 0, 0, 0]),
    )  # fmt: skip


@inner
def standing(pool, who, j, m, least):
    """Standing of annotator number ``j`` in model ``m``; asked once."""
    if who.standing[m, j] == UNKNOWN:
        s = np.int64(pool.skills.seat_of[m, who.free[j]])
        who.standing[m, j] = standing_of(pool.skills, m, s, ability(pool.skills, m, s), least)
    return np.int64(who.standing[m, j])


@inner
def share_left(pool, seats, who, t, j):
    """How many more judgments of the task's project annotator number ``j`` may give, beside the seats they hold."""
    k = np.int64(pool.tasks.records[t].project)
    row = pool.projects.records[k].limited
    if row == NONE:
        return MOST
    left = pool.projects.records[k].cap - pool.limited.taken[row, who.free[j]]
    s = np.int64(who.first[j])
    while s != NONE:
        left -= pool.tasks.records[seats.tasks[s]].project == k
        s = np.int64(seats.behind[s])
    return left


@inner
def may_sit(pool, seats, who, fit, least, s, j):
    """May annotator number ``j`` have the task of seat ``s``, once they have room?"""
    t = np.int64(seats.tasks[s])
    a = np.int64(who.free[j])
    if not permitted(pool, fit, t, a):
        return False
    if not may_fill(pool, t, a, standing(pool, who, j, np.int64(pool.tasks.records[t].model), least)):
        return False
    other = np.int64(seats.newest[seats.row[s]])
    while other != NONE:
        if seats.holder[other] == j:
            return False
        other = np.int64(seats.before[other])
    return True


@inner
def reach(pool, seats, who, fit, least, s, search):
    """Annotator number with room who may have seat ``s``, or NONE; those without are queued for the search."""
    t = np.int64(seats.tasks[s])
    for k in range(who.count[WITH_ROOM]):
        j = np.int64(who.open[k])
        if may_sit(pool, seats, who, fit, least, s, j) and share_left(pool, seats, who, t, j) > 0:
            return j
    for j in range(who.free.shape[0]):
        if who.room[j] > 0 or who.over[j] or who.seen[j] == search:
            continue
        if may_sit(pool, seats, who, fit, least, s, np.int64(j)):
            who.seen[j] = search
            who.via[j] = s
            full = share_left(pool, seats, who, t, np.int64(j)) <= 0
            who.of[j] = pool.tasks.records[t].project if full else NONE
            who.queue[who.count[QUEUED]] = j
            who.count[QUEUED] += 1
    return NONE


@inner
def leave(seats, who, s, j):
    """Seat ``s`` is no longer annotator number ``j``'s."""
    if who.first[j] == s:
        who.first[j] = seats.behind[s]
        return
    other = np.int64(who.first[j])
    while seats.behind[other] != s:
        other = np.int64(seats.behind[other])
    seats.behind[other] = seats.behind[s]


@inner
def take_place(seats, who, i, s, j):
    """Annotator number ``j`` has room for seat ``s``: everybody on the way to seat ``i`` moves up."""
    who.room[j] -= 1
    if who.room[j] == 0:
        k = 0
        while who.open[k] != j:
            k += 1
        who.count[WITH_ROOM] -= 1
        who.open[k] = who.open[who.count[WITH_ROOM]]
    while True:
        came_from = np.int64(seats.holder[s])
        if came_from != NONE:
            leave(seats, who, s, came_from)
        seats.holder[s] = j
        seats.behind[s] = who.first[j]
        who.first[j] = s
        if s == i:
            break
        j = came_from
        s = np.int64(who.via[j])


@inner
def fill(pool, seats, who, fit, least, i):
    """Fill seat ``i``, if it can be without leaving a filled one."""
    who.count[QUEUED] = 0
    s = np.int64(i)
    found = reach(pool, seats, who, fit, least, s, i)
    at = 0
    while found == NONE and at < who.count[QUEUED]:
        j = np.int64(who.queue[at])
        at += 1
        s = np.int64(who.first[j])
        while s != NONE:
            if who.of[j] == NONE or pool.tasks.records[seats.tasks[s]].project == who.of[j]:
                found = reach(pool, seats, who, fit, least, s, i)
                if found != NONE:
                    break
            s = np.int64(seats.behind[s])
    if found == NONE:
        whole = True  # nobody was looked at in part only
        for k in range(who.count[QUEUED]):
            whole = whole and who.of[who.queue[k]] == NONE
        if whole:
            for k in range(who.count[QUEUED]):
                who.over[who.queue[k]] = 1
            who.count[OVER] += who.count[QUEUED]
        return False
    take_place(seats, who, np.int64(i), s, found)
    return True


@inner
def waits_for_ability(pool, seats, who, fit, i):
    """Would the task of seat ``i`` be for somebody who is free, were they all not contained?"""
    t = np.int64(seats.tasks[i])
    m = np.int64(pool.tasks.records[t].model)
    waits = False
    for j in range(who.free.shape[0]):
        a = np.int64(who.free[j])
        if who.standing[m, j] != UNKNOWN and permitted(pool, fit, t, a):
            if may_fill(pool, t, a, np.int64(who.standing[m, j])):
                return False
            waits = True
    return waits


@entry
def cover(pool, seats, who, fit, policy):
    """Fill seats in their order: `Seats.holder` says by whom, `People.count` how many wait for ability."""
    least = policy.least_ability
    m = who.free.shape[0]
    for i in range(seats.tasks.shape[0]):
        if who.count[WITH_ROOM] == 0 and who.count[OVER] == m:
            break
        t = np.int64(seats.tasks[i])
        project = pool.tasks.records[t].project
        earlier = np.int64(seats.before[i])
        if seats.left[project] <= 0 or (earlier != NONE and seats.holder[earlier] == NONE):
            continue
        if pool.tasks.wakeup[t] <= pool.clock[NOW]:
            continue
        if fill(pool, seats, who, fit, least, i):
            seats.left[project] -= 1
            seats.newest[seats.row[i]] = i
        elif who.count[QUEUED] == 0:
            who.count[WAITING] += waits_for_ability(pool, seats, who, fit, i)
