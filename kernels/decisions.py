"""What is said of an offer: the terms of its value, the runner-up, how sure the annotator's skill is."""

from typing import Any

import numpy as np

from kernels.bench import TERMS_OF_PAIR, Bench, check_bench, is_wide, prepare_model
from kernels.candidates import CERTAINTY
from kernels.jit import entry
from kernels.lifecycle.codes import NONE, ONE
from kernels.lifecycle.layout import NOW, Rules
from kernels.skill import quantile
from kernels.valuation import gains, importance, terms, trust


@entry
def explain_kernel(pool, tasks, annotators, rules, bench, terms_of):
    """Fill ``terms_of`` float64[n, 4], see `explain`; False if the scratch is too small."""
    if not is_wide(pool, bench, ONE):
        return False
    theta, ability, standing = bench.theta, bench.ability, bench.standing
    for i in range(tasks.shape[0]):
        t = tasks[i]
        now = pool.clock[NOW]
        prepare_model(pool, pool.tasks[t].model, annotators[i : i + 1], ONE, rules.least_ability, bench)
        weight = importance(pool, t, now) * trust(pool, t, annotators[i], standing[0], now)
        information, accuracy = gains(pool, t, theta[0])
        terms(pool, t, annotators[i], weight, ability[0], information, accuracy, rules.judgment_cost, terms_of[i])
    return True


def explain(pool: Any, tasks: np.ndarray, annotators: np.ndarray, rules: Rules, bench: Bench) -> np.ndarray:
    """Terms float64[n, 4] of pairs that are about to be offered, as ``recall`` valued them."""
    out = np.empty((len(tasks), TERMS_OF_PAIR))
    check_bench(explain_kernel(pool, tasks, annotators, rules, bench, out))
    return out


@entry
def skill_low_kernel(pool, tasks, annotators, out):
    """Fill ``out`` float64[n], see `skill_low`."""
    for i in range(tasks.shape[0]):
        m = pool.tasks[tasks[i]].model
        seat = np.int64(pool.skills.seat_of[m, annotators[i]])
        out[i] = quantile(pool.skills, m, seat, 1.0 - CERTAINTY)


def skill_low(pool: Any, tasks: np.ndarray, annotators: np.ndarray) -> np.ndarray:
    """20 % quantile of each annotator's accuracy in the task's model."""
    out = np.empty(len(tasks))
    skill_low_kernel(pool, tasks, annotators, out)
    return out


@entry
def runners_up_kernel(indptr, indices, values, held, price, rows, columns, best, worth):
    """Fill ``best`` int32[n] and ``worth`` float64[n], see `runners_up`."""
    for i in range(rows.shape[0]):
        best[i] = NONE
        worth[i] = 0.0
        top = -np.inf
        for e in range(indptr[rows[i]], indptr[rows[i] + 1]):
            if not held[e] and indices[e] != columns[i] and values[e] - price[indices[e]] > top:
                top = values[e] - price[indices[e]]
                best[i] = indices[e]
                worth[i] = values[e]


def runners_up(
    indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, held: np.ndarray, price: np.ndarray, rows: np.ndarray,
    columns: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Per held pair the best other annotator of its row, by value minus price: column (NONE: nobody) and value."""
    best, worth = np.empty(len(rows), np.int32), np.empty(len(rows))
    runners_up_kernel(indptr, indices, values, held, price, rows, columns, best, worth)
    return best, worth
