"""`Market`: a market that lives on between rounds.

Tasks and annotators come, go and change; `Market.solve` repairs the last assignment instead of starting
again.  Every round proves its gap afresh.  See `arena` for how arcs change and `warm` for what a round
does.

The arrays belong to the market.  One thread at a time may use it; different markets are independent.
"""

from typing import NamedTuple

import numpy as np

from kernels.auction.arena import lay_out, replace_capacities, replace_tasks
from kernels.auction.market_arrays import (
    ANNOTATOR,
    ARC,
    ARC32,
    COUNTERS,
    LISTED,
    SLOT,
    TASK,
    Auction,
    Book,
    Desk,
    Edges,
    Targets,
)
from kernels.auction.paths import room_to_search
from kernels.auction.shortlist import LONG, PART, SPARE
from kernels.auction.slots import HEAP_FROM
from kernels.auction.solver import NO_LIMIT
from kernels.auction.validation import check_array, check_bound, check_market, check_targets, count_once, repeats
from kernels.auction.warm import FIRST_DONE, MEMORY, SCALE, SHARE, Notes, round_kernel

RESCALE = 8.0
"""A new value this many times above all before makes the next round start from a coarse ε again."""


class Round(NamedTuple):
    """What a round proved; the assignment and the duals are read from the market."""

    primal: float
    bound: float
    gap: float
    status: int
    """As in `Solution`."""
    eps: float
    bids: int
    reverse_bids: int
    phases: int
    work: int
    audits: int
    """Passes that set all profits afresh, before ε is divided; 0 in a calm round."""


