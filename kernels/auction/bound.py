"""The dual bound of a market that lives on: fresh in every round, at the cost of what moved.

    D(p) = Σ_j c_j p_j + Σ_i kept_i(p),   kept_i(p) = sum of the d_i best positive surpluses of row i

``kept_i`` is a function of the present prices and arcs of row ``i`` alone.  It can differ from the last round's only
if the row was replaced, or if a price moved whose arc is, or becomes, one of its best: with the smallest surplus that
counted remembered per row (`least`), one pass over the moved columns finds exactly the rows to read again.  Where the
moved columns hold a large share of all arcs, or led to most rows the last time, reading every row is cheaper.  The
sum over all rows is taken afresh in the order of rows, so that both ways give the same bits and nothing drifts.

The bound never looks at profits or held arcs: no slip in the auction's bookkeeping can make it too small."""

import numpy as np

from kernels.auction.audit import primal, slot_cost
from kernels.auction.compiling import inlined, inner
from kernels.auction.lanes import FEW, row_top_1, row_top_2, row_top_3
from kernels.auction.select import best

MOST_ARCS = 3
"""Moved columns with more than 1/3 of the arcs: read all rows."""

MOST_ROWS = 0.5
"""Share of the rows read in the last round from which moved columns are not searched again."""


@inner
def keep_many(value, column, price, desk, d):
    """`keep` for a large demand."""
    size = np.int64(value.size)
    for c in range(size):
        s = value[c] - price[column[c]]
        desk.surplus[c] = s if s > 0.0 else 0.0
    found, _ = best(desk.surplus, size, d, desk.pick, desk.pick_key)
    total = 0.0
    least = np.inf
    for t in range(found):
        total += desk.pick_key[t]
        least = min(least, desk.pick_key[t])
    return total, least if found == d else 0.0


@inlined
def keep(edges, price, desk, i, d):
    """What row `i` keeps at `price` with demand `d`: the sum of its best surpluses, and the smallest that counted."""
    low, high = edges.indptr[i], edges.indptr[i + 1]
    if d > FEW:
        return keep_many(edges.values[low:high], edges.indices[low:high], price, desk, d)
    if d == 0:
        return 0.0, np.inf
    if d == 1:
        row_top_1(edges.values, edges.indices, price, low, high, desk.pick, desk.pick_key)
    elif d == 2:
        row_top_2(edges.values, edges.indices, price, low, high, desk.pick, desk.pick_key)
    else:
        row_top_3(edges.values, edges.indices, price, low, high, desk.pick, desk.pick_key)
    kept = 0.0
    for t in range(d):
        kept += desk.pick_key[t]
    return kept, desk.pick_key[d - 1]


@inner
def moved(book, desk, seen):
    """List the annotators whose price is not the one in `seen` in ``desk.offers``; returns how many, and their arcs."""
    arcs = 0
    count = 0
    for j in range(seen.size):
        if book.price[j] != seen[j]:
            desk.offers[count] = j
            count += 1
            arcs += book.annotators[j].stop - book.annotators[j].start
    return count, arcs


@inner
def touch_rows(columns, book, desk, seen, count, touched):
    """Mark the rows of which a best surplus has, or may have, changed, by the first `count` of ``desk.offers``."""
    least = desk.least
    for t in range(count):
        j = desk.offers[t]
        lower = min(book.price[j], seen[j])
        for c in range(book.annotators[j].start, book.annotators[j].stop):
            row = np.uint32(columns[c].row)
            if columns[c].value - lower >= least[row]:
                touched[row] = 1


@inner
def add_up(terms):
    """Their sum: four sums, so that additions do not wait for each other."""
    n = terms.size
    a = b = c = d = 0.0
    for t in range(0, n - 3, 4):
        a += terms[t]
        b += terms[t + 1]
        c += terms[t + 2]
        d += terms[t + 3]
    for t in range(n - n % 4, n):
        a += terms[t]
    return (a + b) + (c + d)


@inner
def fresh_bound(edges, columns, book, desk, seen, touched, share):
    """Dual bound at the present prices.

    Parameters
    ----------
    seen : prices of the last call
    touched : 1 for a row that must be read whatever moved
    share : part of the rows that changed in the last call; 1 if `seen` and ``desk.kept`` are of no use

    Returns
    -------
    bound, share
    """
    rows = touched.size
    count, arcs = moved(book, desk, seen)
    whole = share > MOST_ROWS or MOST_ARCS * arcs > edges.indices.size
    if not whole:
        touch_rows(columns, book, desk, seen, count, touched)
    for t in range(count):
        seen[desk.offers[t]] = book.price[desk.offers[t]]
    changed = 0
    for i in range(rows):
        if whole or touched[i]:
            kept, least = keep(edges, book.price, desk, np.int64(i), np.int64(book.tasks[i].demand))
            changed += not whole or kept != desk.kept[i]
            touched[i] = 0
            desk.kept[i] = kept
            desk.least[i] = least
    return add_up(desk.kept[:rows]) + slot_cost(book), changed / max(rows, 1)


@inner
def worth(book):
    """Value of the held arcs, read on the side that has fewer records."""
    if book.annotators.size <= book.tasks.size:
        return primal(book)
    total = other = 0.0
    for i in range(book.tasks.size):
        task = book.tasks[i]
        part = 0.0
        for t in range(task.first, task.first + task.demand - task.need):
            part += book.row_value[t]
        total, other = other, total + part  # two sums, so that additions do not wait for each other
    return total + other
