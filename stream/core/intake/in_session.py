"""Heartbeats and ends of sessions of people who have more than the default one: what they come to is the kernel's.

The first event that names a session moves the person's default one from their record into `stream.core.state.sessions`.
"""

import numpy as np

from kernels.lifecycle import codes
from stream import events as wire
from stream.core.batch import pack_event
from stream.core.intake.turn import Turn
from stream.core.state.pools import PoolState
from stream.core.state.sessions import DEFAULT, INF, NEVER, Session
from stream.core.state.waiting import check_id

NONE, PRESENT, LEFT = map(int, (codes.NONE, codes.PRESENT, codes.LEFT))  # plain ints pack faster


def in_session(turn: Turn, event: wire.AnnotatorOnline | wire.AnnotatorOffline) -> None:
    """Let an event of a session take effect."""
    pool, name = turn.pool, event.session or DEFAULT
    check_id(name, "session")
    is_new = event.annotator not in pool.annotators.slots
    annotator = pool.annotator(event.annotator)
    if annotator not in pool.sessions:
        if not is_new:
            turn.flush()  # what is packed may be about the default session
        pool.sessions.begin(annotator, _default(pool, annotator))
        record = pool.columns.annotators.records[annotator : annotator + 1]
        record["ended_at"] = np.maximum(record["ended_at"], 0.0)  # something was said of their presence
        pool.columns.dirty.annotators[annotator] = 1
    session = pool.sessions.session(annotator, name, turn.now)
    was_begun = session.is_begun
    if isinstance(event, wire.AnnotatorOnline):
        is_changed = session.online(event)
    else:
        is_changed = session.offline(event)
    pool.sessions.changed(annotator)
    if is_changed and not tell(turn, annotator) and was_begun and not session.is_begun:
        turn.packed.append(pack_event(LEFT, 0, NONE, annotator, NONE, 0, 0, event.at, 0.0, 0.0))


def tell(turn: Turn, annotator: int) -> bool:
    """Tell the kernel what a person's sessions come to, if one of them lives."""
    found = turn.pool.sessions.presence(annotator)
    if found is None:
        return False
    turn.packed.append(
        pack_event(PRESENT, found.mode, NONE, annotator, NONE, found.capacity, 0, turn.now, found.expires, 0.0)
    )
    return True


def _default(pool: PoolState, annotator: int) -> Session:
    """The default session, as the person's record has it."""
    record = pool.columns.annotators.records[annotator]
    is_begun = bool(record["online"]) or float(record["expires"]) != INF
    return Session(
        at=float(record["presence_at"]) if is_begun else NEVER,
        expires=float(record["expires"]) if is_begun else NEVER,
        ended_at=float(record["ended_at"]),
        capacity=int(record["capacity"]), capacity_at=float(record["capacity_at"]),
        mode=int(record["mode"]), mode_at=float(record["mode_at"]),
        has_lapsed=is_begun and not record["online"],
    )  # fmt: skip
