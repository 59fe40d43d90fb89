"""An erased annotator: nothing that is kept or published afterwards names them, and nobody inherits from them."""

from typing import Any

import msgspec
import pytest

from stream import events as wire
from stream import topics
from stream.core.shard import Range, RoundResult, Shard
from tests.core.histories import MARKET, PARTITION, PARTITIONS, POOLS, Record, Writer
from tests.core.test_isolation import Rows
from tests.core.test_oracle import offered, reasons, started

POOL = POOLS[0]


def said(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "pool": POOL, "at": 1000.0} | fields


class Play:
    """A shard and the offsets of its input."""

    def __init__(self) -> None:
        self.shard = Shard(PARTITION, MARKET, PARTITIONS)
        self.shard.restored()
        self.rows = Rows(self.shard)

    def round(self, *events: dict[str, Any], now: float = 1000.0) -> RoundResult:
        start = self.shard.position[topics.ANNOTATORS]
        records = [
            Record(start + i, event["pool"].encode(), msgspec.json.encode(event)) for i, event in enumerate(events)
        ]
        result = self.shard.round(None, Range(start, start + len(records), records), now, now, True)
        self.rows.commit(result)
        return result


def published(result: RoundResult, topic: str) -> list[Any]:
    return [wire.decode_result(value) for _, value in result.outputs[topic]]


@pytest.mark.parametrize("seed", range(6))
def test_no_row_and_no_later_output_names_an_erased_person(seed: int) -> None:
    writer = Writer(seed)
    writer.people = people = [f"person-{i}-of-this-test" for i in range(6)]
    shard = started(writer)
    rows = Rows(shard)
    for turn in writer.turns(20):
        result = shard.round(*turn)
        rows.commit(result)
        writer.told(offered(result))
    kept = [key + b"\1" + value for (_, key), value in rows.kept.items()]
    assert any(name.encode() in row for name in people for row in kept), "the test must have something to find"
    start = shard.position[topics.TASKS]
    erased = [
        Record(start + i, pool.encode(), msgspec.json.encode(said("annotator_erased", pool=pool, annotator=name)))
        for i, (pool, name) in enumerate((pool, name) for pool in POOLS for name in people)
    ]
    rows.commit(shard.round(Range(start, start + len(erased), erased), None, writer.now, writer.now, True))
    writer.people = ["new-1", "new-2", "new-3"]
    writer.offers, writer.answered, writer.sent = [], [], []
    for turn in writer.turns(10):
        result = shard.round(*turn)
        rows.commit(result)
        writer.told(offered(result))
        for topic, values in result.outputs.items():
            for _, value in values:
                assert not any(name.encode() in value for name in people), topic
        for letter in result.dead_letters:
            assert not any(name.encode() in (letter.value or b"") for name in people)
    kept = [key + b"\1" + value for (_, key), value in rows.kept.items()]
    assert not any(name.encode() in row for name in people for row in kept)


def test_live_work_ends_in_the_round_of_the_erasure_and_others_get_it() -> None:
    play = Play()
    task = said("task_created", task="t", project="j", skill="s", classes=2, overlap=1)
    profile = {"skills": ["*"]}
    play.round(task, said("annotator_set", annotator="ann", **profile), said("annotator_online", annotator="ann"))
    play.round(said("assignment_accepted", annotator="ann", task="t"))
    result = play.round(
        said("annotator_set", annotator="bob", **profile), said("annotator_online", annotator="bob"),
        said("annotator_erased", annotator="ann"),
    )  # fmt: skip
    ended, offer = published(result, topics.ASSIGNMENTS)
    assert (ended.annotator, ended.outcome, ended.cause) == ("ann", "withdrawn", "erased")
    assert (offer.annotator, offer.task) == ("bob", "t")
    assert result.erased == 1
    again = play.round(said("annotator_erased", annotator="ann"))
    assert published(again, topics.ASSIGNMENTS) == [] and not again.dead_letters


def test_whoever_has_the_id_later_is_new_and_inherits_nothing() -> None:
    play = Play()
    task = said("task_created", task="t", project="j", skill="s", classes=2, overlap=3)
    judged = said("judgment_submitted", annotator="ann", task="t", label=1, origin="import")
    play.round(task, said("annotator_set", annotator="ann", skills=["*"]), judged)
    play.round(said("annotator_erased", annotator="ann"))
    shard = play.shard = play.rows.rebuilt()  # a successor knows no more
    result = play.round(said("annotator_online", annotator="ann"))
    assert offered(result) == [], "no profile is left"
    assert shard.pools[POOL].annotators.slots["ann"] == 1, "the slot of the erased is never given away"
    result = play.round(judged)
    (settled,) = published(result, topics.JUDGMENTS)
    assert (settled.outcome, settled.count) == ("unsolicited", 1), "of a new person"
    assert published(result, topics.CONSENSUS)[0].judgments == 2, "what the erased said still counts"


def test_waiting_events_of_the_erased_become_dead_letters_without_content() -> None:
    play = Play()
    waiting = [
        said("judgment_submitted", annotator="ann", task="later", label=1),
        said("judgment_submitted", annotator="bob", task="later", label=1, origin="import"),
        said("task_updated", task="later", only=["ann"]),
    ]
    play.round(*waiting)
    result = play.round(said("annotator_erased", annotator="ann"))
    assert reasons(result) == {(topics.ANNOTATORS, 0): "erased", (topics.ANNOTATORS, 2): "erased"}
    for letter in result.dead_letters:
        assert letter.key == POOL.encode() and letter.value is None
    pool = play.shard.pools[POOL]
    assert pool.waiting_bytes == {"later": pool.waiting["later"][0].size}
    result = play.round(said("task_created", task="later", project="j", skill="s", classes=2, overlap=3))
    assert [one.annotator for one in published(result, topics.JUDGMENTS)] == ["bob"]
    assert not pool.waiting and not pool.waiting_bytes
