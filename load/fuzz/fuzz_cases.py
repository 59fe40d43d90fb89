"""Byte strings that try a decoder: samples with something wrong, and noise. Everything follows from the seed.

    bytes       bits flipped, cut off, spliced with another sample, tokens that JSON almost allows, invalid UTF-8
    structure   a field of another type, missing, twice, in another order; numbers beyond every bound, deep nesting
    noise       random bytes, random tokens
"""

import json
import random
from collections.abc import Sequence
from typing import Any

TOKENS = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1e-999", b"9" * 40, b"-" + b"9" * 400, b"-0",
    b"-0.0", b"01", b"+1", b".5", b"1.", b"0x10", b"1e5", b"true", b"null", b"[]", b"{}", b"[[[[[[[[", b"}",
    b"]", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"\\x41", b"\xff",
    b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\x00", b"\x01", b"\x7f", b"\xe2\x80\xa8",
    b"\r\n", b"\t", b"/*x*/", b"//", b"'", b'"type":"task_created",', b'"pool":"q",', b'"at":1e400,',
    b'"x":"\xff",', b'"x":NaN,', b'"x":"\\ud800",',
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 19, 20, 21, 100, 1000, 1001, 10**6, 10**6 + 1, 10**9, 10**9 + 1, 2**31,
    2**63, 2**64, 10**30, -(10**30), 0.0, -0.0, 0.5, 1.0, 1.0000001, -1e-9, 1e11, 1.0001e11, 1e308, 5e-324, "",
    "x", "é" * 64, "é" * 65, "x" * 128, "x" * 129, "\0", "null", "1", "NaN", "😀", [], {}, [1], ["x"], [""],
    [None], ["x"] * 1000, ["x"] * 1001, {"x": 1}, {"skill": "s"}, {"overlap": 0}, {"classes": 21}, [[[]]], [0, 1],
    [0.5, 0.5], "work", "gold", "push", "pull", "active", "other", "human",
)  # fmt: skip
VALUE_TEXTS = [json.dumps(value, ensure_ascii=ascii_only) for value in VALUES for ascii_only in (True, False)]


class Cases:
    """An endless source of byte strings.

    Parameters
    ----------
    samples : sequence of bytes
        Valid texts.
    seed : int
    """

    def __init__(self, samples: Sequence[bytes], seed: int) -> None:
        self._rng = random.Random(seed)
        self._parsed: list[dict[str, Any]] = [json.loads(sample) for sample in samples]
        self._samples = [json.dumps(found, separators=(",", ":")).encode() for found in self._parsed]
        self._texts = [{name: json.dumps(value) for name, value in found.items()} for found in self._parsed]
        self._names = sorted({name for found in self._parsed for name in found})

    def next(self) -> bytes:
        """Return another one."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.5:
            value = rng.choice(self._samples)
            for _ in range(rng.choice((1, 1, 1, 2, 4))):
                value = self._spoil(value)
            return value
        if kind < 0.9:
            return self._restructure()
        return self._noise()

    def _spoil(self, value: bytes) -> bytes:
        rng = self._rng
        if not value:
            return rng.choice(TOKENS)
        at = int(rng.random() * len(value))
        match int(rng.random() * 7):
            case 0:
                return value[:at] + bytes([value[at] ^ (1 << int(rng.random() * 8))]) + value[at + 1 :]
            case 1:
                return value[:at]
            case 2:
                return value[:at] + value[at + 1 + int(rng.random() * 8) :]
            case 3:
                return value[:at] + rng.choice(TOKENS) + value[at:]
            case 4:  # in place of a value or a key
                begin, end = value.rfind(b":", 0, at) + 1, value.find(b",", at)
                return value[:begin] + rng.choice(TOKENS) + value[end if end >= 0 else len(value) - 1 :]
            case 5:
                other = rng.choice(self._samples)
                return value[:at] + other[int(rng.random() * len(other)) :]
            case _:
                deep = rng.choice((3, 60, 100_000)) if rng.random() < 0.01 else 3
                return value[:-1] + b',"x":' + rng.choice((b"[", b'{"a":')) * deep + b"1" + b"]" * deep + b"}"

    def _restructure(self) -> bytes:
        rng = self._rng
        number = int(rng.random() * len(self._parsed))
        found = dict(self._texts[number])
        names = list(found)
        for _ in range(rng.choice((1, 1, 2, 3))):
            name = rng.choice(names) if rng.random() < 0.8 else rng.choice(self._names)
            match int(rng.random() * 5):
                case 0:
                    found.pop(name, None)
                case 1:
                    found[name] = self._texts[number][rng.choice(names)]
                case 2:
                    found[name] = self._inside(self._parsed[number].get(name))
                case _:
                    found[name] = rng.choice(VALUE_TEXTS)
        items = list(found.items())
        if rng.random() < 0.2:
            rng.shuffle(items)
        if rng.random() < 0.1 and items:
            items.append((rng.choice(items)[0], rng.choice(VALUE_TEXTS)))
        return ("{" + ",".join(f'"{name}":{text}' for name, text in items) + "}").encode()

    def _inside(self, inner: Any) -> str:
        """A value with something else inside; another value if it has no inside."""
        rng = self._rng
        if isinstance(inner, dict) and inner:
            return json.dumps(inner | {rng.choice(list(inner)): rng.choice(VALUES)})
        if isinstance(inner, list):
            return json.dumps([*inner, rng.choice(VALUES)])
        return rng.choice(VALUE_TEXTS)

    def _noise(self) -> bytes:
        rng = self._rng
        if rng.random() < 0.5:
            return rng.randbytes(int(rng.random() * 64))
        pieces = (*TOKENS, *(json.dumps(name).encode() for name in rng.choices(self._names, k=3)))
        return b"{" + b"".join(rng.choice(pieces) for _ in range(int(rng.random() * 12))) + b"}"
