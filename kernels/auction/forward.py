"""Forward auction: tasks bid for annotators, prices only rise.

Task ``i`` looks at the surpluses ``w − p`` of its candidates, picks the best it still needs and bids for
each up to the price that would make the best one it leaves just as good:  ``bid = w − s_left`` (its own
tolerance).

* A free slot is taken at the present price; the bid that fills the last slot lifts the price to the weakest
  tolerance.
* At a full column the bid is decided against the weakest holder.  If that holder tolerates at least as
  much, only
  the price moves, to ``bid + ε`` (the incumbent wins ties, and nobody is evicted to come straight
  back).  Otherwise the holder leaves, queues again, and the price becomes ``min(next weakest tolerance,
  bid) + ε``.

Each bid at a full column raises a price by at least ε, so the stage ends.  It keeps (1) and (2) of `layout`
and establishes (3): whoever is still not full finds nothing worth its price.  A full column stays full.

Tasks wait in epochs, first come first served; an epoch that is a large share of all tasks is visited in the
order of memory.  Rows further on in the epoch are fetched ahead: in a large market a bid mostly waits for
memory.

D. P. Bertsekas, "Auction algorithms for network flow problems: a tutorial introduction", Computational
Optimization and Applications 1 (1992); D. P. Bertsekas and D. A. Castañón, "The auction algorithm for the
transportation problem", Annals of Operations Research 20 (1989), for many equal slots.
"""

import numpy as np

from kernels.auction.compiling import inlined, inner, prefetch
from kernels.auction.lanes import FEW, row_top_1, row_top_2, row_top_3, row_top_4
from kernels.auction.market_arrays import BIDS, FORWARD_EDGES
from kernels.auction.select import best
from kernels.auction.slots import attach, release_row, replace, weakest

IN_ORDER_FROM = 32
"""An epoch of at least 1/32 of all tasks is read off their flags in order, which costs less than it saves."""

FAR, NEAR = 18, 12
"""How many bids ahead a task's record, and its row, are fetched."""

SCOUT_FROM = 1 << 22
"""From so many arcs on a market is much larger than caches, and bids are worth foreseeing."""

SCOUT, SLOTS, HOLDERS, MOST_HOLDERS, RING = 8, 5, 2, 4, 16
"""How many bids ahead picks are guessed, their slots and the holders are fetched; how many of these; see `scout`."""


@inner
def next_epoch(tasks, queue, base, count):
    """Put a large epoch (``queue[base : base + count]``) into the order of memory."""
    if count * IN_ORDER_FROM >= tasks.size:
        t = base
        for i in range(tasks.size):
            if tasks[i].queued:
                queue[t] = i
                t += 1


@inlined
def fetch_row(edges, low, high):
    """Ask for the cache lines of a row."""
    for k in range(low, high, 8):
        prefetch(edges.values, k)
    for k in range(low, high, 16):
        prefetch(edges.indices, k)


@inlined
def look(edges, book, desk, i):
    """Write the candidates' surpluses into ``desk.surplus``, 0 for those task `i` has or does not want."""
    low = edges.indptr[i]
    value = edges.values[low : edges.indptr[i + 1]]
    column = edges.indices[low : edges.indptr[i + 1]]
    surplus = desk.surplus[: value.size]
    price = book.price
    for c in range(surplus.size):
        s = value[c] - price[np.uint32(column[c])]
        surplus[c] = s if s > 0.0 else 0.0
    task = book.tasks[i]
    for t in range(task.first, task.first + task.demand - task.need):
        surplus[book.row_arc[t] - low] = 0.0
    return surplus.size


@inlined
def best_of_row(edges, book, desk, i, q):
    """The `q` best arcs that task `i` does not hold, `q` ≥ 0: see `select.best`."""
    low, high = edges.indptr[i], edges.indptr[i + 1]
    if q > FEW:
        size = look(edges, book, desk, i)
        return best(desk.surplus, size, q, desk.pick, desk.pick_key)
    task = book.tasks[i]
    held = task.demand - task.need
    for t in range(held):
        j = book.row_column[task.first + t]
        desk.saved[t] = book.price[j]
        book.price[j] = np.inf
    if q == 0:
        row_top_1(edges.values, edges.indices, book.price, low, high, desk.pick, desk.pick_key)
    elif q == 1:
        row_top_2(edges.values, edges.indices, book.price, low, high, desk.pick, desk.pick_key)
    elif q == 2:
        row_top_3(edges.values, edges.indices, book.price, low, high, desk.pick, desk.pick_key)
    else:
        row_top_4(edges.values, edges.indices, book.price, low, high, desk.pick, desk.pick_key)
    for t in range(held):
        book.price[book.row_column[task.first + t]] = desk.saved[t]
    return found_of(desk, q)


@inlined
def found_of(desk, q):
    """How many of the `q` best there are, and the best one left."""
    found = np.int64(0)
    for t in range(q):
        found += desk.pick_key[t] > 0.0
    return found, desk.pick_key[q]


