"""A record that makes the core raise costs itself and nothing else."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from kernels.lifecycle.codes import EMIT_JUDGMENT
from stream import events as wire
from stream import topics
from stream.core import shard as shard_module
from stream.core.intake.handlers import dispatch
from stream.core.intake.turn import Turn as PoolTurn
from stream.core.isolation import isolate
from stream.core.market.stalls import RETRY_S
from stream.core.outbox import Outbox
from stream.core.saved.rows import POSITION
from stream.core.shard import Range, RoundResult, Shard
from tests.core.histories import MARKET, PARTITION, PARTITIONS, POOLS, Record, Turn, Writer
from tests.core.test_oracle import inputs, offered, reasons, started, without_epoch

POOL, OTHER = POOLS


class Planted(Exception):
    """The error of these tests."""


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plants errors by ``event_id``.

    Handlers raise on "culprit…" once they have done their work, on "waiter…" only when the task is there;
    outputs raise on "late…".
    """

    def raising(turn: PoolTurn, event: Any) -> None:
        dispatch(turn, event)
        event_id = event.event_id or ""
        waits = getattr(event, "task", None) in turn.pool.waiting
        if event_id.startswith(("culprit", "late") if waits else ("culprit", "waiter")):
            turn.pool.annotator("left behind by a half applied event")
            raise Planted(event_id)

    made = Shard.__init__
    monkeypatch.setattr(Shard, "__init__", functools.partialmethod(made, dispatch=raising))
    encode = Outbox.lifecycle

    def lifecycle(self: Outbox, turn: PoolTurn, emissions: Any) -> list[int]:
        dropped = encode(self, turn, emissions)
        for emission in emissions[emissions["code"] == int(EMIT_JUDGMENT)]:
            event_id = turn.applied[emission["event"]].event.event_id or ""
            if event_id.startswith("late"):
                raise Planted(event_id)
        return dropped

    monkeypatch.setattr(Outbox, "lifecycle", lifecycle)


class Rows:
    """What is committed, as a log would keep it."""

    def __init__(self, shard: Shard) -> None:
        self.kept: dict[tuple[str, bytes], bytes] = {}
        self.position = dict(shard.position)

    def commit(self, result: RoundResult) -> None:
        for table, rows in result.rows.items():
            for key, value in rows:
                if value is None:
                    self.kept.pop((table, key), None)
                else:
                    self.kept[table, key] = value

    def rebuilt(self) -> Shard:
        shard = Shard(PARTITION, MARKET, PARTITIONS)
        for (table, key), value in self.kept.items():
            shard.restore(table, key, value)
        if not self.kept:
            shard.position = dict(self.position)
        shard.restored()
        return shard


def state(shard: Shard) -> dict[bytes, bytes | None]:
    return {key: value for table in topics.TABLES for key, value in shard.rows(table) if key != POSITION}


def marked(turn: Turn, mark: dict[int, str]) -> Turn:
    """The turn with some records' events given an ``event_id``; ``mark`` says which, by place in the turn."""
    place = 0
    ranges: list[Any] = []
    for given in turn[:2]:
        records = []
        for record in given.records if given else ():
            with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                event = msgspec.json.decode(record.value or b"")
                if place in mark and isinstance(event, dict):
                    value = msgspec.json.encode(event | {"event_id": mark[place]})
                    records.append(record._replace(value=value))
                    place += 1
                    continue
            records.append(record)
            place += 1
        ranges.append(given and given._replace(records=records))
    return turn._replace(tasks=ranges[0], annotators=ranges[1])


def without(turn: Turn, result: RoundResult, culprits: set[tuple[str, int]]) -> Turn:
    """What the round took, as if nobody had sent the culprits: their offsets are holes like any other."""
    ranges = []
    for topic, given in zip(topics.INPUTS, turn[:2], strict=True):
        start, end = result.completed.offsets[topic]
        records = [r for r in given.records if start <= r.offset < end] if given else []
        ranges.append(Range(start, end, [r for r in records if (topic, r.offset) not in culprits]))
    done = result.completed
    return Turn(ranges[0], ranges[1], done.at, done.complete_until, done.caught_up)


