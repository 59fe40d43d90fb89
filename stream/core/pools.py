"""The state of one pool: columns for the kernels, names for the ids, and the few things that have no columns.

Who may do what is in ``stream/core/fits.py``.
"""

from typing import NamedTuple

import numpy as np

from kernels import skill
from kernels.lifecycle import ANNOTATOR, EMISSION, PAIR, PROJECT, TASK, Pool, blank
from kernels.lifecycle.layout import (
    ANNOTATORS_USED,
    CLOCKS,
    COUNTERS,
    EARLIEST,
    JUDGMENTS,
    PAIRS_FREE,
    PAIRS_USED,
)
from stream.core.fits import Fits
from stream.core.growth import longer, wider
from stream.core.names import Names
from stream.events import ID_BYTES, WAITING_EVENT_BYTES, WAITING_HEADER_BYTES, TaskDefaults

#: Of a Kafka record.
Headers = tuple[tuple[str, bytes | None], ...]


class Waiting(NamedTuple):
    """An event about a task that nobody has created yet."""

    topic: str
    offset: int
    value: bytes
    until: float
    headers: Headers = ()

    @property
    def size(self) -> int:
        """Bytes of value and headers, and what storing them takes besides: never less than the row's bytes for it."""
        headers = sum(WAITING_HEADER_BYTES + len(name.encode()) + len(content or b"") for name, content in self.headers)
        return WAITING_EVENT_BYTES + len(self.value) + headers


class IdRefused(ValueError):
    """An id has more bytes than the contract allows, or a pool's has a NUL, which separates ids in keys of rows."""


