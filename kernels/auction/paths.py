"""Shortest augmenting paths: settle the few who are unsettled after a change, and nobody else's price twice.

Where neighbours compete at nearly the same price, one free slot or one new task sets off a long chain of bids, each
worth an ε.  A shortest path in the residual graph finds the end of that chain without walking it: with the reduced
costs ``c = max(0, π_i + p_j − w)`` of arcs not held and ``max(0, w − π_i − p_j)`` of held ones as lengths,

* a task with need left and a profit (`seat`) searches for an annotator with a free slot, or for a task ``i'`` that
  might as well step back, at the further distance ``π_i'`` (at first itself);
* an annotator with a free slot and a price (`fill`) searches for a task with need left, or for an annotator ``j'``
  whose slot might as well stay free, at the further distance ``p_j'``.

At distance ``Δ`` of the end, every node at ``d < Δ`` moves its profit or price by ``Δ − d``, so that all arcs of the
path become tight, and the units move along it.  That keeps the conditions (1) to (4) of `layout` as they were, with
the same ε.  A search that is broken off after `limit` nodes moves the duals by the distance it has reached, which is
just as right, and what remains to be paid is less.  Searches from both sides take turns with growing limits: most
ends are near, and each settled one brings the others nearer.

On markets where whole plateaus are equally good, a search reads the plateau; the auction with its ε does not.  `warm`
decides which of the two a market gets.

R. K. Ahuja, T. L. Magnanti and J. B. Orlin, Network Flows, 1993, §9.7 (successive shortest paths); R. Jonker and
A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems", Computing 38
(1987)."""

from typing import NamedTuple

import numpy as np

from kernels.auction.compiling import inlined, inner
from kernels.auction.forward import look
from kernels.auction.market_arrays import BIDS, REVERSE_BIDS, Search
from kernels.auction.reverse import rank
from kernels.auction.slots import attach, release_row, release_slot

FIRST_LIMIT = 64
FIRST_RADIUS = 32.0
"""Nodes that the first search from each side may visit, and how far it goes, in ε; both double in each turn."""


class Limits(NamedTuple):
    """How far searches go."""

    radius: float  # in value
    nodes: int  # visited by one search
    budget: float  # value that may be left unsettled
    edges: int  # arcs read, about


def heap_room(m: int, surpluses: int) -> int:
    """Room of the heap for `m` tasks: where a plateau fills it, a search is broken off."""
    return 2 * surpluses + m + 1024


heap_room_here = inlined(heap_room)
"""For kernels."""


def room_to_search(m: int, n: int, surpluses: int) -> Search:
    """A `Search` for `m` tasks and `n` annotators whose buffer of surpluses has that size."""
    heap = heap_room(m, surpluses)
    return Search(
        task=np.full(m, np.inf),
        annotator=np.full(n, np.inf),
        task_arc=np.empty(m, np.int32),
        annotator_arc=np.empty(n, np.int32),
        annotator_row=np.empty(n, np.int32),
        key=np.empty(heap),
        node=np.empty(heap, np.int32),
    )


