"""Recorded judgments through the streaming kernels: all in one pass, or only those worth asking for.

`replay` counts every judgment in the given order and revisits open tasks in turn after each, as the core does.

`allocate` answers: which of these judgments were needed? Annotators arrive in the given order. An arriving
annotator may be asked for one of *its own* recorded judgments, on the open task where it is worth most,

    value = (G + EPSILON I) / (1 + judgments under way on the task)        (`value`; q calibrated)

and is sent away when its best value is below `picky` times the usual one (running mean over arrivals): the
budget then goes to those who know. A task closes when its calibrated posterior reaches `stop` or it has
`most` judgments. Up to `busy` answers are under way at any time: an answer is counted when that many later
ones have been asked for.

Gold, if there is any, is asked for at fixed arrivals of an annotator, more at the beginning.

Nothing here is used by the running system; it is how the kernels are judged on data.
"""

from typing import NamedTuple

import numpy as np

from kernels.jit import allocating
from kernels.skill.inlining import kernel
from kernels.skill.revise import revise
from kernels.skill.skill_columns import Judged, seat
from kernels.skill.update import learned as take
from kernels.skill.value import gain_prepared, prepare

UNKNOWN = np.int64(-1)

EPSILON = 0.3
LESSONS = 20
PROBES = 16
"""Tasks looked at to find one that is open and has been judged."""


class Recorded(NamedTuple):
    """Judgments: who said what of which task, and when."""

    task: np.ndarray  # i4[J]
    annotator: np.ndarray  # i4[J]
    label: np.ndarray  # i4[J]
    at: np.ndarray  # f8[J]


class Learned(NamedTuple):
    """What is known of tasks, and room for what is learned of them."""

    truth: np.ndarray  # i4[tasks], the known label of gold tasks, else -1
    start: np.ndarray  # i8[tasks + 1], where the judgments of each task go in `table`
    table: np.ndarray  # i4[3, J], out: seats, labels and stamps by task
    belief: np.ndarray  # f4[tasks, *], out
    reported: np.ndarray  # f4[tasks, K], out


class Scored(NamedTuple):
    """The labels to score against, and the score."""

    known: np.ndarray  # i4[tasks], -1 where none
    curve: np.ndarray  # f8[J + 1], out: tasks labelled right (ties share) after so many counted judgments


@allocating
def replay(skills, m, order, recorded, learned, revisits):
    """Count all judgments in `order`.

    Parameters
    ----------
    skills : Skills
        With room for a seat per annotator.
    m : int
    order : int64[J]
        A permutation of the judgments.
    recorded : Recorded
    learned : Learned
        Out.
    revisits : int
        Tasks refreshed after each judgment, in turn.
    """
    count, seen = np.zeros((2, len(learned.start) - 1), np.int64)
    _replay(skills, m, order, recorded, learned, count, seen, revisits)


@kernel
def _replay(skills, m, order, recorded, learned, count, seen, revisits):
    """The loop of `replay`; `count` and `seen` are zeros, one per task."""
    truth, start, table, belief, reported = learned
    task, annotator, label, at = recorded
    seats, labels, stamps = table[0], table[1], table[2]
    opened = 0
    turn = 0
    for i in order:
        t = task[i]
        if count[t] == 0:
            seen[opened] = t
            opened += 1
        a, b = start[t], start[t + 1]
        n = count[t]
        seats[a + n] = seat(skills, m, annotator[i])
        labels[a + n] = label[i]
        count[t] = n + 1
        for visit in range(1 + revisits):
            if visit > 0:
                turn = turn + 1 if turn + 1 < opened else 0
                t = np.int64(seen[turn])
                if truth[t] >= 0:
                    continue
            a, b = start[t], start[t + 1]
            judged = Judged(
                m, seats[a:b], labels[a:b], stamps[a:b], count[t], np.int64(truth[t]), belief[t], reported[t], at[i]
            )
            take(skills, judged, np.int64(visit == 0))


