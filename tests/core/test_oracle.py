"""The core against the rules written once more in plain Python, on random histories."""

from collections import Counter
from typing import Any

import msgspec
import pytest

from stream import events as wire
from stream import topics
from stream.audit import Audit
from stream.audit import Record as Seen
from stream.core.saved.rows import POSITION
from stream.core.shard import RoundResult, Shard
from tests.core.book import BOUNDS
from tests.core.histories import MARKET, PARTITION, PARTITIONS, Record, Turn, Writer
from tests.core.oracle import Oracle

SEEDS = range(8)
TURNS = 40


def started(writer: Writer) -> Shard:
    """A shard whose position is where the writer's topics begin."""
    shard = Shard(PARTITION, MARKET, PARTITIONS)
    shard.position = dict(zip(topics.INPUTS, writer.ends.values(), strict=True))
    shard.restored()
    return shard


def offered(result: RoundResult) -> list[tuple[str, str, str]]:
    found = (wire.decode_result(value) for _, value in result.outputs[topics.ASSIGNMENTS])
    return [(e.pool, e.task, e.annotator) for e in found if isinstance(e, wire.AssignmentOffered)]


def inputs(turn: Turn) -> list[tuple[str, Record]]:
    """The records of a turn with their topics, in the order in which they take effect."""
    ranges = zip(topics.INPUTS, turn[:2], strict=True)
    return [(topic, record) for topic, given in ranges if given is not None for record in given.records]


def decoded(sent: tuple[str, Record]) -> Any:
    try:
        return wire.decode(sent[1].value or b"")
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def without_epoch(result: RoundResult) -> Any:
    """All that a round wants committed; the epoch in its record and position aside."""
    rows = {
        table: sorted((row for row in kept if row[0] != POSITION), key=lambda row: row[0])
        for table, kept in result.rows.items()
    }
    outputs = {topic: pairs for topic, pairs in result.outputs.items() if topic != topics.ROUNDS}
    return rows, outputs, result.dead_letters, msgspec.structs.replace(result.completed, epoch=0)


def reasons(result: RoundResult) -> dict[tuple[str, int], str]:
    found: dict[tuple[str, int], str] = {}
    for letter in result.dead_letters:
        headers = dict(letter.headers)
        source = headers["__streams.errors.topic"].decode(), int(headers["__streams.errors.offset"])
        assert source not in found
        found[source] = headers["reason"].decode()
    return found


def policies(result: RoundResult) -> list[tuple[str, int, dict[str, float], dict[str, float]]]:
    """What a round says of policies, as the oracle says it."""
    found = result.completed.policies or []
    values = [{name: getattr(one, name) for name in BOUNDS} for one in found]
    return [(one.pool, one.version, one.since, value) for one, value in zip(found, values, strict=True)]