def rest(turn: Turn, shard: Shard) -> Turn | None:
    """What of the turn the shard has not taken."""
    ranges = []
    for topic, given in zip(topics.INPUTS, turn[:2], strict=True):
        start = shard.position[topic]
        records = [r for r in given.records if r.offset >= start] if given else []
        ranges.append(Range(start, max(start, given.end), records) if given else None)
    return turn._replace(tasks=ranges[0], annotators=ranges[1]) if any(r and r.end > r.start for r in ranges) else None


def rounds_of(turn: Turn, shard: Shard, rows: Rows) -> Iterator[tuple[Shard, RoundResult, bool]]:
    """Run a turn as the shell does: as a round, or rebuilt and carefully when the core raises."""
    try:
        yield shard, shard.round(*turn), False
        return
    except Planted:
        shard = rows.rebuilt()
    left: Turn | None = turn
    while left is not None:
        result = isolate(shard, *left)
        yield shard, result, True
        left = rest(turn, shard)


@pytest.mark.parametrize("kind", ["culprit", "late"])
@pytest.mark.parametrize("seed", range(6))
def test_the_state_is_that_of_the_stream_without_the_culprits(seed: int, kind: str, fragile: None) -> None:
    writer = Writer(seed)
    shard, reference = started(writer), started(Writer(seed))
    rows = Rows(shard)
    found = raised = 0
    marks: set[tuple[str, int]] = set()
    for number, written in enumerate(writer.turns(25)):
        places = range(len(inputs(written)))
        mark = {place: f"{kind}-{place}" for place in writer.rng.sample(places, min(len(places), number % 4))}
        turn = marked(written, mark)
        marks |= {(topic, r.offset) for topic, r in inputs(turn) if b'"event_id"' in (r.value or b"")}
        here = {(topic, r.offset) for topic, r in inputs(turn)}
        for owner, result, careful in rounds_of(turn, shard, rows):
            shard = owner
            raised += careful
            rows.commit(result)
            culprits = {source for source, reason in reasons(result).items() if reason == "internal"}
            found += len(culprits)
            assert culprits <= marks
            waited = dict.fromkeys(culprits - here, "planted")  # they came in a turn before
            expected = reference.round(*without(turn, result, culprits), waited)
            assert result.outputs[topics.ASSIGNMENTS] == expected.outputs[topics.ASSIGNMENTS]
            for got, wanted in zip(without_epoch(result)[:2], without_epoch(expected)[:2], strict=True):
                assert got == wanted
            others = {source: reason for source, reason in reasons(result).items() if source not in culprits}
            assert others == {place: reason for place, reason in reasons(expected).items() if place not in waited}
            writer.told(offered(result))
        assert state(shard) == state(reference)
    assert raised and found


def record(offset: int, kind: str, event_id: str | None = None, **fields: Any) -> Record:
    event = {"type": kind, "pool": POOL, "at": 1000.0} | fields
    if event_id:
        event["event_id"] = event_id
    return Record(offset, str(event["pool"]).encode(), msgspec.json.encode(event))


def task(offset: int, name: str, **fields: Any) -> Record:
    given: dict[str, Any] = {"project": "j", "skill": "s", "classes": 2, "overlap": 1} | fields
    return record(offset, "task_created", task=name, **given)


def fresh() -> Shard:
    shard = Shard(PARTITION, MARKET, PARTITIONS)
    shard.restored()
    return shard


