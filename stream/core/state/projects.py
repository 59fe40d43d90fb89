"""What is said of a project, field by field: in its record, its presets and its notes."""

from typing import Any

import msgspec
import numpy as np

from kernels.lifecycle.codes import NONE
from kernels.lifecycle.pool_columns import TASKS_USED
from kernels.rules.share import count_taken
from stream.core.state.pools import PoolState
from stream.events import TaskDefaults

STATES = {"active": 1, "paused": 2, "closed": 3}
WORDS = {number: word for word, number in STATES.items()}
#: Presets by the names that they have among the fields of a project, which has a deadline of its own.
OF = "defaults."
PRESETS = tuple(OF + field for field in TaskDefaults.__struct_fields__)
INF = float("inf")
NO_CAP = np.iinfo(np.int32).max


def stated(pool: PoolState, j: int) -> dict[str, Any]:
    """What project ``j`` is, by the names of the contract."""
    record = pool.columns.projects.records[j]
    cap, budget, deadline = int(record["cap"]), int(record["budget"]), float(record["deadline"])
    return {
        "state": WORDS[int(record["state"])],
        "weight": float(record["weight"]),
        "budget": None if budget < 0 else budget,
        "max_per_annotator": None if cap in (-1, NO_CAP) else cap,
        "gold_rate": float(record["gold_rate"]),
        "deadline": None if deadline == INF else deadline,
        "labels": pool.labels.get(j),
        "note": pool.notes.get(j),
        **{field: getattr(pool.defaults[j], field.removeprefix(OF)) for field in PRESETS},
    }


def state(pool: PoolState, j: int, said: dict[str, Any]) -> None:
    """Project ``j`` is this from now on; what is not said stays."""
    record = pool.columns.projects.records[j : j + 1]
    presets = {field.removeprefix(OF): said[field] for field in PRESETS if field in said}
    if presets:
        pool.defaults[j] = msgspec.structs.replace(pool.defaults[j], **presets)
    told: tuple[tuple[str, dict[int, Any]], ...] = ("labels", pool.labels), ("note", pool.notes)
    for field, where in told:
        if field in said:
            if said[field]:
                where[j] = said[field]
            else:
                where.pop(j, None)
    for field in ("weight", "gold_rate"):
        if field in said:
            record[field] = said[field]
    if "state" in said:
        record["state"] = STATES[said["state"]]
        if said["state"] == "closed":
            pool.left_projects.add(j)
    if "budget" in said:
        record["budget"] = -1 if said["budget"] is None else said["budget"]
    if "deadline" in said:
        record["deadline"] = INF if said["deadline"] is None else said["deadline"]
    if "max_per_annotator" in said:
        most = said["max_per_annotator"]
        record["cap"] = NO_CAP if most is None else most
    capped, counted = record["cap"][0] not in (-1, NO_CAP), record["limited"][0] != NONE
    if capped and not counted and record["state"][0] != STATES["closed"]:  # what was counted went with its closing
        row = pool.limit(j)
        count_taken(pool.columns, j, row, int(pool.columns.counters[TASKS_USED]))
