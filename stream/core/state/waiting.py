"""Ids, and events that wait in the state for what they speak of: a task, or a person whom somebody must describe."""

from typing import NamedTuple

from stream.events import ID_BYTES, WAITING_EVENT_BYTES, WAITING_HEADER_BYTES

#: Of a Kafka record.
Headers = tuple[tuple[str, bytes | None], ...]


#: What events wait for that wait for a person to be described: this and the person's id; no id of a task is as long.
FOR_PERSON = "\0" * (ID_BYTES + 1)


class Waiting(NamedTuple):
    """An event about a task that nobody has created yet, or by somebody whom nobody has described."""

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


def check_id(name: str, what: str) -> None:
    """Raise `IdRefused` when an id is too long; ``what`` is the field that states it."""
    if len(name.encode()) > ID_BYTES:
        raise IdRefused(f"Expected an id of at most {ID_BYTES} bytes, got {len(name.encode())} - at `$.{what}`")


class WaitingRoom:
    """Events of one pool that wait."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Waiting]] = {}  # by task, or `FOR_PERSON` and id, oldest first, never empty
        self.waiting_bytes: dict[str, int] = {}  # the sizes of those that wait

    def add_waiting(self, task: str, waits: Waiting) -> None:
        """One more event waits for a task; the cost is the same however many do."""
        others = self.waiting.setdefault(task, [])
        if others and others[-1].until > waits.until:  # events of one task leave in the order in which they came
            waits = waits._replace(until=others[-1].until)
        others.append(waits)
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