def short(result: RoundResult) -> list[tuple[str, str, int, int]]:
    """Which projects a round says have promised too much."""
    found = (wire.decode_result(value) for _, value in result.outputs[topics.DECISIONS])
    return [(e.pool, e.project, e.promised, e.budget) for e in found if isinstance(e, wire.BudgetShort)]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_core_publishes_what_the_rules_say_byte_for_byte(seed: int) -> None:
    writer = Writer(seed)
    shard, oracle = started(writer), Oracle(PARTITION, MARKET, PARTITIONS)
    sent: dict[tuple[str, int], Any] = {}
    for turn in writer.turns(TURNS):
        sent |= {(topic, record.offset): record for topic, record in inputs(turn)}
        result = shard.round(*turn)
        offers = offered(result)
        writer.told(offers)
        said = oracle.round(turn.tasks, turn.annotators, turn.now, turn.complete_until, offers)
        for topic in (topics.ASSIGNMENTS, topics.JUDGMENTS, topics.CONSENSUS):
            assert [value for _, value in result.outputs[topic]] == said.outputs.get(topic, []), topic
        assert policies(result) == said.policies
        assert result.completed.odd == said.odd
        assert short(result) == said.short
        assert result.completed.ignored == said.ignored
        assert reasons(result) == said.rejected
        for letter, source in zip(result.dead_letters, reasons(result), strict=True):
            value = None if reasons(result)[source] == "erased" else sent[source].value
            assert (letter.key, letter.value) == (sent[source].key, value)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_task_and_every_live_work_is_in_exactly_one_place(seed: int) -> None:
    writer = Writer(seed)
    shard, oracle = started(writer), Oracle(PARTITION, MARKET, PARTITIONS)
    for turn in writer.turns(TURNS):
        result = shard.round(*turn)
        writer.told(offered(result))
        oracle.round(turn.tasks, turn.annotators, turn.now, turn.complete_until, offered(result))
        assert set(shard.pools) == set(oracle.books)
        for name, book in oracle.books.items():
            pool = shard.pools[name]
            columns = pool.columns
            assert set(pool.tasks.slots) == set(book.tasks)
            assert not set(book.tasks) & (set(pool.gone) | set(pool.waiting))
            assert set(pool.gone) == set(book.gone) and set(pool.waiting) == set(book.waiting)
            sizes = {task: sum(waits.size for waits in waiting) for task, waiting in book.waiting.items()}
            assert pool.waiting_bytes == sizes
            for task in book.tasks.values():
                record = columns.tasks.records[pool.tasks.slots[task.name]]
                having = task.counted, len(task.having("offered")), len(task.having("leased"))
                assert (record["counted"], record["offered"], record["leased"]) == having
                room = task.need - task.counted - task.live if task.state == "open" else 0
                active = task.project.state == "active"
                assert columns.tasks.vacancies[pool.tasks.slots[task.name]] == (max(room, 0) if active else 0)
            for person in book.annotators.values():
                assert columns.annotators.records[pool.annotators.slots[person.name]]["live"] == len(person.live)
            for project in book.projects.values():
                if project.name not in pool.projects.slots:  # forgotten, which the oracle doesn't
                    assert project.is_unheard_of and not any(t.project is project for t in book.tasks.values())
                    continue
                record = columns.projects.records[pool.projects.slots[project.name]]
                assert (record["live"], record["counted"]) == (project.live, project.counted)
                assert record["taught"] == project.row
                for person_name, credit in project.credit.items():
                    assert columns.taught.credit[project.row, pool.annotators.slots[person_name]] == credit
            lapsed = [person for person in book.annotators.values() if person.where == "lapsed"]
            assert pool.at_risk == sum(len(person.live) for person in lapsed)
            live = sum(task.live for task in book.tasks.values())
            assert pool.live == live == sum(len(person.live) for person in book.annotators.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_is_left_free_beside_work_they_could_do(seed: int) -> None:
    writer = Writer(seed)
    shard, oracle = started(writer), Oracle(PARTITION, MARKET, PARTITIONS)
    for turn in writer.turns(TURNS):
        result = shard.round(*turn)
        writer.told(offered(result))
        # requests are over when the round is; pull is checked by the auditor
        oracle.round(turn.tasks, turn.annotators, turn.now, turn.complete_until, offered(result))
        heard = {event.pool for event in map(decoded, inputs(turn)) if event is not None}
        for name in heard & set(oracle.books):
            book = oracle.books[name]
            for person in book.annotators.values():
                for task in book.tasks.values():
                    if book.forbids(task, person):
                        continue
                    left = (name, person.name, task.name)
                    if task.owes > task.live:
                        assert not book.may_cover(task, person), left
                    else:
                        assert book.value(task, person) <= 1e-9, left


@pytest.mark.parametrize("seed", SEEDS)
def test_an_audit_of_what_the_core_publishes_finds_nothing(seed: int) -> None:
    writer = Writer(seed)
    shard, auditor = started(writer), Audit(PARTITION, PARTITIONS)
    ends: Counter[str] = Counter()

    def seen(topic: str, key: bytes | None, value: bytes | None, headers: Any = ()) -> Seen:
        ends[topic] += 1
        return Seen(topic, PARTITION, ends[topic] - 1, key, value, headers)

    for turn in writer.turns(TURNS):
        auditor.feed(Seen(topic, PARTITION, *record) for topic, record in inputs(turn))
        result = shard.round(*turn)
        writer.told(offered(result))
        auditor.feed(seen(topic, *pair) for topic, pairs in result.outputs.items() for pair in pairs)
        auditor.feed(
            seen(letter.topic, letter.key, letter.value, letter.headers) for letter in result.dead_letters
        )
        for topic, (_, end) in result.completed.offsets.items():
            auditor.reached(topic, end)
        assert [str(violation) for violation in auditor.check()] == []
    assert [str(violation) for violation in auditor.finish()] == []
    assert auditor.rounds == TURNS


@pytest.mark.parametrize("seed", SEEDS)
def test_a_successor_goes_on_with_the_same_bytes(seed: int) -> None:
    """Rows restore the state: a successor writes the same rows and outputs, one epoch later."""
    writer = Writer(seed)
    shard, rows = started(writer), dict[str, dict[bytes, bytes]]()
    turns: list[Turn] = []
    for turn in writer.turns(TURNS):
        turns.append(turn)
        writer.told(offered(shard.round(*turn)))
    first, second = started(Writer(seed)), None
    takeover = 1 + seed % (TURNS - 1)
    for number, turn in enumerate(turns, 1):
        result = first.round(*turn)
        if second is not None:
            again = second.round(*turn)
            assert without_epoch(again) == without_epoch(result)
            assert again.completed.epoch == result.completed.epoch + 1
        for table, changed in result.rows.items():
            for key, value in changed:
                if value is None:
                    rows.setdefault(table, {}).pop(key, None)
                else:
                    rows.setdefault(table, {})[key] = value
        if number == takeover:
            assert {table: dict(first.rows(table)) for table in rows} == rows
            second = Shard(PARTITION, MARKET, PARTITIONS)
            scattered = [(table, *row) for table, kept in rows.items() for row in kept.items()]
            writer.rng.shuffle(scattered)
            for row in scattered:
                second.restore(*row)
            second.restored()
            for table, kept in rows.items():
                found = dict(second.rows(table))
                assert {k: v for k, v in found.items() if k != POSITION} == {
                    k: v for k, v in kept.items() if k != POSITION
                }
            for name, pool in second.pools.items():
                assert pool.waiting_bytes == first.pools[name].waiting_bytes


def test_one_history_gives_one_output() -> None:
    def play() -> list[tuple[Any, ...]]:
        writer = Writer(5)
        shard = started(writer)
        results = []
        for turn in writer.turns(TURNS):
            results.append(shard.round(*turn))
            writer.told(offered(results[-1]))
        return [tuple(result) for result in results]

    assert play() == play()


@pytest.mark.slow
@pytest.mark.compiled
def test_histories_reach_every_outcome() -> None:
    """What the histories never bring about is not tested by them."""
    reached = set()
    for seed in SEEDS:
        writer = Writer(seed)
        shard, oracle = started(writer), Oracle(PARTITION, MARKET, PARTITIONS)
        for turn in writer.turns(TURNS):
            result = shard.round(*turn)
            writer.told(offered(result))
            oracle.round(turn.tasks, turn.annotators, turn.now, turn.complete_until, offered(result))
            for pool, task, person in offered(result):
                if not oracle.books[pool].tasks[task].is_work:
                    reached.add("paid" if oracle.books[pool].tasks[task].pairs[person].paid else "examined")
            reached |= {"scored" for book in oracle.books.values() for t in book.tasks.values()
                        for pair in t.pairs.values() if pair.score}  # fmt: skip
            reached |= {"changed twice" for book in oracle.books.values() if book.law.version > 1}
            reached |= {"seeded" for book in oracle.books.values() if book.evidence.seeds}
            reached |= set(reasons(result).values())
            for topic in (topics.ASSIGNMENTS, topics.JUDGMENTS, topics.CONSENSUS):
                for _, value in result.outputs[topic]:
                    event = wire.decode_result(value)
                    reached.add(str(event.__struct_config__.tag))
                    reached.add(getattr(event, "cause", None) or getattr(event, "outcome", None) or "")
    assert reached >= {
        "wrong_partition", "malformed", "wrong_key", "clock", "not_supported_yet", "invalid", "unknown_task",
        "too_old", "erased", "too_many_waiting",
        "counted", "late", "surplus", "duplicate", "unsolicited", "corrected", "retracted",
        "annotator_away", "annotator_back",
        "submitted", "declined", "expired", "abandoned", "cancel", "pause", "absence", "met_need", "override",
        "consensus", "complete", "exhausted", "cancelled", "deadline", "blocked", "budget",
        "assignment_leased", "work_unavailable", "consensus_revised", "paid", "examined", "scored", "seeded",
        "changed twice",
    }  # fmt: skip
