"""Forward auction: tasks bid for annotators, prices only rise.

Task ``i`` looks at the surpluses ``w − p`` of its candidates, picks the best it still needs and bids for each up to the
price that would make the best one it leaves just as good:  ``bid = w − s_left`` (its own tolerance).

* A free slot is taken at the present price; the bid that fills the last slot lifts the price to the weakest tolerance.
* At a full column the bid is decided against the weakest holder.  If that holder tolerates at least as much, only the
  price moves, to ``bid + ε`` (the incumbent wins ties, and nobody is evicted to come straight back).  Otherwise the
  holder leaves, queues again, and the price becomes ``min(next weakest tolerance, bid) + ε``.

Each bid at a full column raises a price by at least ε, so the stage ends.  It keeps (1) and (2) of `layout` and
establishes (3): whoever is still not full finds nothing worth its price.  A full column stays full.

Tasks wait in epochs, first come first served; an epoch that is a large share of all tasks is visited in the order of
memory.  D. P. Bertsekas, "Auction algorithms for network flow problems: a tutorial introduction", Computational
Optimization and Applications 1 (1992); D. P. Bertsekas and D. A. Castañón, "The auction algorithm for the transportation
problem", Annals of Operations Research 20 (1989), for many equal slots.
"""

from numba import njit

from kernels.auction.layout import BIDS, FORWARD_EDGES
from kernels.auction.select import best
from kernels.auction.slots import attach, release_row, replace, weakest

IN_ORDER_FROM = 32
"""An epoch of at least 1/32 of all entries is read off the flags in order, which costs less than it saves."""


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def next_epoch(queue, base, count, flags):
    """Sort a large epoch (``queue[base : base + count]``) by reading the flags of its members in order."""
    if count * IN_ORDER_FROM < flags.size:
        return
    t = base
    for i in range(flags.size):
        if flags[i]:
            queue[t] = i
            t += 1


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def forward(edges, book, desk, count, eps, max_edges):
    """Let the first `count` tasks of ``desk.queue`` bid until nobody wants to.

    Stops early once more than `max_edges` arcs have been read; the state is then still feasible.  Returns the
    number of arcs read.
    """
    indptr, indices, values = edges
    price = book.price
    profit = book.profit
    need = book.need
    queue = desk.queue
    queued = desk.queued
    m = need.size
    for t in range(count):
        queued[queue[t]] = 1
    base = 0
    bids = 0
    read = 0
    while count > 0 and read < max_edges:
        next_epoch(queue, base, count, queued)
        other = m - base
        waiting = 0
        for turn in range(base, base + count):
            i = queue[turn]
            queued[i] = 0
            q = need[i]
            if q == 0:
                continue
            if read >= max_edges:
                queue[other + waiting] = i
                waiting += 1
                queued[i] = 1
                continue
            low = indptr[i]
            value = values[low : indptr[i + 1]]
            column = indices[low : indptr[i + 1]]
            surplus = desk.surplus
            read += value.size
            for c in range(value.size):
                surplus[c] = value[c] - price[column[c]]
            first = book.row_start[i]
            for t in range(first, first + book.demand[i] - q):
                surplus[book.row_arc[t] - low] = -1.0
            found, left_out = best(surplus, value.size, q, desk.pick, desk.pick_key)
            if left_out > profit[i]:
                for t in range(first, first + book.demand[i] - q):
                    book.heaped[indices[book.row_arc[t]]] = 0
            profit[i] = left_out
            again = False
            bids += found
            for t in range(found):
                c = desk.pick[t]
                j = column[c]
                w = value[c]
                if book.fill[j] < book.capacity[j]:
                    attach(book, i, j, low + c, w)
                    if book.fill[j] == book.capacity[j]:
                        _, tolerance, _ = weakest(book, j)
                        if tolerance + eps > price[j]:
                            price[j] = tolerance + eps
                    continue
                slot, tolerance, second = weakest(book, j)
                bid = w - left_out
                if bid <= tolerance:
                    price[j] = bid + eps
                    again = True
                    continue
                loser = book.slot_row[slot]
                release_row(book, loser, book.slot_arc[slot])
                price[j] = replace(book, j, slot, i, low + c, w, bid, second) + eps
                if queued[loser] == 0:
                    queued[loser] = 1
                    queue[other + waiting] = loser
                    waiting += 1
            if again and queued[i] == 0:
                queued[i] = 1
                queue[other + waiting] = i
                waiting += 1
        base = other
        count = waiting
    for t in range(base, base + count):
        queued[queue[t]] = 0
    desk.counters[BIDS] += bids
    desk.counters[FORWARD_EDGES] += read
    return read
