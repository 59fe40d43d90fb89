"""The arcs by annotator, for the reverse stage of `solve` (a `Market` keeps its own: `arena`).

A counting sort: arcs of one annotator stay in the order of their rows, so that ties in `select.best` go to
the lowest arc in this direction too.  Value, arc and row of an entry are one record, because the sort
writes to as many places at once as there are annotators, and each costs a cache line."""

import numpy as np

from kernels.auction.compiling import inner, prefetch

AHEAD = 32
"""How many arcs ahead their place in the columns is fetched."""


@inner
def transpose(edges, annotators, columns, cursor):
    """Fill `columns` from the rows, into the room that ``annotators[j].start`` begins.

    `cursor`, int32[n], is scratch: where the next arc of each annotator goes.
    """
    indptr, indices, values = edges
    for j in range(annotators.size):
        cursor[j] = annotators[j].start
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            if k + AHEAD < indices.size:
                prefetch(columns, cursor[np.uint32(indices[k + AHEAD])])
            j = np.uint32(indices[k])
            place = cursor[j]
            arc = columns[np.uint32(place)]
            arc.value = values[k]
            arc.arc = k
            arc.row = i
            cursor[j] = place + 1
    for j in range(annotators.size):
        annotators[j].stop = cursor[j]
