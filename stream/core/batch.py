"""What passes through a round's intake: ranges in; packed events, applied and rejected ones on the way.

Events are packed with ``struct`` into the records that the lifecycle kernel reads: several times faster than writing
fields of an array from Python.
"""

import struct
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from kernels.lifecycle import TASK
from kernels.lifecycle.pool_columns import EVENT_FORMAT
from stream import events as wire

_FORMATS = {"u1": "B", "i2": "h", "i4": "i", "i8": "q", "f8": "d"}

pack_event = struct.Struct(EVENT_FORMAT).pack
pack_task = struct.Struct("<" + "".join(_FORMATS[TASK[name].str.lstrip("<|")] for name in TASK.names or ())).pack


class Record(Protocol):
    """What is needed of a Kafka record."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Range(NamedTuple):
    """All of one input topic's partition between two offsets: control markers are inside, not among the records."""

    start: int
    end: int
    records: Sequence[Any]


#: Why an input record can't be used; each has a paragraph in docs/operations.md.
Reason = Literal[
    "malformed", "wrong_key", "wrong_partition", "clock", "not_supported_yet", "invalid", "unknown_task",
    "unknown_annotator", "too_many_waiting", "too_old", "erased", "internal",
]  # fmt: skip

#: Topic and offset: which record of the partition.
Place = tuple[str, int]


class Source(msgspec.Struct, frozen=True, gc=False):
    """The input record that an event came with; made for every event, so it must cost little."""

    topic: str
    offset: int
    value: bytes
    headers: Sequence[tuple[str, bytes | None]]


class Rejected(NamedTuple):
    """An input record that can't be used, and why."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes | None
    reason: Reason
    message: str


class Applied(msgspec.Struct, frozen=True, gc=False):
    """One event of this round, as the results need it: the event and the record it came with."""

    event: wire.Event
    source: Source


class Invalid(ValueError):
    """The event contradicts itself, its project or its task."""


def misfit(task: str, label: int | None, classes: int) -> str:
    """What is said of a label that is none of its task's."""
    expected = f"a label in [0, {classes})" if classes else "no label: the task has no classes"
    return f"Expected {expected}, got {'null' if label is None else label} - at `$.label` of task {task!r}"


def misplaced(task: str, classes: int) -> str:
    """What is said of a score that there is nothing to give to."""
    wanted = "a judgment of this annotator: score it once it is there"
    if classes:
        wanted = "a task without classes: labels are compared, not scored"
    return f"Expected {wanted} - at `$.task`, {task!r}"
