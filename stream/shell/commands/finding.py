"""One finding of the doctor."""

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked, what came, and what to do about it (empty when nothing is to do)."""

    check: str
    verdict: Literal["fine", "look", "wrong"]
    found: str
    remedy: str = ""
