"""What is said of an offer: the terms of its value, the runner-up, how sure the annotator's skill is."""

from typing import Any, NamedTuple

import numpy as np

from kernels.bench import Bench, check_bench, is_wide, prepare_model
from kernels.jit import entry
from kernels.lifecycle.codes import NONE, ONE
from kernels.lifecycle.pool_columns import NOW, Policy
from kernels.rules.min_skill import CERTAINTY
from kernels.skill import quantile
from kernels.terms import COUNT, Case, reckon
from kernels.valuation import gains, importance, trust


@entry
def explain_kernel(pool, tasks, annotators, policy, bench, terms_of):
    """Fill ``terms_of`` float64[n, COUNT], see `explain`; False if the scratch is too small."""
    if not is_wide(pool, bench, ONE):
        return False
    theta, ability, standing = bench.theta, bench.ability, bench.standing
    for i in range(tasks.shape[0]):
        t = tasks[i]
        now = pool.clock[NOW]
        prepare_model(pool, pool.tasks.records[t].model, annotators[i : i + 1], ONE, policy.least_ability, bench)
        weight = importance(pool, t, now) * trust(pool, t, annotators[i], standing[0], now)
        information, accuracy = gains(pool, t, theta[0])
        case = Case(weight, ability[0], information, accuracy)
        reckon(pool, t, annotators[i], case, policy, terms_of[i])
    return True


def explain(pool: Any, tasks: np.ndarray, annotators: np.ndarray, policy: Policy, bench: Bench) -> np.ndarray:
    """Terms float64[n, COUNT] of pairs that are about to be offered, as ``recall`` valued them."""
    out = np.empty((len(tasks), COUNT))
    check_bench(explain_kernel(pool, tasks, annotators, policy, bench, out))
    return out


@entry
def skill_low_kernel(pool, tasks, annotators, out):
    """Fill ``out`` float64[n], see `skill_low`."""
    for i in range(tasks.shape[0]):
        m = pool.tasks.records[tasks[i]].model
        seat = np.int64(pool.skills.seat_of[m, annotators[i]])
        out[i] = quantile(pool.skills, m, seat, 1.0 - CERTAINTY)


def skill_low(pool: Any, tasks: np.ndarray, annotators: np.ndarray) -> np.ndarray:
    """20 % quantile of each annotator's accuracy in the task's model."""
    out = np.empty(len(tasks))
    skill_low_kernel(pool, tasks, annotators, out)
    return out


class Sold(NamedTuple):
    """A market in compressed rows, and what an auction has made of it."""

    indptr: np.ndarray  # i8[n + 1]
    indices: np.ndarray  # i4
    values: np.ndarray  # f8
    held: np.ndarray  # u1: of each arc, is it sold?
    price: np.ndarray  # f8, of each column


@entry
def runners_up_kernel(sold, rows, columns, best, worth):
    """Fill ``best`` int32[n] and ``worth`` float64[n], see `runners_up`."""
    for i in range(rows.shape[0]):
        best[i] = NONE
        worth[i] = 0.0
        top = -np.inf
        for e in range(sold.indptr[rows[i]], sold.indptr[rows[i] + 1]):
            j = sold.indices[e]
            if not sold.held[e] and j != columns[i] and sold.values[e] - sold.price[j] > top:
                top = sold.values[e] - sold.price[j]
                best[i] = j
                worth[i] = sold.values[e]


def runners_up(sold: Sold, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per held pair the best other annotator of its row, by value minus price: column (NONE: nobody) and value."""
    best, worth = np.empty(len(rows), np.int32), np.empty(len(rows))
    runners_up_kernel(sold, rows, columns, best, worth)
    return best, worth
