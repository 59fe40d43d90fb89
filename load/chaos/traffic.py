"""The events: a market that lives, in volume, and every way in which input can be bad.

A pool has people who work on offers, and judgments that another system imports (nobody was offered these). What
`Traffic` returns are parcels: a record, where it goes, and what the ledger is to expect of it. Bad input comes
only when asked for.

Presence lasts for two hours: a worker whose clock is an hour ahead must find people present.
"""

import itertools
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from load.chaos.answerers import People
from load.chaos.ledger import EVENT, JUDGMENT, mark
from load.system.deployment import pool_in
from stream.events import (
    AnnotatorOffline,
    AnnotatorOnline,
    AnnotatorPaused,
    AnnotatorResumed,
    AnnotatorSet,
    AssignmentAccepted,
    AssignmentOffered,
    Event,
    JudgmentCorrected,
    JudgmentRetracted,
    JudgmentSubmitted,
    Mode,
    PoolPaused,
    PoolResumed,
    ProjectSet,
    TaskCancelled,
    TaskCreated,
    TaskUpdated,
    TruthSet,
    WorkRequested,
    encode,
)
from stream.topics import ANNOTATORS, INPUTS, TASKS

PEOPLE, IMPORTERS = 24, 400
CAPACITY = 3
TTL_S = 7200.0
TABS = (None, "left", "right")
WITH_TABS = ("a2", "a5", "a11", "a17")
OPEN_IMPORTS = 200
KEPT = 3000
JUDGMENTS = JudgmentSubmitted | JudgmentCorrected | JudgmentRetracted
ABOUT_PEOPLE = AnnotatorSet | AnnotatorOnline | AnnotatorPaused | AnnotatorResumed | AnnotatorOffline | WorkRequested
PLANTED_EVENT, PLANTED_SOLVE = "planted-raise", "planted-solve"


class Parcel(NamedTuple):
    """A record to be sent; `partition` None: where its key belongs."""

    topic: str
    key: bytes | None
    value: bytes | None
    kind: str
    about: int = 0
    partition: int | None = None


def parcel(event: Event) -> Parcel:
    """Wrap an event that is to be sent as it should be: everything about tasks through one topic.

    Judgments follow their tasks in one topic, so that only what is reordered on purpose is out of order.
    """
    key, value = event.pool.encode(), encode(event)
    if isinstance(event, JUDGMENTS):
        return Parcel(TASKS, key, value, JUDGMENT, mark(event.pool, event.task, event.annotator))
    about_people = isinstance(
        event, AnnotatorSet | AnnotatorOnline | AnnotatorPaused | AnnotatorResumed | AnnotatorOffline | WorkRequested
    )
    return Parcel(ANNOTATORS if about_people else TASKS, key, value, EVENT)


class Import(NamedTuple):
    """A task whose judgments come from elsewhere, and who has yet to say something."""

    pool: str
    task: str
    who: list[str]


