"""The arcs by annotator, for the reverse stage.

A counting sort: arcs of one annotator stay in the order of their rows, so that ties in `select.best` go to the lowest
arc in this direction too.  
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def transpose(edges, degree, columns):
    """Fill `columns` from the rows; `degree[j]` arcs are reserved for annotator j."""
    indptr, indices, values = edges
    start, stop, arc, row, value = columns
    n = start.size
    place = 0
    for j in range(n):
        start[j] = place
        stop[j] = place
        place += degree[j]
    for i in range(indptr.size - 1):
        for k in range(indptr[i], indptr[i + 1]):
            j = indices[k]
            t = np.int64(stop[j])
            arc[t] = k
            row[t] = i
            value[t] = values[k]
            stop[j] = t + 1
