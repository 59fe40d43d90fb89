"""What kernels compute, as digests: compiled code and the interpreter must print the same ones.

``python -m tests.kernels.played`` prints them; ``NUMBA_DISABLE_JIT=1`` before it runs the kernels without a compiler.
"""

import hashlib
import json
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from kernels import skill
from kernels.auction import Market, certificate, explain, solve
from load.checks.auction_random import changes, hostile_start, market
from tests.core.histories import Writer
from tests.core.test_oracle import offered, started

HISTORIES, TURNS = 3, 30
MARKETS, ROUNDS = 12, 8
CLASSES, ANSWERS = (2, 5), 150


def history(seed: int) -> Iterator[Any]:
    """All that the core publishes and stores of a random history."""
    writer = Writer(seed)
    shard = started(writer)
    for turn in writer.turns(TURNS):
        result = shard.round(*turn)
        writer.told(offered(result))
        yield from (result.outputs, result.rows, result.dead_letters, result.completed)


def one_shot(seed: int) -> Iterator[Any]:
    """Markets solved within a gap, exactly, and from hostile starts, with certificate and explanation."""
    rng = np.random.default_rng(seed)
    for _ in range(MARKETS):
        case = market(rng)
        price, held = hostile_start(rng, case)
        for start in ({}, {"price": price, "held": held}):
            for target in ({"gap_tol": 1e-2}, {"gap_tol": 0.0, "abs_tol": 0.5}):
                found = solve(*case, **start, **target)
                yield found
                yield certificate(*case, found.held, found.price)
                yield explain(*case, found.held, found.price)


def persistent(seed: int, dtype: type) -> Iterator[Any]:
    """Rounds of a market that lives on."""
    rng = np.random.default_rng(seed)
    m, n, room = 40, 12, 6
    indptr, indices = np.arange(0, m * room + 1, room), np.tile(np.arange(room, dtype=np.int32), m)
    people = rng.integers(0, 5, n)
    live = Market(indptr, indices, np.zeros(m * room, dtype), np.zeros(m, np.int64), people, max_capacity=6)
    for turn in range(ROUNDS):
        tasks = rng.choice(m, m if turn == 0 else 5, replace=False)
        case = changes(rng, n, room, tasks.size)
        live.set_tasks(tasks, *case[:2], case[2].astype(dtype), case[3])
        live.set_capacities(rng.choice(n, 3, replace=False), rng.integers(-1, 5, 3))
        yield live.solve(gap_tol=1e-2)
        yield live.solve(gap_tol=0.0, abs_tol=0.5)
        yield live.held
        yield live.price.copy()


def judgments(classes: int) -> Iterator[Any]:
    """Judgments of ten people on forty tasks: learned, revisited, corrected, retracted, their truth told."""
    rng = random.Random(classes)
    skills = skill.empty(1, 10, 10, skill.model_width(classes) + 10 * skill.evidence_width(classes))
    m = skill.open_model(skills, classes)
    tasks = [(np.zeros(skill.belief_width(classes), np.float32), np.zeros(classes, np.float32)) for _ in range(40)]
    judged: list[dict[int, tuple[int, int]]] = [{} for _ in tasks]  # seat -> label and stamp
    truth = [-1 for _ in tasks]
    theta = np.zeros(skill.THETA_WIDTH)

    def call(kernel: Any, t: int, *arguments: int) -> None:
        seats, labels, stamps = (np.zeros(16, np.int32) for _ in range(3))
        for j, (s, (label, stamp)) in enumerate(judged[t].items()):
            seats[j], labels[j], stamps[j] = s, label, stamp
        n, at = len(judged[t]), 1e9 + 60.0 * len(told)
        kernel(skills, m, seats, labels, stamps, n, *arguments, truth[t], *tasks[t], at)
        left = n - (kernel is skill.forget)
        judged[t] = dict(zip(seats[:left].tolist(), zip(labels.tolist(), stamps.tolist(), strict=True), strict=False))

    told: list[int] = []
    for _ in range(ANSWERS):
        t, a = rng.randrange(len(tasks)), rng.randrange(10)
        s = int(skill.seat(skills, m, a))
        told.append(t)
        if s not in judged[t]:
            right = t % classes if rng.random() < 0.5 + a / 20 else rng.randrange(classes)
            judged[t][s] = right, 0
            call(skill.learn, t, 1)
        elif rng.random() < 0.3:
            call(skill.correct, t, list(judged[t]).index(s), rng.randrange(classes))
        elif rng.random() < 0.3:
            call(skill.forget, t, list(judged[t]).index(s))
        elif rng.random() < 0.3:
            truth[t] = rng.choice([-1, t % classes])
            call(skill.refresh, t)
        else:
            call(skill.refresh, rng.choice(told))
        known = np.int64(m), np.int64(s)
        skill.prepare(skills, *known, theta)
        yield skill.known(skills, m, a)
        yield skill.lesson(skills, *known), skill.ability(skills, *known), skill.at_least(skills, *known, 0.8)
        yield skill.gain_prepared(theta, tasks[t][1], classes), skill.unchecked(skills, np.int64(s))
    yield skills
    yield tasks


def digest(played: Iterator[Any]) -> str:
    """Of all numbers, to the last bit."""
    made = hashlib.sha256()

    def add(one: Any) -> None:
        if isinstance(one, np.ndarray):
            made.update(one.tobytes())
        elif isinstance(one, tuple | list):
            for part in one:
                add(part)
        elif isinstance(one, dict):
            for name in sorted(one):
                add((name, one[name]))
        elif isinstance(one, float | np.floating):
            made.update(float(one).hex().encode())
        elif isinstance(one, bool | np.bool_ | int | np.integer):
            made.update(str(int(one)).encode())
        else:
            made.update(repr(one).encode())

    for one in played:
        add(one)
    return made.hexdigest()


def all_digests() -> dict[str, str]:
    """Digests by what was played."""
    played = {f"history {seed}": history(seed) for seed in range(HISTORIES)}
    played |= {f"one-shot {seed}": one_shot(seed) for seed in range(2)}
    played |= {f"persistent {dtype.__name__}": persistent(0, dtype) for dtype in (np.float64, np.float32)}
    played |= {f"judgments of {classes} classes": judgments(classes) for classes in CLASSES}
    return {name: digest(one) for name, one in played.items()}


if __name__ == "__main__":
    print(json.dumps(all_digests()))
