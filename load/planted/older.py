"""A worker that reads and writes rows as the version before this one did: what a proof of upgrades puts beside others.

What goes to the changelogs and into snapshots is rewritten on its
way out, what is read of a later version is refused in the words of that version.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from stream.core.saved import restore
from stream.core.saved.formats import as_of_4, current, is_known
from stream.core.saved.rows import NewerRow, Row
from stream.core.shard import RoundResult, Shard
from stream.shell.snapshots import snapshot, writing

OLDER = 4


def grow_old() -> None:
    """Be a worker of the version before, for the life of the process."""
    compute, portions = Shard.round, Shard.portions

    @functools.wraps(compute)
    def older_round(self: Shard, *given: Any) -> RoundResult:
        result = compute(self, *given)
        return result._replace(rows={table: _rewritten(rows) for table, rows in result.rows.items()})

    @functools.wraps(portions)
    def older_portions(self: Shard, size: int) -> Iterator[list[Row]]:
        return map(_rewritten, portions(self, size))

    def refusing(kind: str, values: Sequence[bytes]) -> Sequence[bytes]:
        newest = max(value[0] for value in values)
        if newest > OLDER:
            raise NewerRow(
                f"the state holds rows of version {newest}, this software reads up to {OLDER}: a newer version has run "
                "on this deployment; upgrade this worker"
            )
        return current(kind, values)

    setattr(Shard, compute.__name__, older_round)
    setattr(Shard, portions.__name__, older_portions)
    setattr(restore, current.__name__, refusing)
    for module in (snapshot, writing):
        vars(module)["VERSION"] = OLDER


def _rewritten(rows: list[Row]) -> list[Row]:
    known = ((key, value) for key, value in rows if is_known(key, OLDER))
    return [(key, None if value is None else as_of_4(key, value)) for key, value in known]
