"""The best that a pool's offers could be worth: a linear program over the oracle's values, no kernel of the market."""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, vstack

from tests.core.market import Book


def room_of(book: Book) -> dict[str, int]:
    """How many more offers each open task of work could get."""
    return {
        task.name: task.need - task.counted - task.live
        for task in book.tasks.values()
        if task.is_work and task.state == "open" and task.need > task.counted + task.live
    }


def places_of(book: Book) -> dict[str, int]:
    """How many more offers each free annotator could get."""
    places = {}
    for person in book.annotators.values():
        if person.is_free(book.now):
            free = person.capacity - len(person.live)
            places[person.name] = min(free, person.asked) if person.mode == "pull" else free
    return places


def optimum(book: Book) -> tuple[float, int]:
    """Value of the best offers, fractions of an offer allowed, and how many pairs are worth their cost.

    Every pair is valued as before any offer. Budgets are limits of the program; of ``max_per_annotator`` only what
    forbids a pair already counts.
    """
    room, places = room_of(book), places_of(book)
    pairs = [
        (task, person, book.value(book.tasks[task], book.annotators[person]))
        for task in room
        for person in places
        if not set(book.forbids(book.tasks[task], book.annotators[person])) - {"budget"}
    ]
    pairs = [pair for pair in pairs if pair[2] > 0.0]
    if not pairs:
        return 0.0, 0
    budgets = {
        project.name: max(project.set.budget - project.counted - project.live, 0)
        for project in book.projects.values()
        if project.set is not None and project.set.budget is not None
    }
    limits = [*room.values(), *places.values(), *budgets.values()]
    row_of = {key: i for i, key in enumerate([*(("t", t) for t in room), *(("a", a) for a in places),
                                              *(("p", p) for p in budgets)])}  # fmt: skip
    rows, columns = [], []
    for k, (task, person, _) in enumerate(pairs):
        for key in (("t", task), ("a", person), ("p", book.tasks[task].project.name)):
            if key in row_of:
                rows.append(row_of[key])
                columns.append(k)
    shape = (len(limits), len(pairs))
    uses = coo_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    found = linprog([-value for _, _, value in pairs], A_ub=vstack([uses]), b_ub=limits, bounds=(0, 1))
    assert found.status == 0, found.message
    return -float(found.fun), len(pairs)
