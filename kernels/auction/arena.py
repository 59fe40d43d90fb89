"""Arcs that come and go: a market whose rows and columns keep room for change.

A task's row has a fixed room in the arrays of `Edges`; arcs it does not use have value 0, which nobody ever
takes. An annotator's column has room behind its last arc.  ``place[k]`` says where arc ``k`` stands in its
column.  An arc that goes leaves its entry behind with value 0, in a list of vacant places that begins at the
annotator and is linked by the entries' ``arc``; an arc that comes takes the first of them.  So either costs one
cache line.  Where a column has no room left, the columns are laid out afresh (`lay_out`), with new room in
proportion to what each holds.

A new task enters with ``π = +∞`` and an annotator who returns with ``p = +∞``: that breaks none of the
conditions in `layout` but (3) and (4), which the two stages of the auction are there to restore.  Everybody
else's ε-complementary slackness is untouched; that is why a round costs in proportion to what changed."""

import numpy as np

from kernels.auction.columns import AHEAD
from kernels.auction.compiling import entry, inlined, prefetch
from kernels.auction.slots import release_row, release_slot

SPARE = 16
"""Room that every column gets beyond 1.4 times what it holds: laying out afresh is what makes a round slow."""


@entry
def lay_out(edges, annotators, columns, place, cursor):
    """Write all arcs of positive value into `columns`, every column with spare room; returns the room needed.

    Nothing is written when `columns` is too small: the caller allocates what was returned and calls again.  `cursor`,
    int32[n], is scratch.
    """
    indptr, indices, values = edges
    for j in range(annotators.size):
        annotators[j].room = 0
    for k in range(indices.size):
        if values[k] > 0.0:
            annotators[indices[k]].room += 1
    needed = np.int64(0)
    for j in range(annotators.size):
        annotators[j].start = needed
        annotators[j].stop = needed
        needed += annotators[j].room + 2 * annotators[j].room // 5 + SPARE
        annotators[j].room = needed
        annotators[j].vacant = -1
    if columns.size >= needed:
        for j in range(annotators.size):
            cursor[j] = annotators[j].start
        for i in range(indptr.size - 1):
            for k in range(indptr[i], indptr[i + 1]):
                if k + AHEAD < indices.size:
                    prefetch(columns, cursor[np.uint32(indices[k + AHEAD])])
                if values[k] > 0.0:
                    j = np.uint32(indices[k])
                    t = cursor[j]
                    columns[t].value = values[k]
                    columns[t].arc = k
                    columns[t].row = i
                    place[k] = t
                    cursor[j] = t + 1
        for j in range(annotators.size):
            annotators[j].stop = cursor[j]
    return needed


@inlined
def insert(edges, annotators, columns, place, i, k):
    """Put arc `k` of task `i` into its column; False if there is no room."""
    annotator = annotators[edges.indices[k]]
    t = annotator.vacant
    if t >= 0:
        annotator.vacant = columns[t].arc
    elif annotator.stop < annotator.room:
        t = annotator.stop
        annotator.stop = t + 1
    else:
        return False
    columns[t].value = edges.values[k]
    columns[t].arc = k
    columns[t].row = i
    place[k] = t
    return True


@inlined
def remove(edges, annotators, columns, place, k):
    """Take arc `k` out of its column; its entry keeps a valid row, which nobody will bid for."""
    annotator = annotators[edges.indices[k]]
    t = place[k]
    columns[t].value = 0.0
    columns[t].arc = annotator.vacant
    annotator.vacant = t


@inlined
def enqueue(book, desk, i, waiting):
    """Let task `i` bid in the next round; returns the new number of waiting tasks."""
    if book.tasks[i].queued == 0:
        book.tasks[i].queued = 1
        desk.queue[waiting] = i
        waiting += 1
    return waiting


@inlined
def fetch_row(edges, book, place, i):
    """Ask for what replacing the row of task `i` reads first: its arcs and their places in the columns."""
    prefetch(book.tasks, i)
    for k in range(edges.indptr[i], edges.indptr[i + 1], 8):
        prefetch(edges.values, k)
    for k in range(edges.indptr[i], edges.indptr[i + 1], 16):
        prefetch(edges.indices, k)
        prefetch(place, k)


@inlined
def fetch_entries(edges, book, columns, place, i, arriving):
    """Ask for the entries of the columns that it writes."""
    for k in range(edges.indptr[i], edges.indptr[i + 1]):
        prefetch(columns, place[k])
    for c in range(arriving.size):
        annotator = book.annotators[np.uint32(arriving[c])]
        prefetch(columns, annotator.vacant if annotator.vacant >= 0 else annotator.stop)


@entry
def replace_tasks(auction, place, touched, waiting, tasks, fresh, demand):
    """Give each of `tasks` a new row (`fresh`: `Edges`) and demand, see `Market.set_tasks`.

    Returns
    -------
    waiting : number of tasks in ``desk.queue``
    crowded : whether a column had no room; `columns` is then incomplete until the next `lay_out`
    """
    edges, columns, book, desk, _ = auction
    indptr, indices, values = fresh
    crowded = False
    for r in range(tasks.size):
        if r + 2 < tasks.size:  # the second fetch reads what the first has asked for
            fetch_row(edges, book, place, tasks[r + 2])
            fetch_entries(edges, book, columns, place, tasks[r + 1], indices[indptr[r + 1] : indptr[r + 2]])
        i = tasks[r]
        task = book.tasks[i]
        while task.need < task.demand:
            k = np.int64(book.row_arc[task.first])
            release_slot(book, np.int64(book.row_column[task.first]), k)
            release_row(book, i, k)
        first = edges.indptr[i]
        for k in range(first, edges.indptr[i + 1]):
            if edges.values[k] > 0.0 and not crowded:
                remove(edges, book.annotators, columns, place, np.int64(k))
            c = indptr[r] + k - first
            if c < indptr[r + 1]:
                edges.indices[k] = indices[c]
                edges.values[k] = values[c] if values[c] > 0.0 else 0.0
            else:
                edges.values[k] = 0.0
            if edges.values[k] > 0.0 and not crowded:
                crowded = not insert(edges, book.annotators, columns, place, i, np.int64(k))
        task.demand = min(max(demand[r], 0), indptr[r + 1] - indptr[r])
        task.need = task.demand
        book.profit[i] = np.inf
        touched[i] = 1
        if task.demand > 0:
            waiting = enqueue(book, desk, i, waiting)
    return waiting, crowded


@entry
def replace_capacities(edges, book, desk, waiting, annotators, capacity):
    """Give each of `annotators` a new capacity; the least tolerant leave first.  Returns `waiting`."""
    for r in range(annotators.size):
        j = annotators[r]
        annotator = book.annotators[j]
        slots = max(capacity[r], 0)
        if annotator.capacity == 0 and slots > 0:
            book.price[j] = np.inf
        annotator.capacity = slots
        while annotator.fill > slots:
            low = np.inf
            loser = np.int64(annotator.first)
            for t in range(annotator.first, annotator.first + annotator.fill):
                tolerance = book.slots[t].value - book.profit[book.slots[t].row]
                if tolerance < low:
                    low = tolerance
                    loser = np.int64(t)
            i = np.int64(book.slots[loser].row)
            k = np.int64(book.slots[loser].arc)
            release_row(book, i, k)
            release_slot(book, j, k)
            waiting = enqueue(book, desk, i, waiting)
        if slots == 0:
            book.price[j] = np.inf
    return waiting
