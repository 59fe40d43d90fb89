"""The Faust store behind the tables `tasks`, `annotators` and `skills`.

What Faust does with a table: its name, its changelog topic, and that its partitions move with those of the
inputs. What it does not do: write the changelog (the round's transaction does) or read it (the takeover does,
inside `on_rebalance`, the one moment at which the assignment is known and nothing flows yet). Faust's own
recovery then finds nothing to do.

Reading works (`table[key]` from views and tests); writing is refused: only a round changes state.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from faust.stores.base import Store as Base
from faust.tables.manager import TableManager
from faust.types import TP

from stream.topics import TABLES, TASKS


class Tables(TableManager):  # type: ignore[misc]
    """The application's tables, which are all known before it starts."""

    async def on_start(self) -> None:
        """Begin at once: the stock answer waits a second for tables that somebody may still declare."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


class Store(Base):  # type: ignore[misc]
    """``allocator://``: a view of one table over the shards of this worker."""

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Take the assigned partitions over; Faust calls this per table, the first call does it for all."""
        if self.table_name == TABLES[0]:
            await self.app.partitions.assign({tp.partition for tp in assigned if tp.topic == TASKS})

    def persisted_offset(self, tp: TP) -> int | None:
        """Nothing for Faust to read."""
        return None

    def apply_changelog_batch(
        self, batch: Iterable[Any], to_key: Any = None, to_value: Any = None
    ) -> NoReturn:
        """Never: the changelogs are paused in the consumer."""
        raise RuntimeError("Faust delivered changelog records although their partitions are not fetched")

    def _rows(self) -> Iterator[tuple[bytes, bytes]]:
        for partition in self.app.partitions.running():
            yield from partition.shard.rows(self.table_name)

    def __getitem__(self, key: bytes) -> bytes:
        for found, value in self._rows():
            if found == key:
                return value
        raise KeyError(key)

    def __setitem__(self, key: bytes, value: bytes) -> NoReturn:
        raise TypeError(f"table {self.table_name} is changed by rounds only")

    def __delitem__(self, key: bytes) -> NoReturn:
        raise TypeError(f"table {self.table_name} is changed by rounds only")

    def __iter__(self) -> Iterator[bytes]:
        return (key for key, _ in self._rows())

    def __len__(self) -> int:
        return sum(1 for _ in self._rows())

    def reset_state(self) -> None:
        """No files to remove."""

    async def backup_partition(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Backups are the changelogs."""
        raise NotImplementedError("the changelog topics are the backup")

    def restore_backup(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Backups are the changelogs."""
        raise NotImplementedError("the changelog topics are the backup")