@inlined
def bid_for(edges, book, i, k, left_out, eps):
    """One bid of task `i` by arc `k`.  Returns who lost a slot, `i` if the bid failed, −1 if nobody."""
    j = np.int64(edges.indices[k])
    w = edges.values[k]
    annotator = book.annotators[j]
    if annotator.fill < annotator.capacity:
        attach(book, i, j, k, w)
        if annotator.fill == annotator.capacity:
            _, tolerance, _ = weakest(book, j)
            book.price[j] = max(book.price[j], tolerance + eps)
        return np.int64(-1)
    slot, tolerance, second = weakest(book, j)
    bid = w - left_out
    if bid <= tolerance:
        book.price[j] = bid + eps
        return i
    loser = np.int64(book.slots[slot].row)
    release_row(book, loser, book.slots[slot].arc)
    book.price[j] = max(replace(book, j, slot, i, k, w, bid, second) + eps, 0.0)  # rounding may take it below
    return loser


@inlined
def set_profit(book, i, profit):
    """Set π of task `i`.  A rise lowers the tolerance of what it holds, which heaps do not expect."""
    if profit > book.profit[i]:
        task = book.tasks[i]
        for t in range(task.first, task.first + task.demand - task.need):
            book.annotators[book.row_column[t]].heaped = 0
    book.profit[i] = profit


@inlined
def scout(edges, book, desk, turn, end):
    """Fetch what the bids soon to come will touch: whom they would pick now, whose slots these are, who holds them.

    Prices move little in a few bids, and a wrong guess costs nothing but the fetch.  Guesses stand in ``desk.unhappy``,
    which this stage does not need, in a ring of `RING` turns of `FEW` annotators and a count.
    """
    ring = desk.unhappy
    annotators = book.annotators
    if turn + SCOUT < end:
        at = (turn + SCOUT) % RING * (FEW + 1)
        i = np.int64(desk.queue[turn + SCOUT])
        ring[at + FEW] = 0
        if book.tasks[i].need > 0:
            found, _ = best_of_row(edges, book, desk, i, np.int64(min(book.tasks[i].need, FEW)))
            ring[at + FEW] = found
            for t in range(found):
                ring[at + t] = edges.indices[edges.indptr[i] + desk.pick[t]]
                prefetch(annotators, ring[at + t])
    if turn + SLOTS < end:
        at = (turn + SLOTS) % RING * (FEW + 1)
        for t in range(ring[at + FEW]):
            prefetch(book.slots, annotators[ring[at + t]].first)
    if turn + HOLDERS < end:
        at = (turn + HOLDERS) % RING * (FEW + 1)
        for t in range(ring[at + FEW]):
            annotator = annotators[ring[at + t]]
            for s in range(annotator.first, annotator.first + min(annotator.fill, MOST_HOLDERS)):
                prefetch(book.profit, book.slots[s].row)
                prefetch(book.tasks, book.slots[s].row)


@inner
def forward(edges, book, desk, count, eps, max_edges):
    """Let the first `count` tasks of ``desk.queue`` bid until nobody wants to.

    Stops early once more than `max_edges` arcs have been read; the state is then still feasible.  Returns the
    number of arcs read.
    """
    indptr = edges.indptr
    tasks = book.tasks
    queue = desk.queue
    if book.keys.size > 0:
        for j in range(book.annotators.size):
            book.annotators[j].heaped = 0  # other stages have moved profits
    for t in range(count):
        tasks[queue[t]].queued = 1
    base = 0
    bids = 0
    read = 0
    large = edges.indices.size >= SCOUT_FROM and tasks.size >= RING * (FEW + 1)
    while count > 0 and read < max_edges:
        next_epoch(tasks, queue, base, count)
        if large:
            for t in range(RING * (FEW + 1)):
                desk.unhappy[t] = 0
        other = tasks.size - base
        waiting = 0
        for turn in range(base, base + count):
            if turn + FAR < base + count:
                prefetch(tasks, queue[turn + FAR])
                prefetch(indptr, queue[turn + FAR])
                ahead = queue[turn + NEAR]
                fetch_row(edges, indptr[ahead], indptr[ahead + 1])
            if large:
                scout(edges, book, desk, turn, base + count)
            i = np.int64(queue[turn])
            need = np.int64(tasks[i].need)
            if need > 0 and read < max_edges:
                tasks[i].queued = 0
                found, left_out = best_of_row(edges, book, desk, i, need)
                read += indptr[i + 1] - indptr[i]
                bids += found
                set_profit(book, i, left_out)
                for t in range(found):
                    loser = bid_for(edges, book, i, indptr[i] + desk.pick[t], left_out, eps)
                    if loser >= 0 and tasks[loser].queued == 0:
                        tasks[loser].queued = 1
                        queue[other + waiting] = loser
                        waiting += 1
            elif need > 0:
                queue[other + waiting] = i
                waiting += 1
            else:
                tasks[i].queued = 0
        base = other
        count = waiting
    for t in range(base, base + count):
        tasks[queue[t]].queued = 0
    desk.counters[BIDS] += bids
    desk.counters[FORWARD_EDGES] += read
    return read
