"""Stalled pools: whose market could not be solved. They get no offers; every other pool goes on.

    solved ──fails, and fails again with another seed on the same state──▶ stalled
    stalled ──its state has changed, RETRY_S have passed──▶ solved or stalled again
    stalled ──pool_resumed──▶ the same at once

Events of a stalled pool are applied as always: only offers are missing. A stall is no part of the state: a
successor tries once more. Every round names the stalled pools in its record.
"""

from stream.events import StalledPool

#: a state is solved at most so often, each time with another seed
ATTEMPTS = 2
#: a pool whose state changes with every round must not fail in every round: a failure may be slow
RETRY_S = 1.0


class HalfSolved(RuntimeError):
    """Solving failed after offers had been made: the state is of no use, and the pool must not be solved again."""

    def __init__(self, pool: str, error: Exception) -> None:
        super().__init__(f"pool {pool!r}: {described(error)}")
        self.pool = pool


class _Stall:
    """One stalled pool."""

    def __init__(self, since: float, error: str) -> None:
        self.since, self.error = since, error
        self.retry_at = since + RETRY_S
        self.is_changed = False


class Stalls:
    """The stalled pools of a partition."""

    def __init__(self) -> None:
        self._stalls: dict[str, _Stall] = {}

    def may_solve(self, pool: str, now: float, is_changed: bool, is_resumed: bool) -> bool:
        """Whether to solve the pool's market now; notes whether its state has changed."""
        stall = self._stalls.get(pool)
        if stall is None:
            return True
        stall.is_changed |= is_changed
        return is_resumed or (stall.is_changed and now >= stall.retry_at)

    def failed(self, pool: str, now: float, error: Exception) -> None:
        """Every attempt on this state has failed."""
        before = self._stalls.get(pool)
        stall = self._stalls[pool] = _Stall(now, described(error))
        if before is not None:
            stall.since = before.since

    def solved(self, pool: str) -> None:
        """The pool is as others again."""
        self._stalls.pop(pool, None)

    def earliest(self, pool: str, at: float) -> float:
        """When the clock next concerns a pool that is concerned at ``at`` anyway."""
        stall = self._stalls.get(pool)
        return at if stall is None or not stall.is_changed else min(at, stall.retry_at)

    def published(self) -> list[StalledPool]:
        """For the round's record, by name."""
        return [
            StalledPool(pool=pool, since=stall.since, error=stall.error) for pool, stall in sorted(self._stalls.items())
        ]


def described(error: BaseException) -> str:
    """The kind of an error and what it says."""
    return f"{type(error).__name__}: {error}"
