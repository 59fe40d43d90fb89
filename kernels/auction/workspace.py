"""Buffers that a thread keeps and reuses: a call that fits allocates nothing but its result.

They only grow.  NumPy allocates them, not the kernels: its large blocks ask the operating system for huge
pages, worth a fifth of the time of a market of a million tasks.  `measure` says how much a market needs, `is_roomy`
whether it is there, `carve` cuts it out.  A market whose rows or annotators lie outside of its arrays has no sizes."""

import threading
from typing import NamedTuple

import numpy as np

from kernels.auction.compiling import entry, inner
from kernels.auction.market_arrays import ANNOTATOR, ARC, COUNTERS, LISTED, SLOT, TASK, Book, Desk, Search
from kernels.auction.paths import heap_room_here, room_to_search
from kernels.auction.shortlist import PART, SPARE


@entry
def measure(indptr, indices, demand, capacity, annotators):
    """Sizes of a market; writes where the arcs of each annotator will start.

    An annotator gets at most one slot more than it has arcs: with that, it can never be full.

    Returns
    -------
    row_slots, slots : slots on the side of tasks and of annotators
    longest : longest row or column; −1 if a row or an annotator lies outside of the arrays
    widest : largest demand or capacity
    repeated : whether a row names an annotator twice
    """
    outside = np.int64(0), np.int64(0), np.int64(-1), np.int64(0), False
    if annotators.size < capacity.size or indptr.size <= demand.size:
        return outside
    for j in range(capacity.size):
        annotators[j].room = 0
        annotators[j].stop = -1  # here: the last row that names the annotator
    for i in range(demand.size):
        if indptr[i + 1] < indptr[i] or indptr[i] < 0 or indptr[i + 1] > indices.size:
            return outside
    repeated = False
    for i in range(demand.size):
        for k in range(indptr[i], indptr[i + 1]):
            j = np.int64(indices[k])
            if j < 0 or j >= capacity.size:
                return outside
            annotator = annotators[j]
            annotator.room += 1
            repeated |= annotator.stop == i
            annotator.stop = i
    row_slots = 0
    slots = 0
    longest = 0
    widest = 0
    for i in range(demand.size):
        length = indptr[i + 1] - indptr[i]
        wanted = min(max(demand[i], 0), length)
        row_slots += wanted
        longest = max(longest, length)
        widest = max(widest, wanted)
    place = 0
    for j in range(capacity.size):
        length = np.int64(annotators[j].room)
        offered = min(max(capacity[j], 0), length + 1)
        slots += offered
        longest = max(longest, length)
        widest = max(widest, offered)
        annotators[j].start = place
        annotators[j].stop = place
        place += length
        annotators[j].room = place
    return row_slots, slots, longest, widest, repeated


class Buffers(NamedTuple):
    """The arrays that `carve` cuts a market's out of; each may be longer than it needs."""

    tasks: np.ndarray  # TASK
    annotators: np.ndarray  # ANNOTATOR
    slots: np.ndarray  # SLOT
    columns: np.ndarray  # ARC
    row_arc: np.ndarray  # int32
    row_column: np.ndarray  # int32
    row_value: np.ndarray  # float64
    ints: np.ndarray  # int32
    reals: np.ndarray  # float64
    pick: np.ndarray  # int64
    counters: np.ndarray  # int64
    shortlist: np.ndarray  # ARC
    listed: np.ndarray  # LISTED
    search: Search


@inner
def is_roomy(buffers, m, n, nnz, sizes):
    """Is there room for a market of `m` tasks, `n` annotators and `nnz` arcs whose `sizes` have been measured?"""
    row_slots, slots, longest, widest = sizes
    rows = min(buffers.row_arc.size, buffers.row_column.size, buffers.row_value.size)
    search = buffers.search
    nodes = min(search.annotator.size, search.annotator_arc.size, search.annotator_row.size)
    return (
        longest >= 0
        and min(buffers.tasks.size, search.task.size, search.task_arc.size) >= m
        and min(buffers.annotators.size, buffers.listed.size, nodes) >= n
        and rows >= row_slots
        and buffers.slots.size >= slots
        and buffers.columns.size >= nnz
        and buffers.shortlist.size >= nnz // PART + SPARE * n + 1
        and buffers.pick.size >= widest + 1
        and buffers.ints.size >= 3 * m + 2 * n
        and buffers.reals.size >= 4 * m + 2 * n + slots + longest + 3 * (widest + 1)
        and min(search.key.size, search.node.size) >= heap_room_here(m, longest + widest + 1)
        and buffers.counters.size >= COUNTERS
    )


