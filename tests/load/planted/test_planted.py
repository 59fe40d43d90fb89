"""Faults planted into the core do what their names say: a proof that relies on them proves something."""

from collections import Counter
from typing import NamedTuple

import pytest

from load.chaos.traffic import Traffic
from load.planted.faults import Faults
from load.planted.in_core import PlantedFault, plant, suffering
from stream.core.batch import Range
from stream.core.outbox import Outbox
from stream.core.saved import restore
from stream.core.saved.formats import is_known
from stream.core.saved.rows import VERSION, NewerRow
from stream.core.shard import RoundResult, Shard
from stream.events import AnnotatorOnline, AssignmentOffered, decode_result, encode
from stream.settings import Market, Settings
from stream.shell.snapshots import snapshot, writing
from stream.shell.worker.app import make_shard
from stream.topics import ASSIGNMENTS, INPUTS, TABLES

NOW = 1e9


class Rec(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[()] = ()


def played() -> tuple[Shard, RoundResult]:
    traffic = Traffic(1, partitions=1, per_partition=1)
    sent = [*traffic.opening(NOW), *traffic.volume(500, NOW)]
    ranges = []
    for topic in INPUTS:
        records = [Rec(offset, p.key, p.value) for offset, p in enumerate(p for p in sent if p.topic == topic)]
        ranges.append(Range(0, len(records), records))
    shard = Shard(0, Market(), 1)
    tasks, annotators = ranges
    return shard, shard.round(tasks, annotators, NOW, NOW, True)


def offers() -> Counter[tuple[str, str]]:
    result = played()[1]
    found = (decode_result(value) for _, value in result.outputs[ASSIGNMENTS])
    return Counter((one.task, one.annotator) for one in found if isinstance(one, AssignmentOffered))


def test_nobody_is_offered_anything_twice_by_itself() -> None:
    assert set(offers().values()) == {1}


def test_a_worker_that_is_planted_to_be_older_writes_older_rows_and_refuses_newer_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [row for table in TABLES for row in played()[0].rows(table)]
    for place, name in ((Shard, "round"), (Shard, "portions"), (restore, "current"), (snapshot, "VERSION")):
        monkeypatch.setattr(place, name, getattr(place, name))  # put back what is planted
    monkeypatch.setattr(writing, "VERSION", vars(writing)["VERSION"])
    plant(Faults(older=1))
    older = played()[0]
    written = [row for portion in older.portions(100) for row in portion]
    assert {value[0] for _, value in written if value} == {VERSION - 1}
    assert {key for key, _ in written} == {key for key, _ in rows if is_known(key, VERSION - 1)}
    successor = Shard(0, Market(), 1)
    successor.restore_many("", written)
    successor.restored()
    assert successor.pools.keys() == older.pools.keys()
    refusing = Shard(0, Market(), 1)
    refusing.restore_many("", rows)
    with pytest.raises(NewerRow, match=f"rows of version {VERSION}, this software reads up to {VERSION - 1}"):
        refusing.restored()


def test_a_planted_double_offer_publishes_one_offer_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Outbox, "offers_of", Outbox.offers_of)  # put back what is planted
    plant(Faults(double_offer=1))
    assert Counter(offers().values())[2] == 1


def test_a_planted_event_makes_the_core_raise_behind_its_work() -> None:
    def suffer(shard: Shard) -> None:
        event = AnnotatorOnline(pool="p", at=NOW, annotator="a", event_id="bad-1")
        shard.round(Range(0, 1, [Rec(0, b"p", encode(event))]), None, NOW, NOW, True)

    suffer(make_shard(0, Settings(partitions=1)))
    shard = suffering(Faults(event="bad"), make_shard)(0, Settings(partitions=1))
    with pytest.raises(PlantedFault, match="bad-1"):
        suffer(shard)
    assert "a" in shard.pools["p"].annotators.slots
