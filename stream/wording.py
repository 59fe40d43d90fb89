"""What a field may hold and what came instead, in words that every sender understands.

    Expected a whole number from 0 to 19, got text "1" - at `$.label`: send it without quotes

Nobody who sends JSON needs to know in which language it is read: no names of types of ours, none of Python's.
"""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import inspect

#: characters of a value that a message repeats
SHOWN = 60
#: an id is text of at most so many characters; longer texts say how many bytes they may have
ID_CHARACTERS = 128
#: what a time is multiplied by when it is not in seconds
UNITS = ((1e3, "milliseconds"), (1e6, "microseconds"), (1e9, "nanoseconds"))
#: Unix seconds are smaller, times in any other unit larger
LATEST = 1e11


def expected(kind: inspect.Type) -> str:
    """What a field of this type may hold."""
    match kind:
        case inspect.Metadata(type=inner, extra_json_schema=extra):
            return str((extra or {}).get("title") or expected(inner))
        case inspect.UnionType(types=types):
            return " or ".join(expected(one) for one in types)
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(f'"{value}"' for value in values)
        case inspect.IntType(ge=low, le=high):
            return "a whole number" + _range(low, high)
        case inspect.FloatType(gt=above, ge=low, le=high):
            return "a number" + (f" above {number(above)}" if above is not None else _range(low, high))
        case inspect.StrType(max_length=most):
            if most is None:
                return "text"
            return "an id" if most == ID_CHARACTERS else f"text of at most {most} bytes"
        case inspect.VarTupleType(item_type=item, max_length=most):
            return f"a list of {_many(item)}" + ("" if most is None else f", at most {most}")
        case inspect.DictType(value_type=value):
            return f"an object of {_many(value)} by name"
        case inspect.StructType():
            return "an object"
        case inspect.NoneType():
            return "null"
    raise TypeError(f"no words for {kind}")


def _range(low: float | None, high: float | None) -> str:
    least = "" if low is None else f" from {number(low)}"
    return least + ("" if high is None else f" to {number(high)}")


def _many(kind: inspect.Type) -> str:
    """Several values of a type: ids, numbers."""
    one = expected(kind).partition(" from ")[0]
    return one.removeprefix("an ").removeprefix("a ") + ("" if one == "text" else "s")


def number(value: float) -> str:
    """A number as people write it: without a fraction where it has none."""
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else f"{value:g}"


def got(value: Any) -> str:
    """What a JSON value is."""
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            return f'text "{shown(value)}"'
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
        case float():
            return number(value) if math.isfinite(value) else "NaN" if math.isnan(value) else "infinity"
    return str(value) if abs(value) < 10**30 else "a number of more than 30 digits"


def shown(text: str) -> str:
    """As much of a text as a message repeats, writable as UTF-8."""
    text = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    return text.encode(errors="backslashreplace").decode()


def hint(kind: inspect.Type, value: Any) -> str:
    """What to do about a value that doesn't fit; empty where there is no more to say."""
    while isinstance(kind, inspect.Metadata | inspect.UnionType):
        if isinstance(kind, inspect.Metadata) and (kind.extra_json_schema or {}).get("title"):
            return of_time(value)
        kind = kind.type if isinstance(kind, inspect.Metadata) else kind.types[0]
    if isinstance(kind, inspect.LiteralType) and isinstance(value, str):
        return did_you_mean(value, [str(one) for one in kind.values])
    if isinstance(kind, inspect.IntType | inspect.FloatType) and isinstance(value, str):
        return "send it without quotes" if re.fullmatch(r"-?\d+(\.\d+)?", value) else ""
    if isinstance(kind, inspect.VarTupleType) and isinstance(value, str | int):
        return "put it in brackets, also if it is only one"
    return ""


def of_time(value: Any) -> str:
    """What to do about a time that is none in Unix seconds."""
    if isinstance(value, str):
        return "send Unix seconds as a number, such as 1700000000, not a date"
    if isinstance(value, int | float) and not isinstance(value, bool) and LATEST < value < 1e20:
        factor, unit = UNITS[0 if value < 1e14 else 1 if value < 1e17 else 2]
        return f"by its size it is in {unit}: divide by {number(factor)}"
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest of some names, as a question; empty where none is near."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s.-]+", "_", word[:200]).lower()
    near = difflib.get_close_matches(plain, sorted(known), 1, 0.7)
    return f"did you mean {near[0]}?" if near else ""


def sentence(wanted: str, came: str, path: str, advice: str = "") -> str:
    """One sentence about one value."""
    return f"Expected {wanted}, got {came} - at `${path}`" + (f": {advice}" if advice else "")


def missing(field: str, wanted: str, others: Sequence[str], path: str = "") -> str:
    """The sentence about a field that isn't there, where fields of other names are."""
    near = did_you_mean(field, others)
    longer = [other for other in others if field in re.split(r"[_\s.-]+", other.lower())]
    name = near.removeprefix("did you mean ").rstrip("?") if near else next(iter(sorted(longer)), "")
    advice = f"{shown(name)} is no field of it, did you mean {field}?" if name else ""
    return sentence(f"{wanted} in the field `{field}`", "nothing", f"{path}.{field}", advice)
