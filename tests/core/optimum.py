"""The best that a pool's offers could be: required work in its order, then a linear program over the oracle's values.

No kernel of the market is used; of equal seats the one comes first that the round's draw says.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array, vstack

from kernels import teaching
from kernels.hashing import mix
from tests.core.book import INF, Task
from tests.core.market import Book


class Best(NamedTuple):
    value: float
    pairs: int  # that are required, or worth their cost
    required: dict[str, int]  # seats of tasks that are filled


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


def budgets_of(book: Book) -> dict[str, int]:
    """What each project with a budget may still spend."""
    return {
        project.name: max(project.budget - project.counted - project.live, 0)
        for project in book.projects.values()
        if project.budget is not None
    }


def seats_of(book: Book, room: dict[str, int]) -> list[Task]:
    """A task for each required seat that it lacks, in the order in which they are to be filled."""
    seats: list[tuple[Any, Task]] = []
    for name in room:
        task = book.tasks[name]
        project = task.project.set
        own = int(mix(book.oracle.seed, 11)) >> 1
        drawn = int(teaching.draw_order(np.array([task.slot], np.int32), np.zeros(1, np.int32), own)[0])
        deadline, begun = min(task.deadline, task.project.deadline), task.counted + task.live
        is_short = task.project.short is not None or deadline < INF
        for level in range(begun, task.overlap):
            order = (
                -task.priority, level if is_short else 0, deadline, -(project.weight if project else 1.0) * task.value,
                -((book.now - task.created) // 60.0), -begun, drawn, level,
            )  # fmt: skip
            seats.append((order, task))
    return [task for _, task in sorted(seats, key=lambda seat: seat[0])]


def covered(book: Book, room: dict[str, int], places: dict[str, int]) -> dict[str, int]:
    """Seats that are filled: each in turn, if there is room for it beside those before."""
    left = budgets_of(book)
    holders: dict[str, list[str]] = {person: [] for person in places}  # tasks that each has

    def shares(task: Task, person: str) -> int:
        """How many more judgments of the task's project the person may give."""
        project = task.project.set
        if project is None or project.max_per_annotator is None:
            return 1000
        has = sum(book.tasks[name].project is task.project for name in holders[person])
        return project.max_per_annotator - book.share(task.project, book.annotators[person]) - has

    def takes(task: Task, seen: set[str]) -> bool:
        for person, mine in holders.items():
            if person in seen or task.name in mine or not book.may_cover(task, book.annotators[person]):
                continue
            has_share = shares(task, person) > 0
            if len(mine) < places[person]:
                if has_share:
                    mine.append(task.name)
                    return True
                continue
            seen.add(person)
            for other in list(mine):
                if not has_share and book.tasks[other].project is not task.project:
                    continue
                mine[mine.index(other)] = task.name
                if takes(book.tasks[other], seen):
                    return True
                mine[mine.index(task.name)] = other
        return False

    filled: dict[str, int] = {}
    for task in seats_of(book, room):
        project = task.project.name
        if left.get(project, 1) > 0 and takes(task, set()):
            filled[task.name] = filled.get(task.name, 0) + 1
            if project in left:
                left[project] -= 1
    return filled


def optimum(book: Book) -> Best:
    """Value of the best offers that fill all required seats that can be, fractions of an offer allowed.

    Every pair is valued as before any offer. Budgets are limits of the program; of ``max_per_annotator`` only what
    forbids a pair already counts.
    """
    room, places = room_of(book), places_of(book)
    required = covered(book, room, places)
    pairs = [
        (task, person, book.value(book.tasks[task], book.annotators[person]))
        for task in room
        for person in places
        if not set(book.forbids(book.tasks[task], book.annotators[person])) - {"budget"}
        and (task in required or not book.tasks[task].owes)
        and (task not in required or book.may_cover(book.tasks[task], book.annotators[person]))
    ]
    is_all = sum(required.values()) == sum(places.values())  # nobody is left for anything else
    pairs = [pair for pair in pairs if pair[0] in required or (pair[2] > 0.0 and not is_all)]
    if not pairs:
        return Best(0.0, 0, required)
    budgets = budgets_of(book)
    limits = [*(required.get(task, n) for task, n in room.items()), *places.values(), *budgets.values()]
    row_of = {key: i for i, key in enumerate([*(("t", t) for t in room), *(("a", a) for a in places),
                                              *(("p", p) for p in budgets)])}  # fmt: skip
    rows, columns = [], []
    for k, (task, person, _) in enumerate(pairs):
        for key in (("t", task), ("a", person), ("p", book.tasks[task].project.name)):
            if key in row_of:
                rows.append(row_of[key])
                columns.append(k)
    shape = (len(limits), len(pairs))
    uses = vstack([coo_array((np.ones(len(rows)), (rows, columns)), shape=shape)]).tocsr()
    full = [row_of["t", task] for task in required]
    equal = {"A_eq": uses[full], "b_eq": list(required.values())} if full else {}
    found = linprog([-value for _, _, value in pairs], A_ub=uses, b_ub=limits, bounds=(0, 1), **equal)
    assert found.status == 0, found.message
    return Best(-float(found.fun), len(pairs), required)