class Market:
    """A persistent market of `m` tasks and `n` annotators.

    Parameters
    ----------
    indptr, indices, values, demand, capacity
        The market as for `solve`.  Row `i` keeps ``indptr[i + 1] - indptr[i]`` places for ever: a later
        task in this row may use as many arcs as that or fewer.  float32 values stay float32.
    max_capacity : int, optional
        Largest capacity that an annotator may ever get (default: twice the largest now, at least 8).
    max_demand : int, optional
        Largest demand that a task may ever have (default likewise).
    """

    def __init__(
        self, indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, demand: np.ndarray, capacity: np.ndarray,
        *, max_capacity: int | None = None, max_demand: int | None = None,
    ) -> None:  # fmt: skip
        check_market(indptr, indices, values, demand, capacity)
        m, n, nnz = demand.size, capacity.size, indices.size
        if max_capacity is None:
            max_capacity = max(8, 2 * int(capacity.max(initial=0)))
        if max_demand is None:
            max_demand = max(8, 2 * int(demand.max(initial=0)))
        self.max_capacity = max_capacity
        self.max_demand = max_demand
        self.edges = Edges(indptr.copy(), indices.copy(), np.where(values > 0, values, 0).astype(values.dtype))
        self._row_room = np.diff(indptr)
        tasks = np.zeros(m, TASK)
        self._check_demand(np.minimum(demand, self._row_room))
        tasks["first"] = np.arange(m) * max_demand
        tasks["demand"] = tasks["need"] = np.clip(demand, 0, self._row_room)
        tasks["queued"] = tasks["demand"] > 0
        annotators = np.zeros(n, ANNOTATOR)
        annotators["first"] = np.arange(n) * max_capacity
        self._check_capacity(capacity)
        annotators["capacity"] = np.maximum(capacity, 0)
        self.book = Book(
            price=np.where(capacity > 0, 0.0, np.inf),
            profit=np.full(m, np.inf),
            tasks=tasks,
            annotators=annotators,
            row_arc=np.empty(m * max_demand, np.int32),
            row_column=np.empty(m * max_demand, np.int32),
            row_value=np.empty(m * max_demand, np.float64),
            slots=np.empty(n * max_capacity, SLOT),
            keys=np.empty(n * max_capacity if max_capacity > HEAP_FROM else 0, np.float64),
        )
        self._columns = np.empty(0, ARC if values.dtype == np.float64 else ARC32)
        self._place = np.empty(nnz, np.int32)
        self._notes = Notes(memory=np.zeros(MEMORY), seen=np.full(n, -1.0), touched=np.ones(m, np.uint8))
        self._notes.memory[SHARE] = 1.0
        self._named = np.full(n, -1)
        self._rows_named = 0
        widest = int(max(max_capacity, self._row_room.max(initial=0)))
        self._desk = Desk(
            queue=np.empty(2 * m, np.int32),
            offers=np.empty(2 * n, np.int32),
            unhappy=np.empty(m, np.int32),
            surplus=np.empty(0, np.float64),
            pick=np.empty(widest + 1, np.int64),
            pick_key=np.empty(widest + 1, np.float64),
            saved=np.empty(widest + 1, np.float64),
            kept=np.zeros(m),
            least=np.zeros(m),
            best_price=np.empty(0),
            best_kept=np.empty(0),
            counters=np.zeros(COUNTERS, np.int64),
            shortlist=np.empty(0, ARC),
            listed=np.empty(0, LISTED),
        )
        self._search = room_to_search(m, n, 0)
        start = np.flatnonzero(tasks["demand"])
        self._waiting = start.size
        self._desk.queue[: start.size] = start
        self._notes.memory[SCALE] = values.max(initial=0.0, where=values > 0)
        self._lay_out()

    @property
    def _auction(self) -> Auction:
        return Auction(self.edges, self._columns, self.book, self._desk, self._search)

    def _lay_out(self) -> None:
        """Give every column new room."""
        cursor = self._desk.offers
        needed = lay_out(self.edges, self.book.annotators, self._columns, self._place, cursor)
        if needed > self._columns.size:
            self._columns = np.empty(needed, self._columns.dtype)
            lay_out(self.edges, self.book.annotators, self._columns, self._place, cursor)
        room = self.book.annotators["room"] - self.book.annotators["start"]
        longest = max(room.max(initial=0), self._row_room.max(initial=0)) + self._desk.pick.size
        if self._desk.surplus.size < longest + 1:
            self._desk = self._desk._replace(surplus=np.empty(longest + 1))
            self._search = room_to_search(self.book.tasks.size, self.book.annotators.size, longest + 1)
        n = self.book.annotators.size
        entries = self._columns.size // PART + SPARE * n + 1
        if self._place.size >= LONG * n and self._desk.shortlist.size < entries:
            self._desk = self._desk._replace(shortlist=np.empty(entries, ARC), listed=np.empty(n, LISTED))

    def _check_capacity(self, capacity: np.ndarray) -> None:
        if capacity.max(initial=0) > self.max_capacity:
            raise ValueError(
                f"capacity: expected <= max_capacity = {self.max_capacity}, got {capacity.max()}; "
                f"pass a larger max_capacity to Market"
            )

    def _check_demand(self, demand: np.ndarray) -> None:
        if demand.max(initial=0) > self.max_demand:
            raise ValueError(
                f"demand: expected <= max_demand = {self.max_demand}, got {demand.max()}; "
                f"pass a larger max_demand to Market"
            )

    def set_tasks(
        self, tasks: np.ndarray, indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, demand: np.ndarray,
        *, check: bool = True,
    ) -> None:  # fmt: skip
        """Replace whole tasks: arrivals, departures (demand 0) and changes are the same thing.

        Parameters
        ----------
        tasks : int64[r]
            Rows to replace, each at most once.
        indptr : int64[r + 1]
        indices : int32[...]
        values : float[...], of the market's dtype
            Their new candidates, at most as many as the row has places.
        demand : int64[r]
        check : bool
            Validate the input.  Without, the caller vouches for everything said above; an annotator who is twice
            in a row counts once, at the larger value.

        Raises
        ------
        TypeError, ValueError
            With what was expected and what came; the market is then unchanged.
        """
        if tasks.size == 0:
            return
        if check:
            self._check_tasks(tasks, indptr, indices, values, demand)
        elif repeats(indptr, indices, self._named, self._rows_named):
            values = count_once(indptr, indices, values)
        self._rows_named += tasks.size
        fresh = Edges(indptr, indices, values)
        self._waiting, crowded = replace_tasks(
            self._auction, self._place, self._notes.touched, self._waiting, tasks, fresh, demand
        )
        if crowded:
            self._lay_out()
        largest = values.max(initial=0.0)
        if largest > self._notes.memory[SCALE]:
            if largest > RESCALE * self._notes.memory[SCALE]:
                self._notes.memory[FIRST_DONE] = 0.0
            self._notes.memory[SCALE] = largest

    def _check_tasks(
        self, tasks: np.ndarray, indptr: np.ndarray, indices: np.ndarray, values: np.ndarray, demand: np.ndarray
    ) -> None:
        check_array("tasks", tasks, [np.int64], None)
        check_array("values", values, [self.edges.values.dtype], indices.size)
        check_market(indptr, indices, values, demand, self.capacity)
        check_array("demand", demand, [np.int64], tasks.size)
        if tasks.min() < 0 or tasks.max() >= self.book.tasks.size or np.unique(tasks).size < tasks.size:
            raise ValueError(f"tasks: expected different rows in [0, {self.book.tasks.size})")
        self._check_demand(np.minimum(demand, np.diff(indptr)))
        too_long = np.diff(indptr) > self._row_room[tasks]
        if too_long.any():
            r = int(np.argmax(too_long))
            raise ValueError(
                f"indptr: task {tasks[r]} has {self._row_room[tasks[r]]} places, got {indptr[r + 1] - indptr[r]} arcs"
            )

    def set_capacities(self, annotators: np.ndarray, capacity: np.ndarray, *, check: bool = True) -> None:
        """Give annotators a new capacity (int64 arrays of equal length); 0 is absence.  `check` as for `set_tasks`."""
        if annotators.size == 0:
            return
        if check:
            check_array("annotators", annotators, [np.int64], None)
            check_array("capacity", capacity, [np.int64], annotators.size)
            n = self.book.annotators.size
            if annotators.min() < 0 or annotators.max() >= n or np.unique(annotators).size < annotators.size:
                raise ValueError(f"annotators: expected different columns in [0, {n})")
            self._check_capacity(capacity)
        self._waiting = replace_capacities(self.edges, self.book, self._desk, self._waiting, annotators, capacity)

    def solve(self, *, gap_tol: float = 1e-3, abs_tol: float = 0.0, max_work: int = NO_LIMIT) -> Round:
        """Re-solve what changed and prove the whole; arguments as for `solve`."""
        check_targets(gap_tol, abs_tol, max_work)
        targets = Targets(float(gap_tol), float(abs_tol), int(max_work))
        status, value, bound, eps, self._waiting = round_kernel(self._auction, self._notes, self._waiting, targets)
        check_bound(bound)
        bids, reverse_bids, phases, forward_edges, reverse_edges, audits = self._desk.counters.tolist()
        gap = (bound - value) / bound if bound > 0.0 else 0.0
        return Round(value, bound, gap, status, eps, bids, reverse_bids, phases, forward_edges + reverse_edges, audits)

    @property
    def demand(self) -> np.ndarray:
        """int64[m]: what each task wants now."""
        return self.book.tasks["demand"].astype(np.int64)

    @property
    def capacity(self) -> np.ndarray:
        """int64[n]: what each annotator takes now."""
        return self.book.annotators["capacity"].astype(np.int64)

    @property
    def price(self) -> np.ndarray:
        """float64[n]: price of a slot of each annotator, +inf without capacity.  A view: copy to keep."""
        return self.book.price

    @property
    def held(self) -> np.ndarray:
        """uint8 per place of ``edges``: 1 where an arc is taken."""
        tasks = self.book.tasks
        count = (tasks["demand"] - tasks["need"]).astype(np.int64)
        first = np.repeat(tasks["first"] - np.concatenate(([0], np.cumsum(count)[:-1])), count)
        held = np.zeros(self.edges.indices.size, np.uint8)
        held[self.book.row_arc[first + np.arange(count.sum())]] = 1
        return held

    def snapshot(self) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """The market as it is now, for `solve` and `certificate`: only arcs worth taking.

        Returns
        -------
        case : indptr, indices, values, demand, capacity
        held : uint8 per arc of the case
        """
        indptr, indices, values = self.edges
        wanted = values > 0
        before = np.concatenate(([0], np.cumsum(wanted)))
        case = before[indptr], indices[wanted], values[wanted], self.demand, self.capacity
        return case, self.held[wanted]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays of the market."""
        groups = self.edges, self.book, self._desk, self._search, self._notes
        single = self._columns.nbytes + self._place.nbytes + self._named.nbytes
        return single + sum(array.nbytes for group in groups for array in group)
