"""The best few of a row of surpluses: the inner loop of every bid.

A task that wants ``q`` more annotators bids for the ``q`` best surpluses ``s = w − p`` and bases its bids
on the ``(q+1)``-th, the best it leaves.  Only positive surpluses count.  Ties go to the lowest position.

A running "best two" costs one dependent comparison per surplus, or one mispredicted branch whenever a new
best appears.  Taking the maximum ``q + 1`` times costs neither: surpluses are clipped at 0, and
non-negative floats order as their bit patterns do, so each pass is a maximum over integers, which the
compiler may vectorise (over floats it may not without ``fastmath``).  From `MANY` on, a heap of the best
``q + 1`` is cheaper."""

import numpy as np

from kernels.auction.compiling import inlined, inner

MANY = 7


@inlined
def largest(bits):
    """Largest of non-negative integers, 0 if there are none."""
    top = np.int64(0)
    for c in range(bits.size):
        top = max(top, bits[c])
    return top


@inlined
def first_of(bits, wanted):
    """First position of `wanted`."""
    place = np.int64(bits.size)
    for c in range(bits.size):
        place = min(place, c if bits[c] == wanted else bits.size)
    return place


@inner
def sift(key, position, size, t):
    """Restore the heap (smallest key first, among equals the highest position) below node `t`."""
    k = key[t]
    c = position[t]
    child = 2 * t + 1
    while child < size:
        right = child + 1
        if right < size and (
            key[right] < key[child] or (key[right] == key[child] and position[right] > position[child])
        ):
            child = right
        if key[child] > k or (key[child] == k and position[child] < c):
            break
        key[t] = key[child]
        position[t] = position[child]
        t = child
        child = 2 * t + 1
    key[t] = k
    position[t] = c


@inner
def best_many(surplus, size, q, pick, pick_key):
    """`best` by a heap of the best q + 1."""
    found = np.int64(0)
    for c in range(size):
        s = surplus[c]
        if s > 0.0:
            if found <= q:
                pick[found] = c
                pick_key[found] = s
                found += 1
                if found > q:
                    for t in range(q // 2, -1, -1):
                        sift(pick_key, pick, found, np.int64(t))
            elif s > pick_key[0]:
                pick[0] = c
                pick_key[0] = s
                sift(pick_key, pick, found, np.int64(0))
    if found <= q:
        return found, 0.0
    pick[0], pick[q] = pick[q], pick[0]
    pick_key[0], pick_key[q] = pick_key[q], pick_key[0]
    return q, pick_key[q]


@inlined
def best(surplus, size, q, pick, pick_key):
    """Positions of the `q` best of ``surplus[:size]`` and the best one left.

    Parameters
    ----------
    surplus : float64, ≥ 0 and not NaN; used up
    q : int64, ≥ 1
    pick, pick_key : positions and surpluses of the best, at least q + 1 elements

    Returns
    -------
    found : how many positive ones there are, at most `q`
    left_out : the (q+1)-th best, or 0.0
    """
    if q >= MANY:
        return best_many(surplus, size, q, pick, pick_key)
    bits = surplus[:size].view(np.int64)
    for t in range(q):
        top = largest(bits)
        if top == 0:
            return np.int64(t), 0.0
        c = first_of(bits, top)
        pick[t] = c
        pick_key[t] = surplus[c]
        bits[c] = 0
    top = largest(bits)
    bits[0] = top
    return q, surplus[0]
