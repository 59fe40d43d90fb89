"""The usual practice, on the same clock with the same people: a pull queue, two judgments and a tie-break.

What annotation tools do without an allocator. Tasks wait in the order of their creation. Whoever is free
takes the first task that is open for them; it is locked for `lease_s`, and a lock that runs out gives the
task to the next one, although the first may still answer. Two judgments that agree settle a task; where
they differ, a third is asked for. The label is the majority, and ties share credit.

    open --pull--> locked --answer--> open or settled
                          --skip----> open (never again to this person)
                          --lock runs out--> open (a late answer still arrives, one too many)

The people come and go, think, skip, leave and answer by the same draws as in `habits`; nothing is known
of anybody's skill. Deliberately knows no Kafka: `advance` computes everything up to a moment.
"""

import heapq
import math

from load.world.annotators import Activity
from load.world.crowd import SPAMMER, Crowd, accuracy, votes
from load.world.habits import Decisions, Habits, Plan, Sessions

FIRST = 2
TIE_BREAK = 1


class _Task:
    __slots__ = ("labels", "locked", "people")

    def __init__(self, people: tuple[str, ...]) -> None:
        self.people = people
        self.labels: list[int] = []
        self.locked: set[str] = set()

    @property
    def need(self) -> int:
        """Judgments the rule asks for, as far as known now."""
        differ = len(self.labels) >= FIRST and len(set(self.labels[:FIRST])) > 1
        return FIRST + TIE_BREAK if differ else FIRST

    @property
    def settled(self) -> bool:
        return len(self.labels) >= self.need


class _Person:
    __slots__ = ("closing", "is_pausing", "online_since", "queue", "sessions", "task", "visit")

    def __init__(self, sessions: Sessions, queue: list[str]) -> None:
        self.sessions = sessions
        self.queue = queue  # what this person may still do, in the order of creation
        self.task: str | None = None
        self.online_since: float | None = None
        self.closing = False
        self.is_pausing = False
        self.visit = 0


