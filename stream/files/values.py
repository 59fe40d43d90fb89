"""Cells as values: times, numbers, durations, class codes; each with the words that say what was expected."""

import math
import re
import unicodedata
from datetime import UTC, datetime

MILLISECONDS = 1e11
"""Numbers above this are milliseconds: as seconds they would lie after the year 5000."""
LATEST = 1e11

WHOLE = re.compile(r"([+-]?[0-9]{1,18})(\.0*)?", re.ASCII)
GROUPED = re.compile(r"-?[0-9]{1,3}(\.[0-9]{3})+,[0-9]+", re.ASCII)
SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|sec|m|min|h|d)?", re.ASCII | re.IGNORECASE)
UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}

TIME = "expected a time, such as 2024-03-01T10:00:00Z, 1709287200 (Unix seconds) or 1709287200000 (milliseconds)"
NUMBER = "expected a number, such as 4.5"
DURATION = "expected a length of time, such as 8h, 30min or 900 (seconds)"


def whole(text: str) -> int | None:
    """The whole number that a cell holds, as `1` or as the `1.0` that spreadsheets make of it; None otherwise."""
    match = WHOLE.fullmatch(text)
    return int(match[1]) if match else None


def number(text: str, comma: bool = False) -> float | None:
    """The number that a cell holds, None when it holds none; with `comma` also as `0,5` and `1.234,5`."""
    if comma and "," in text:
        text = text.replace(".", "") if GROUPED.fullmatch(text) else text
        text = text.replace(",", ".", 1)
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def moment(text: str, comma: bool = False) -> float | None:
    """Unix seconds of a time: ISO 8601 (UTC where no zone is given), seconds or milliseconds; None when it is none."""
    value = number(text, comma)
    if value is None:
        try:
            when = datetime.fromisoformat(text.removesuffix("UTC").removesuffix("Z").strip())
        except ValueError:
            return None
        value = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    elif value > MILLISECONDS:
        value /= 1000.0
    return value if 0 <= value <= LATEST else None


def span(text: str) -> float | None:
    """Seconds of a length of time, such as `8h`; None when it is none."""
    match = SPAN.fullmatch(text.strip())
    return float(match[1]) * UNITS[(match[2] or "s").lower()] if match else None


def name(text: str) -> str:
    """A name in one spelling of its characters: composed, without spaces around it."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)