@inner
def carve(buffers, m, n, sizes):
    """Cut a `Book`, a `Desk` and a `Search` out of the buffers.  Nothing is initialised."""
    row_slots, slot_count, longest, widest = sizes
    queue = buffers.ints[: 2 * m]
    offers = buffers.ints[2 * m : 2 * (m + n)]
    unhappy = buffers.ints[2 * (m + n) : 2 * (m + n) + m]
    profit = buffers.reals[:m]
    kept = buffers.reals[m : 2 * m]
    best_kept = buffers.reals[2 * m : 3 * m]
    least = buffers.reals[3 * m : 4 * m]
    a = 4 * m
    price = buffers.reals[a : a + n]
    best_price = buffers.reals[a + n : a + 2 * n]
    a += 2 * n
    keys = buffers.reals[a : a + slot_count]
    a += slot_count
    surplus = buffers.reals[a : a + longest + widest + 1]
    a += longest + widest + 1
    pick_key = buffers.reals[a : a + widest + 1]
    a += widest + 1
    saved = buffers.reals[a : a + widest + 1]
    book = Book(
        price, profit, buffers.tasks[:m], buffers.annotators[:n], buffers.row_arc[:row_slots],
        buffers.row_column[:row_slots], buffers.row_value[:row_slots], buffers.slots[:slot_count], keys,
    )  # fmt: skip
    desk = Desk(
        queue, offers, unhappy, surplus, buffers.pick, pick_key, saved, kept, least, best_price, best_kept,
        buffers.counters, buffers.shortlist, buffers.listed[:n],
    )  # fmt: skip
    search = buffers.search
    heap = heap_room_here(m, longest + widest + 1)
    search = Search(
        search.task[:m], search.annotator[:n], search.task_arc[:m], search.annotator_arc[:n], search.annotator_row[:n],
        search.key[:heap], search.node[:heap],
    )  # fmt: skip
    return book, desk, search


class Workspace(threading.local):
    """The buffers of one thread."""

    def __init__(self) -> None:
        self.surpluses = 64
        self.buffers = Buffers(
            tasks=np.empty(64, TASK),
            annotators=np.empty(64, ANNOTATOR),
            slots=np.empty(64, SLOT),
            columns=np.empty(64, ARC),
            row_arc=np.empty(64, np.int32),
            row_column=np.empty(64, np.int32),
            row_value=np.empty(64, np.float64),
            ints=np.empty(1024, np.int32),
            reals=np.empty(1024, np.float64),
            pick=np.empty(64, np.int64),
            counters=np.zeros(COUNTERS, np.int64),
            shortlist=np.empty(64, ARC),
            listed=np.empty(64, LISTED),
            search=room_to_search(64, 64, self.surpluses),
        )

    def grow(self, **sizes: int) -> None:
        """Give each of the named buffers at least that size."""
        too_small = {name: size for name, size in sizes.items() if getattr(self.buffers, name).size < size}
        if too_small:
            fresh = {name: np.empty(size, getattr(self.buffers, name).dtype) for name, size in too_small.items()}
            self.buffers = self.buffers._replace(**fresh)

    def reserve(self, m: int, n: int, nnz: int, sizes: tuple[int, int, int, int]) -> None:
        """Grow until a market of these sizes fits (`annotators` must have grown before `measure`)."""
        row_slots, slots, longest, widest = sizes
        self.grow(
            tasks=m,
            slots=slots,
            listed=n,
            shortlist=nnz // PART + SPARE * n + 1,
            columns=nnz,
            row_arc=row_slots,
            row_column=row_slots,
            row_value=row_slots,
            ints=3 * m + 2 * n,
            reals=4 * m + 3 * (widest + 1) + 2 * n + slots + longest,
            pick=widest + 1,
        )
        surpluses = max(longest + widest + 1, self.surpluses)
        search = self.buffers.search
        tasks, annotators = max(m, search.task.size), max(n, search.annotator.size)
        if tasks > search.task.size or annotators > search.annotator.size or surpluses > self.surpluses:
            self.surpluses = surpluses
            self.buffers = self.buffers._replace(search=room_to_search(tasks, annotators, surpluses))
