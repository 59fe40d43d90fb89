"""The only way in: what is out of bounds or of the wrong type is refused, whatever the bytes."""

import random
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream import contract, events

SAMPLES = contract.read_samples()
INPUTS = [contract.tag(event) for event in get_args(events.Input)]
MUTATIONS = 40_000


def sample(name: str, **changes: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(SAMPLES[name]) | changes)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("task_created", "task", ""),
        ("task_created", "task", "x" * 129),
        ("task_created", "task", None),
        ("task_created", "at", -1),
        ("task_created", "at", 1e21),
        ("task_created", "at", "now"),
        ("task_created", "classes", 1),
        ("task_created", "classes", 21),
        ("task_created", "label", -1),
        ("task_created", "label", 20),
        ("task_created", "label", True),
        ("task_created", "overlap", -1),
        ("task_created", "overlap", 1001),
        ("task_created", "overlap", 2.5),
        ("task_created", "overlap", None),
        ("task_created", "confidence", 1.01),
        ("task_created", "confidence", -0.1),
        ("task_created", "priority", 11),
        ("task_created", "value", -1),
        ("task_created", "lease_s", 0),
        ("task_created", "min_skill", 2),
        ("task_created", "purpose", "silver"),
        ("task_created", "requires", ["x"] * 1001),
        ("task_created", "requires", [""]),
        ("task_created", "only", "ana"),
        ("project_set", "state", "open"),
        ("project_set", "budget", -1),
        ("project_set", "defaults", {"overlap": -1}),
        ("annotator_set", "skills", None),
        ("annotator_set", "cost", -1),
        ("judgment_submitted", "label", "yes"),
        ("judgment_scored", "score", 1.5),
        ("skill_seeded", "weight", -1),
        ("pool_paused", "pool", 7.5),
        ("pool_paused", "type", "pool_gone"),
    ],
)
def test_what_is_out_of_bounds_is_refused(name: str, field: str, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        events.decode(sample(name, **{field: value}))


@pytest.mark.parametrize("name", INPUTS)
def test_a_required_field_may_not_be_missing(name: str) -> None:
    stated = msgspec.json.decode(SAMPLES[name])
    event = next(event for event in get_args(events.Input) if contract.tag(event) == name)
    for field in msgspec.structs.fields(event):
        without = {key: value for key, value in stated.items() if key != field.encode_name}
        if field.required:
            with pytest.raises(msgspec.ValidationError):
                events.decode(msgspec.json.encode(without))
        else:
            assert type(events.decode(msgspec.json.encode(without))) is event


@pytest.mark.parametrize("name", INPUTS)
def test_unknown_fields_are_ignored(name: str) -> None:
    assert events.decode(sample(name, colour="red", nested={"a": [1]})) == events.decode(SAMPLES[name])


def test_an_output_is_no_input() -> None:
    for event in get_args(events.Result):
        with pytest.raises(msgspec.ValidationError):
            events.decode(SAMPLES[contract.tag(event)])


def accepted(value: bytes) -> Any:
    """What the decoder makes of the bytes: an event within all bounds, or None."""
    try:
        event = events.decode(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    # an accepted event passes the strict check of its own encoding, so nothing out of bounds came in
    assert msgspec.json.decode(events.encode(event), type=type(event)) == event
    return event


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_no_bytes_make_an_unexpected_exception_escape(value: bytes) -> None:
    accepted(value)


def test_deep_nesting_is_refused() -> None:
    assert accepted(b'{"type":"task_created","x":' + b"[" * 100_000) is None
    assert accepted(b'{"x":' * 50_000) is None


@pytest.mark.parametrize("seed", range(4))
def test_no_mutation_of_a_sample_makes_an_unexpected_exception_escape(seed: int) -> None:
    rng = random.Random(seed)
    samples = [msgspec.json.format(SAMPLES[name], indent=-1) for name in INPUTS]
    passed = 0
    for _ in range(MUTATIONS // 4):
        value = bytearray(rng.choice(samples))
        for _ in range(rng.choice([1, 1, 2, 5])):
            at = rng.randrange(len(value))
            match rng.randrange(5):
                case 0:
                    value[at] = rng.randrange(256)
                case 1:
                    del value[at : at + rng.randrange(1, 8)]
                case 2:
                    value[at:at] = rng.choice(
                        [b"-", b"9" * 30, b"null", b'"', b"\xf0", b"1e999", b"[", b"\\u0000"]
                    )
                case 3:
                    value[at:] = b""
                case 4:
                    value[at:at] = value[at // 2 : at]
            if not value:
                break
        passed += accepted(bytes(value)) is not None
    assert passed > 0