def test_a_culprit_that_waited_for_its_task_is_found_behind_the_task(fragile: None) -> None:
    shard = fresh()
    rows = Rows(shard)
    submitted: dict[str, Any] = {"task": "t", "label": 1, "origin": "import"}
    waiting = [
        record(0, "judgment_submitted", annotator="a", **submitted),
        record(1, "judgment_submitted", "waiter", annotator="b", **submitted),
        record(2, "judgment_submitted", annotator="c", **submitted),
    ]
    rows.commit(shard.round(None, Range(0, 3, waiting), 1000.0, 1000.0, True))
    creation = Turn(Range(0, 1, [task(0, "t", overlap=5)]), None, 1001.0, 1001.0, True)
    with pytest.raises(Planted):
        shard.round(*creation)
    shard = rows.rebuilt()
    result = isolate(shard, *creation)
    assert reasons(result) == {(topics.ANNOTATORS, 1): "internal"}
    (letter,) = result.dead_letters
    assert (letter.key, letter.value) == (POOL.encode(), waiting[1].value)
    settled = [wire.decode_result(value) for _, value in result.outputs[topics.JUDGMENTS]]
    assert [one.annotator for one in settled] == ["a", "c"]  # type: ignore[union-attr]


def test_more_culprits_than_one_round_bears_are_spread_over_rounds(fragile: None) -> None:
    shard = fresh()
    rows = Rows(shard)
    records = [task(i, f"t{i}", event_id="culprit") if i % 3 == 0 else task(i, f"t{i}") for i in range(60)]
    turn = Turn(Range(0, 60, records), None, 1000.0, 1000.0, True)
    with pytest.raises(Planted):
        shard.round(*turn)
    ends, dead = [0], 0
    for owner, result, _ in rounds_of(turn, rows.rebuilt(), rows):
        shard = owner
        rows.commit(result)
        start, end = result.completed.offsets[topics.TASKS]
        assert start == ends[-1]
        ends.append(end)
        dead += len(result.dead_letters)
    assert ends[-1] == 60 and dead == 20 and len(ends) > 2
    assert set(shard.pools[POOL].tasks.slots) == {f"t{i}" for i in range(60) if i % 3}


def test_events_that_make_the_core_raise_only_together_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = Outbox.lifecycle

    def lifecycle(self: Outbox, turn: PoolTurn, emissions: Any) -> list[int]:
        if {"x", "y"} <= set(turn.pool.annotators.slots) and len(turn.applied) > 1:
            raise Planted("x and y in one batch")
        return encode(self, turn, emissions)

    monkeypatch.setattr(Outbox, "lifecycle", lifecycle)
    shard = fresh()
    records = [task(0, "t", overlap=5)]
    said: dict[str, Any] = {"task": "t", "label": 0, "origin": "import"}
    records += [record(i, "judgment_submitted", annotator=name, **said) for i, name in enumerate("wxyz", 1)]
    turn: Turn | None = Turn(Range(0, 5, records), None, 1000.0, 1000.0, True)
    dead = 0
    while turn is not None:
        dead += len(isolate(shard, *turn).dead_letters)
        turn = rest(turn, shard)
    assert dead == 0
    assert set(shard.pools[POOL].annotators.slots) == set("wxyz")


def test_an_error_that_no_record_brings_about_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def position_row(self: Shard) -> Any:
        raise Planted("always")

    shard = fresh()
    monkeypatch.setattr(Shard, "_position_row", position_row)
    with pytest.raises(Planted):
        isolate(shard, None, None, 1000.0, 1000.0, True)


def test_a_result_that_cannot_be_committed_costs_the_record_behind_it() -> None:
    def check(result: RoundResult) -> None:
        for rows in result.rows.values():
            for key, _ in rows:
                if key.endswith(b"huge"):
                    raise ValueError("a row fits into no batch")

    shard = fresh()
    turn: Turn | None = Turn(Range(0, 3, [task(0, "a"), task(1, "huge"), task(2, "b")]), None, 1000.0, 1000.0, True)
    found: dict[tuple[str, int], str] = {}
    while turn is not None:
        found |= reasons(isolate(shard, *turn, check))
        turn = rest(turn, shard)
    assert found == {(topics.TASKS, 1): "internal"}
    assert set(shard.pools[POOL].tasks.slots) == {"a", "b"}


