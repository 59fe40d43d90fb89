"""Who is there: sessions, their heartbeats and ends, and whether it is told when somebody is away or back.

    left ──heartbeat──▶ here ──the last living session is ended──▶ left, grace for work in hand
                        here ──none of them has a heartbeat in time──▶ lapsed, its leases are at risk

Facts of a session may come in any order; a late one is compared with the newest of its kind. Of equally new ones the
end of the session comes first, then the larger capacity, pull before push, the heartbeat that ends sooner.
"""

from stream.audit.books import Annotator, Pool, Session
from stream.audit.leases import end, later, withdraw
from stream.audit.records import Record
from stream.audit.round import Case
from stream.events import ID_BYTES, AnnotatorOffline, AnnotatorOnline

NO_TIME = float("inf")
NAMED = 20  # sessions of a person that are remembered, beside the default one
KEPT_S = 3600.0


def heard(case: Case, annotator: Annotator, record: Record) -> None:
    """An act of somebody: if they were away, the round says that they are back."""
    if annotator.is_absent and case.round.back.pop((annotator.pool.name, annotator.name), None) is None:
        case.report(5, f"{annotator.name!r} was away and has acted, and is not told to be back", record)
    annotator.missed, annotator.is_absent = 0, False


def silent(case: Case, annotator: Annotator) -> None:
    """Offers have run out together; too often in a row, and the round says that the person is away."""
    annotator.missed += 1
    if annotator.missed >= annotator.pool.limits.missed_offers and not annotator.is_absent:
        annotator.is_absent = True
        if case.round.away.pop((annotator.pool.name, annotator.name), None) is None:
            missed = annotator.missed
            case.report(5, f"{annotator.name!r} has missed {missed} and is not told to be away", case.round.record)


def _session(case: Case, annotator: Annotator, name: str) -> Session:
    for other, session in list(annotator.sessions.items()):
        is_old = max(session.touched_at, session.until) + KEPT_S <= case.round.at
        if other and not session.is_live and is_old:
            del annotator.sessions[other]
    found = annotator.sessions.get(name)
    if found is None:
        found = annotator.sessions[name] = Session()
    return found


def _drop(annotator: Annotator) -> None:
    named = sorted((one.is_live, one.touched_at, name) for name, one in annotator.sessions.items() if name)
    for _, _, name in named[: max(0, len(named) - NAMED)]:
        del annotator.sessions[name]


def online(case: Case, pool: Pool, annotator: Annotator, record: Record, event: AnnotatorOnline) -> str | None:
    """A session or a heartbeat; a lower capacity withdraws the newest unaccepted offers."""
    name = event.session or ""
    if len(name.encode()) > ID_BYTES:
        return "malformed"
    session, at = _session(case, annotator, name), event.at
    if at > session.ended_at:
        if isinstance(event.capacity, int):
            session.capacity = max(session.capacity, (at, event.capacity))
        if isinstance(event.mode, str) and (at > session.mode[0] or (at == session.mode[0] and event.mode == "pull")):
            session.mode = at, event.mode
        until = min(at + event.ttl_s, NO_TIME if event.until is None else event.until)
        is_sooner = at == session.seen_at and until < session.until
        if not session.is_begun or at > session.seen_at or is_sooner:
            session.seen_at, session.until, session.has_lapsed = at, until, False
    _drop(annotator)
    _arrive(case, annotator, record)
    return None


def offline(case: Case, pool: Pool, annotator: Annotator, record: Record, event: AnnotatorOffline) -> str | None:
    """The end of a session; of the last, unaccepted offers are withdrawn, and accepted work has its time of grace."""
    name = event.session or ""
    if len(name.encode()) > ID_BYTES:
        return "malformed"
    session = _session(case, annotator, name)
    was_begun = session.is_begun
    if event.at > session.ended_at:
        session.ended_at = event.at
        if session.capacity[0] <= event.at:
            session.capacity = Session().capacity
        if session.mode[0] <= event.at:
            session.mode = Session().mode
    is_ended = was_begun and not session.is_begun
    _drop(annotator)
    _arrive(case, annotator, record)
    if is_ended and not annotator.living and annotator.where != "left":
        annotator.where = "left"
        annotator.pool.lapsed.pop(annotator.name, None)
        withdraw(case, annotator.offered(), "absence", because=record)
        if annotator.live:
            annotator.gone_since = case.round.at
            later(case, case.round.at + pool.limits.grace_s, "grace", annotator)
    return None


def _arrive(case: Case, annotator: Annotator, record: Record) -> None:
    """Whoever has a living session is here."""
    if not annotator.living:
        return
    if annotator.where == "left":  # a new session behind an ended one is an act
        heard(case, annotator, record)
    annotator.where, annotator.gone_since = "here", None
    annotator.pool.lapsed.pop(annotator.name, None)
    _watch(case, annotator)
    keep_capacity(case, annotator, record)


def keep_capacity(case: Case, annotator: Annotator, because: Record | None = None) -> None:
    """The newest unaccepted offers beyond the capacity are withdrawn."""
    for pair in reversed(annotator.offered()):
        if len(annotator.live) > annotator.capacity:
            end(case, pair, "withdrawn:override", because=because)


def _watch(case: Case, annotator: Annotator) -> None:
    due = min((session.until for session in annotator.living), default=NO_TIME)
    if annotator.watched > due:  # else an entry is there already, and looks again when it is due
        annotator.watched = due
        later(case, due, "presence", annotator)


def look(case: Case, annotator: Annotator) -> bool:
    """Sessions without a heartbeat in time have lapsed; whether some have while others live."""
    if annotator.watched > case.round.horizon:
        return False  # an entry of before: a later one is due
    annotator.watched = NO_TIME
    late = [session for session in annotator.living if session.until <= case.round.horizon]
    for session in late:
        session.has_lapsed = True
    _watch(case, annotator)
    if late and not annotator.living:
        annotator.where = "lapsed"  # accepted work keeps its lease
        annotator.pool.lapsed[annotator.name] = annotator
        withdraw(case, annotator.offered(), "absence")
        return False
    return bool(late)
