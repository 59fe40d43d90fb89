"""Erasing a person: from the state, from the rows, and from all that is published after this round.

    annotator_erased ──► events of theirs that wait: dead letters `erased`, without their content
                     ──► live work ends: withdrawn, cause `erased`: the last outputs that name them
                     ──► end of the round: their row is a tombstone, their slot has no name any more

What stays are numbers: judgments on their tasks and evidence in the counts, under a slot that is never given to
anybody else. The id is not remembered, not even as a hash. So whoever sends an event with that id later speaks of a
new person without a past: that is also why the sender must stop before the erasure is sent.
"""

from collections.abc import Iterable
from typing import Any

from kernels.lifecycle.erasure import erase
from stream import events as wire
from stream.core.intake.turn import Turn

#: Lists of ids in events.
LISTS = ("only", "exclude", "void")


def handle_erased(turn: Turn, event: wire.AnnotatorErased) -> None:
    """Forget an annotator; harmless when nobody has heard of them."""
    pool = turn.pool
    turn.flush()
    turn.erased += 1
    _drop_waiting(turn, event.annotator)
    slot = pool.annotators.slots.get(event.annotator)
    if slot is None:
        return
    turn.apply_now(erase, slot, pool.in_force.settled_retention_s)
    pool.blank_annotator(slot)
    pool.sessions.forget(slot)
    pool.asked.pop(slot, None)
    pool.asked_projects.pop(slot, None)
    pool.annotators.disown(slot)
    pool.undescribed.discard(slot)
    pool.facts.forget(f"a{event.annotator}")
    pool.erased[slot] = event.annotator


def _drop_waiting(turn: Turn, name: str) -> None:
    """Events that wait for their task and name the annotator will never be applied."""
    pool = turn.pool
    for task in sorted(pool.waiting):  # in an order that a successor has too
        waiting = pool.waiting[task]
        kept = [w for w in waiting if name not in _named(wire.decode(w.value))]
        if len(kept) == len(waiting):
            continue
        for w in waiting:
            if w not in kept:
                message = "an annotator it names was erased; topic and offset say where the record is kept"
                turn.rejections.add(w.topic, w.offset, pool.key, None, "erased", message)
        pool.dirty_waiting.add(task)
        pool.hold(task, kept)


def _named(event: Any) -> Iterable[str]:
    yield getattr(event, "annotator", "")
    for field in LISTS:
        named = getattr(event, field, ())
        if isinstance(named, tuple):
            yield from named
