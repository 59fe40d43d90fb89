"""The best few of a row of surpluses: the inner loop of every bid.

A task that wants ``q`` more annotators bids for the ``q`` best surpluses ``s = w − p`` and bases its bids on the
``(q+1)``-th, the best it leaves.  Only positive surpluses count.  Ties go to the lowest position.

Up to ``q = 3`` the running best are kept in registers and updated by ``min`` and ``max`` alone: a row has some 32
surpluses in no order, and a branch per surplus would be mispredicted every time a new best appears.  For ``q = 1``, by
far the most frequent, the row is read as two interleaved halves because each update waits for the one before it.
Larger ``q`` keep a heap of the best ``q + 1``.

Comparisons are written so that NaN never wins.
"""

from numba import njit


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def best_one(surplus, size, pick):
    """`best` for q = 1."""
    half = size // 2
    a = 0.0
    a2 = 0.0
    b = 0.0
    b2 = 0.0
    left = surplus[:half]
    right = surplus[half : 2 * half]
    for c in range(half):
        s = left[c]
        low = a if a < s else s
        a = s if s > a else a
        a2 = low if low > a2 else a2
        s = right[c]
        low = b if b < s else s
        b = s if s > b else b
        b2 = low if low > b2 else b2
    if size > 2 * half:
        s = surplus[size - 1]
        low = a if a < s else s
        a = s if s > a else a
        a2 = low if low > a2 else a2
    top = a if a > b else b
    if top <= 0.0:
        return 0, 0.0
    low = b if a > b else a
    second = a2 if a2 > b2 else b2
    c = 0
    while surplus[c] != top:
        c += 1
    pick[0] = c
    return 1, low if low > second else second


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def best_three(surplus, size, q, pick):
    """`best` for q = 2 or 3."""
    t0 = 0.0
    t1 = 0.0
    t2 = 0.0
    t3 = 0.0
    row = surplus[:size]
    for c in range(row.size):
        s = row[c]
        low = t0 if t0 < s else s
        t0 = s if s > t0 else t0
        low2 = t1 if t1 < low else low
        t1 = low if low > t1 else t1
        low3 = t2 if t2 < low2 else low2
        t2 = low2 if low2 > t2 else t2
        t3 = low3 if low3 > t3 else t3
    if q == 2:
        last = t1
        left_out = t2
        ties = 1 if t0 > t1 else 2
    else:
        last = t2
        left_out = t3
        ties = 1 if t1 > t2 else 2 if t0 > t2 else 3
    if last <= 0.0:
        last = 0.0
        ties = 0
    found = 0
    for c in range(row.size):
        s = row[c]
        if s > last:
            pick[found] = c
            found += 1
        elif s == last and ties > 0:
            pick[found] = c
            found += 1
            ties -= 1
    return found, left_out


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def sift(key, position, size, t):
    """Restore the heap (smallest key first, among equals the highest position) below node `t`."""
    k = key[t]
    c = position[t]
    while True:
        child = 2 * t + 1
        if child >= size:
            break
        if child + 1 < size and (
            key[child + 1] < key[child] or (key[child + 1] == key[child] and position[child + 1] > position[child])
        ):
            child += 1
        if key[child] > k or (key[child] == k and position[child] < c):
            break
        key[t] = key[child]
        position[t] = position[child]
        t = child
    key[t] = k
    position[t] = c


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def best_many(surplus, size, q, pick, pick_key):
    """`best` for any q, by a heap of the best q + 1."""
    found = 0
    for c in range(size):
        s = surplus[c]
        if s > 0.0:
            if found <= q:
                pick[found] = c
                pick_key[found] = s
                found += 1
                if found > q:
                    for t in range(q // 2, -1, -1):
                        sift(pick_key, pick, found, t)
            elif s > pick_key[0]:
                pick[0] = c
                pick_key[0] = s
                sift(pick_key, pick, found, 0)
    if found <= q:
        return found, 0.0
    pick[0], pick[q] = pick[q], pick[0]
    return q, pick_key[0]


@njit(cache=True, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def best(surplus, size, q, pick, pick_key):
    """Positions of the `q` best positive entries of ``surplus[:size]`` and the next best value.

    Returns
    -------
    found : number of positions written to `pick`, at most `q`
    left_out : the (q+1)-th best, or 0.0
    """
    if q == 1:
        return best_one(surplus, size, pick)
    if q <= 3:
        return best_three(surplus, size, q, pick)
    return best_many(surplus, size, q, pick, pick_key)
