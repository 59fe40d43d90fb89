"""Annotators who answer the offers they get: in time, late, twice, in the wrong order, or never.

    offered ──accept──► working ──► judged ──► now and then corrected, retracted, sent again
       ├──judge at once──────────────►
       ├──decline──►   ├──extend──►   ├──leave in silence──►
       └──ignore──►

Pure: outputs in, events out, with the time given. What people say follows from the seed and the offers.
"""

import heapq
from random import Random

from stream.events import (
    AnnotatorOffline,
    AssignmentAccepted,
    AssignmentDeclined,
    AssignmentExtended,
    AssignmentOffered,
    DeclineReason,
    Event,
    JudgmentCorrected,
    JudgmentRetracted,
    JudgmentSubmitted,
)

REASONS: tuple[DeclineReason, ...] = ("other", "other", "unclear", "not_my_skill")


class People:
    """Whoever is offered something answers it.

    Parameters
    ----------
    rng : Random
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._due: list[tuple[float, int, Event]] = []
        self._said = 0
        self.offers = 0

    def _later(self, at: float, event: Event) -> None:
        self._said += 1
        heapq.heappush(self._due, (at, self._said, event))

    def offered(self, offer: AssignmentOffered, now: float) -> None:
        """Make up this annotator's mind about an offer."""
        self.offers += 1
        draw, rng = self._rng.random(), self._rng
        pool, who, task = offer.pool, offer.annotator, offer.task
        react, done = now + rng.uniform(0.05, 0.6), now + rng.uniform(0.8, 3.0)
        if draw < 0.03:
            return
        if draw < 0.08:
            reason = rng.choice(REASONS)
            self._later(react, AssignmentDeclined(pool=pool, at=react, annotator=who, task=task, reason=reason))
            return
        if draw < 0.70:
            self._later(react, AssignmentAccepted(pool=pool, at=react, annotator=who, task=task))
        if draw < 0.12:
            self._later(done, AnnotatorOffline(pool=pool, at=done, annotator=who))
            return
        if draw < 0.16:
            extend = (react + done) / 2
            self._later(extend, AssignmentExtended(pool=pool, at=extend, annotator=who, task=task))
        label = self.label(task)
        self._later(
            done, JudgmentSubmitted(pool=pool, at=done, annotator=who, task=task, label=label, duration_s=done - now)
        )
        after = done + rng.uniform(0.2, 2.0)
        if draw > 0.97:
            self._later(after, JudgmentCorrected(pool=pool, at=after, annotator=who, task=task, label=self.label(task)))
        elif draw > 0.95:
            self._later(after, JudgmentRetracted(pool=pool, at=after, annotator=who, task=task))
        elif draw > 0.93:
            self._later(after, JudgmentSubmitted(pool=pool, at=after, annotator=who, task=task, label=label))

    def label(self, task: str) -> int:
        """Return what somebody says about a task: right four times out of five."""
        truth = sum(task.encode()) % 2
        return truth if self._rng.random() < 0.8 else 1 - truth

    def due(self, now: float) -> list[Event]:
        """Return what is said up to `now`, in the order of time."""
        said: list[Event] = []
        while self._due and self._due[0][0] <= now:
            said.append(heapq.heappop(self._due)[2])
        return said