# ---------------------------------------------------------------------- a market that can't be solved
def market_of(pool: str, offset: int, name: str) -> list[Record]:
    return [
        task(offset, name, pool=pool),
        record(offset + 1, "annotator_set", pool=pool, annotator="a", skills=["*"]),
        record(offset + 2, "annotator_online", pool=pool, annotator="a", capacity=5),
    ]


def broken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Matching raises in a pool that has a task of this name with room; returns the attempts."""
    solve, attempts = shard_module.match, list[str]()  # type: ignore[attr-defined]

    def match(pool: Any, *rest: Any) -> Any:
        slot = pool.tasks.slots.get("broken")
        if slot is not None and pool.columns.tasks.vacancies[slot] > 0:
            attempts.append(pool.name)
            raise Planted("unsolvable")
        return solve(pool, *rest)

    monkeypatch.setattr(shard_module, "match", match)
    return attempts


def test_a_pool_that_cannot_be_solved_stalls_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = broken(monkeypatch)
    shard = fresh()
    records = market_of(POOL, 0, "broken") + market_of(OTHER, 3, "t")
    result = shard.round(Range(0, 6, records), None, 1000.0, 1000.0, True)
    assert offered(result) == [(OTHER, "t", "a")]
    assert [(one.pool, one.since) for one in result.completed.stalled] == [(POOL, 1000.0)]
    assert "unsolvable" in result.completed.stalled[0].error
    assert attempts == [POOL, POOL]  # twice on the same state
    result = shard.round(None, None, 1000.0 + 2 * RETRY_S, 1000.0 + 2 * RETRY_S, True)
    assert attempts == [POOL, POOL] and result.completed.stalled, "its state has not changed"


def test_a_stalled_pool_goes_on_when_its_state_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = broken(monkeypatch)
    shard = fresh()
    shard.round(Range(0, 3, market_of(POOL, 0, "broken")), None, 1000.0, 1000.0, True)
    more = [task(3, "t"), record(4, "task_cancelled", task="broken")]
    result = shard.round(Range(3, 5, more), None, 1000.0, 1000.0, True)
    assert offered(result) == [] and result.completed.stalled
    assert shard.wakeup == 1000.0 + RETRY_S, "not at once: the next failure might be slow"
    result = shard.round(None, None, 1000.0 + RETRY_S, 1000.0 + RETRY_S, True)
    assert offered(result) == [(POOL, "t", "a")]
    assert not result.completed.stalled and len(attempts) == 2


def test_an_operator_lets_a_stalled_pool_go_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = shard_module.match  # type: ignore[attr-defined]
    broken(monkeypatch)
    shard = fresh()
    shard.round(Range(0, 3, market_of(POOL, 0, "broken")), None, 1000.0, 1000.0, True)
    monkeypatch.setattr(shard_module, "match", solve)
    resumed = [record(3, "pool_resumed")]
    result = shard.round(Range(3, 4, resumed), None, 1000.0, 1000.0, True)
    assert offered(result) == [(POOL, "broken", "a")] and not result.completed.stalled


def test_a_market_that_fails_behind_its_offers_leaves_no_half_state(monkeypatch: pytest.MonkeyPatch) -> None:
    solve = shard_module.match  # type: ignore[attr-defined]

    def match(pool: Any, *rest: Any) -> Any:
        found = solve(pool, *rest)
        if pool.name == POOL:
            raise Planted("after the offers")
        return found

    monkeypatch.setattr(shard_module, "match", match)
    shard = fresh()
    records = market_of(POOL, 0, "t") + market_of(OTHER, 3, "t")
    result = isolate(shard, Range(0, 6, records), None, 1000.0, 1000.0, True)
    assert offered(result) == [(OTHER, "t", "a")]
    assert [one.pool for one in result.completed.stalled] == [POOL]
    assert shard.pools[POOL].live == 0 and not result.dead_letters
