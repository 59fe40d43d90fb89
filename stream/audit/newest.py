"""Facts: of each field of a task, a person or a project the newest statement counts, whatever order events come in.

Of equally new ones the larger value: nothing, then null, then numbers by size and states in the order active, paused,
closed (human, model), then text and lists by their JSON, lists of ids sorted. No time is later than its round's.
"""

import json
from typing import Any

WORDS = "active", "paused", "closed", "human", "model"

#: What is known of an entity's fields: when it was said, and what.
Said = dict[Any, tuple[float, Any]]


def is_stated(value: Any) -> bool:
    """Whether a field is there at all; null is."""
    return type(value).__name__ != "UnsetType"


def weight(value: Any) -> tuple[int, float, str]:
    """What orders equally new values of a field."""
    if not is_stated(value):
        return 0, 0.0, ""
    if value is None:
        return 1, 0.0, ""
    if isinstance(value, str) and value in WORDS:
        return 2, float(WORDS.index(value)), ""
    if isinstance(value, int | float):
        return 2, float(value), ""
    plain = value if isinstance(value, str | tuple) else sorted(value)
    return 3, 0.0, json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def newest(said: Said, fields: dict[Any, Any], at: float) -> dict[Any, Any]:
    """Note a statement; returns those of its fields that count."""
    counts = {}
    for name, value in fields.items():
        before = said.get(name)
        if before is None or at > before[0] or (at == before[0] and weight(value) > weight(before[1])):
            said[name] = at, value
            counts[name] = value
    return counts
