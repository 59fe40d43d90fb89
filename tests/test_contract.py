"""The generated contract is up to date and complete; every event has a golden sample that round-trips."""

from typing import Any, get_args

import msgspec
import pytest

from stream import contract, events
from stream.settings import Settings
from stream.topics import topics

SAMPLES = contract.read_samples()
EVENTS = {contract.tag(event): event for event in (*get_args(events.Input), *get_args(events.Result))}


def test_the_page_is_up_to_date() -> None:
    assert contract.PAGE.read_text(encoding="utf-8") == contract.render(SAMPLES)
    assert contract.main(["--check"]) == 0


def test_a_change_of_an_event_makes_the_page_out_of_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = SAMPLES | {"task_cancelled": b"{}"}
    monkeypatch.setattr(contract, "read_samples", lambda: changed)
    assert contract.main(["--check"]) == 1
    assert "python -m stream.contract" in capsys.readouterr().err


def test_every_event_and_topic_is_on_the_page() -> None:
    page = contract.PAGE.read_text(encoding="utf-8")
    assert [name for name in EVENTS if f"### {name}\n" not in page] == []
    assert [topic.name for topic in topics(Settings()) if f"| `{topic.name}` |" not in page] == []
    for event in EVENTS.values():
        for field in msgspec.structs.fields(event):
            assert f"| `{field.encode_name}` |" in page


def test_there_is_a_sample_of_every_event_and_of_nothing_else() -> None:
    assert set(SAMPLES) == set(EVENTS)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_sample_decodes_to_its_event_and_back_to_the_same_json(name: str) -> None:
    decode: Any = events.decode if issubclass(EVENTS[name], events.Event) else events.decode_result
    event = decode(SAMPLES[name])
    assert type(event) is EVENTS[name]
    assert events.encode(event) == msgspec.json.format(SAMPLES[name], indent=-1)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_sample_states_every_field(name: str) -> None:
    stated = msgspec.json.decode(SAMPLES[name])
    assert set(stated) == {"type", *EVENTS[name].__struct_fields__}
