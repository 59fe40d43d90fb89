"""The state of one pool: columns for the kernels, names for the ids, and the few things that have no columns.

Who may do what is in ``stream/core/state/fits.py``.
"""

import itertools
from collections import Counter
from collections.abc import Iterable

import numpy as np

from kernels import bench, buffers
from kernels.lifecycle import ANNOTATOR, PROJECT, Pool, blank, codes
from kernels.lifecycle.pool_columns import (
    ANNOTATORS_USED,
    AT_RISK,
    EARLIEST,
    EMISSIONS_WANTED,
    EMITTED,
    IS_PAUSED,
    NOW,
    PAIRS_USED,
    REFUSED,
)
from kernels.lifecycle.room import most_of_event
from kernels.rules.predicate import UNRESTRICTED, Fit
from stream.core.state.bars import Bars
from stream.core.state.facts import Facts
from stream.core.state.fits import Fits
from stream.core.state.growth import Array
from stream.core.state.lists import Lists
from stream.core.state.models import Models
from stream.core.state.names import Names
from stream.core.state.policies import born, in_force
from stream.core.state.sessions import Sessions
from stream.core.state.tables import Columns
from stream.core.state.waiting import IdRefused, WaitingRoom, check_id
from stream.events import PoolPolicy, TaskDefaults
from stream.policy import Policy

#: What a project is of which nobody has said anything, and an annotator who has acted for the first time.
UNHEARD_OF, UNKNOWN = blank(PROJECT, 1)[0], blank(ANNOTATOR, 1)[0]
UNHEARD_OF["state"], UNHEARD_OF["weight"], UNHEARD_OF["budget"], UNHEARD_OF["gold_rate"] = 1, 1.0, -1, 0.02
UNKNOWN["capacity"], UNKNOWN["profile"] = 1, 0

DEFAULTS = Policy()


