"""The final pass: whatever feasible work of positive value a free annotator still has room for is offered.

The auction sees what was recalled; nobody should wait beside work that was not. So each free annotator in turn gets the
best task left, until there is none or they are no longer free. What this adds is proven by no bound but where the
auction saw every pair (`stream.core.matching`).
"""

from kernels.bench import TERMS_OF_PAIR, is_wide, prepare_model
from kernels.buffers import append, has_room
from kernels.candidates import feasible
from kernels.jit import entry
from kernels.lifecycle.codes import NONE, ONE
from kernels.lifecycle.layout import NOW
from kernels.lifecycle.offers import may_offer, offer_one
from kernels.lifecycle.presence import is_free
from kernels.lifecycle.room import has_pair
from kernels.valuation import gains, importance, terms, trust


@entry
def complete(
    pool, tasks, free, fits, grants, asked, rules, bench, accept_by, rnd, first, at, offers,
):  # fmt: skip
    """The final pass: offer feasible pairs of positive value that are left, best task first for each annotator.

    It begins with annotator number ``at`` and returns the number of the first who is not done. It ends before its time
    where ``offers`` or the pool has no room for one more; NONE: the scratch is too small. Resumable: ``first`` is the
    index in the round of the first offer of the list; ``tasks`` is used up, NONE ends it.
    """
    now = pool.clock[NOW]
    m = free.shape[0]
    if not is_wide(pool, bench, ONE):
        return NONE
    n = 0
    for i in range(tasks.shape[0]):  # most are sold: look only at those with room
        t = tasks[i]
        if t == NONE:
            break
        tasks[i] = NONE
        if pool.room[t] > 0:
            tasks[n] = t
            n += 1
    theta, ability, standing, out = bench.theta, bench.ability, bench.standing, bench.out
    room = min(offers.tasks.shape[0], offers.annotators.shape[0], offers.terms.shape[0])
    for j in range(at, m if n else at):
        a = free[j]
        while is_free(pool, a, now):
            best_t = NONE
            best = 0.0
            model = -2
            for i in range(n):
                t = tasks[i]
                if pool.room[t] <= 0 or not fits[pool.tasks[t].demand, pool.annotators[a].profile]:
                    continue
                if not feasible(pool, t, a, fits, grants, asked) or not may_offer(pool, t, a, now):
                    continue
                if pool.tasks[t].model != model:
                    model = pool.tasks[t].model
                    prepare_model(pool, model, free[j : j + 1], ONE, rules.least_ability, bench)
                weight = importance(pool, t, now) * trust(pool, t, a, standing[0], now)
                if weight <= 0.0:
                    continue
                information, accuracy = gains(pool, t, theta[0])
                worth = terms(pool, t, a, weight, ability[0], information, accuracy, rules.judgment_cost, out)
                if worth > best:
                    best = worth
                    best_t = t
                    for k in range(TERMS_OF_PAIR):
                        bench.best[k] = out[k]
            if best_t == NONE:
                break
            if not (has_room(offers.count, 0, room, 1) and has_pair(pool)):
                return j
            made = append(offers.count, 0, room)
            offer_one(pool, best_t, a, accept_by, rnd, first + made)
            offers.tasks[made] = best_t
            offers.annotators[made] = a
            for k in range(TERMS_OF_PAIR):
                offers.terms[made, k] = bench.best[k]
    return m