@inlined
def push(search, size, distance, node):
    """Add `node` to the heap of `size`."""
    key, nodes = search.key, search.node
    t = size
    while t > 0 and key[(t - 1) // 2] > distance:
        key[t] = key[(t - 1) // 2]
        nodes[t] = nodes[(t - 1) // 2]
        t = (t - 1) // 2
    key[t] = distance
    nodes[t] = node
    return size + 1


@inlined
def pop(search, size):
    """Remove the nearest node from the heap of `size`."""
    key, nodes = search.key, search.node
    size -= 1
    distance, node = key[size], nodes[size]
    t = np.int64(0)
    child = np.int64(1)
    while child < size:
        if child + 1 < size and key[child + 1] < key[child]:
            child += 1
        if key[child] >= distance:
            break
        key[t] = key[child]
        nodes[t] = nodes[child]
        t = child
        child = 2 * t + 1
    key[t] = distance
    nodes[t] = node
    return size


@inlined
def reach_task(search, desk, i, distance, k, count):
    """Note that task `i` is `distance` away by arc `k`; returns how many tasks have been reached."""
    if search.task[i] == np.inf:
        desk.unhappy[count] = i
        count += 1
    search.task[i] = distance
    search.task_arc[i] = k
    return count


@inlined
def reach_annotator(search, desk, j, distance, k, i, count):
    """Note that annotator `j` is `distance` away by arc `k` of row `i`; returns how many have been reached."""
    n = search.annotator.size
    if search.annotator[j] == np.inf:
        desk.offers[n + count] = j
        count += 1
    search.annotator[j] = distance
    search.annotator_arc[j] = k
    search.annotator_row[j] = i
    return count


@inlined
def move_duals(book, desk, search, tasks, annotators, end, sign):
    """Move the duals of what was reached nearer than `end`, prices by +`sign`; forget the distances."""
    n = search.annotator.size
    for t in range(tasks):
        i = desk.unhappy[t]
        if search.task[i] < end:
            book.profit[i] = max(book.profit[i] - sign * (end - search.task[i]), 0.0)
        search.task[i] = np.inf
    for t in range(n, n + annotators):
        j = desk.offers[t]
        if search.annotator[j] < end:
            book.price[j] = max(book.price[j] + sign * (end - search.annotator[j]), 0.0)
        search.annotator[j] = np.inf


@inlined
def let_go(edges, book, i, k):
    """Release held arc `k` of task `i`; returns its annotator."""
    j = np.int64(edges.indices[k])
    release_slot(book, j, np.int64(k))
    release_row(book, i, np.int64(k))
    return j


@inlined
def seat(edges, book, desk, search, source, radius, limit):
    """One unit for task `source`, or its profit to 0; at most `limit` nodes.  Returns the arcs read."""
    m = np.int64(book.tasks.size)
    room = search.key.size - desk.surplus.size
    end = min(book.profit[source], radius)
    last = np.int64(source) if book.profit[source] <= radius else np.int64(-1)
    tasks = reach_task(search, desk, source, 0.0, -1, np.int64(0))
    annotators = np.int64(0)
    size = push(search, np.int64(0), 0.0, source)
    read = np.int64(0)
    visits = 0
    while size > 0 and search.key[0] < end:
        near = search.key[0]
        if visits == limit or size > room:
            end, last = near, np.int64(-1)
            break
        node = np.int64(search.node[0])
        size = pop(search, size)
        if node < m and near == search.task[node]:
            visits += 1
            read += edges.indptr[node + 1] - edges.indptr[node]
            low = edges.indptr[node]
            profit = book.profit[node]
            for c in range(look(edges, book, desk, node)):
                s = desk.surplus[c]
                if s > profit - (end - near):
                    distance = near + max(profit - s, 0.0)
                    j = np.int64(edges.indices[low + c])
                    if distance < end and distance < search.annotator[j]:
                        annotators = reach_annotator(search, desk, j, distance, low + c, node, annotators)
                        if book.annotators[j].fill < book.annotators[j].capacity:
                            end, last = distance, m + j
                        else:
                            size = push(search, size, distance, m + j)
        elif node >= m and near == search.annotator[node - m]:
            visits += 1
            annotator = book.annotators[node - m]
            price = book.price[node - m]
            for t in range(annotator.first, annotator.first + annotator.fill):
                i = np.int64(book.slots[t].row)
                distance = near + max(book.slots[t].value - book.profit[i] - price, 0.0)
                if distance < end and distance < search.task[i]:
                    tasks = reach_task(search, desk, i, distance, book.slots[t].arc, tasks)
                    size = push(search, size, distance, i)
                    if distance + book.profit[i] < end:
                        end, last = distance + book.profit[i], i
    move_duals(book, desk, search, tasks, annotators, end, 1.0)
    if last < 0 or last == source:
        return read
    j = last - m if last >= m else let_go(edges, book, last, search.task_arc[last])
    while True:
        i = np.int64(search.annotator_row[j])
        k = np.int64(search.annotator_arc[j])
        freed = let_go(edges, book, i, search.task_arc[i]) if i != source else np.int64(-1)
        attach(book, i, j, k, edges.values[k])
        if i == source:
            desk.counters[BIDS] += 1
            return read
        j = freed


@inlined
def fill(edges, columns, book, desk, search, source, radius, limit):
    """One unit for annotator `source`, or its price to 0; at most `limit` nodes.  Returns the arcs read."""
    m = np.int64(book.tasks.size)
    room = search.key.size - desk.surplus.size
    end = min(book.price[source], radius)
    last = m + source if book.price[source] <= radius else np.int64(-1)
    tasks = np.int64(0)
    annotators = reach_annotator(search, desk, source, 0.0, -1, -1, np.int64(0))
    size = push(search, np.int64(0), 0.0, m + source)
    read = np.int64(0)
    visits = 0
    while size > 0 and search.key[0] < end:
        near = search.key[0]
        if visits == limit or size > room:
            end, last = near, np.int64(-1)
            break
        node = np.int64(search.node[0])
        size = pop(search, size)
        if node >= m and near == search.annotator[node - m]:
            visits += 1
            start = book.annotators[node - m].start
            read += book.annotators[node - m].stop - start
            price = book.price[node - m]
            for c in range(rank(columns, book, desk, node - m)):
                s = desk.surplus[c]
                if s > price - (end - near):
                    distance = near + max(price - s, 0.0)
                    i = np.int64(columns[start + c].row)
                    if distance < end and distance < search.task[i]:
                        tasks = reach_task(search, desk, i, distance, columns[start + c].arc, tasks)
                        if book.tasks[i].need > 0:
                            end, last = distance, i
                        else:
                            size = push(search, size, distance, i)
        elif node < m and near == search.task[node]:
            visits += 1
            task = book.tasks[node]
            for t in range(task.first, task.first + task.demand - task.need):
                k, j = np.int64(book.row_arc[t]), np.int64(book.row_column[t])
                distance = near + max(book.row_value[t] - book.price[j] - book.profit[node], 0.0)
                if distance < end and distance < search.annotator[j]:
                    annotators = reach_annotator(search, desk, j, distance, k, node, annotators)
                    size = push(search, size, distance, m + j)
                    if distance + book.price[j] < end:
                        end, last = distance + book.price[j], m + j
    move_duals(book, desk, search, tasks, annotators, end, -1.0)
    if last < 0 or last == m + source:
        return read
    i = last
    if last >= m:
        i = np.int64(search.annotator_row[last - m])
        let_go(edges, book, i, search.annotator_arc[last - m])
    while True:
        k = np.int64(search.task_arc[i])
        j = np.int64(edges.indices[k])
        other = np.int64(search.annotator_row[j])
        if j != source:
            let_go(edges, book, other, search.annotator_arc[j])
        attach(book, i, j, k, edges.values[k])
        if j == source:
            desk.counters[REVERSE_BIDS] += 1
            return read
        i = other


@inlined
def to_gain(book, i):
    """What task `i` would gain if it were settled: it keeps the bound that much above the value."""
    return book.tasks[i].need * book.profit[i] if book.tasks[i].need > 0 else 0.0


@inlined
def to_pay(book, j):
    """The same for annotator `j`."""
    free = book.annotators[j].capacity - book.annotators[j].fill
    return free * book.price[j] if free > 0 else 0.0


@inner
def seat_all(auction, waiting, limits):
    """`seat` the first `waiting` tasks of ``desk.queue`` until the rest would gain at most the budget.

    Who is left moves to the front.  Returns how many are left, what they would still gain, and the arcs read.
    """
    edges, _, book, desk, search = auction
    left = np.int64(0)
    cost = 0.0
    for t in range(waiting):
        cost += to_gain(book, desk.queue[t])
    read = np.int64(0)
    for t in range(waiting):
        i = np.int64(desk.queue[t])
        task = book.tasks[i]
        cost -= to_gain(book, i)
        stuck = cost + to_gain(book, i) <= limits.budget
        while task.need > 0 and book.profit[i] > 0.0 and not stuck and read < limits.edges:
            before = task.need
            read += seat(edges, book, desk, search, i, limits.radius, limits.nodes)
            stuck = task.need == before
        cost += to_gain(book, i)
        if task.need > 0 and book.profit[i] > 0.0:
            desk.queue[left] = i
            left += 1
        else:
            task.queued = 0
    return left, cost, read


@inner
def fill_all(auction, idle, limits):
    """`fill` the first `idle` annotators of ``desk.offers``, as `seat_all`."""
    edges, columns, book, desk, search = auction
    left = np.int64(0)
    cost = 0.0
    for t in range(idle):
        cost += to_pay(book, desk.offers[t])
    read = np.int64(0)
    for t in range(idle):
        j = np.int64(desk.offers[t])
        annotator = book.annotators[j]
        cost -= to_pay(book, j)
        stuck = cost + to_pay(book, j) <= limits.budget
        while annotator.fill < annotator.capacity and book.price[j] > 0.0 and not stuck and read < limits.edges:
            before = annotator.fill
            read += fill(edges, columns, book, desk, search, j, limits.radius, limits.nodes)
            stuck = annotator.fill == before
        cost += to_pay(book, j)
        if annotator.fill < annotator.capacity and book.price[j] > 0.0:
            desk.offers[left] = j
            left += 1
    return left, cost, read


@inner
def invite(columns, book, desk, idle):
    """Give annotators who return the highest price that a task would pay now."""
    for t in range(idle):
        j = np.int64(desk.offers[t])
        if book.price[j] == np.inf:
            length = rank(columns, book, desk, j)
            top = 0.0
            for c in range(length):
                top = max(top, desk.surplus[c])
            book.price[j] = top


@inner
def settle(auction, waiting, idle, radius, budget, max_edges):
    """Settle waiting tasks and idle annotators by paths until what is left costs at most `budget`.

    Parameters
    ----------
    waiting, idle : how many there are in ``desk.queue`` and ``desk.offers``
    budget : value that may be left unsettled, for the next round
    max_edges : give up after about this many arcs

    Returns
    -------
    waiting : how many tasks are left in ``desk.queue``
    cost : what all the unsettled keep the bound above the value, at most `budget` on success
    read : arcs read

    A rest may stay: where the heap has no room for a plateau, and beyond the radius of the last turn, in which every
    node may be visited.  In a market of no more than `FIRST_LIMIT` nodes the radius is unlimited.
    """
    _, columns, book, desk, _ = auction
    invite(columns, book, desk, idle)
    cost = 0.0
    for t in range(idle):
        cost += to_pay(book, desk.offers[t])
    read = np.int64(0)
    nodes = book.tasks.size + book.price.size
    limit = np.int64(FIRST_LIMIT)
    radius = radius if nodes >= limit else np.inf
    while True:
        limits = Limits(radius, limit, budget - cost, max_edges - read)
        waiting, gain, more = seat_all(auction, waiting, limits)
        read += more
        limits = Limits(radius, limit, budget - gain, max_edges - read)
        idle, cost, more = fill_all(auction, idle, limits)
        read += more
        if gain + cost <= budget or read >= max_edges or limit > nodes:
            return waiting, gain + cost, read
        limit *= 2
        radius *= 2.0
