"""Faults planted into the core do what their names say: a proof that relies on them proves something."""

from collections import Counter
from typing import NamedTuple

import pytest

from load.chaos.traffic import Traffic
from stream.core.batch import Range
from stream.core.results import Outbox
from stream.core.shard import Shard
from stream.events import AssignmentOffered, decode_result
from stream.settings import Market
from stream.shell.faults import Faults
from stream.shell.planted import plant
from stream.topics import ASSIGNMENTS, INPUTS

NOW = 1e9


class Rec(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[()] = ()


def offers() -> Counter[tuple[str, str]]:
    traffic = Traffic(1, partitions=1, per_partition=1)
    sent = [*traffic.opening(NOW), *traffic.volume(500, NOW)]
    ranges = []
    for topic in INPUTS:
        records = [Rec(offset, p.key, p.value) for offset, p in enumerate(p for p in sent if p.topic == topic)]
        ranges.append(Range(0, len(records), records))
    result = Shard(0, Market(), 1).round(*ranges, NOW, NOW, True)
    found = (decode_result(value) for _, value in result.outputs[ASSIGNMENTS])
    return Counter((one.task, one.annotator) for one in found if isinstance(one, AssignmentOffered))


def test_nobody_is_offered_anything_twice_by_itself():
    assert set(offers().values()) == {1}


def test_a_planted_double_offer_publishes_one_offer_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Outbox, "offers_of", Outbox.offers_of)  # put back what is planted
    plant(Faults(double_offer=1))
    assert Counter(offers().values())[2] == 1
