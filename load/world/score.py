"""What a run has reached, counted from the outputs of one pool alone.

Judgments are counted as settled by the allocator (`judgment_settled`), labels as published
(`consensus_updated`, `consensus_revised`, `task_settled`). Over-labelling is every judgment whose net count
is not one: late, surplus and duplicate ones cost money and say nothing. Corrections and retractions are no
new judgments.
"""

from collections import Counter
from collections.abc import Iterable

from load.world.crowd import SPAMMER, Crowd, accuracy
from stream.events import (
    AssignmentEnded,
    AssignmentOffered,
    ConsensusRevised,
    ConsensusUpdated,
    JudgmentSettled,
    Output,
    TaskSettled,
)


class Score:
    """Counts of one pool.

    Parameters
    ----------
    crowd : Crowd
    pool : str
        Outputs of other pools are skipped.
    """

    def __init__(self, crowd: Crowd, pool: str) -> None:
        self.crowd, self.pool = crowd, pool
        self.posteriors: dict[str, list[float]] = {}
        self.judgments: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.offers = 0
        self.spammer_offers: list[int] = []
        self.settled = 0
        self._counted: Counter[str] = Counter()

    @property
    def received(self) -> int:
        """Judgments received, whatever became of them."""
        return self.judgments.total() - self.judgments["corrected"] - self.judgments["retracted"]

    @property
    def over(self) -> int:
        """Judgments received that count for nothing."""
        return self.received - sum(self._counted.values())

    @property
    def accuracy(self) -> float:
        """Mean credit over all tasks with a truth."""
        return accuracy(self.crowd, self.posteriors)

    def take(self, outputs: Iterable[Output]) -> None:
        """Count `outputs`."""
        for output in outputs:
            if output.pool != self.pool:
                continue
            if isinstance(output, AssignmentOffered):
                self.offers += 1
                if output.annotator == SPAMMER:
                    self.spammer_offers.append(self.offers)
            elif isinstance(output, AssignmentEnded):
                self.ends[output.outcome + (f" ({output.cause})" if output.cause else "")] += 1
            elif isinstance(output, JudgmentSettled):
                self.judgments[output.outcome] += 1
                self._counted[output.task] += output.count
            elif isinstance(output, ConsensusUpdated | ConsensusRevised):
                self.posteriors[output.task] = output.posterior
            elif isinstance(output, TaskSettled):
                self.settled += 1
                self.outcomes[output.outcome] += 1
                if output.posterior is not None:
                    self.posteriors[output.task] = output.posterior
