"""What a pool knows about its annotators' skills, as people read it.

One line per annotator, skill and number of classes: the expected accuracy (expected score without classes), its 90 %
interval, the effective number of judgments behind it, the drift score. A line exists once there is evidence.
"""

from collections.abc import Iterator

import msgspec
import numpy as np

from kernels import skill
from stream.core.state.pools import PoolState


class SkillReport(msgspec.Struct, frozen=True, kw_only=True):
    """One annotator in one skill; ``classes`` is null where work is scored instead of labelled.

    ``judgments`` is the effective sample size, prior and imports included; ``counted`` how many judgments (or scores)
    came in, ``gold`` on tasks of known answer, ``gold_right`` of them right. ``drift`` reaches 1 at an alarm.
    ``contained``: gets no work for now, see ``kernels/valuation.py``.
    """

    pool: str
    annotator: str
    skill: str
    classes: int | None
    mean: float
    low: float
    high: float
    judgments: float
    counted: int
    gold: int
    gold_right: int
    drift: float
    alarms: int
    contained: bool


def reports(pool: PoolState, annotator: str | None = None) -> Iterator[SkillReport]:
    """Yield what is known, by skill and annotator; of one annotator only if named."""
    skills = pool.columns.skills
    by_name = sorted(pool.models.slots.items(), key=lambda item: (pool.skills.ids[item[0][0]], item[0][1]))
    for (owner, classes), m in by_name:
        for name, slot in sorted(pool.annotators.slots.items()):
            s = int(skills.seat_of[m, slot])
            if s < 0 or annotator not in (None, name):
                continue
            seat, known = skills.seats[s], skill.known(skills, m, slot)
            if not seat["judgments"] and (classes == 0 or not seat["seeded_weight"]):
                continue  # a place for an import, or for what was taken back
            known_of = np.int64(m), np.int64(s)
            contained = skill.contained(
                skills, *known_of, skill.ability(skills, *known_of), skill.typical(skills, known_of[0]),
                pool.policy.least_ability,
            ) if classes else False  # fmt: skip
            yield SkillReport(
                pool=pool.name, annotator=name, skill=pool.skills.ids[owner] or "", classes=classes or None,
                mean=known.mean, low=known.low, high=known.high, judgments=known.judgments,
                counted=int(seat["judgments"]), gold=int(seat["gold"]), gold_right=int(seat["gold_right"]),
                drift=known.drift, alarms=int(seat["alarms"]), contained=bool(contained),
            )  # fmt: skip
