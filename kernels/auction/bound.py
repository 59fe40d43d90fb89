"""The dual bound of a market that lives on: fresh in every round, at the cost of what moved.

    D(p) = Σ_j c_j p_j + Σ_i kept_i(p),   kept_i(p) = sum of the d_i best positive surpluses of row i

``kept_i`` is a function of the present prices and arcs of row ``i`` alone.  It can differ from the last round's only
if the row was replaced, or if a price moved whose arc is, or becomes, one of its best: with the smallest surplus that
counted remembered per row (`least`), one pass over the moved columns finds exactly the rows to read again.  Where the
moved columns hold a large share of all arcs, or led to most rows the last time, reading every row is cheaper.  The
sum over all rows is taken afresh in the order of rows, so that both ways give the same bits and nothing drifts.

The bound never looks at profits or held arcs: no slip in the auction's bookkeeping can make it too small."""

import numpy as np

from kernels.auction.audit import primal
from kernels.auction.jit import inlined, inner
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
def arcs_of_moved(book, seen):
    """How many arcs the annotators have whose price is not the one in `seen`."""
    arcs = 0
    for j in range(seen.size):
        if book.price[j] != seen[j]:
            arcs += book.annotators[j].stop - book.annotators[j].start
    return arcs


@inner
def touch_rows(columns, book, desk, seen, touched):
    """Mark the rows of which a best surplus has, or may have, changed; take note of the prices."""
    annotators = book.annotators
    least = desk.least
    for j in range(seen.size):
        if book.price[j] != seen[j]:
            lower = min(book.price[j], seen[j])
            seen[j] = book.price[j]
            for t in range(annotators[j].start, annotators[j].stop):
                if columns[t].value - lower >= least[columns[t].row]:
                    touched[columns[t].row] = 1


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
    whole = share > MOST_ROWS or MOST_ARCS * arcs_of_moved(book, seen) > edges.indices.size
    if whole:
        for j in range(seen.size):
            seen[j] = book.price[j]
    else:
        touch_rows(columns, book, desk, seen, touched)
    total = 0.0
    changed = 0
    for i in range(rows):
        if whole or touched[i]:
            kept, least = keep(edges, book.price, desk, np.int64(i), np.int64(book.tasks[i].demand))
            changed += not whole or kept != desk.kept[i]
            touched[i] = 0
            desk.kept[i] = kept
            desk.least[i] = least
        total += desk.kept[i]
    for j in range(seen.size):
        if book.annotators[j].capacity > 0:
            total += book.annotators[j].capacity * book.price[j]
    return total, changed / max(rows, 1)


@inner
def worth(book):
    """Value of the held arcs, read on the side that has fewer records."""
    if book.annotators.size <= book.tasks.size:
        return primal(book)
    total = 0.0
    for i in range(book.tasks.size):
        task = book.tasks[i]
        for t in range(task.first, task.first + task.demand - task.need):
            total += book.row_value[t]
    return total
