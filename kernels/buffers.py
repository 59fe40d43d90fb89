"""Counted buffers: how a kernel writes a list that may be longer than its caller thought.

Nothing looks at an index inside compiled code. That "the caller has made room" is therefore no protection: the day a
caller counts wrong, a kernel writes over whatever lies behind. So no kernel trusts the room it was given.

A *counted buffer* is a NamedTuple of arrays of one length, the room, and a `count` of two numbers at the end:

    count[USED]      entries that are there: the first so many of every array
    count[WANTED]    entries there would be if all had found room

`append` alone moves them. It gives the place of the next entry, or NONE: refused, and counted all the same. After a
refusal everything is refused, so what is there is always a beginning of the list. The caller reads both numbers;
a refusal becomes more room and another call, or an `Overrun`, never silence. Three kinds of kernels:

| kind       | what it does                   | when there is no room                                                  |
|------------|--------------------------------|------------------------------------------------------------------------|
| repeatable | changes nothing but its output | counts to the end; the caller makes room for WANTED and calls again    |
| resumable  | changes state as it writes     | stops before the change that may not fit and says where; the caller    |
|            |                                | makes room and calls again from there: the same bytes for any room    |
| proven     | one step that can't stop half  | compares the room with the most that the step can need before it       |
|            | way (an event, the clock)      | begins; says what it needs and has done nothing                        |

The most that a step can need is an argument in a docstring, and arguments may be wrong: `append` refuses there too;
whoever reads the buffer then raises `Overrun` before anything is committed.

An output of exactly one entry for each entry of an input has no unknown length: the Python function that calls the
kernel allocates it, in the kernel's own file. Records that are taken and given back (pairs, seats) are no list; what
takes one refuses in the same way and counts it in ``Pool.counters[REFUSED]``.
"""

from typing import Any

import numpy as np

from kernels.jit import inlined

#: With 1 and 1 everything begins with the least room and grows by the least step: results must not depend on it.
MOST_AT_FIRST, GROWTH = 1 << 62, 2

USED, WANTED = 0, 1
COUNTS = 2
_NONE = np.int64(-1)


class Overrun(RuntimeError):
    """A kernel had to refuse an entry, and what it was doing can't be repeated: the state is of no use any more."""


@inlined
def append(count, at, room):
    """The place of the next entry of a list with `room`, whose two counts begin at ``count[at]``; NONE if refused."""
    k = count[at + WANTED]
    count[at + WANTED] = k + 1
    if k >= room:
        return _NONE
    count[at + USED] = k + 1
    return k


@inlined
def has_room(count, at, room, n):
    """Would `n` more entries find room?"""
    return count[at + WANTED] + n <= room


def first_room(guess: int) -> int:
    """How much room a list gets at first, of which the caller guesses the length."""
    return min(guess, MOST_AT_FIRST)


def next_room(needed: int, room: int) -> int:
    """How much room something gets that needs this much and has less: twice what it had, so that it grows seldom."""
    return max(needed, GROWTH * room)


def is_short(buffer: Any) -> bool:
    """Was an entry refused?"""
    count = buffer[-1]
    return bool(count[WANTED] > count[USED])


def entries(buffer: Any) -> Any:
    """The buffer cut to the entries that are there."""
    used = int(buffer[-1][USED])
    return type(buffer)(*(array[:used] for array in buffer[:-1]), buffer[-1])


def enlarged(buffer: Any) -> Any:
    """A buffer with room for all that was wanted, and at least one entry more, that holds what this one holds."""
    count = buffer[-1]
    used, room = int(count[USED]), len(buffer[0])
    more = next_room(max(used + 1, int(count[WANTED])), room)
    arrays = []
    for array in buffer[:-1]:
        longer = np.empty((more, *array.shape[1:]), array.dtype)
        longer[:used] = array[:used]
        arrays.append(longer)
    count[WANTED] = used
    return type(buffer)(*arrays, count)