class Traffic:
    """Everything that annotation tools would send.

    Parameters
    ----------
    seed : int
    partitions : int
    per_partition : int
        Pools.
    """

    def __init__(self, seed: int, partitions: int, per_partition: int = 2) -> None:
        self.rng = Random(seed)
        self.partitions = partitions
        self.pools = [pool_in(p, partitions, nth) for nth in range(per_partition) for p in range(partitions)]
        #: a pool of its own for what is planted into the solver
        self.doomed_pool = pool_in(0, partitions, per_partition)
        self.people = People(Random(seed + 1))
        self._imports: deque[Import] = deque()
        self._recent: deque[Parcel] = deque(maxlen=KEPT)
        self._tasks: deque[tuple[str, str]] = deque(maxlen=KEPT)
        self._numbers = itertools.count()

    # ------------------------------------------------------------------ what is usual
    def opening(self, at: float) -> list[Parcel]:
        """Projects and people."""
        said: list[Event] = []
        for pool in [*self.pools, self.doomed_pool]:
            said.append(ProjectSet(pool=pool, at=at, project="live"))
            said.append(ProjectSet(pool=pool, at=at, project="import", weight=0.5))
            for number in range(PEOPLE):
                skills = ("*",) if number % 6 == 1 else ("read", "look")
                said.append(AnnotatorSet(pool=pool, at=at, annotator=f"a{number}", skills=skills))
                said.append(self._online(pool, at, f"a{number}"))
        return self._note([parcel(event) for event in said])

    def closing(self, at: float) -> list[Parcel]:
        """Everybody goes home."""
        return [
            parcel(AnnotatorOffline(pool=pool, at=at + 1.0, annotator=f"a{number}", session=tab))
            for pool in [*self.pools, self.doomed_pool]
            for number in range(PEOPLE)
            for tab in (TABS if f"a{number}" in WITH_TABS else TABS[:1])
        ]

    def offered(self, offer: AssignmentOffered, now: float) -> None:
        """Somebody was offered something."""
        if offer.pool != self.doomed_pool:
            self.people.offered(offer, now)

    def answers(self, now: float) -> list[Parcel]:
        """What people say about their offers, up to now."""
        return self._note([parcel(event) for event in self.people.due(now)])

    def volume(self, count: int, at: float) -> list[Parcel]:
        """About `count` events of the usual mix."""
        said: list[Event] = []
        while len(said) < count:
            self._some(said, at)
        return self._note([parcel(event) for event in said])

    def _some(self, said: list[Event], at: float) -> None:
        rng, draw = self.rng, self.rng.random()
        pool = rng.choice(self.pools)
        if draw < 0.44:
            said.append(self._online(pool, at, f"a{rng.randrange(PEOPLE)}"))
        elif draw < 0.80:
            if len(self._imports) < OPEN_IMPORTS:
                said.append(self._import(pool, at))
            said.append(self._imported(at))
        elif draw < 0.86:
            task = self._task("t")
            self._tasks.append((pool, task))
            confidence = rng.choice((None, 0.9))
            said.append(
                TaskCreated(
                    pool=pool, at=at, task=task, project="live", skill=rng.choice(("read", "look")), classes=2,
                    overlap=rng.choice((1, 2)), max_overlap=4, confidence=confidence, lease_s=rng.choice((None, 20.0)),
                )
            )  # fmt: skip
        elif self._tasks:
            self._about_task(said, at)

    def _about_task(self, said: list[Event], at: float) -> None:
        rng, who = self.rng, f"i{self.rng.randrange(IMPORTERS)}"
        who_works = f"a{rng.randrange(PEOPLE)}"
        pool, task = rng.choice(self._tasks)
        kinds: list[Event] = [
            TaskUpdated(pool=pool, at=at, task=task, priority=rng.randrange(4)),
            TaskUpdated(pool=pool, at=at, task=task, overlap=rng.choice((1, 2, 3))),
            TruthSet(pool=pool, at=at, task=task, label=self.people.label(task)),
            TaskCancelled(pool=pool, at=at, task=task),
            JudgmentSubmitted(pool=pool, at=at, annotator=who, task=task, label=self.people.label(task)),
            JudgmentCorrected(pool=pool, at=at, annotator=who, task=task, label=self.people.label(task)),
            JudgmentRetracted(pool=pool, at=at, annotator=who, task=task),
            AnnotatorPaused(pool=pool, at=at, annotator=who_works, until=rng.choice((None, at + 5.0))),
            AnnotatorResumed(pool=pool, at=at, annotator=f"a{rng.randrange(PEOPLE)}"),
            self._offline(pool, at),
            WorkRequested(pool=pool, at=at, annotator=f"a{rng.randrange(PEOPLE)}"),
            AnnotatorSet(pool=pool, at=at, annotator=f"a{rng.randrange(PEOPLE)}", skills=("*",)),
            ProjectSet(pool=pool, at=at, project="live", state="paused"),
            PoolPaused(pool=pool, at=at),
        ]
        weights = (8, 4, 1, 1, 20, 5, 5, 2, 6, 1, 4, 2, 0.05, 0.05)
        event = rng.choices(kinds, weights)[0]
        said.append(event)
        if isinstance(event, ProjectSet):
            said.append(ProjectSet(pool=pool, at=at + 0.001, project="live", state="active"))
        elif isinstance(event, PoolPaused):
            said.append(PoolResumed(pool=pool, at=at + 0.001))

    def _task(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers)}"

    def _online(self, pool: str, at: float, who: str) -> AnnotatorOnline:
        """A heartbeat of one of a person's tabs; most state nothing, now and then one tells what it shows."""
        tab = self.rng.choice(TABS) if who in WITH_TABS else None
        if self.rng.random() < 0.7:
            return AnnotatorOnline(pool=pool, at=at, annotator=who, session=tab, ttl_s=TTL_S)
        mode: Mode = "pull" if who.endswith("7") else "push"
        return AnnotatorOnline(
            pool=pool, at=at, annotator=who, session=tab, capacity=CAPACITY, mode=mode, ttl_s=TTL_S
        )

    def _offline(self, pool: str, at: float) -> AnnotatorOffline:
        """A tab is closed, or somebody's only one."""
        who = f"a{self.rng.randrange(PEOPLE)}"
        tab = self.rng.choice(TABS) if who in WITH_TABS else None
        return AnnotatorOffline(pool=pool, at=at, annotator=who, session=tab)

    def _import(self, pool: str, at: float) -> TaskCreated:
        task = self._task("i")
        first = self.rng.randrange(IMPORTERS)
        self._imports.append(Import(pool, task, [f"i{(first + n) % IMPORTERS}" for n in range(4)]))
        return TaskCreated(pool=pool, at=at, task=task, project="import", skill="import", classes=2, overlap=3)

    def _imported(self, at: float) -> JudgmentSubmitted:
        pool, task, who = self._imports.popleft()
        name = who.pop()
        if who:
            self._imports.append(Import(pool, task, who))
        label = self.people.label(task)
        return JudgmentSubmitted(pool=pool, at=at, annotator=name, task=task, label=label, duration_s=12.5)

    def _note(self, parcels: list[Parcel]) -> list[Parcel]:
        self._recent.extend(parcels)
        return parcels

    # ------------------------------------------------------------------ what is not
    def duplicated(self, count: int) -> list[Parcel]:
        """Records of the recent past once more, byte for byte."""
        return self.rng.choices(self._recent, k=min(count, len(self._recent)))

    def reordered(self, count: int, at: float) -> list[Parcel]:
        """Events about new tasks, of several pools, shuffled: answers before their questions."""
        said: list[Event] = []
        for _ in range(count):
            pool = self.rng.choice(self.pools)
            said.append(self._import(pool, at))
            said += [self._imported(at) for _ in range(3)]
        self.rng.shuffle(said)
        return [parcel(event) for event in said]

    def about_nothing(self, count: int, at: float) -> list[Parcel]:
        """Judgments of tasks that nobody ever creates."""
        found = []
        for _ in range(count):
            pool, task = self.rng.choice(self.pools), self._task("x")
            found.append(parcel(JudgmentSubmitted(pool=pool, at=at, annotator="i1", task=task, label=0)))
        return found

    def piled(self, count: int, at: float) -> list[Parcel]:
        """Judgments of one task that nobody creates, by as many people."""
        pool, task = self.rng.choice(self.pools), self._task("p")
        said = (JudgmentSubmitted(pool=pool, at=at, annotator=f"i{n}", task=task, label=0) for n in range(count))
        return [parcel(event) for event in said]

    def malformed(self, at: float) -> list[Parcel]:
        """Values that are no events, and well-formed ones that contradict themselves."""
        pool = self.rng.choice(self.pools)
        good = encode(AssignmentAccepted(pool=pool, at=at, annotator="a1", task="t1"))
        values: list[bytes | None] = [
            None, b"", b"{", b"null", b"[]", b"\xff\xfe", self.rng.randbytes(200), good[:-7],
            good.replace(b"assignment_accepted", b"assignment_dreamt"), good.replace(b'"t1"', b"[17]"),
            good.replace(b'"t1"', b'""'), good.replace(b'"t1"', b'"' + b"t" * 200 + b'"'), b"[" * 5000,
            b'{"type":"judgment_submitted","pool":"%b","at":-1,"annotator":"a","task":"t","label":1}' % pool.encode(),
            b'{"type":"annotator_set","pool":"%b","at":1,"annotator":"a","skills":[%b"x"]}'
            % (pool.encode(), b'"y",' * 1000),
        ]  # fmt: skip
        key = pool.encode()
        bad = [Parcel(self.rng.choice(INPUTS), key, value, "malformed") for value in values]
        ahead = AssignmentAccepted(pool=pool, at=at + 1e6, annotator="a1", task="t1")
        least = TaskCreated(pool=pool, at=at, task=self._task("b"), project="live", classes=2)
        return [
            *bad,
            Parcel(TASKS, key, encode(ahead), "clock"),
            Parcel(TASKS, key, encode(least), "invalid"),
            Parcel(TASKS, key, good.replace(pool.encode(), b"elsewhere"), "wrong_key"),
        ]

    def misplaced(self, count: int, at: float) -> list[Parcel]:
        """Good events from a producer with another partitioner."""
        found = []
        for _ in range(count):
            home = self.rng.randrange(len(self.pools))
            where = (home + self.rng.randrange(1, self.partitions)) % self.partitions
            one = parcel(self._online(self.pools[home], at, "a1"))
            found.append(one._replace(kind="wrong_partition", partition=where))
        return found

    def oversized(self, limit: int, at: float) -> Iterator[tuple[Parcel, bool]]:
        """Records of about `limit` bytes, and whether the broker takes them.

        One that is too large for it; one that is not an event and just fits, so that its dead letter needs more
        room than it (and the decoder's message would repeat it); and an event with a large field that nobody knows,
        of a person and of a task that will never be: that one waits in a row, and text in a row may need more bytes
        than in the record.
        """
        pool = self.rng.choice(self.pools)
        key = pool.encode()
        yield Parcel(TASKS, key, b"x" * (limit + 1), "refused"), False
        yield Parcel(TASKS, key, b'{"type":"%b"}' % (b"x" * (limit - 1000)), "malformed"), True
        event = encode(self._online(pool, at, "a2"))
        yield Parcel(ANNOTATORS, key, event[:-1] + b',"note":"' + b"y" * (limit - 2000) + b'"}', EVENT), True
        event = encode(TaskCancelled(pool=pool, at=at, task=self._task("o")))
        yield Parcel(TASKS, key, event[:-1] + b',"note":"' + b'\\"' * (limit // 2 - 1000) + b'"}', EVENT), True

    def raising(self, at: float) -> list[Parcel]:
        """An event on which the core was planted to raise, amid events that it must not harm."""
        pool = self.rng.choice(self.pools)
        planted = AnnotatorOnline(
            pool=pool, at=at, annotator="a3", capacity=CAPACITY, ttl_s=TTL_S, event_id=f"{PLANTED_EVENT}-{at}"
        )
        around = [self._online(pool, at, f"a{n}") for n in range(4, 10)]
        said = [parcel(event) for event in around]
        said.insert(3, Parcel(ANNOTATORS, pool.encode(), encode(planted), "internal"))
        return said

    def unsolvable(self, at: float) -> list[Parcel]:
        """A task in a pool of its own, on which matching was planted to fail."""
        pool, task = self.doomed_pool, f"{PLANTED_SOLVE}-{at}"
        created = TaskCreated(pool=pool, at=at, task=task, project="live", skill="read", classes=2, overlap=1)
        return [parcel(created)]