class PoolState(WaitingRoom):
    """One pool of one partition.

    Parameters
    ----------
    name : str
    policy : Policy
        What it runs by from its birth on.
    """

    def __init__(self, name: str, policy: Policy = DEFAULTS) -> None:
        super().__init__()
        check_id(name, "pool")
        encoded = name.encode()
        if b"\0" in encoded:
            raise IdRefused("Expected an id without NUL - at `$.pool`")
        self.name = name
        self.key = encoded
        self.rule_by(born(name, policy))
        self.is_policy_told = False  # whether a row and a round's record have said what it runs by
        self.changed_at = 0.0  # newest pool_paused or pool_resumed
        self.tables = Columns()
        self.fits = Fits()
        self.tasks = Names()
        self.annotators = Names()
        self.projects = Names()
        self.skills = Names()
        self.models = Models(self.tables)
        self.lists = Lists(self.tables)
        self.defaults: list[TaskDefaults] = []
        self.labels: dict[int, tuple[str, ...]] = {}  # project -> names of its classes, where it has any
        self.sessions = Sessions()
        self.bars = Bars()
        self.notes: dict[int, str] = {}  # project -> what people should know of it, where there is anything
        self.facts = Facts()
        self.note = ""  # likewise of the pool
        self.note_at: float | None = None  # when that was stated
        self.refs: dict[str, tuple[float, str | None]] = {}  # task -> when its reference was stated, where any was
        self.undescribed: set[int] = set()  # annotators of whom nobody has said what they may do
        self.gone: dict[str, float] = {}  # dropped task -> until when its id is remembered, earliest first
        self.asked_projects: dict[int, tuple[str, ...]] = {}  # annotator -> filter of this round's requests
        self.erased: dict[int, str] = {}  # annotators erased in this round, by slot
        self.asked: dict[int, int] = {}  # annotator -> how much was asked in this round
        self.tasks_of_project: Counter[int] = Counter()  # in memory, by slot
        self.tasks_of_model: Counter[int] = Counter()
        self.left_projects: set[int] = set()  # that have lost a task, or were closed, in this round
        self.left_models: set[int] = set()
        self.tombstones: dict[str, list[bytes]] = {"annotators": [], "skills": []}  # of what this round forgets
        self.dirty_waiting: set[str] = set()
        self.dirty_gone: set[str] = set()
        self.dirty_skills: list[int] = []
        self.dirty_policy = False
        self.dirty_note = False
        self.dirty_refs: set[str] = set()
        self.dirty = True
        self.is_new = True  # no row speaks of it

    @property
    def paused(self) -> bool:
        """Whether nobody gets offers for now."""
        return bool(self.columns.counters[IS_PAUSED])

    @paused.setter
    def paused(self, paused: bool) -> None:
        self.columns.counters[IS_PAUSED] = paused

    @property
    def fit(self) -> Fit:
        """Who is fit for what, whatever anybody asked for."""
        return Fit(self.fits.meets, self.fits.grants, UNRESTRICTED)

    @property
    def columns(self) -> Pool:
        """The arrays as kernels take them; others after anything has grown."""
        return self.tables.pool

    @property
    def classes(self) -> int:
        """The most classes that posteriors have room for."""
        return self.tables.places["classes"]

    # ------------------------------------------------------------------ room for what comes
    def reserve_annotators(self, n: int) -> None:
        """Make room for annotator slots below ``n``."""
        counters = self.columns.counters
        self.dirty = self.dirty or n > int(counters[ANNOTATORS_USED])
        counters[ANNOTATORS_USED] = max(n, int(counters[ANNOTATORS_USED]))
        self.tables.reserve("annotators", n)

    def reserve_pairs(self, more: int) -> None:
        """Make room for ``more`` pairs beyond those in use."""
        self.tables.reserve("pairs", int(self.columns.counters[PAIRS_USED]) + more)

    def reserve_seats(self, more: int) -> None:
        """Make room for evidence of ``more`` (annotator, model) pairs beyond those in use."""
        self.models.reserve_seats(more)

    def reserve_emissions(self, more: int) -> None:
        """Make room for ``more`` emissions beyond those that nobody has taken yet."""
        room = int(self.columns.counters[EMITTED]) + more
        if room > len(self.columns.emissions.records):
            self.check_room()  # what was refused must not become a hole in a longer list
            self.tables.reserve("emissions", room)

    def reserve_event(self) -> None:
        """Make room for all that one event can bring."""
        emissions, _ = most_of_event(self.columns)
        self.reserve_emissions(int(emissions))
        self.reserve_pairs(1)
        self.reserve_seats(1)

    def more_offers(self, offers: bench.Offers) -> bench.Offers:
        """Make room for one more offer, in the list of offers and for its pair."""
        self.reserve_pairs(1)
        if int(offers.count[buffers.USED]) < len(offers.tasks):
            return offers
        return buffers.enlarged(offers)

    def take_emissions(self) -> Array:
        """What kernels have told since the last call, in its order; raises as ``check_room``."""
        self.check_room()
        counters = self.columns.counters
        emissions: Array = self.columns.emissions.records[: int(counters[EMITTED])].copy()
        counters[EMITTED] = counters[EMISSIONS_WANTED] = 0
        return emissions

    def check_room(self) -> None:
        """Has everything found room that kernels had to write?

        Raises
        ------
        Overrun
            A kernel had to leave something out: the state is of no use any more.
        """
        counters = self.columns.counters
        told, wanted, refused = (int(counters[at]) for at in (EMITTED, EMISSIONS_WANTED, REFUSED))
        if wanted > told or refused:
            raise buffers.Overrun(
                f"Pool {self.name!r}: expected room for {wanted} emissions, got {told}, and for pairs, seats and "
                f"judgments, of which {refused} found none"
            )

    # ------------------------------------------------------------------ entities
    def check_project(self, name: str) -> None:
        """Raise `IdRefused` when `project` could not give this id a slot."""
        if name not in self.projects.slots:
            check_id(name, "project")

    def check_skill(self, name: str) -> None:
        """Raise `IdRefused` when `skill` could not give this id a slot."""
        if name not in self.skills.slots:
            check_id(name, "skill")

    def check_annotators(self, names: Iterable[str]) -> None:
        """Raise `IdRefused` when `annotator` could not give one of these ids a slot."""
        for name in names:
            if name not in self.annotators.slots:
                check_id(name, "annotator")

    def add_task(self, name: str, project: int = 0, model: int = 0) -> int:
        """Slot of a task that is created now."""
        check_id(name, "task")
        slot = self.tasks.add(name)
        self.tables.reserve("tasks", self.tasks.used)
        self.tasks_of_project[project] += 1
        self.tasks_of_model[model] += 1
        return slot

    def remove_task(self, slot: int) -> str:
        """A task leaves memory, and its slot may be another's; returns its id."""
        name, records = self.tasks.ids[slot] or "", self.columns.tasks.records
        project, model = int(records["project"][slot]), int(records["model"][slot])
        self.tasks_of_project[project] -= 1
        self.tasks_of_model[model] -= 1
        self.left_projects.add(project)
        self.left_models.add(model)
        records["state"][slot] = 0
        self.facts.forget(f"t{name}")
        self.tasks.remove(name)
        if self.refs.pop(name, None) is not None:
            self.dirty_refs.add(name)
        return name

    def refer(self, task: str, at: float, ref: str | None) -> None:
        """The reference of a task, stated at a time; it may be none, for an older one must not come back."""
        self.refs[task] = at, ref
        self.dirty_refs.add(task)

    def annotator(self, name: str) -> int:
        """Slot of an annotator; whoever acts is known, with an empty profile at first."""
        slot = self.annotators.slots.get(name)
        if slot is None:
            check_id(name, "annotator")
            slot = self.annotators.add(name)
            self.reserve_annotators(self.annotators.used)
            self.columns.annotators.records[slot] = UNKNOWN
            self.columns.dirty.annotators[slot] = 1
            self.undescribed.add(slot)
        return slot

    def is_unknown(self, annotator: int) -> bool:
        """Whether nothing is known of an annotator but evidence of their skill."""
        record = self.columns.annotators.records[annotator].copy()
        record["asked_at"] = 0.0  # nothing is left of a request
        return bool(record.tobytes() == UNKNOWN.tobytes() and annotator not in self.sessions)

    def blank_annotator(self, slot: int) -> None:
        """What is known of an annotator is forgotten, evidence of their skill aside."""
        self.columns.annotators.records[slot] = blank(ANNOTATOR, 1)[0]
        self.columns.annotators.records["profile"][slot] = 0
        self.tables.erase_annotator(slot)

    def project(self, name: str) -> int:
        """Slot of a project; an unknown one exists with defaults from now on."""
        slot = self.projects.slots.get(name)
        if slot is None:
            check_id(name, "project")
            slot = self.projects.add(name)
            self.tables.reserve("projects", slot + 1)
            self.defaults += [TaskDefaults()] * (slot + 1 - len(self.defaults))
            self.columns.projects.records[slot] = UNHEARD_OF
            self.columns.dirty.projects[slot] = 1
        return slot

    def is_unheard_of(self, project: int) -> bool:
        """Whether a project says nothing that one doesn't which nobody has heard of."""
        record = self.columns.projects.records[project]
        says_nothing = self.defaults[project] == TaskDefaults() and project not in self.labels
        says_nothing = says_nothing and project not in self.notes
        return record.tobytes() == UNHEARD_OF.tobytes() and says_nothing

    def has_budget(self, project: str) -> bool:
        """Whether a project, if anybody has heard of it, has a budget."""
        slot = self.projects.slots.get(project)
        return slot is not None and bool(self.columns.projects.records["budget"][slot] >= 0)

    def presets(self, project: str) -> TaskDefaults:
        """What a project presets for its tasks; nothing if nobody has heard of it."""
        slot = self.projects.slots.get(project)
        return TaskDefaults() if slot is None else self.defaults[slot]

    def skill(self, name: str) -> int:
        """Slot of a skill."""
        slot = self.skills.slots.get(name)
        if slot is None:
            check_id(name, "skill")
            slot = self.skills.add(name)
            self.dirty_skills.append(slot)
        return slot

    # ------------------------------------------------------------------ policy
    def rule_by(self, policy: PoolPolicy) -> None:
        """Run by this policy from now on."""
        self.policy = policy
        self.in_force = in_force(policy)

    def remember(self, task: str, until: float) -> None:
        """The id of a task that leaves memory is known until then, and no shorter than those that left before it."""
        latest = next(reversed(self.gone.values()), until)
        self.gone[task] = max(until, latest)
        self.dirty_gone.add(task)

    # ------------------------------------------------------------------ what annotators have in a project
    def limit(self, project: int) -> int:
        """Give a project with ``max_per_annotator`` a row that counts per annotator."""
        return self._row("limited", project)

    def is_taught(self, project: int) -> bool:
        """Has the project had a task of known answer?"""
        return bool(self.columns.projects.records[project]["taught"] >= 0)

    def teach(self, project: int) -> None:
        """The project gets its first task of known answer: from now on its annotators earn credit for such."""
        self._row("taught", project)

    def _row(self, table: str, project: int) -> int:
        """Give a project the lowest free row of a table of what annotators have in projects."""
        rows = self.columns.projects.records[table][: self.projects.used]
        row = next(row for row in itertools.count() if row not in rows)
        self.tables.reserve(table, row + 1)
        self.columns.projects.records[table][project] = row
        self.columns.dirty.projects[project] = 1
        return row

    def is_over(self, project: int) -> bool:
        """Whether a project is closed, and what annotators have in it is kept only for its tasks in memory."""
        record = self.columns.projects.records[project]
        return bool(record["state"] == codes.CLOSED and max(record["limited"], record["taught"]) != codes.NONE)

    @property
    def is_empty(self) -> bool:
        """Whether it is like a pool that nobody has spoken of, so that nobody would notice if it went."""
        said = self.tasks.slots or self.waiting or self.gone or self.paused or self.changed_at or self.policy.since
        if said or self.note_at is not None or self.columns.skills.used[1]:
            return False
        return all(map(self.is_unheard_of, self.projects.slots.values())) and all(
            map(self.is_unknown, self.annotators.slots.values())
        )

    @property
    def open_tasks(self) -> int:
        """Tasks of work that some judgment is missing for and nobody is at."""
        wanting = np.flatnonzero(self.columns.tasks.vacancies[: self.tasks.used] > 0)
        if not (self.columns.projects.records["taught"][: self.projects.used] != codes.NONE).any():
            return len(wanting)
        return int(np.count_nonzero(self.columns.tasks.records["purpose"][wanting] == codes.WORK))

    @property
    def free_annotators(self) -> int:
        """Annotators who may be offered something now, as `kernels.lifecycle.presence.is_free` says."""
        people = self.columns.annotators.records[: self.annotators.used]
        present = (people["online"] > 0) & (people["paused"] == 0) & (people["absent"] == 0)
        present &= (people["expires"] > self.columns.clock[NOW]) & (people["live"] < people["capacity"])
        return int(np.count_nonzero(present & ((people["mode"] != codes.PULL) | (people["asked"] > 0))))

    @property
    def at_risk(self) -> int:
        """Leases of people whose sessions have lapsed."""
        return int(self.columns.counters[AT_RISK])

    @property
    def live(self) -> int:
        """Offers and leases that are open now."""
        return int(self.columns.projects.records["live"][: self.projects.used].sum())

    @property
    def earliest(self) -> float:
        """When the clock next concerns this pool."""
        earliest = min(float(self.columns.clock[EARLIEST]), self.sessions.earliest)
        for waiting in self.waiting.values():
            earliest = min(earliest, waiting[0].until)
        return min(earliest, next(iter(self.gone.values()), earliest))
