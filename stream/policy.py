"""The policy of a pool: the weights and limits of its market, each with its bounds.

A pool is born with the policy of the process that first hears of it (`stream.settings.Market`). From then on it is part
of the pool's state and stands in the log: `settings_changed` changes it, and nothing else does.
"""

import difflib
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, inspect

Seconds = Annotated[float, Meta(gt=0, le=1e8)]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Weights and limits of one pool. Times are seconds."""

    accept_s: Seconds = 60.0
    lease_s: Seconds = 900.0
    expected_s: Seconds = 60.0
    grace_s: Seconds = 60.0
    reference_wait_s: Seconds = 60.0
    settled_retention_s: Seconds = 7 * 86400.0
    max_extensions: Annotated[int, Meta(ge=0, le=100)] = 3
    block_declines: Annotated[int, Meta(ge=1, le=100)] = 3
    missed_offers: Annotated[int, Meta(ge=1, le=100)] = 2
    candidates: Annotated[int, Meta(ge=1, le=1024)] = 64
    gap: Annotated[float, Meta(gt=0, lt=1)] = 1e-3
    judgment_cost: Annotated[float, Meta(ge=0, le=1e6)] = 0.02
    least_ability: Annotated[float, Meta(ge=0, le=1)] = 0.45
    deadline_urgency: Annotated[float, Meta(ge=0, le=1000)] = 0.0


class SettingRefused(ValueError):
    """No policy has such a setting, or not with this value; the message says what was expected."""


class Bounds(NamedTuple):
    """What values a setting may have: between two numbers, and whether these are among them."""

    least: float
    most: float
    with_least: bool
    with_most: bool
    is_whole: bool

    def hold(self, value: float) -> bool:
        """Whether the value is within."""
        above = value >= self.least if self.with_least else value > self.least
        below = value <= self.most if self.with_most else value < self.most
        return above and below and (value == int(value) or not self.is_whole)

    def __str__(self) -> str:
        kind = "a whole number" if self.is_whole else "a number"
        opens, closes = "[" if self.with_least else "(", "]" if self.with_most else ")"
        return f"{kind} in {opens}{self.least:.10g}, {self.most:.10g}{closes}"


def _bounds(kind: inspect.Type) -> Bounds:
    assert isinstance(kind, inspect.IntType | inspect.FloatType)
    least, most = kind.gt if kind.ge is None else kind.ge, kind.lt if kind.le is None else kind.le
    assert least is not None and most is not None
    return Bounds(least, most, kind.ge is not None, kind.le is not None, isinstance(kind, inspect.IntType))


#: By name, in the order of the fields.
BOUNDS = {field.name: _bounds(field.type) for field in inspect.type_info(Policy).fields}  # type: ignore[attr-defined]


def checked(settings: Mapping[str, float]) -> dict[str, float]:
    """Return settings as a policy takes them.

    Raises
    ------
    SettingRefused
        The first of them that no policy has, or not with this value.

    Examples
    --------
    >>> checked({"max_extensions": 2.0, "gap": 0.01})
    {'max_extensions': 2, 'gap': 0.01}
    >>> checked({"gap": 1})
    Traceback (most recent call last):
    stream.policy.SettingRefused: Expected a number in (0, 1), got 1 - at `$.settings.gap`
    """
    taken: dict[str, float] = {}
    for name, value in settings.items():
        bounds = BOUNDS.get(name)
        if bounds is None:
            (near,) = difflib.get_close_matches(name, BOUNDS, 1, 0.0)
            raise SettingRefused(
                f"Expected a setting, got {name!r} - at `$.settings`: did you mean {near}, {BOUNDS[near]}?"
            )
        if not bounds.hold(value):
            raise SettingRefused(f"Expected {bounds}, got {value:.10g} - at `$.settings.{name}`")
        taken[name] = int(value) if bounds.is_whole else float(value)
    return taken
