"""Columns of one pool: a record a task, annotator, project and pair, and what the kernels need beside them.

A *pair* is what one annotator and one task have had to do with each other. The pairs of a task form a list
(``task.head``, ``pair.next``), newest first; the live pairs of an annotator form a doubly linked list
(``annotator.live_head``, ``pair.live_next``, ``pair.live_previous``), newest first as well. All references are
slots; ``NONE`` (-1) refers to nothing.

Fields and tables of a rule are declared where the rule is (`kernels.rules`).

The records are also the wire format of the state's rows, so their layout is versioned in ``stream/core/saved/rows.py``.
Links are not part of a row: they follow from the order of the pairs.
"""

import functools
from typing import Annotated, NamedTuple

import numpy as np

from kernels.lifecycle.codes import NONE
from kernels.rules import attributes, budget, listed, min_skill, pull, share
from kernels.rules.listed import Lists
from kernels.rules.share import Limited
from kernels.schema import Column, since
from kernels.skill import MODEL, SEAT, Skills, belief_width

TASK = np.dtype(
    [
        ("state", "u1"), ("purpose", "u1"), ("outcome", "u1"), ("faults", "u1"),
        ("classes", "<i2"), ("truth", "<i2"), ("label", "<i2"), ("changed", "<i2"), ("priority", "<i4"),
        ("project", "<i4"), ("skill", "<i4"), ("model", "<i4"), *attributes.TASK,
        ("overlap", "<i4"), ("max_overlap", "<i4"),
        ("counted", "<i4"), ("offered", "<i4"), ("leased", "<i4"),
        ("head", "<i4"), ("pairs", "<i4"),
        *listed.TASK,
        ("confidence", "<f8"), ("value", "<f8"), ("deadline", "<f8"), ("expected_s", "<f8"),
        ("lease_s", "<f8"), *min_skill.TASK, ("created", "<f8"), ("updated", "<f8"), ("settled", "<f8"),
    ]
)  # fmt: skip

ANNOTATOR = np.dtype(
    [
        ("online", "u1"), ("paused", "u1"), ("absent", "u1"), ("mode", "u1"), ("missed", "<i4"),
        ("capacity", "<i4"), ("live", "<i4"), ("live_head", "<i4"), *attributes.ANNOTATOR,
        *pull.ANNOTATOR, ("kind", "<i4"),
        ("cost", "<f8"), ("profile_at", "<f8"), ("presence_at", "<f8"), ("expires", "<f8"), ("gone_at", "<f8"),
        ("break_at", "<f8"), ("break_until", "<f8"), *since(5, ("asked_at", "<f8"), ("stated", "<i4")),
        *since(5, ("ended_at", "<f8"), ("capacity_at", "<f8"), ("mode_at", "<f8")),
    ]
)  # fmt: skip

PROJECT = np.dtype(
    [
        ("state", "<i4"), *share.PROJECT, ("live", "<i4"), ("taught", "<i8"),
        ("counted", "<i8"), *budget.PROJECT, ("weight", "<f8"), ("gold_rate", "<f8"), ("deadline", "<f8"),
        ("at", "<f8"), *since(5, ("short", "<i8"), ("stated", "<i4")),
    ]
)  # fmt: skip

PAIR = np.dtype(
    [
        ("task", "<i4"), ("annotator", "<i4"), ("next", "<i4"), ("live_next", "<i4"), ("live_previous", "<i4"),
        ("state", "u1"), ("counted", "u1"), ("extensions", "u1"), ("source", "u1"), ("label", "<i2"), ("paid", "<i2"),
        ("index", "<i4"), ("stamp", "<i4"), ("score", "<i4"), ("round", "<i8"),
        ("due", "<f8"), ("accepted_at", "<f8"), ("scored_at", "<f8"),
        *since(5, ("said_at", "<f8"), ("answered_at", "<f8"), ("answer", "<i4")),
        *since(5, ("barred_until", "<f8"), ("expiries", "<i8")),
    ]
)  # fmt: skip

EVENT = np.dtype(
    [
        ("kind", "u1"), ("detail", "u1"), ("label", "<i2"), ("annotator", "<i4"), ("task", "<i4"),
        ("count", "<i4"), ("index", "<i4"), ("at", "<f8"), ("x", "<f8"), ("y", "<f8"),
    ]
)  # fmt: skip
#: ``struct`` format of one EVENT: packing is several times faster than writing fields of an array from Python.
EVENT_FORMAT = "<BBhiiiiddd"

EMISSION = np.dtype(
    [
        ("code", "u1"), ("detail", "u1"), ("cause", "u1"), ("count", "i1"), ("event", "<i4"), ("task", "<i4"),
        ("annotator", "<i4"), ("index", "<i4"), ("round", "<i8"), ("at", "<f8"),
    ]
)  # fmt: skip