@allocating
def allocate(skills, m, arrivals, own, recorded, learned, scored, policy):
    """Ask arriving annotators for the judgments that are worth most; return how many were asked for.

    Parameters
    ----------
    skills, m, learned
        As in `replay`.
    arrivals : int32[A]
        Annotators in order of arrival.
    own : int64[annotators + 1]
        Where the judgments of each annotator are.
    recorded : Recorded
        Sorted by annotator.
    scored : Scored
        Nothing but its `curve` depends on it.
    policy : float64[6]
        stop, most, picky, busy, revisits, budget (judgments asked for at most).
    """
    truth, start, table, belief, reported = learned
    task, label, at = recorded.task, recorded.label, recorded.at
    known, curve = scored
    stop, most, picky = policy[0], policy[1], policy[2]
    busy, revisits, budget = int(policy[3]), int(policy[4]), int(policy[5])
    tasks = len(start) - 1
    classes = reported.shape[1]
    asked = np.zeros(len(task), np.bool_)
    count = np.zeros(tasks, np.int64)
    flying = np.zeros(tasks, np.int64)
    credit = np.zeros(tasks)
    arrivals_of = np.zeros(len(own) - 1, np.int64)
    queue = np.zeros(len(task), np.int64)
    theta = np.zeros(classes * classes + classes)
    right = 0.0
    seats, labels, stamps = table[0], table[1], table[2]
    for t in range(tasks):
        told = np.int64(truth[t])
        judged = Judged(m, seats[:0], labels[:0], stamps[:0], count[t], told, belief[t], reported[t], 0.0)
        revise(skills, judged, 0, -1, -1)
        credit[t] = _credit(reported[t], known[t])
        right += credit[t]
    curve[0] = right
    spent = 0
    usual = 0.0
    arrived = 0
    counted = 0
    turn = np.int64(0)
    for w in arrivals:
        if spent >= budget:
            break
        best = 0.0
        chosen = -1
        lesson = -1
        prepare(skills, m, skills.seat_of[m, w], theta)
        for i in range(own[w], own[w + 1]):
            t = task[i]
            if truth[t] >= 0:
                if not asked[i]:
                    lesson = i
                continue
            if asked[i] or count[t] + flying[t] >= most:
                continue
            if _top(reported[t]) >= stop:
                continue
            information, accuracy = gain_prepared(theta, reported[t], classes)
            value = (accuracy + EPSILON * information) / (1.0 + flying[t])
            if value > best:
                best = value
                chosen = i
        arrivals_of[w] += 1
        if lesson >= 0 and _is_lesson(arrivals_of[w]):
            chosen = lesson
            best = picky * usual
        arrived += 1
        usual += (best - usual) * max(1.0 / arrived, 0.01)
        if chosen >= 0 and (best >= picky * usual):
            asked[chosen] = True
            flying[task[chosen]] += 1
            queue[spent] = chosen
            spent += 1
        while counted < spent and (spent - counted > busy or spent >= budget):
            i = queue[counted]
            t = task[i]
            flying[t] -= 1
            a, b = start[t], start[t + 1]
            seats[a + count[t]] = seat(skills, m, _owner(own, i))
            labels[a + count[t]] = label[i]
            count[t] += 1
            counted += 1
            told = np.int64(truth[t])
            judged = Judged(
                m, seats[a:b], labels[a:b], stamps[a:b], count[t], told, belief[t], reported[t], at[i]
            )
            revise(skills, judged, 1, -1, -1)
            right += _credit(reported[t], known[t]) - credit[t]
            credit[t] = _credit(reported[t], known[t])
            for _ in range(revisits):
                for _ in range(PROBES):
                    turn = turn + 1 if turn + 1 < tasks else 0
                    if count[turn] > 0 and truth[turn] < 0 and _top(reported[turn]) < stop:
                        break
                else:
                    break
                a, b = start[turn], start[turn + 1]
                judged = Judged(
                    m, seats[a:b], labels[a:b], stamps[a:b], count[turn], UNKNOWN, belief[turn], reported[turn], at[i]
                )
                revise(skills, judged, 0, -1, -1)
                right += _credit(reported[turn], known[turn]) - credit[turn]
                credit[turn] = _credit(reported[turn], known[turn])
            curve[counted] = right
    return counted


@allocating
def _is_lesson(arrival):
    """Gold goes to every second of an annotator's first LESSONS arrivals, then to every LESSONS-th one."""
    return arrival % 2 == 0 if arrival <= LESSONS else arrival % LESSONS == 0


@allocating
def _owner(own, i):
    """The annotator whose judgment number i is (`own` sorted)."""
    return np.searchsorted(own, i, side="right") - 1


@kernel
def _top(q):
    top = 0.0
    for k in range(len(q)):
        top = max(top, q[k])
    return top


@kernel
def _credit(q, known):
    """1 when the arg-max of `q` is `known`, shared between ties; 0 when nothing is known."""
    if known < 0:
        return 0.0
    top = _top(q)
    ties = 0
    for k in range(len(q)):
        ties += q[k] >= top
    return 1.0 / ties if q[known] >= top else 0.0
