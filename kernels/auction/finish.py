"""From nearly optimal to optimal on an integer grid: shortest augmenting paths, with the auction's prices.

An auction proves the optimum of integer values only once ε is below the grid by the number of pairs; its last
phases move the same few people again and again by less than a grid step.  Here they are replaced by the
Hungarian finish of Jonker and Volgenant, generalised to demands, capacities and staying out.

Prices are rounded down to the grid, each task's profit is set to the best surplus it does not hold, and what
it holds below that is released.  Then complementary slackness, (1) and (2) of `layout`, holds exactly, with
integers; what is missing is (3) and (4): tasks with need and a profit, annotators with a free slot and a
price.  Each of them is repaired by one path of least cost, where a step costs its slackness:

    task i → annotator j     not held:  π_i + p_j − w         annotator j → task i     held:  w − π_i − p_j

* From a task: to an annotator with a free slot, or to a task that stays out, at the further cost of its profit.
* To an annotator, backwards: from a task with need, or from an annotator that lets a slot stay free, at the
  further cost of its price.

The path found at distance ``D``, what lies nearer by ``δ`` than that moves its price or profit by δ: all costs
stay non-negative, and the path becomes free.  All numbers are integers below 2⁵³, which float64 adds exactly:
at the end bound and value are equal.

R. Jonker and A. Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment
problems", Computing 38 (1987); D. P. Bertsekas, Network Optimization (1998), §7.5, for starting it from an
auction.  Ties go to the node found first: tasks and arcs are read in their order.
"""

import numpy as np

from kernels.auction.forward import best_of_row
from kernels.auction.jit import inlined, inner
from kernels.auction.slots import attach, release_row, release_slot

UNSEEN, DONE = -1, -2
"""Places of a node that is not in the heap."""

EARLY, EARLY_PATIENCE, PATIENCE = 6, 1, 32
"""All arcs may be read `PATIENCE` times, but in an early attempt only `EARLY_PATIENCE` times for the first
`EARLY`/8 of the tasks: where that is not enough, the rest takes many times as long."""

EXACT_BELOW = 2.0**50
"""Sums of a few values below this are exact in float64."""


@inner
def integral(edges, largest_value):
    """Whether all values worth taking are integers, small enough to be added exactly."""
    whole = largest_value < EXACT_BELOW
    for k in range(edges.values.size):
        w = edges.values[k]
        whole &= not w > 0.0 or w == np.floor(w)
    return whole


@inlined
def sift_up(nodes, heap, v, t):
    """Put node `v`, now at place `t` of the heap or nearer, where it belongs."""
    distance = nodes[v].distance
    while t > 0:
        parent = (t - 1) >> 1
        if nodes[heap[parent]].distance <= distance:
            break
        heap[t] = heap[parent]
        nodes[heap[t]].place = t
        t = parent
    heap[t] = v
    nodes[v].place = t


@inlined
def pop(nodes, heap, size):
    """Take the nearest node out of a heap of `size`."""
    nearest = heap[0]
    nodes[nearest].place = DONE
    v = heap[size - 1]
    size -= 1
    t = 0
    child = 1
    while child < size:
        if child + 1 < size and nodes[heap[child + 1]].distance < nodes[heap[child]].distance:
            child += 1
        if nodes[heap[child]].distance >= nodes[v].distance:
            break
        heap[t] = heap[child]
        nodes[heap[t]].place = t
        t = child
        child = 2 * t + 1
    if size > 0:
        heap[t] = v
        nodes[v].place = t
    return np.int64(nearest)


@inlined
def relax(desk, v, distance, via, arc, size, seen):
    """Node `v` can be reached at `distance` from `via` by `arc`; returns the sizes of heap and touched list."""
    node = desk.nodes[v]
    if node.place == UNSEEN:
        desk.touched[seen] = v
        seen += 1
        node.place = size
        size += 1
    elif node.place == DONE or distance >= node.distance:
        return size, seen
    node.distance = distance
    node.via = via
    node.arc = arc
    sift_up(desk.nodes, desk.heap, v, np.int64(node.place))
    return size, seen


