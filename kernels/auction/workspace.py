"""Buffers that a thread keeps and reuses: a call that fits allocates nothing but its result.

They only grow.  NumPy allocates them, not the kernels: its large blocks ask the operating system for huge
pages, worth a fifth of the time of a market of a million tasks.  `measure` says how much a market needs,
`carve` cuts it out."""

import threading

import numpy as np

from kernels.auction.jit import entry, inner
from kernels.auction.layout import ANNOTATOR, ARC, COUNTERS, LISTED, SLOT, TASK, Book, Desk
from kernels.auction.paths import room_to_search
from kernels.auction.shortlist import PART, SPARE


@entry
def measure(indptr, indices, demand, capacity, annotators):
    """Sizes of a market; writes where the arcs of each annotator will start.

    An annotator gets at most one slot more than it has arcs: with that, it can never be full.

    Returns
    -------
    row_slots, slots : slots on the side of tasks and of annotators
    longest : longest row or column
    widest : largest demand or capacity
    """
    for j in range(capacity.size):
        annotators[j].room = 0
    for k in range(indices.size):
        annotators[indices[k]].room += 1
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
    return row_slots, slots, longest, widest


@inner
def carve(
    tasks, annotators, slots, row_arc, row_column, row_value, ints, reals, pick, counters, shortlist, listed, m, n, sizes
):  # fmt: skip
    """Cut a `Book` and a `Desk` out of the buffers.  Nothing is initialised."""
    row_slots, slot_count, longest, widest = sizes
    queue = ints[: 2 * m]
    offers = ints[2 * m : 2 * (m + n)]
    unhappy = ints[2 * (m + n) : 2 * (m + n) + m]
    profit = reals[:m]
    kept = reals[m : 2 * m]
    best_kept = reals[2 * m : 3 * m]
    least = reals[3 * m : 4 * m]
    a = 4 * m
    price = reals[a : a + n]
    best_price = reals[a + n : a + 2 * n]
    a += 2 * n
    keys = reals[a : a + slot_count]
    a += slot_count
    surplus = reals[a : a + longest + widest + 1]
    a += longest + widest + 1
    pick_key = reals[a : a + widest + 1]
    a += widest + 1
    saved = reals[a : a + widest + 1]
    book = Book(price, profit, tasks[:m], annotators[:n], row_arc[:row_slots], row_column[:row_slots], row_value[:row_slots], slots[:slot_count], keys)
    desk = Desk(
        queue, offers, unhappy, surplus, pick, pick_key, saved, kept, least, best_price, best_kept, counters,
        shortlist, listed[:n],
    )  # fmt: skip
    return book, desk


class Workspace(threading.local):
    """The buffers of one thread."""

    def __init__(self):
        self.tasks = np.empty(64, TASK)
        self.annotators = np.empty(64, ANNOTATOR)
        self.slots = np.empty(64, SLOT)
        self.columns = np.empty(64, ARC)
        self.row_arc = np.empty(64, np.int32)
        self.row_column = np.empty(64, np.int32)
        self.row_value = np.empty(64, np.float64)
        self.ints = np.empty(1024, np.int32)
        self.reals = np.empty(1024, np.float64)
        self.pick = np.empty(64, np.int64)
        self.counters = np.zeros(COUNTERS, np.int64)
        self.shortlist = np.empty(64, ARC)
        self.listed = np.empty(64, LISTED)
        self.surpluses = 64
        self.search = room_to_search(64, 64, self.surpluses)

    def reserve(self, m, n, nnz, sizes):
        """Grow until a market of these sizes fits (`annotators` must have grown before `measure`)."""
        row_slots, slots, longest, widest = sizes
        if self.tasks.size < m:
            self.tasks = np.empty(m, TASK)
        if self.slots.size < slots:
            self.slots = np.empty(slots, SLOT)
        surpluses = max(longest + widest + 1, self.surpluses)
        tasks, annotators = max(m, self.search.task.size), max(n, self.search.annotator.size)
        if tasks > self.search.task.size or annotators > self.search.annotator.size or surpluses > self.surpluses:
            self.search, self.surpluses = room_to_search(tasks, annotators, surpluses), surpluses
        if self.listed.size < n:
            self.listed = np.empty(n, LISTED)
        if self.shortlist.size < nnz // PART + SPARE * n + 1:
            self.shortlist = np.empty(nnz // PART + SPARE * n + 1, ARC)
        if self.columns.size < nnz:
            self.columns = np.empty(nnz, ARC)
        if self.row_arc.size < row_slots:
            self.row_arc = np.empty(row_slots, np.int32)
            self.row_column = np.empty(row_slots, np.int32)
            self.row_value = np.empty(row_slots, np.float64)
        if self.ints.size < 3 * m + 2 * n:
            self.ints = np.empty(3 * m + 2 * n, np.int32)
        reals = 4 * m + 3 * (widest + 1) + 2 * n + slots + longest
        if self.reals.size < reals:
            self.reals = np.empty(reals, np.float64)
        if self.pick.size < widest + 1:
            self.pick = np.empty(widest + 1, np.int64)
