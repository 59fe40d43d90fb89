"""What a sender is told: what was expected, what came, where; the nearest name; and never a word of Python's."""

import json
import random
import re
from typing import Any

import msgspec
import pytest

from load.fuzz.fuzz_cases import Cases
from stream import contract, events

SAMPLES = contract.read_samples()
#: names of types and of what reads them; a sender of JSON has never heard of them
OURS = re.compile(
    r"\b(int|float|str|bool|tuple|dict|None|True|False|NoneType|UNSET|Struct|Decode\w*|Validation\w*|msgspec|codec|array"
    r"|inf|nan|TaskDefaults|[A-Z][a-z]+(?:Set|Created|Updated|Submitted|Online|Paused|Error))\b|<class"
)


def told(value: bytes) -> str:
    with pytest.raises(msgspec.ValidationError) as error:
        events.decode(value)
    return str(error.value)


def sent(kind: str, **changed: Any) -> bytes:
    return json.dumps(json.loads(SAMPLES[kind]) | changed).encode()


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            sent("judgment_submitted", label="1"),
            'Expected a whole number from 0 to 19 or null, got text "1" - at `$.label`: send it without quotes',
        ),
        (
            sent("judgment_submitted", label=True),
            "Expected a whole number from 0 to 19 or null, got true - at `$.label`",
        ),
        (sent("judgment_submitted", task=None), "Expected an id, got null - at `$.task`"),
        (
            sent("judgment_submitted", at="2026-01-01"),
            'Expected a time in Unix seconds, got text "2026-01-01" - at `$.at`: send Unix seconds as a '
            'number, such as '
            "1700000000, not a date",
        ),
        (
            sent("judgment_submitted", type="judgement_submited"),
            'Expected the type of an event, got text "judgement_submited" - at `$.type`: did you mean '
            'judgment_submitted?',
        ),
        (
            sent("judgment_submitted", type="JudgmentSubmitted"),
            'Expected the type of an event, got text "JudgmentSubmitted" - at `$.type`: did you mean '
            'judgment_submitted?',
        ),
        (
            sent("judgment_submitted", type="hello"),
            'Expected the type of an event, got text "hello" - at `$.type`: docs/contract.md lists them',
        ),
        (
            sent("judgment_submitted", type="task_settled"),
            'Expected the type of an event, got text "task_settled" - at `$.type`: this is what the allocator '
            'writes, nobody '
            "sends it",
        ),
        (
            sent("task_created", deadline=1_700_000_000_000),
            "Expected a time in Unix seconds or null, got 1700000000000 - at `$.deadline`: by its size it is "
            "in milliseconds: "
            "divide by 1000",
        ),
        (sent("task_created", min_skill=1.5), "Expected a number from 0 to 1 or null, got 1.5 - at `$.min_skill`"),
        (
            sent("task_created", only="ana"),
            'Expected a list of ids, at most 1000, got text "ana" - at `$.only`: put it in brackets, also if '
            'it is only one',
        ),
        (
            sent("task_created", exclude=["a", ""]),
            "Expected an id of 1 to 128 bytes, got text of 0 characters - at `$.exclude[1]`",
        ),
        (
            sent("project_set", state="activ"),
            'Expected one of "active", "closed", "paused", got text "activ" - at `$.state`: did you mean active?',
        ),
        (
            sent("project_set", defaults={"overlap": 2.5}),
            "Expected a whole number from 0 to 1000, got 2.5 - at `$.defaults.overlap`",
        ),
        (
            sent("settings_changed", settings={"lease_s": [1]}),
            "Expected a number, got a list of 1 - at `$.settings.lease_s`",
        ),
        (
            b'{"type":"truth_set","pool":"p","at":1,"task_id":"t","label":1}',
            "Expected an id in the field `task`, got nothing - at `$.task`: task_id is no field of it, did "
            "you mean task?",
        ),
        (b'{"pool":"p"}', "Expected the event's type in the field `type`, got nothing - at `$.type`"),
        (
            b"[]",
            "Expected an event, which is an object, got a list of 0 - at `$`: send each event as a record of its own",
        ),
        (b"", "Expected an event in JSON, got an empty record"),
        (
            b'{"type":"pool_paused",}',
            'Expected an event in JSON; it stops being JSON at character 22, in text "l_paused",}"',
        ),
    ],
)
def test_a_sentence_says_what_was_expected_what_came_and_where(value: bytes, sentence: str) -> None:
    assert told(value) == sentence


@pytest.mark.parametrize(("unit", "times"), [("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)])
def test_a_time_in_another_unit_is_recognised_by_its_size(unit: str, times: float) -> None:
    assert f"it is in {unit}: divide by {times:.0f}" in told(sent("project_set", deadline=1.7e9 * times))


def test_the_nearest_type_is_found_for_every_slip_of_the_pen() -> None:
    rng = random.Random(3)
    types = [kind for kind in SAMPLES if issubclass(type(decoded(kind)), events.Event)]
    for kind in types:
        for _ in range(5):
            at = rng.randrange(1, len(kind) - 1)
            slip = kind[:at] + kind[at + 1 :] if rng.random() < 0.5 else kind[:at] + kind[at] + kind[at:]
            if slip not in SAMPLES:
                assert f"did you mean {kind}?" in told(sent(kind, type=slip)), slip


def decoded(kind: str) -> Any:
    try:
        return events.decode(SAMPLES[kind])
    except msgspec.ValidationError:
        return None


def test_a_sentence_can_be_written_as_utf_8_whatever_stood_in_the_record() -> None:
    """It becomes a header of a dead letter."""
    for value in (
        b'{"type":"truth_set","pool":"p","at":1,"task_\xee":"t","label":1}',
        b'{"type":"truth_set","pool":"p","at":1,"task\\ud83d":"t","label":1}',
        b'{"type":"truth_se\xee","pool":"p"}',
        b'{"typ\xee":1}',
        b'{"type":"truth_set","pool":"p","at":"\xee"}',
        b'{"type":"settings_changed","pool":"p","at":1,"settings":{"\xee":"x"}}',
        b'{"type":"settings_changed","pool":"p","at":1,"settings":{"a\\ud83d":1}}',
        b'\xee{"type":',
    ):
        assert told(value).encode()


def test_no_broken_input_is_answered_with_a_word_of_python() -> None:
    inputs = [value for kind, value in SAMPLES.items() if decoded(kind) is not None]
    cases = Cases(inputs, 11)
    seen = set()
    for _ in range(12_000):
        value = cases.next()
        try:
            events.decode(value)
        except msgspec.ValidationError as error:
            message = str(error)
            plain = re.sub(r'"(?:.|\n)*"|`[^`]*`', '""', message)  # what the sender wrote is repeated as it is
            assert message.startswith("Expected "), message
            assert not OURS.search(plain), message
            if "in JSON" not in message:
                assert ", got " in message and "at `$" in message, message
            seen.add(re.sub(r'"[^"]*"|`[^`]*`|\d+', "#", message))
    assert len(seen) > 100, "the inputs must be broken in many ways"