@inlined
def holds(book, i, k):
    """Whether task `i` holds arc `k`."""
    task = book.tasks[i]
    found = False
    for t in range(task.first, task.first + task.demand - task.need):
        found |= book.row_arc[t] == k
    return found


@inner
def from_task(edges, book, desk, source):
    """Cheapest path from a task with need.

    Returns
    -------
    end : node where the path ends: an annotator with a free slot, or the task that will stay out
    distance, seen, read : length of the path, nodes touched, arcs read
    """
    indptr, indices, values = edges
    m = np.int64(book.tasks.size)
    profit, price, nodes = book.profit, book.price, desk.nodes
    size, seen = relax(desk, source, 0.0, np.int64(-1), np.int64(-1), np.int64(0), np.int64(0))
    end = np.int64(-1)
    best = np.inf
    read = np.int64(0)
    while size > 0 and nodes[desk.heap[0]].distance < best:
        v = pop(nodes, desk.heap, size)
        size -= 1
        near = nodes[v].distance
        if v < m:
            if near + profit[v] < best:
                best = near + profit[v]
                end = v
            floor = near
            near += profit[v]
            read += indptr[v + 1] - indptr[v]
            for k in range(indptr[v], indptr[v + 1]):
                j = np.int64(indices[k])
                distance = near + price[j] - values[k]
                if distance < best and values[k] > 0.0 and (distance > floor or not holds(book, v, k)):
                    size, seen = relax(desk, m + j, distance, v, np.int64(k), size, seen)
                    if book.annotators[j].fill < book.annotators[j].capacity:
                        best = distance
                        end = m + j
        else:
            near -= price[v - m]
            annotator = book.annotators[v - m]
            read += annotator.fill
            for t in range(annotator.first, annotator.first + annotator.fill):
                i = np.int64(book.slots[t].row)
                distance = near + book.slots[t].value - profit[i]
                if distance < best:
                    size, seen = relax(desk, i, distance, v, np.int64(book.slots[t].arc), size, seen)
    return end, best, seen, read


@inner
def to_annotator(edges, columns, book, desk, target):
    """Cheapest path to an annotator with a free slot, searched backwards; returns like `from_task`.

    The path begins at a task with need, or at the annotator that will let a slot stay free.
    """
    m = np.int64(book.tasks.size)
    profit, price, nodes = book.profit, book.price, desk.nodes
    size, seen = relax(desk, m + target, 0.0, np.int64(-1), np.int64(-1), np.int64(0), np.int64(0))
    end = np.int64(-1)
    best = np.inf
    read = np.int64(0)
    while size > 0 and nodes[desk.heap[0]].distance < best:
        v = pop(nodes, desk.heap, size)
        size -= 1
        near = nodes[v].distance
        if v >= m:
            if near + price[v - m] < best:
                best = near + price[v - m]
                end = v
            floor = near
            near += price[v - m]
            annotator = book.annotators[v - m]
            read += annotator.stop - annotator.start
            for t in range(annotator.start, annotator.stop):
                i = np.int64(columns[t].row)
                distance = near + profit[i] - columns[t].value
                if distance < best and columns[t].value > 0.0:
                    k = np.int64(columns[t].arc)
                    if distance > floor or not holds(book, i, k):
                        size, seen = relax(desk, i, distance, v, k, size, seen)
                        if book.tasks[i].need > 0:
                            best = distance
                            end = i
        else:
            near -= profit[v]
            task = book.tasks[v]
            for t in range(task.first, task.first + task.demand - task.need):
                k, j = np.int64(book.row_arc[t]), np.int64(book.row_column[t])
                distance = near + book.row_value[t] - price[j]
                if distance < best:
                    size, seen = relax(desk, m + j, distance, v, k, size, seen)
    return end, best, seen, read