# places in Pool.counters; at EMITTED and behind it are the two counts of the list of emissions (`kernels.buffers`);
# REFUSED counts pairs, seats and judgments that found no room; IS_PAUSED says whether the pool is; AT_RISK counts the
# leases of people whose sessions have lapsed
PAIRS_USED, PAIRS_FREE, EMITTED, EMISSIONS_WANTED, REVISIT, TASKS_USED, ANNOTATORS_USED, REFUSED = range(8)
IS_PAUSED, AT_RISK = 8, 9
COUNTERS = 10
# places in Pool.clock: when the clock next concerns the pool; the round's now; when the last bar of a pair ends
EARLIEST, NOW, LAST_BAR = 0, 1, 2
CLOCKS = 3

#: most judgments a task can hold: overlaps end at 1,000, and a task's late ones never pass max_overlap
JUDGMENTS = 1024

Array = np.ndarray

@functools.cache
def learned_width(classes: int) -> int:
    """Numbers of a task's learned posterior."""
    return int(belief_width(classes)) if classes else 0


class Tasks(NamedTuple):
    """A row a task.

    ``vacancies[t]`` is how many more offers task ``t`` may get now; ``owes[t]`` how many judgments an open task of work
    still lacks of those promised (-1: it is none); ``wakeup[t]`` when the clock next concerns it;
    ``belief`` and ``reported`` are the learned (opaque) and the calibrated posterior.
    """

    records: Annotated[
        Array,
        Column(TASK, is_stored=True, passing={"head": -1, "changed": 0, "demand": 0, "only": 0, "exclude": 0}),
    ]
    vacancies: Annotated[Array, Column(np.int32)]
    owes: Annotated[Array, Column(np.int32, unused=-1)]
    wakeup: Annotated[Array, Column(np.float64, unused=np.inf)]
    belief: Annotated[Array, Column(np.float32, per="classes", width=learned_width, is_stored=True)]
    reported: Annotated[Array, Column(np.float32, per="classes", is_stored=True)]


class Annotators(NamedTuple):
    """A row an annotator."""

    records: Annotated[Array, Column(ANNOTATOR, is_stored=True, passing={"live_head": -1, "asked": 0, "profile": 0})]


class Projects(NamedTuple):
    """A row a project.

    ``opened[j]`` counts its open tasks of work, ``owed[j]`` the judgments that these still lack of those promised.
    """

    records: Annotated[Array, Column(PROJECT, is_stored=True)]
    opened: Annotated[Array, Column(np.int32)]
    owed: Annotated[Array, Column(np.int64)]


class Pairs(NamedTuple):
    """A row a pair."""

    records: Annotated[
        Array, Column(PAIR, is_stored=True, passing={"next": -1, "live_next": -1, "live_previous": -1})
    ]


class Taught(NamedTuple):
    """A row a project with tasks of known answer: its number is ``project.taught``.

    ``credit[row, a]`` is what annotator ``a`` has earned towards the next of them (see `lessons`).
    """

    credit: Annotated[Array, Column(np.float32, per="annotators")]


class Models(NamedTuple):
    """A row a model of `kernels.skill`."""

    models: Annotated[Array, Column(MODEL, is_stored=True, passing={"offset": 0})]
    seat_of: Annotated[Array, Column(np.int32, unused=-1, per="annotators", outlives=True)]


class Seats(NamedTuple):
    """A row a seat of `kernels.skill`."""

    seats: Annotated[Array, Column(SEAT, is_stored=True, passing={"offset": 0})]


class Evidence(NamedTuple):
    """The numbers of models and seats."""

    evidence: Annotated[Array, Column(np.float64)]


class Emissions(NamedTuple):
    """What kernels have to say, until somebody takes it."""

    records: Annotated[Array, Column(EMISSION)]


class Dirty(NamedTuple):
    """Marks of the rows of tables that have changed since the last commit."""

    tasks: Array
    annotators: Array
    projects: Array
    models: Array
    seats: Array


class Gathered(NamedTuple):
    """Scratch: the counted judgments of one task, oldest first."""

    seats: Array
    labels: Array
    stamps: Array


class Pool(NamedTuple):
    """The columns of one pool, as kernels take them."""

    tasks: Tasks
    annotators: Annotators
    projects: Projects
    pairs: Pairs
    lists: Lists
    limited: Limited
    taught: Taught
    emissions: Emissions
    skills: Skills
    dirty: Dirty
    gathered: Gathered
    counters: Array
    clock: Array


class Policy(NamedTuple):
    """What kernels need to know of a pool's policy; times in seconds."""

    accept_s: float
    grace_s: float
    settled_retention_s: float
    max_extensions: int
    block_declines: int
    missed_offers: int
    judgment_cost: float
    least_ability: float
    deadline_urgency: float


def blank(dtype: np.dtype, n: int) -> np.ndarray:
    """``n`` unused records: zeros, references to nothing, deadlines that never come."""
    rows = np.zeros(n, dtype)
    for name in (
        "head", "live_head", "profile", "next", "live_next", "live_previous", "limited", "taught", "cap", "index",
        "ended_at", "capacity_at", "mode_at",
    ):  # fmt: skip
        if name in (dtype.names or ()):
            rows[name] = NONE
    for name in ("expires", "gone_at", "break_until", "due", "deadline"):
        if name in (dtype.names or ()):
            rows[name] = np.inf
    return rows