class UsualPractice:
    """Pull queue, two judgments and a tie-break, for one label set.

    Parameters
    ----------
    crowd, habits, seed, start, speed, lease_s
        As for `annotators.Annotators`.
    """

    def __init__(
        self, crowd: Crowd, habits: Habits, seed: int, *, start: float, speed: float, lease_s: float
    ) -> None:
        self.crowd, self.speed, self.lease_s = crowd, speed, lease_s
        self.decisions = Decisions(crowd, habits, seed)
        self.activity = Activity()
        self.tasks = {task: _Task((*given, SPAMMER)) for task, given in crowd.answers.items()}
        self._open = set(self.tasks)
        self._people: dict[str, _Person] = {}
        self._heap: list[tuple[float, int, str, str, str, int]] = []
        self._pushed = 0
        queues: dict[str, list[str]] = {SPAMMER: list(self.tasks)}
        for task, given in crowd.answers.items():
            for name in given:
                queues.setdefault(name, []).append(task)
        for name, queue in queues.items():
            sessions = self.decisions.sessions(name)
            self._people[name] = _Person(sessions, queue)
            self._push(start + sessions.first_s / speed, "arrive", name)

    @property
    def next_due(self) -> float:
        """Unix time of the next moment at which somebody does something."""
        return self._heap[0][0] if self._heap else math.inf

    @property
    def settled(self) -> int:
        """How many tasks have their label."""
        return len(self.tasks) - len(self._open)

    @property
    def judgments(self) -> int:
        """Judgments received, late ones included."""
        return self.activity.judgments

    @property
    def over(self) -> int:
        """Judgments beyond what the rule asked for."""
        return sum(max(0, len(task.labels) - task.need) for task in self.tasks.values())

    @property
    def accuracy(self) -> float:
        """Mean credit of the majority over all tasks with a truth."""
        return accuracy(self.crowd, self.weights)

    @property
    def weights(self) -> dict[str, list[int]]:
        """Votes per task, of all that was received."""
        given = {name: task.labels for name, task in self.tasks.items() if task.labels}
        return {name: votes(labels, self.crowd.classes) for name, labels in given.items()}

    def observe(self, now: float) -> Activity:
        """Return the activity with the time online up to `now` included."""
        for person in self._people.values():
            if person.online_since is not None:
                self.activity.online_s += max(0.0, now - person.online_since)
                person.online_since = max(now, person.online_since)
        return self.activity

    def advance(self, now: float) -> None:
        """Compute everything that happens up to `now` (Unix time)."""
        while self._heap and self._heap[0][0] <= now:
            at, _, kind, name, task, visit = heapq.heappop(self._heap)
            person = self._people[name]
            if kind == "unlock":
                self._unlock(at, name, task)
            elif kind == "arrive":
                person.visit += 1
                person.online_since, person.closing, person.is_pausing = at, False, False
                visit_ = person.sessions.visit()
                self._push(at + visit_.stay_s / self.speed, "close", name, visit=person.visit)
                if visit_.pause is not None:
                    begins, length_s, _ = visit_.pause
                    self._push(at + begins / self.speed, "pause", name, str(length_s), person.visit)
                self._pull(at, name)
            elif person.visit == visit:
                self._present(at, kind, name, task)

    def _push(self, at: float, kind: str, name: str, task: str = "", visit: int = 0) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (at, self._pushed, kind, name, task, visit))

    def _present(self, at: float, kind: str, name: str, task: str) -> None:
        """Something a person does while online."""
        person = self._people[name]
        if kind == "pause":
            if person.task is None:  # who is at work goes on
                person.is_pausing = True
                self._push(at + float(task) / self.speed, "back", name, visit=person.visit)
            return
        if kind == "back":
            person.is_pausing = False
            self._pull(at, name)
            return
        if kind == "close":
            person.closing = True  # what is in hand is finished first
            if person.task is None:
                self._go(at, name)
            return
        person.task = None
        if kind == "skip":
            self.activity.declined += 1
            self._unlock(at, name, task)
        elif kind == "leave":
            self.activity.left_with_work += 1
            self._go(at, name)  # the lock stays until it runs out
            return
        else:
            self._receive(at, name, task)
        if person.closing:
            self._go(at, name)
        else:
            self._pull(at, name)

    def _go(self, at: float, name: str) -> None:
        person = self._people[name]
        if person.online_since is not None:
            self.activity.online_s += max(0.0, at - person.online_since)
        person.online_since = None
        person.visit += 1
        person.task = None
        self._push(at + person.sessions.away_s() / self.speed, "arrive", name)

    def _pull(self, at: float, name: str) -> None:
        """Take the first open task that has a free place."""
        person = self._people[name]
        if person.task is not None or person.online_since is None or person.is_pausing:
            return
        for place, task in enumerate(person.queue):
            state = self.tasks[task]
            if task in self._open and len(state.labels) + len(state.locked) < state.need:
                person.queue.pop(place)
                self._take(at, name, task)
                return

    def _take(self, at: float, name: str, task: str) -> None:
        person, plan = self._people[name], self.decisions.plan(name, task)
        person.task = task
        self.tasks[task].locked.add(name)
        self.activity.accepted += 1
        begins, think_s = at + plan.react_s / self.speed, plan.think_s / self.speed
        self._push(at + self.lease_s / self.speed, "unlock", name, task)
        if plan.fate == "decline":
            self._push(begins, "skip", name, task, person.visit)
        elif plan.fate in ("leave", "vanish"):
            self.activity.busy_s += think_s / 2
            self._push(begins + think_s / 2, "leave", name, task, person.visit)
        else:
            think_s += (1.5 * self.lease_s if plan.fate == "late" else 0.0) / self.speed
            self.activity.busy_s += think_s
            self._push(begins + think_s, "answer", name, task, person.visit)

    def _receive(self, at: float, name: str, task: str) -> None:
        plan: Plan = self.decisions.plan(name, task)
        state = self.tasks[task]
        state.locked.discard(name)
        state.labels.append(plan.label)
        self.activity.judgments += 1
        self.activity.by_person[name] = self.activity.by_person.get(name, 0) + 1
        if state.settled:
            self._open.discard(task)
        else:
            self._offer_to_waiting(at, task)

    def _unlock(self, at: float, name: str, task: str) -> None:
        state = self.tasks[task]
        if name in state.locked:
            state.locked.discard(name)
            if task in self._open:
                self._offer_to_waiting(at, task)

    def _offer_to_waiting(self, at: float, task: str) -> None:
        """A place became free: whoever waits without work and may do it takes it."""
        for name in self.tasks[task].people:
            person = self._people[name]
            if person.task is None and person.online_since is not None and task in person.queue:
                self._pull(at, name)

