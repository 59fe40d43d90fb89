"""What finds no room is refused and counted; nothing behind the end of a buffer is ever written."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from kernels import buffers, skill
from kernels.bench import Arcs, bench, offers, slots
from kernels.buffers import COUNTS, USED, WANTED, append, enlarged, entries, has_room, is_short
from kernels.candidates import Look, Rows, recall_kernel
from kernels.jit import entry
from kernels.lifecycle import EMISSION, PAIR, blank
from kernels.lifecycle.codes import NONE, ZERO
from kernels.lifecycle.pairs import emit, open_pair
from kernels.lifecycle.pool_columns import EMISSIONS_WANTED, EMITTED, PAIRS_USED, REFUSED, Emissions, Pairs
from kernels.packing import scatter_kernel
from kernels.rules.predicate import Fit
from stream.core.state.pools import PoolState

GUARD = 99


class List(NamedTuple):
    numbers: np.ndarray
    count: np.ndarray  # type: ignore[assignment]


@entry
def count_to(n: Any, out: Any) -> None:
    """A repeatable kernel."""
    out.count[USED] = 0
    out.count[WANTED] = 0
    for i in range(n):
        k = append(out.count, 0, out.numbers.shape[0])
        if k != NONE:
            out.numbers[k] = i


@entry
def go_on(state: Any, out: Any) -> Any:
    """A resumable kernel: moves ``state`` to 10."""
    while state[0] < 10:
        if not has_room(out.count, 0, out.numbers.shape[0], 1):
            return False
        out.numbers[append(out.count, 0, out.numbers.shape[0])] = state[0]
        state[0] += 1
    return True


@entry
def emit_many(pool: Any, n: Any) -> None:
    for i in range(n):
        emit(pool, ZERO, ZERO, ZERO, NONE, i, NONE, 0.0)


@entry
def open_pairs(pool: Any, n: Any, out: Any) -> None:
    for a in range(n):
        out[a] = open_pair(pool, 0, a)


def guarded(room: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """A buffer, and the memory in whose middle it lies."""
    memory = np.full((room + 20) * np.dtype(dtype).itemsize, GUARD, np.uint8).view(dtype)
    return memory[10 : 10 + room], memory


def is_whole(memory: np.ndarray, room: int) -> bool:
    return bool((memory[:10].view(np.uint8) == GUARD).all() and (memory[10 + room :].view(np.uint8) == GUARD).all())


@pytest.mark.parametrize("room", [0, 1, 3, 7, 8, 9])
def test_a_list_counts_what_it_refuses_and_is_a_beginning(room: int) -> None:
    numbers, memory = guarded(room, np.int64)
    out = List(numbers, np.zeros(COUNTS, np.int64))
    count_to(8, out)
    assert out.count.tolist() == [min(room, 8), 8]
    assert is_short(out) == (room < 8)
    assert entries(out).numbers.tolist() == list(range(min(room, 8)))
    assert is_whole(memory, room)


@pytest.mark.parametrize("growth", [1, 2])
def test_a_caller_that_makes_room_gets_the_whole_list(growth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "GROWTH", growth)
    out, calls = List(np.empty(1, np.int64), np.zeros(COUNTS, np.int64)), 1
    count_to(8, out)
    while is_short(out):
        out, calls = enlarged(out), calls + 1
        count_to(8, out)
    assert entries(out).numbers.tolist() == list(range(8)) and calls == 2, "one call says what it needs"
    state, out, calls = np.zeros(1, np.int64), List(np.empty(0, np.int64), np.zeros(COUNTS, np.int64)), 1
    while not go_on(state, out):
        out, calls = enlarged(out), calls + 1
    assert entries(out).numbers.tolist() == list(range(10))
    assert calls == (11 if growth == 1 else 6)


def test_emissions_beyond_their_room_are_counted_and_write_nowhere() -> None:
    pool = PoolState("p")
    emissions, memory = guarded(3, EMISSION)
    pool.tables.pool = pool.columns._replace(emissions=Emissions(emissions))
    emit_many(pool.columns, 5)
    counters = pool.columns.counters
    assert (counters[EMITTED], counters[EMISSIONS_WANTED]) == (3, 5)
    assert emissions["task"].tolist() == [0, 1, 2] and is_whole(memory, 3)
    with pytest.raises(buffers.Overrun):
        pool.take_emissions()


def test_pairs_beyond_their_room_are_refused() -> None:
    pool = PoolState("p")
    pool.add_task("t")
    pairs, memory = guarded(2, PAIR)
    pairs[:] = blank(PAIR, 2)
    pool.tables.pool = pool.columns._replace(pairs=Pairs(pairs))
    taken = np.empty(4, np.int64)
    open_pairs(pool.columns, 4, taken)
    assert taken.tolist() == [0, 1, -1, -1] and is_whole(memory, 2)
    assert (pool.columns.counters[PAIRS_USED], pool.columns.counters[REFUSED]) == (2, 2)
    assert pool.columns.tasks.records["pairs"][0] == 2
    with pytest.raises(buffers.Overrun):
        pool.check_room()


def test_seats_and_models_beyond_their_room_are_refused() -> None:
    skills = skill.empty(models=1, annotators=8, seats=2, evidence=1000)
    m = skill.open_model(skills, 2)
    assert [skill.seat(skills, m, a) for a in (4, 5, 6, 5)] == [0, 1, -1, 1]
    assert skill.open_model(skills, 2) == -1
    few = skill.empty(models=4, annotators=8, seats=8, evidence=int(skill.model_width(2) + skill.evidence_width(2)))
    m = skill.open_model(few, 2)
    assert [skill.seat(few, m, a) for a in (0, 1)] == [0, -1]
    assert skill.open_model(few, 3) == -1
    kinds: list[tuple[Any, Any, tuple[int, ...]]] = [
        (skill.save_seat, skill.load_seat, (m, 1)),
        (skill.save_model, skill.load_model, ()),
    ]
    for save, load, columns in kinds:
        with pytest.raises(buffers.Overrun):
            load(few, *columns, save(few, 0))


def test_a_market_that_finds_its_scratch_too_small_does_nothing() -> None:
    pool = PoolState("p")
    free, nobody = np.zeros(2, np.int32), np.zeros((0, 0), np.uint8)
    tasks, arcs = np.zeros(1, np.int32), Arcs(np.empty(0, np.int32), np.empty(0), np.zeros(COUNTS, np.int64))
    pool.add_task("t")
    pool.annotator("a")
    for small in (bench(0, 2, 6), bench(1, 1, 6), bench(1, 2, 5)):
        done = recall_kernel(
            pool.columns, tasks, free, Fit(nobody, nobody, nobody), pool.in_force, Look(1, 4, 4), small,
            Rows(np.empty(2, np.int64), arcs, np.zeros((0, 0)), np.zeros(1)),
        )  # fmt: skip
        assert done == -1 and arcs.count.tolist() == [0, 0]
        assert (small.place == -1).all()


def test_a_part_that_lies_outside_is_not_copied() -> None:
    column, memory = guarded(4, np.uint8)
    at = np.array([0, 2, 0], np.int64)
    assert scatter_kernel(np.arange(4, dtype=np.uint8), at, np.array([2, 2, 5]), column, np.array([1, 3, 0])) == 1
    assert is_whole(memory, 4)


@pytest.mark.parametrize("made", [slots, offers])
def test_a_list_begins_with_the_room_that_was_guessed(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(made(5)[0]) == 5
    monkeypatch.setattr(buffers, "MOST_AT_FIRST", 1)
    assert len(made(5)[0]) == 1
