"""Rows that say again what an earlier row has said: the first of each counts, the others are counted and said.

People double-click, exports overlap, sheets are pasted twice. Which row is right can't be known; the first is what the
allocator itself takes of a task's or a pair's repeats, so a file means the same here as when it is sent.
"""

from collections.abc import Hashable

from stream.files.complaints import plural


class Repeats:
    """Remembers which keys have been seen, and in which line; `what` names a row in the message."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.count = self.differing = 0
        self._seen: dict[int, tuple[int, int]] = {}
        self._first = (0, 0)

    def again(self, line: int, key: Hashable, said: Hashable = None) -> bool:
        """Whether this row repeats an earlier one; `said` is what it says of its key."""
        # hashes, not keys: a million rows of long ids would fill the memory, and two keys of 64 bits hardly ever meet
        content = hash(said)
        before = self._seen.setdefault(hash(key), (line, content))
        if before[0] == line:
            return False
        self.count += 1
        self.differing += before[1] != content
        self._first = self._first if self._first[0] else (line, before[0])
        return True

    def words(self) -> str | None:
        """What has to be said about them; None when there were none."""
        if not self.count:
            return None
        line, before = self._first
        other = f", {self.differing:,} of them with another content" if self.differing else ""
        verb = "repeats" if self.count == 1 else "repeat"
        return (
            f"{plural(self.count, 'row')} {verb} {self.what}{other}: the first of each counts "
            f"(line {line} repeats line {before})"
        )
