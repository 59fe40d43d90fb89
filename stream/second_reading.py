"""What an odd record still says: the slow reading of what the fast one has refused.

    strict decoder ──refuses──► second reading ──┬─ the event, and the fields that were taken as left out
                                                 └─ refused, in a sentence: expected, got, where

A person's work must not be lost to a field that nobody needs. So a forgiving field (`Forgiving` says which) that holds
nothing of its type counts as left out, and is named. Spelling is no fault anywhere: 1.0 is 1, an id that is a whole
number is its digits, a byte order mark in front is skipped, of a key that stands twice the last counts. Where JSON ends
and only habit begins (NaN, Infinity, half of an emoji, a text in another encoding), a value is what no field may hold:
that costs an event only where the field is needed. Everything else is refused: text for numbers ("1" may be the name of
another class), true for 1, a list in place of one value.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import inspect

from stream.wording import did_you_mean, expected, got, hint, missing, sentence, shown

Reader = Callable[[Any], Any]
#: whether a field of a type of event that holds nothing of its type counts as left out
Forgiving = Callable[[type, inspect.Field], bool]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: digits of a number that may still be one; Python itself takes long to read many
DIGITS = 400
#: whole numbers above it have several spellings once they are written with a fraction
EXACT = 2.0**53


class Odd(ValueError):
    """A value that its field may not hold; ``path`` is where, from the field on."""

    def __init__(self, wanted: str, came: str, path: str = "", advice: str = "") -> None:
        super().__init__(wanted, came, path, advice)
        self.wanted, self.came, self.path, self.advice = wanted, came, path, advice


class _Field(NamedTuple):
    name: str
    read: Reader
    wanted: str
    is_required: bool
    is_forgiving: bool


class SecondReading:
    """Reads events of some types.

    Parameters
    ----------
    types : sequence of type
        Structs with a tag.
    forgiving : callable
    outputs : iterable of str
        Names of types that are written and never read.
    """

    def __init__(self, types: Sequence[type], forgiving: Forgiving, outputs: Iterable[str] = ()) -> None:
        self._types = {str(one.__struct_config__.tag): one for one in types}  # type: ignore[attr-defined]
        self._forgiving, self._outputs = forgiving, frozenset(outputs)
        self._fields: dict[str, list[_Field]] = {}

    def read(self, value: bytes | None) -> tuple[Any, tuple[str, ...]]:
        """Return the event, and which fields were taken as left out, as ``type.field``.

        Raises
        ------
        msgspec.ValidationError
            It is none; the message says what was expected, what came and where.
        """
        return self.of(parse(value))

    def of(self, given: Any) -> tuple[Any, tuple[str, ...]]:
        """Likewise of a JSON value."""
        if not isinstance(given, dict):
            advice = "send each event as a record of its own" if isinstance(given, list) else ""
            raise msgspec.ValidationError(sentence("an event, which is an object", got(given), "", advice))
        tag = given.get("type")
        struct = self._types.get(tag) if isinstance(tag, str) else None
        if struct is None:
            raise msgspec.ValidationError(self._unknown(tag, given))
        assert isinstance(tag, str)
        fields = self._fields.get(tag) or self._fields.setdefault(tag, self._of_struct(struct))
        found: dict[str, Any] = {"type": tag}
        odd = []
        for field in fields:
            if field.name not in given:
                if field.is_required:
                    known = {one.name for one in fields} | {"type"}
                    message = missing(field.name, field.wanted, [one for one in given if one not in known])
                    raise msgspec.ValidationError(message)
                continue
            try:
                found[field.name] = field.read(given[field.name])
            except Odd as error:
                if not field.is_forgiving:
                    message = sentence(error.wanted, error.came, f".{field.name}{error.path}", error.advice)
                    raise msgspec.ValidationError(message) from None
                odd.append(f"{tag}.{field.name}")
        return msgspec.convert(found, struct), tuple(odd)

    def names(self) -> list[str]:
        """All fields that can count as left out though they are there, as ``type.field``."""
        known = ((tag, inspect.type_info(one)) for tag, one in self._types.items())
        return [
            f"{tag}.{field.encode_name}"
            for tag, info in known
            for field in info.fields  # type: ignore[attr-defined]
            if self._forgiving(self._types[tag], field)
        ]

    def wanted(self, tag: str, name: str) -> str:
        """What a field of a type of event may hold, in words."""
        fields = self._fields.get(tag) or self._fields.setdefault(tag, self._of_struct(self._types[tag]))
        return next(field.wanted for field in fields if field.name == name)

    def _unknown(self, tag: Any, given: dict[str, Any]) -> str:
        if "type" not in given:
            return missing("type", "the event's type", list(given))
        advice = did_you_mean(tag, self._types) if isinstance(tag, str) else ""
        if isinstance(tag, str) and tag in self._outputs:
            advice = "this is what the allocator writes, nobody sends it"
        return sentence("the type of an event", got(tag), ".type", advice or "docs/contract.md lists them")

    def _of_struct(self, struct: type) -> list[_Field]:
        info = inspect.type_info(struct)
        assert isinstance(info, inspect.StructType)
        return [
            _Field(
                field.encode_name, _reader(field.type), expected(field.type), field.required,
                self._forgiving(struct, field),
            )
            for field in info.fields
        ]  # fmt: skip


def parse(value: bytes | None) -> Any:
    """Return the value of a JSON text, read as generously as it has one meaning.

    Raises
    ------
    msgspec.ValidationError
        It has none.
    """
    if not value:
        raise msgspec.ValidationError("Expected an event in JSON, got an empty record")
    value = bytes(value).removeprefix(BYTE_ORDER_MARK)
    try:
        return msgspec.json.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        return _HABITS.decode(value.decode(errors="surrogateescape"))
    except json.JSONDecodeError as error:
        near = got(error.doc[max(0, error.pos - 10) : error.pos + 20])
        encoding = ", in UTF-8" if b"\0" in value[:2] or value[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        message = f"Expected an event in JSON{encoding}; it stops being JSON at character {error.pos}, in {near}"
        raise msgspec.ValidationError(message) from None
    except RecursionError:
        raise msgspec.ValidationError("Expected an event in JSON, got one that is nested too deeply") from None


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= DIGITS else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


#: what is no JSON and is sent all the same: NaN, Infinity, halves of surrogate pairs, numbers of any length
_HABITS = json.JSONDecoder(parse_int=_whole)


# ---------------------------------------------------------------------- one value
def _reader(kind: inspect.Type) -> Reader:
    """A function that returns what a field of this type holds, or raises `Odd`."""
    return _inner(kind, kind)


def _inner(kind: inspect.Type, whole: inspect.Type) -> Reader:
    match kind:
        case inspect.Metadata(type=inner):
            return _inner(inner, whole)
        case inspect.UnionType(types=types):
            some = [one for one in types if not isinstance(one, inspect.NoneType)]
            assert len(some) == 1, types
            read = _inner(some[0], whole)
            return (lambda raw: None if raw is None else read(raw)) if len(some) < len(types) else read
        case inspect.StrType(min_length=least, max_length=most):
            return _text(whole, most) if least is None else _id(whole, least)
        case inspect.LiteralType(values=values):
            return _checked(whole, lambda raw: raw if isinstance(raw, str) and raw in values else None)
        case inspect.IntType(ge=low, le=high):
            return _checked(whole, lambda raw: _within(_integer(raw), None, low, high))
        case inspect.FloatType(gt=above, ge=low, le=high):
            return _checked(whole, lambda raw: _within(_float(raw), above, low, high))
        case inspect.VarTupleType(item_type=item, max_length=most):
            return _list(whole, _reader(item), most)
        case inspect.DictType(key_type=key, value_type=inner):
            return _dict(whole, _reader(key), _reader(inner))
        case inspect.StructType(fields=fields):
            return _object(whole, {field.encode_name: _reader(field.type) for field in fields})
    raise TypeError(f"no reader for {kind}")


def _refuse(kind: inspect.Type, raw: Any) -> Odd:
    return Odd(expected(kind), got(raw), advice=hint(kind, raw))


def _checked(kind: inspect.Type, take: Reader) -> Reader:
    def read(raw: Any) -> Any:
        found = take(raw)
        if found is None:
            raise _refuse(kind, raw)
        return found

    return read


def _integer(raw: Any) -> int | None:
    if isinstance(raw, float):
        return int(raw) if raw.is_integer() else None
    return raw if isinstance(raw, int) and not isinstance(raw, bool) else None


def _float(raw: Any) -> float | None:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        return float(raw) if math.isfinite(raw) else None
    except OverflowError:
        return None


def _within(value: Any, above: float | None, low: float | None, high: float | None) -> Any:
    if value is None or (above is not None and value <= above):
        return None
    return None if (low is not None and value < low) or (high is not None and value > high) else value


def _is_text(raw: Any) -> bool:
    """Whether it is text that can be written as UTF-8."""
    if not isinstance(raw, str):
        return False
    return raw.isascii() or not any("\ud800" <= character <= "\udfff" for character in raw)


def _id(kind: inspect.Type, least: int) -> Reader:
    inner = kind
    while not isinstance(inner, inspect.StrType):
        inner = inner.type if isinstance(inner, inspect.Metadata) else inner.types[0]  # type: ignore[attr-defined]
    most = inner.max_length or 0

    def read(raw: Any) -> str:
        text = raw
        if isinstance(raw, int) and not isinstance(raw, bool):
            text = str(raw)
        elif isinstance(raw, float) and raw.is_integer() and abs(raw) < EXACT:
            text = str(int(raw))
        if not _is_text(text):
            raise _refuse(kind, raw)
        if not least <= len(text) <= most:
            raise Odd(f"an id of {least} to {most} bytes", f"text of {len(text)} characters")
        return str(text)

    return read


def _text(kind: inspect.Type, most: int | None) -> Reader:
    def read(raw: Any) -> str:
        if not _is_text(raw):
            raise _refuse(kind, raw)
        if most is not None and len(raw.encode()) > most:
            raise Odd(expected(kind), f"text of {len(raw.encode())} bytes")
        return str(raw)

    return read


def _list(kind: inspect.Type, item: Reader, most: int | None) -> Reader:
    def read(raw: Any) -> list[Any]:
        if not isinstance(raw, list):
            raise _refuse(kind, raw)
        if most is not None and len(raw) > most:
            raise Odd(expected(kind), got(raw))
        found = []
        for at, one in enumerate(raw):
            try:
                found.append(item(one))
            except Odd as error:
                raise Odd(error.wanted, error.came, f"[{at}]{error.path}", error.advice) from None
        return found

    return read


def _dict(kind: inspect.Type, key: Reader, inner: Reader) -> Reader:
    def read(raw: Any) -> dict[Any, Any]:
        if not isinstance(raw, dict):
            raise _refuse(kind, raw)
        found = {}
        for name, one in raw.items():
            try:
                found[key(name)] = inner(one)
            except Odd as error:
                raise Odd(error.wanted, error.came, f".{shown(name)}{error.path}", error.advice) from None
        return found

    return read


def _object(kind: inspect.Type, fields: dict[str, Reader]) -> Reader:
    def read(raw: Any) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise _refuse(kind, raw)
        found = {}
        for name, inner in fields.items():
            if name in raw:
                try:
                    found[name] = inner(raw[name])
                except Odd as error:
                    raise Odd(error.wanted, error.came, f".{name}{error.path}", error.advice) from None
        return found

    return read
