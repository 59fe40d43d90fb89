"""Which policy a pool runs by: what it was born with, and what `settings_changed` has made of it.

    setting ──an event states it with a newer `at`, or with an equal one and a larger value──► the event's value

So the order of events never matters, and a repeated one changes nothing. The version counts the changes.
"""

from collections.abc import Mapping
from typing import get_type_hints

import msgspec

from kernels import lifecycle
from stream.events import PoolPolicy
from stream.policy import Policy, checked

NEVER = -1.0
#: What kernels take, by name: int or float, so that they are compiled once.
KINDS = get_type_hints(lifecycle.Policy)


def born(pool: str, policy: Policy) -> PoolPolicy:
    """The policy of a pool that nobody has spoken of before."""
    given = {name: getattr(policy, name) for name in Policy.__struct_fields__}
    return PoolPolicy(pool=pool, **checked(given))  # type: ignore[arg-type]


def changed(policy: PoolPolicy, settings: Mapping[str, float], at: float) -> PoolPolicy:
    """Return the policy behind an event that states settings; the very same one if nothing of it counts.

    Raises
    ------
    SettingRefused
        No policy has one of them, or not with this value.
    """
    stated = checked(settings)
    newer = {
        name: value
        for name, value in stated.items()
        if (at, value) > (policy.since.get(name, NEVER), getattr(policy, name))
    }
    if not newer:
        return policy
    is_other = any(value != getattr(policy, name) for name, value in newer.items())
    since = policy.since | dict.fromkeys(newer, at)
    return msgspec.structs.replace(
        policy, version=policy.version + is_other, since=dict(sorted(since.items())), **newer
    )


def in_force(policy: Policy) -> lifecycle.Policy:
    """What kernels need to know of a policy."""
    return lifecycle.Policy(**{name: kind(getattr(policy, name)) for name, kind in KINDS.items()})
