"""The figures of a run, as one frozen structure: the report prints it, `--json` writes it, benches judge it.

Seconds are of the wall clock, latencies in milliseconds, shares and accuracies between 0 and 1.
"""

import msgspec


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One way of working at one moment: ours or the usual practice."""

    tasks: int
    settled: int
    judgments: int
    over: int
    spammer: int
    accuracy: float
    idle_share: float

    @property
    def per_settled(self) -> float:
        """Judgments received per settled task."""
        return self.judgments / self.settled if self.settled else 0.0


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """Majority vote of `judgments` recorded answers a task, drawn at random."""

    judgments: int
    accuracy: float


class MarketFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One label set through both lanes.

    `same_spend` is our accuracy when we had received as many judgments as the usual practice in the end;
    `fixed` and `every` are majority votes of five and of all recorded answers; `vote` is the smallest
    random majority vote that is as accurate as we are, if any.
    """

    name: str
    pool: str
    confidence: float | None
    ours: Lane
    usual: Lane
    outcomes: dict[str, int]
    ends: dict[str, int]
    judgments: dict[str, int]
    left_with_work: int
    declined: int
    same_spend: float
    fixed: Vote
    every: Vote
    vote: Vote | None
    spammer_offers: list[int]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """From sending an event until a read_committed reader sees an assignment of the round that took it."""

    samples: int
    p50_ms: float
    p99_ms: float


class Rounds(msgspec.Struct, frozen=True, kw_only=True):
    """What the rounds said of themselves; a gap is relative, of rounds that offered work by an auction.

    ``unproven`` is the share of the value of all offers of work that no round's bound speaks of.
    """

    rounds: int
    with_offers: int
    gap_median: float
    gap_max: float
    unproven: float


class RunFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the demo found out."""

    seed: int
    markets: list[MarketFigures]
    ready_s: float
    replay_s: float
    total_s: float
    killed_at_s: float | None
    outage_s: float | None
    latency: Latency
    rounds: Rounds
    violations: int
    audit: str
    why: str
