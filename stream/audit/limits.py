"""What a pool runs by, followed from the log: what a round says it was born with, what events have stated since.

    before the events of a round   pools that no round has spoken of, or of which nothing is left, begin as it says
    settings_changed               of each name the newest `at` wins, of equal ones the larger value
    behind them                    the round must say of each pool that has changed what it is now

Records of rounds that are older than policies say nothing: what they would have to say is then what a process without
settings brings, and `Case.assumed` counts them.
"""

from stream.audit.books import BOUNDS, Annotator, Pool
from stream.audit.leases import later
from stream.audit.records import Record, partition_of
from stream.audit.round import Case
from stream.events import PoolPolicy, SettingsChanged

NEVER = -1.0


def begin(case: Case) -> None:
    """Before the events of a round: let the pools begin that it says were born; what else it says waits for `close`."""
    record, said = case.round.record, case.round.completed.policies
    if said is None:
        case.assumed += 1
        return
    for entry in said:
        if partition_of(entry.pool.encode(), case.partitions) != case.partition:
            case.report(0, f"the policy of pool {entry.pool!r}, which belongs to another partition", record)
        pool = case.pool(entry.pool)
        is_changed = bool(entry.version or entry.since)
        may_begin = not pool.limits.is_told or (is_empty(case, pool) and not is_changed)
        if may_begin and entry.pool not in case.round.begun:
            case.round.begun.add(entry.pool)
            if is_changed:
                case.report(0, f"pool {entry.pool!r} begins with a policy that was changed before", record)
            _take(pool, entry)
            reckon(case, pool)
        else:
            case.round.policies.setdefault(entry.pool, []).append(entry)


def is_empty(case: Case, pool: Pool) -> bool:
    """Whether a market may have forgotten the pool: then it is born anew when somebody speaks of it."""
    known = pool.tasks or pool.projects or pool.annotators or pool.gone or pool.is_paused or pool.state_at > 0
    return not known and not pool.limits.since and not any(name == pool.name for name, _ in case.waiting)


def _take(pool: Pool, entry: PoolPolicy) -> None:
    limits = pool.limits
    for name in BOUNDS:
        setattr(limits, name, getattr(entry, name))
    limits.version, limits.since, limits.is_told = entry.version, dict(entry.since), True


def settings_changed(
    case: Case, pool: Pool, _: Annotator | None, record: Record, event: SettingsChanged
) -> str | None:
    """Weights and limits of the pool; what is under way keeps its deadlines, retention and grace count anew."""
    limits = pool.limits
    for name, value in event.settings.items():
        if name not in BOUNDS or not BOUNDS[name].hold(value):
            return "invalid"
    before, past = limits.values(), (limits.settled_retention_s, limits.grace_s)
    for name, value in event.settings.items():
        stated_at = limits.since.get(name, NEVER)
        if event.at > stated_at or (event.at == stated_at and value > getattr(limits, name)):
            setattr(limits, name, value)
            limits.since[name] = event.at
            case.round.ruled.add(pool.name)
    limits.version += limits.values() != before
    if past != (limits.settled_retention_s, limits.grace_s):
        reckon(case, pool)
    return None


def reckon(case: Case, pool: Pool) -> None:
    """Retention and grace end by the limits as they are now."""
    for task in pool.tasks.values():
        if task.settled is not None:
            task.closes_at = task.settled_at + pool.limits.settled_retention_s
            later(case, task.closes_at, "retention", (pool, task))
    for annotator in pool.annotators.values():
        if annotator.gone_since is not None:
            later(case, annotator.gone_since + pool.limits.grace_s, "grace", annotator)


def close(case: Case) -> None:
    """Behind the events of a round: what it says of policies must be what they have come to."""
    record, completed = case.round.record, case.round.completed
    if completed.policies is None:
        return
    for name in sorted({*case.round.ruled, *case.round.policies}):
        limits, said = case.pool(name).limits, case.round.policies.get(name, [])
        if name in case.round.ruled and not said:
            case.report(0, f"the policy of pool {name!r} has changed, and the round doesn't say so", record)
        for entry in said:
            found = {setting: getattr(entry, setting) for setting in BOUNDS}
            if (entry.version, entry.since, found) != (limits.version, limits.since, limits.values()):
                why = "" if name in case.round.ruled else ", and no event has changed it"
                expected = f"version {limits.version} with {limits.values()} stated at {limits.since}"
                case.report(0, f"pool {name!r} runs by {entry}, expected {expected}{why}", record)
        for entry in said:  # so that one wrong record is not reported a hundred times
            _take(case.pool(name), entry)
    for pool in completed.pools:
        limits = case.pool(pool.pool).limits
        if not limits.is_told:
            case.report(0, f"pool {pool.pool!r} runs by a policy that no round has told", record)
        elif pool.policy != limits.version:
            case.report(0, f"pool {pool.pool!r} is at policy {pool.policy}, expected {limits.version}", record)
