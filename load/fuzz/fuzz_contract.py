"""The published contract read as a stranger reads it: an event is valid if docs/contract.md says so.

Independent of the decoder it judges: Python's own JSON parser instead of msgspec, the page's tables instead of the
types. Slow, and meant to be.

    "integer in [0, 19] or null"   →  alternatives, each a predicate on a parsed value
    "list of id, at most 1000"     →  likewise for every item

Inputs are read as generously as the page says: which fields may hold anything is told there in two sentences.
"""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "contract.md"
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$")
INTERVAL = re.compile(r"^(integer|number)(?: > (?P<above>[^,]+),)?(?: in \[(?P<low>[^,]+), (?P<high>[^\]]+)\])?"
                      r"(?: ≤ (?P<most>.+))?(?: < (?P<below>.+))?$")  # fmt: skip
STRUCT = re.compile(r"^\[`(\w+)`\]\(#\w+\)$")
ID_CHARACTERS = 128

Claim = Callable[[Any], bool]


class NotJson(ValueError):
    """The bytes are no JSON text in UTF-8."""


class Field(NamedTuple):
    """A field as the page has it: what it may hold, and whether it may be missing."""

    claim: Claim
    is_required: bool


def _refuse(constant: str) -> None:
    raise NotJson(constant)


def _long(digits: str) -> float:
    return int(digits) if len(digits) < 1000 else float(digits)


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_PATIENT = json.JSONDecoder(parse_int=_long)


def parse(value: bytes) -> Any:
    """Return the value of a JSON text; of repeated keys the last counts.

    Raises
    ------
    NotJson
        It is none: not UTF-8, a lone surrogate, NaN or Infinity, or not JSON at all.
    """

    try:
        text = value.decode()
        found = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate can't be written as UTF-8
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None
    return found


def parse_patiently(value: bytes) -> Any:
    """Likewise, with a byte order mark in front, NaN, lone surrogates and bytes that are no UTF-8 (as surrogates)."""
    try:
        return _PATIENT.decode(value.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None


def repeats_keys(value: bytes) -> bool:
    """Whether an object of a JSON text has a key twice: then the contract leaves open what it means."""
    found = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found = found or len(dict(pairs)) < len(pairs)

    text = value.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")
    json.loads(text, object_pairs_hook=look)
    return found


class Contract:
    """The tables of the page.

    Parameters
    ----------
    section : {"Input events", "Output events"}
        Whose events are meant.
    """

    def __init__(self, section: str, page: Path = PAGE) -> None:
        self._structs: dict[str, dict[str, Field]] = {}
        text = page.read_text(encoding="utf-8")
        self._is_patient = section == "Input events"
        self._forgiving, self._side = (
            set(re.findall(r"`(\w+)`", re.findall(rf"^{words}: (.+)\.$", text, re.MULTILINE)[0]))
            for words in ("Every field with a default of", "In every input event")
        )
        common: dict[str, Field] = {}
        events: list[str] = []
        part = name = ""
        for line in text.splitlines():
            if line.startswith("## "):
                part, name = line[3:], ""
            elif line.startswith("### "):
                name = line[4:]
                self._structs.setdefault(name, {})
                if part == section and name == name.lower():
                    events.append(name)
            elif (found := ROW.match(line)) and part in ("Input events", "Output events"):
                field = Field(self._claim(found[2]), found[3] == "required")
                if name:
                    self._structs[name][found[1]] = field
                elif part == section:
                    common[found[1]] = field
        self.events = {
            event: self._structs[event] if event == "round_completed" else {**common, **self._structs[event]}
            for event in events
        }

    def permits(self, value: bytes) -> bool:
        """Whether the page says that these bytes are an event of the section."""
        try:
            found = parse_patiently(value) if self._is_patient else parse(value)
        except NotJson:
            return False
        if not isinstance(found, dict) or not isinstance(found.get("type"), str):
            return False
        fields = self.events.get(found["type"])
        if fields is None:
            return False
        if self._is_patient:
            is_forgiving = found["type"] in self._forgiving
            odd = {n for n, f in fields.items() if n in self._side or (is_forgiving and not f.is_required)}
            found = {name: value for name, value in found.items() if name not in odd}
        return _admits(fields, found)

    def _claim(self, words: str) -> Claim:
        if words.startswith("`"):
            literals = re.findall(r"`([^`]+)`", words)
            rest = words.rpartition("`")[2]
            numbers = {int(one) for one in literals if re.fullmatch(r"-?\d+", one)}
            texts = set(literals)
            return lambda value: (
                (rest == " or null" and value is None)
                or (isinstance(value, str) and value in texts and not numbers)
                or (_is_integer(value) and value in numbers)
            )
        if words.endswith(" or null"):
            inner = self._claim(words.removesuffix(" or null"))
            return lambda value: value is None or inner(value)
        if found := re.match(r"^list of (.+?)(?:, at most (\d+))?$", words):
            item, most = self._claim(found[1]), int(found[2] or 10**9)
            return lambda value: isinstance(value, list) and len(value) <= most and all(map(item, value))
        if found := re.match(r"^object of (.+?)( by id)?$", words):
            inner, named = self._claim(found[1]), self._claim("id" if found[2] else "text")
            return lambda value: (
                isinstance(value, dict) and all(map(inner, value.values())) and all(map(named, value))
            )
        if words.startswith("[") and not words.startswith("[`"):
            items = [self._claim(one) for one in words[1:-1].split(", ")]
            return lambda value: (
                isinstance(value, list)
                and len(value) == len(items)
                and all(claim(one) for claim, one in zip(items, value, strict=True))
            )
        if found := re.match(r"^text of at most (\d+) bytes$", words):
            most = int(found[1])
            return lambda value: isinstance(value, str) and _is_utf8(value) and len(value.encode()) <= most
        if found := STRUCT.match(words):
            name = found[1]
            return lambda value: isinstance(value, dict) and _admits(self._structs[name], value)
        if found := INTERVAL.match(words):
            if self._is_patient and found[1] == "integer":
                whole = _number("integer", found["above"], found["low"], found["high"] or found["most"], found["below"])
                return lambda value: whole(int(value) if isinstance(value, float) and value.is_integer() else value)
            return _number(found[1], found["above"], found["low"], found["high"] or found["most"], found["below"])
        simple: dict[str, Claim] = {
            "id": self._is_id,
            "text": lambda value: isinstance(value, str),
            "null": lambda value: value is None,
            "true or false": lambda value: isinstance(value, bool),
        }
        return simple[words]


    def _is_id(self, value: Any) -> bool:
        if self._is_patient and not isinstance(value, bool):
            if isinstance(value, float) and abs(value) < 2**53 and value == math.floor(value):
                value = int(value)
            value = f"{value:d}" if isinstance(value, int) else value
        return isinstance(value, str) and 1 <= len(value) <= ID_CHARACTERS and _is_utf8(value)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _admits(fields: dict[str, Field], found: dict[str, Any]) -> bool:
    return all(
        field.claim(found[name]) if name in found else not field.is_required for name, field in fields.items()
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(kind: str, above: str | None, low: str | None, high: str | None, below: str | None) -> Claim:
    def claim(value: Any) -> bool:
        if not _is_integer(value) and (kind == "integer" or not isinstance(value, float)):
            return False
        if kind == "number":
            try:
                value = float(value)
            except OverflowError:
                return False
        return (
            (kind == "integer" or math.isfinite(value))
            and (above is None or value > float(above))
            and (low is None or value >= float(low))
            and (high is None or value <= float(high))
            and (below is None or value < float(below))
        )

    return claim
