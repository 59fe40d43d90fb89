"""Room: what one step of the state machine can need at most, and whether it is there.

An event can't be taken back once it is half applied, so its kernels are *proven* in the sense of `kernels.buffers`:
before a step begins, its room is compared with the most that it can need. What a step emits at most, with L the offers
and leases that are open in the pool:

| emission             | at most | because                                                                      |
|----------------------|---------|------------------------------------------------------------------------------|
| ended                | L       | each ends an open offer or lease, and no step of an event opens one           |
| settled              | L + 2   | the task of the event, one that is revisited, any that lost an offer (review) |
| consensus            | 2       | the task of the event and the revisited one                                   |
| leased, judgment, invalid, blocked, drifted, back | 1 each | the event itself                                 |

So 2 L + 10; `SPARE` rounds that up. An event makes at most one pair, and takes at most one seat, in a model of at most
as many classes as the posterior columns have. The clock ends each of the L works at most once, and settles at most one
task for each of them, and somebody may be away by it; of every task that is due, then or by such an end, it tells one
thing: 4 L + (tasks due).
"""

from kernels.buffers import has_room
from kernels.jit import entry, inlined, inner
from kernels.lifecycle.codes import NONE
from kernels.lifecycle.pool_columns import EMITTED, PAIRS_FREE, PAIRS_USED
from kernels.skill import evidence_width

SPARE = 16


@inner
def live_in(pool):
    """Offers and leases that are open in the pool: L."""
    live = 0
    for j in range(pool.projects.records.shape[0]):
        live += pool.projects.records[j].live
    return live


@entry
def most_of_event(pool):
    """The most that one event can need until more offers are made: emissions, and evidence of a seat."""
    return 2 * live_in(pool) + SPARE, evidence_width(pool.tasks.reported.shape[1])


@inlined
def has_pair(pool):
    """Is there room for one more pair?"""
    return pool.counters[PAIRS_FREE] != NONE or pool.counters[PAIRS_USED] < pool.pairs.records.shape[0]


@inlined
def lacks(pool, n):
    """The emissions that must find room for ``n`` more: 0 if they do, else their number."""
    return 0 if has_room(pool.counters, EMITTED, pool.emissions.records.shape[0], n) else n


@inlined
def has_room_for_event(pool, emissions, evidence):
    """Is there room for all that one event can bring: so much as ``most_of_event`` says, a pair and a seat?"""
    skills = pool.skills
    return (
        has_room(pool.counters, EMITTED, pool.emissions.records.shape[0], emissions)
        and has_pair(pool)
        and skills.used[1] < min(skills.seats.shape[0], pool.dirty.seats.shape[0])
        and skills.used[2] + evidence <= skills.evidence.shape[0]
    )
