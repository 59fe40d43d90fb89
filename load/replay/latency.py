"""From an event to the assignment it led to, measured from outside.

A round states which input offsets it took; its offers carry its number. So for every input record of a
round that made offers: the time at which a `read_committed` reader first saw one of these offers, minus
the time the producer stamped on the record. Nothing the worker says about its own speed is used.

Records that waited while no worker ran are left out; the outage is reported by itself.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from load.system.wire import Sent
from load.world.figures import Latency
from stream.events import RoundCompleted


def event_to_assignment(
    sent: Iterable[Sent],
    rounds: Sequence[RoundCompleted],
    offers_seen: Mapping[tuple[int, int], float],
    outages: Sequence[tuple[float, float]] = (),
) -> Latency:
    """Return the latency over all input records of rounds that made offers.

    Parameters
    ----------
    sent : iterable of Sent
        Input records.
    rounds : sequence of RoundCompleted
    offers_seen : mapping
        (partition, round) → Unix time at which the first offer of the round was read.
    outages : sequence of (start, end)
        Unix times; records sent inside are skipped.
    """
    starts: dict[tuple[str, int], list[tuple[int, int, float]]] = {}
    for completed in rounds:
        seen = offers_seen.get((completed.partition, completed.round))
        if seen is not None:
            for topic, (start, end) in completed.offsets.items():
                if end > start:
                    starts.setdefault((topic, completed.partition), []).append((start, end, seen))
    for ranges in starts.values():
        ranges.sort()
    waits = []
    for record in sent:
        ranges = starts.get((record.topic, record.partition), [])
        place = bisect_right(ranges, (record.offset, 1 << 62, 0.0)) - 1
        if place < 0 or record.offset >= ranges[place][1]:
            continue
        if any(start <= record.at <= end for start, end in outages):
            continue
        waits.append(1000 * (ranges[place][2] - record.at))
    return Latency(samples=len(waits), p50_ms=quantile(waits, 0.5), p99_ms=quantile(waits, 0.99))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of all don't exceed; 0 when there is none.

    >>> quantile([3.0, 1.0, 2.0], 0.5), quantile([], 0.5)
    (2.0, 0.0)
    """
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0.0
