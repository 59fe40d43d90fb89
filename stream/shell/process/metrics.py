"""What the worker tells Prometheus; observed once per round, never per event.

The latency from an event's Kafka timestamp to the commit of its round is taken from at most 64 records of a
round, each standing for its neighbours: exact in small rounds, a sample in large ones.
"""

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from stream import topics
from stream.core.batch import Reason
from stream.core.shard import RoundResult
from stream.events import forgiving_fields

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
EVENTS = (1, 10, 100, 1_000, 5_000, 10_000, 25_000, 50_000)
SAMPLES = 64


class WeightedHistogram(Collector):
    """A histogram of values that stand for several observations each."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        self._name, self._documentation, self._bounds = name, documentation, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float, weight: int) -> None:
        """Count `value` `weight` times."""
        index = next((i for i, bound in enumerate(self._bounds) if value <= bound), len(self._bounds))
        self._counts[index] += weight
        self._sum += value * weight

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Cumulative buckets, as Prometheus wants them."""
        family = HistogramMetricFamily(self._name, self._documentation)
        total, buckets = 0, []
        for bound, count in zip([*map(str, self._bounds), "+Inf"], self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        family.add_metric([], buckets, self._sum)
        yield family


class Metrics:
    """All metrics of a worker, in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"allocator_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"allocator_{name}", text, labels, registry=registry)

        def seconds(name: str, text: str) -> Histogram:
            return Histogram(f"allocator_{name}", text, buckets=SECONDS, registry=registry)

        self.events = counter("events", "Input records applied, dead letters included", "topic")
        self.dead_letters = counter("dead_letters", "Input records that could not be used", "topic", "reason")
        self.odd_fields = counter("odd_fields", "Fields that held what they may not: taken as left out", "field")
        self.rounds = counter("rounds", "Rounds committed")
        self.offers = counter("offers", "Assignments offered")
        self.drifts = counter("skill_drifts", "Alarms that an annotator's accuracy has fallen")
        self.records = counter("records", "Rows, outputs and dead letters written")
        self.holes = counter("input_holes", "Ranges lost between fetcher and inbox and fetched again", "topic")
        self.isolations = counter(
            "isolations", "Rounds that made the core raise and were taken again without the records to blame"
        )
        self.takeovers = counter("takeovers", "Partitions taken over")
        self.stalled = gauge("stalled_pools", "Pools without offers: their market could not be solved", "partition")
        self.snapshots = counter("snapshots", "Local snapshots written")
        self.snapshot_failures = counter("snapshot_failures", "Local snapshots that could not be written")
        self.snapshots_ignored = counter("snapshots_ignored", "Local snapshots not used in a takeover", "reason")
        self.gap = gauge(
            "gap", "Largest relative gap of the partition's last matching, of what its bounds speak of", "partition"
        )
        self.unproven = gauge(
            "unproven_share", "Share of the last matching's value in work that no bound speaks of", "partition"
        )
        self.waits_for_ability = gauge(
            "waits_for_ability", "Required judgments that only contained annotators are free for", "partition"
        )
        self.open_tasks = gauge("open_tasks", "Tasks of work that need somebody, over all pools", "partition")
        self.free_annotators = gauge(
            "free_annotators", "Annotators who may be offered work, over all pools", "partition"
        )
        self.at_risk = gauge("at_risk_leases", "Leases of people of whom no heartbeat comes any more", "partition")
        self.owned = gauge("owned_partitions", "Partitions owned by this worker")
        self.ready = gauge("ready_partitions", "Owned partitions that are recovered and running")
        self.lag = gauge(
            "position_lag", "Input offsets known to exist and not yet applied", "topic", "partition"
        )
        self.round_seconds = seconds("round_seconds", "From taking the input to the committed round")
        self.apply_seconds = seconds("apply_seconds", "Applying events and matching")
        self.commit_seconds = seconds("commit_seconds", "Kafka transaction of a round")
        self.round_events = Histogram(
            "allocator_round_events", "Events of a round", buckets=EVENTS, registry=registry
        )
        self.latency = WeightedHistogram(
            "allocator_event_to_commit_seconds", "From an event's Kafka timestamp to its commit", SECONDS
        )
        registry.register(self.latency)
        ProcessCollector(registry=registry)
        self._begin()

    def _begin(self) -> None:
        """Show every series at 0 from the start: an increase is only seen by who has seen the 0."""
        for field in forgiving_fields():
            self.odd_fields.labels(field)
        for topic in topics.INPUTS:
            self.events.labels(topic)
            self.holes.labels(topic)
            for reason in get_args(Reason):
                self.dead_letters.labels(topics.dead_letters(topic), reason)

    def committed(
        self, partition: int, result: RoundResult, inputs: dict[str, Sequence[Any]], at: float, records: int
    ) -> None:
        """Count a committed round.

        Parameters
        ----------
        partition : int
        result : RoundResult
        inputs : dict of str to sequence of records
            What was applied, per input topic.
        at : float
            Unix time of the commit.
        records : int
            Records written.
        """
        self.rounds.inc()
        self.records.inc(records)
        self.round_events.observe(result.completed.events)
        for topic, applied in inputs.items():
            self.events.labels(topic).inc(len(applied))
            self._observe_latency(applied, at)
        for letter in result.dead_letters:
            reason = next((value.decode() for name, value in letter.headers if name == "reason"), "unknown")
            self.dead_letters.labels(letter.topic, reason).inc()
        for field, count in result.completed.odd.items():
            self.odd_fields.labels(field).inc(count)
        self.drifts.inc(result.drifts)
        self.stalled.labels(partition).set(len(result.completed.stalled))
        self.open_tasks.labels(partition).set(result.open_tasks)
        self.free_annotators.labels(partition).set(result.free_annotators)
        self.at_risk.labels(partition).set(result.at_risk)
        pools = result.completed.pools
        if pools:
            self.offers.inc(sum(pool.offers for pool in pools))
            self.gap.labels(partition).set(max(pool.gap for pool in pools))
            unproven = sum(pool.unproven_value for pool in pools)
            worth = sum(pool.value for pool in pools) + unproven
            self.unproven.labels(partition).set(unproven / worth if worth > 0 else 0.0)
            self.waits_for_ability.labels(partition).set(sum(pool.waits_for_ability for pool in pools))

    def _observe_latency(self, applied: Sequence[Any], at: float) -> None:
        stride = max(1, -(-len(applied) // SAMPLES))
        for first in range(0, len(applied), stride):
            weight = min(stride, len(applied) - first)
            self.latency.observe(max(0.0, at - applied[first].timestamp / 1000.0), weight)

    def forget(self, partition: int) -> None:
        """Drop the series of a partition that is no longer owned."""
        for family in (
            self.stalled, self.gap, self.unproven, self.waits_for_ability, self.open_tasks, self.free_annotators,
            self.at_risk,
        ):  # fmt: skip
            if (str(partition),) in family._metrics:
                family.remove(partition)
