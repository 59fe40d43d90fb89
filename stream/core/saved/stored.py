"""What parts of rows say that are no records: as they are encoded."""

import msgspec

from stream.core.state.waiting import Headers


class ProjectNames(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the JSON of a project's row says beside the defaults of its tasks."""

    labels: tuple[str, ...] = ()
    note: str = ""


class WaitingRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A waiting event as it is stored: MessagePack, because text in JSON may need twice its bytes."""

    topic: str
    offset: int
    value: bytes
    until: float
    headers: Headers = ()