class PoolState(Fits):
    """One pool of one partition."""

    def __init__(self, name: str) -> None:
        super().__init__()
        encoded = name.encode()
        if len(encoded) > ID_BYTES:
            raise IdRefused(f"Expected an id of at most {ID_BYTES} bytes, got {len(encoded)} - at `$.pool`")
        if b"\0" in encoded:
            raise IdRefused("Expected an id without NUL - at `$.pool`")
        self.name = name
        self.key = encoded
        self.paused = False
        self.changed_at = 0.0  # newest pool_paused or pool_resumed
        self.tasks = Names()
        self.annotators = Names()
        self.projects = Names()
        self.skills = Names()
        self.defaults: list[TaskDefaults] = []
        self.labels: dict[int, tuple[str, ...]] = {}  # project -> names of its classes, where it has any
        self.models: dict[tuple[int, int], int] = {}  # (skill, classes) -> model
        self.model_skills: list[int] = []  # model -> skill
        self.waiting: dict[str, list[Waiting]] = {}  # by task, oldest first, never empty
        self.waiting_bytes: dict[str, int] = {}  # by task: the sizes of those that wait
        self.gone: dict[str, float] = {}  # dropped task -> until when its id is remembered, earliest first
        self.asked_projects: dict[int, tuple[str, ...]] = {}  # annotator -> filter of this round's requests
        self.erased: dict[int, str] = {}  # annotators erased in this round, by slot
        self.asked: dict[int, int] = {}  # annotator -> how much was asked in this round
        self.limited = 0
        self.taught = 0
        self.lists_used = 0
        self.classes = 2
        self.dirty_waiting: set[str] = set()
        self.dirty_gone: set[str] = set()
        self.dirty_skills: list[int] = []
        self.dirty = True
        self.columns = self._empty()

    def _empty(self) -> Pool:
        counters = np.zeros(COUNTERS, np.int64)
        counters[PAIRS_FREE] = -1
        clock = np.zeros(CLOCKS, np.float64)
        clock[EARLIEST] = np.inf
        return Pool(
            tasks=blank(TASK, 16),
            room=np.zeros(16, np.int32),
            due=np.full(16, np.inf),
            belief=np.zeros((16, int(skill.belief_width(self.classes))), np.float32),
            reported=np.zeros((16, self.classes), np.float32),
            dirty_tasks=np.zeros(16, np.uint8),
            annotators=blank(ANNOTATOR, 16),
            dirty_annotators=np.zeros(16, np.uint8),
            projects=blank(PROJECT, 4),
            dirty_projects=np.zeros(4, np.uint8),
            share=np.zeros((1, 16), np.int32),
            credit=np.zeros((1, 16), np.float32),
            pairs=blank(PAIR, 32),
            lists=np.zeros(16, np.int32),
            counters=counters,
            clock=clock,
            seats=np.zeros(JUDGMENTS, np.int32),
            labels=np.zeros(JUDGMENTS, np.int32),
            stamps=np.zeros(JUDGMENTS, np.int32),
            skills=skill.empty(),
            dirty_seats=np.zeros(32, np.uint8),
            dirty_models=np.zeros(4, np.uint8),
            emissions=np.zeros(64, EMISSION),
        )

    # ------------------------------------------------------------------ room for what comes
    def reserve_tasks(self, n: int) -> None:
        """Make room for task slots below ``n``."""
        c = self.columns
        if n <= len(c.tasks):
            return
        tasks = longer(c.tasks, n)
        self.columns = c._replace(
            tasks=tasks,
            room=longer(c.room, len(tasks)),
            due=longer(c.due, len(tasks), np.inf),
            belief=longer(c.belief, len(tasks)),
            reported=longer(c.reported, len(tasks)),
            dirty_tasks=longer(c.dirty_tasks, len(tasks)),
        )

    def reserve_annotators(self, n: int) -> None:
        """Make room for annotator slots below ``n``."""
        c = self.columns
        self.columns.counters[ANNOTATORS_USED] = max(n, int(c.counters[ANNOTATORS_USED]))
        if n <= len(c.annotators):
            return
        annotators = longer(c.annotators, n)
        self.columns = c = c._replace(
            annotators=annotators, dirty_annotators=longer(c.dirty_annotators, len(annotators))
        )
        if len(annotators) <= c.share.shape[1]:
            return
        # a column with a place for each annotator in every row is copied whole: powers of two, so hardly ever
        width = 1 << (len(annotators) - 1).bit_length()
        self.columns = c._replace(
            share=wider(c.share, width),
            credit=wider(c.credit, width),
            skills=skill.grow(c.skills, annotators=width),
        )

    def reserve_pairs(self, more: int) -> None:
        """Make room for ``more`` pairs beyond those in use."""
        c = self.columns
        pairs = longer(c.pairs, int(c.counters[PAIRS_USED]) + more)
        if pairs is not c.pairs:
            self.columns = c._replace(pairs=pairs)

    def reserve_seats(self, more: int) -> None:
        """Make room for evidence of ``more`` (annotator, model) pairs beyond those in use."""
        self.reserve_evidence(more, more * int(skill.evidence_width(self.classes)))

    def reserve_evidence(self, more: int, width: int) -> None:
        """Make room for ``more`` seats and ``width`` numbers of evidence beyond those in use."""
        s = self.columns.skills
        seats, evidence = int(s.used[1]) + more, int(s.used[2]) + width
        if seats > len(s.seats) or evidence > len(s.evidence):
            grown = skill.grow(
                s,
                seats=max(seats, 2 * len(s.seats)) if seats > len(s.seats) else 0,
                evidence=max(evidence, 2 * len(s.evidence)) if evidence > len(s.evidence) else 0,
            )
            self.columns = self.columns._replace(
                skills=grown, dirty_seats=longer(self.columns.dirty_seats, len(grown.seats))
            )

    def reserve_emissions(self, n: int) -> None:
        """Make room for ``n`` emissions (none is pending between kernel calls)."""
        if n > len(self.columns.emissions):
            self.columns = self.columns._replace(
                emissions=np.empty(max(n, 2 * len(self.columns.emissions)), EMISSION)
            )

    def reserve_classes(self, classes: int) -> None:
        """Make the posterior columns wide enough for ``classes``."""
        if classes <= self.classes:
            return
        self.classes = classes
        c = self.columns
        n = len(c.tasks)
        belief = np.zeros((n, int(skill.belief_width(classes))), np.float32)
        belief[:, : c.belief.shape[1]] = c.belief
        reported = np.zeros((n, classes), np.float32)
        reported[:, : c.reported.shape[1]] = c.reported
        self.columns = c._replace(belief=belief, reported=reported)

    # ------------------------------------------------------------------ entities
    def _id(self, name: str, what: str) -> str:
        if len(name.encode()) > ID_BYTES:
            raise IdRefused(f"Expected an id of at most {ID_BYTES} bytes, got {len(name.encode())} - at `$.{what}`")
        return name

    def add_task(self, name: str) -> int:
        """Slot of a task that is created now."""
        slot = self.tasks.add(self._id(name, "task"))
        self.reserve_tasks(self.tasks.used)
        return slot

    def annotator(self, name: str) -> int:
        """Slot of an annotator; whoever acts is known, with an empty profile at first."""
        slot = self.annotators.slots.get(name)
        if slot is None:
            slot = self.annotators.add(self._id(name, "annotator"))
            self.reserve_annotators(self.annotators.used)
            record = self.columns.annotators[slot : slot + 1]
            record["capacity"] = 1
            record["profile"] = 0
            self.columns.dirty_annotators[slot] = 1
        return slot

    def project(self, name: str) -> int:
        """Slot of a project; an unknown one exists with defaults from now on."""
        slot = self.projects.slots.get(name)
        if slot is None:
            slot = self.projects.add(self._id(name, "project"))
            c = self.columns
            if slot >= len(c.projects):
                projects = longer(c.projects, slot + 1)
                self.columns = c = c._replace(
                    projects=projects, dirty_projects=longer(c.dirty_projects, len(projects))
                )
            record = c.projects[slot : slot + 1]
            record["state"], record["weight"], record["budget"] = 1, 1.0, -1
            record["gold_rate"] = 0.02
            c.dirty_projects[slot] = 1
            while len(self.defaults) <= slot:
                self.defaults.append(TaskDefaults())
        return slot

    def skill(self, name: str) -> int:
        """Slot of a skill."""
        slot = self.skills.slots.get(name)
        if slot is None:
            slot = self.skills.add(self._id(name, "skill"))
            self.dirty_skills.append(slot)
        return slot

    def model(self, skill_slot: int, classes: int) -> int:
        """The model of a skill with this many classes."""
        m = self.models.get((skill_slot, classes))
        if m is None:
            self.reserve_model(classes)
            m = int(skill.open_model(self.columns.skills, classes))
            self.name_model(m, skill_slot, classes)
            self.columns.dirty_models[m] = 1
            self._plant(m, skill_slot, classes)
        return m

    def seed(self, skill_slot: int, annotator: int, accuracy: float, weight: float, at: float) -> None:
        """Import what another system knows about an annotator's skill; the newest ``at`` wins.

        The model without classes keeps the import for models of the skill that are yet to come.
        """
        keeper = self.model(skill_slot, 0)
        for m in [keeper, *(m for (owner, k), m in self.models.items() if owner == skill_slot and k)]:
            self.reserve_seats(1)
            skills = self.columns.skills
            s = int(skill.seat(skills, m, annotator))
            if at < skills.seats["seeded_at"][s]:
                return
            skill.seed(skills, s, accuracy, weight)
            skills.seats["seeded_at"][s] = at
            self.columns.dirty_seats[s] = 1

    def _plant(self, m: int, skill_slot: int, classes: int) -> None:
        """Give a new model the imports of its skill."""
        keeper = self.models.get((skill_slot, 0))
        if keeper is None or not classes:
            return
        seats = self.columns.skills.seat_of[keeper]
        for annotator in np.flatnonzero(seats >= 0).tolist():
            known = self.columns.skills.seats[int(seats[annotator])]
            if known["seeded_weight"] > 0:
                self.reserve_seats(1)
                skills = self.columns.skills
                s = int(skill.seat(skills, m, annotator))
                skill.seed(skills, s, float(known["seeded_accuracy"]), float(known["seeded_weight"]))
                skills.seats["seeded_at"][s] = known["seeded_at"]
                self.columns.dirty_seats[s] = 1

    def reserve_model(self, classes: int) -> None:
        """Make room for one more model."""
        self.reserve_classes(classes)
        s = self.columns.skills
        models = int(s.used[0]) + 1
        evidence = int(s.used[2]) + int(skill.model_width(classes))
        grown = skill.grow(
            s,
            models=2 * models if models > len(s.models) else 0,
            evidence=2 * evidence if evidence > len(s.evidence) else 0,
        )
        self.columns = self.columns._replace(
            skills=grown, dirty_models=longer(self.columns.dirty_models, len(grown.models))
        )

    def name_model(self, m: int, skill_slot: int, classes: int) -> None:
        """Record which skill and classes a model is for."""
        self.models[(skill_slot, classes)] = m
        while len(self.model_skills) <= m:
            self.model_skills.append(-1)
        self.model_skills[m] = skill_slot

    # ------------------------------------------------------------------ events that wait for their task
    def add_waiting(self, task: str, waits: Waiting) -> None:
        """One more event waits for a task; the cost is the same however many do."""
        self.waiting.setdefault(task, []).append(waits)
        self.waiting_bytes[task] = self.waiting_bytes.get(task, 0) + waits.size

    def hold(self, task: str, waiting: list[Waiting]) -> None:
        """These events wait for a task and no others; none may."""
        self.release(task)
        if waiting:
            self.waiting[task] = waiting
            self.waiting_bytes[task] = sum(waits.size for waits in waiting)

    def release(self, task: str) -> list[Waiting]:
        """Nothing waits for a task any more; returns what did."""
        self.waiting_bytes.pop(task, None)
        return self.waiting.pop(task, [])

    # ------------------------------------------------------------------ lists of annotators on tasks
    def store_list(self, slots: list[int]) -> int:
        """Keep a list of annotator slots; returns where it starts."""
        start = self.reserve_lists(len(slots))
        self.columns.lists[start : start + len(slots)] = slots
        return start

    def reserve_lists(self, more: int) -> int:
        """Take ``more`` places for lists of annotator slots; returns the first."""
        start = self.lists_used
        c = self.columns
        lists = longer(c.lists, start + more)
        if lists is not c.lists:
            self.columns = c._replace(lists=lists)
        self.lists_used = start + more
        return start

    def limit(self, project: int) -> int:
        """Give a project with ``max_per_annotator`` a row that counts per annotator."""
        row = self.limited
        self.limited = row + 1
        c = self.columns
        if row >= c.share.shape[0]:
            self.columns = c = c._replace(share=longer(c.share, row + 1))
        c.share[row] = 0
        c.projects[project : project + 1]["limited"] = row
        return row

    def is_taught(self, project: int) -> bool:
        """Has the project had a task of known answer?"""
        return bool(self.columns.projects[project]["taught"] >= 0)

    def teach(self, project: int) -> None:
        """The project gets its first task of known answer: from now on its annotators earn credit for such."""
        self.reserve_credit(self.taught + 1)
        self.columns.projects[project : project + 1]["taught"] = self.taught
        self.taught += 1
        self.columns.dirty_projects[project] = 1

    def reserve_credit(self, rows: int) -> None:
        """Make room for so many projects in which credit is earned."""
        c = self.columns
        if rows > c.credit.shape[0]:
            self.columns = c._replace(credit=longer(c.credit, rows))

    @property
    def live(self) -> int:
        """Offers and leases that are open now."""
        return int(self.columns.projects["live"][: self.projects.used].sum())

    @property
    def earliest(self) -> float:
        """When the clock next concerns this pool."""
        earliest = float(self.columns.clock[EARLIEST])
        for waiting in self.waiting.values():
            earliest = min(earliest, waiting[0].until)
        return min(earliest, next(iter(self.gone.values()), earliest))
