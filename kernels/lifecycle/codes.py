"""Codes: the small integers in which columns, events and emissions speak. Zero is always "none".

They are typed: a plain Python int would make numba compile every kernel anew for each value it is called with.
"""

import numpy as np


def _typed(*values: int) -> tuple[np.int64, ...]:
    return tuple(np.int64(value) for value in values)


# events that the lifecycle kernel applies
CREATED, CANCELLED, TRUTH = _typed(1, 2, 3)
ONLINE, PAUSED, OFFLINE, REQUESTED = _typed(4, 5, 6, 7)
ACCEPTED, EXTENDED, DECLINED = _typed(8, 9, 10)
SUBMITTED, CORRECTED, RETRACTED = _typed(11, 12, 13)
AMENDED, SCORED = _typed(14, 15)
RESUMED = np.int64(16)
PRESENT, LEFT = _typed(17, 18)  # what many sessions of one person come to

# task states
OPEN, SETTLED = _typed(1, 2)

# how a task settled
CONSENSUS, COMPLETE, EXHAUSTED, CANCEL, DEADLINE, BLOCKED = _typed(1, 2, 3, 4, 5, 6)
BUDGET = np.int64(7)  # its project's is spent

# pair states; the first two are live
OFFERED, LEASED = _typed(1, 2)
LAPSED, WITHDRAWN = _typed(3, 4)  # the pair may return
REFUSED, ABANDONED, JUDGED, VOIDED = _typed(5, 6, 7, 8)  # the pair never returns

# project states
ACTIVE, HELD, CLOSED = _typed(1, 2, 3)

# ways of working
PUSH, PULL = _typed(0, 1)

# what the kernel emits
EMIT_LEASED, EMIT_ENDED, EMIT_JUDGMENT, EMIT_SETTLED, EMIT_BLOCKED = _typed(1, 2, 3, 4, 5)
EMIT_CONSENSUS, EMIT_INVALID, EMIT_DROPPED, EMIT_DRIFTED = _typed(6, 7, 8, 9)
EMIT_IGNORED, EMIT_AWAY, EMIT_BACK = _typed(10, 11, 12)

# how an assignment ended
END_SUBMITTED, END_DECLINED, END_EXPIRED, END_ABANDONED, END_WITHDRAWN = _typed(1, 2, 3, 4, 5)

# why an offer was withdrawn
CAUSE_CANCEL, CAUSE_PAUSE, CAUSE_ABSENCE, CAUSE_MET_NEED, CAUSE_OVERRIDE = _typed(1, 2, 3, 4, 5)
CAUSE_ERASED = np.int64(6)

# what became of a judgment
COUNTED, LATE, SURPLUS, DUPLICATE, UNSOLICITED, REPLACED, TAKEN_BACK = _typed(1, 2, 3, 4, 5, 6, 7)
OUTDATED = np.int64(8)

# why a judgment doesn't count that nobody asked for, or asks for no longer
WHY_CLOSED, WHY_NEED, WHY_BUDGET, WHY_LIST, WHY_LIMIT = _typed(1, 2, 3, 4, 5)
WHY_PROFILE, WHY_MIN_SKILL, WHY_PAUSED, WHY_PRESENCE, WHY_CAPACITY = _typed(6, 7, 8, 9, 10)

# reasons for declining
BROKEN, UNCLEAR, NOT_MY_SKILL, CONFLICT, BREAK, OTHER = _typed(1, 2, 3, 4, 5, 6)

# purposes
WORK, GOLD, TRAINING = _typed(1, 2, 3)

NONE = np.int64(-1)
ZERO, ONE = _typed(0, 1)