@inner
def move_duals(book, desk, seen, distance, sign):
    """Prices and profits of what lies nearer than `distance`; forget the search."""
    m = np.int64(book.tasks.size)
    for t in range(seen):
        v = np.int64(desk.touched[t])
        node = desk.nodes[v]
        if node.place == DONE and node.distance < distance:
            if v < m:
                book.profit[v] -= sign * (distance - node.distance)
            else:
                book.price[v - m] += sign * (distance - node.distance)
        node.place = UNSEEN


@inner
def shift_from_task(edges, book, desk, end):
    """Move everybody along a path of `from_task`, from its end."""
    m = np.int64(book.tasks.size)
    nodes = desk.nodes
    while end >= 0:
        arc = np.int64(-1)
        i = end
        j = np.int64(-1)
        if end >= m:
            i, j, arc = np.int64(nodes[end].via), end - m, np.int64(nodes[end].arc)
        end = np.int64(nodes[i].via)
        if end >= 0:
            release_slot(book, end - m, np.int64(nodes[i].arc))
            release_row(book, i, np.int64(nodes[i].arc))
        if j >= 0:
            attach(book, i, j, arc, edges.values[arc])


@inner
def shift_to_annotator(edges, book, desk, end):
    """Move everybody along a path of `to_annotator`, from its beginning."""
    m = np.int64(book.tasks.size)
    nodes = desk.nodes
    while end >= 0:
        arc = np.int64(-1)
        i = np.int64(-1)
        j = end - m
        if end < m:
            i, j, arc = end, np.int64(nodes[end].via) - m, np.int64(nodes[end].arc)
        end = np.int64(nodes[m + j].via)
        if end >= 0:
            release_slot(book, j, np.int64(nodes[m + j].arc))
            release_row(book, end, np.int64(nodes[m + j].arc))
        if i >= 0:
            attach(book, i, j, arc, edges.values[arc])


@inner
def round_down(edges, book, desk):
    """Integer prices and profits under which what is held is optimal as far as it goes."""
    for j in range(book.price.size):
        book.price[j] = np.floor(book.price[j])
    for i in range(book.tasks.size):
        task = book.tasks[i]
        if task.demand > 0:
            _, outside = best_of_row(edges, book, desk, np.int64(i), np.int64(0))
            book.profit[i] = outside
            t = task.first
            while t < task.first + task.demand - task.need:
                k, j = np.int64(book.row_arc[t]), np.int64(book.row_column[t])
                if book.row_value[t] - book.price[j] < outside:
                    release_slot(book, j, k)
                    release_row(book, np.int64(i), k)
                else:
                    t += 1


@inner
def finish(edges, columns, book, desk, early, max_edges):
    """Repair (3) and (4) exactly, path by path; returns the number of arcs read.

    Stops early once more than `max_edges` arcs have been read, or where paths turn out to be so long that another
    phase of the auction is cheaper, sooner in an `early` attempt; the state is then still feasible.
    """
    m = np.int64(book.tasks.size)
    round_down(edges, book, desk)
    for v in range(m + book.price.size):
        desk.nodes[v].place = UNSEEN
    read = np.int64(0)
    limit = min(max_edges, (EARLY_PATIENCE if early else PATIENCE) * edges.indices.size)
    for i in range(m):
        if read >= limit:
            break
        if i == EARLY * m // 8:
            limit = min(max_edges, PATIENCE * edges.indices.size)
        while book.tasks[i].need > 0 and book.profit[i] > 0.0 and read < limit:
            end, distance, seen, arcs = from_task(edges, book, desk, np.int64(i))
            read += arcs
            shift_from_task(edges, book, desk, end)
            move_duals(book, desk, seen, distance, 1.0)
    for j in range(book.price.size):
        annotator = book.annotators[j]
        while annotator.fill < annotator.capacity and book.price[j] > 0.0 and read < limit:
            end, distance, seen, arcs = to_annotator(edges, columns, book, desk, np.int64(j))
            read += arcs
            shift_to_annotator(edges, book, desk, end)
            move_duals(book, desk, seen, distance, -1.0)
    return read + edges.indices.size
