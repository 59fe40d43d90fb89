"""The arcs by annotator, for the reverse stage.

A counting sort: arcs of one annotator stay in the order of their rows, so that ties in `select.best` go to
the lowest arc in this direction too.  Value, arc and row of an entry are one record, because the sort
writes to as many places at once as there are annotators, and each costs a cache line."""

from kernels.auction.jit import inner


@inner
def transpose(edges, annotators, columns):
    """Fill `columns` from the rows, into the room that ``annotators[j].start`` begins."""
    indptr, indices, values = edges
    for j in range(annotators.size):
        annotators[j].stop = annotators[j].start
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            annotator = annotators[indices[k]]
            arc = columns[annotator.stop]
            arc.value = values[k]
            arc.arc = k
            arc.row = i
            annotator.stop += 1
