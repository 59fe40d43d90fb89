"""The fuzzer finds nothing in the decoders, and finds what is planted."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from load.fuzz import fuzz
from load.fuzz.fuzz_contract import PAGE, Contract, NotJson, parse, repeats_keys
from load.fuzz.fuzz_rows import original, verdict
from stream import contract, events
from stream.core.saved import restore
from stream.core.saved.formats import as_of_2, is_known
from stream.core.saved.rows import RESIDUE

CORPUS = Path(__file__).parents[2] / "corpus" / "events.jsonl"
CASES = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
DECODE = events.decode
DECODERS = {"event": events.decode, "output": events.decode_result}
PERMITS = {"event": Contract("Input events").permits, "output": Contract("Output events").permits}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["kind"][:60])
def test_what_was_once_found_interesting_is_judged_as_it_was(case: dict[str, str]) -> None:
    target, _, kind = case["kind"].partition(" ")
    value = bytes.fromhex(case["hex"])
    try:
        event = DECODERS[target](value)
    except fuzz.DECLARED:
        assert kind.startswith("refused")
        assert not PERMITS[target](value) or repeats_keys(value)
    else:
        assert kind.startswith("accepted")
        assert PERMITS[target](value)
        assert DECODERS[target](events.encode(event)) == event


def test_the_corpus_is_small_and_has_no_case_twice() -> None:
    assert 60 <= len(CASES) <= fuzz.KEPT
    assert len({case["hex"] for case in CASES}) == len(CASES)
    assert max(len(case["hex"]) // 2 for case in CASES) <= fuzz.KEPT_BYTES


@pytest.mark.parametrize(
    ("target", "count"), [("event", 15_000), ("output", 4_000), ("letter", 1_500), ("audit", 400), ("rows", 60)]
)
def test_a_short_run_finds_no_trouble(target: str, count: int) -> None:
    tally = fuzz.run(77, {target: count})
    assert tally.troubles == []
    assert tally.tried == {target: count}


def test_the_same_seed_tries_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fuzz.run(5, {"event": 500}) == fuzz.run(5, {"event": 500})
    assert fuzz.run(5, {"event": 500}).kept != fuzz.run(6, {"event": 500}).kept


class Loose(events.Event, frozen=True, kw_only=True, tag="pool_paused"):
    """An event whose time is not bounded."""

    at: float


def loose(value: bytes) -> Any:
    return msgspec.json.decode(value, type=Loose)


def lenient(value: bytes) -> Any:
    return msgspec.json.decode(value, type=events.Input, strict=False)  # takes "1" for 1


def strict(value: bytes) -> Any:
    event = DECODE(value)
    if event.event_id is None:
        raise msgspec.ValidationError("an id is missing")
    return event


def leaky(value: bytes) -> Any:
    return DECODE(value) if value[:1] == b"{" else 1 / 0


@pytest.mark.parametrize("planted", [loose, lenient, strict, leaky])
def test_a_decoder_that_is_too_loose_too_strict_or_raises_is_found(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "decode", planted)
    assert fuzz.run(1, {"event": 15_000}).trouble_count > 0


def test_a_restored_state_that_writes_other_rows_is_found() -> None:
    assert verdict(original()) == "accepted"
    known = ((place, value) for place, value in original().items() if is_known(place[1], 2))
    rows = {(table, key): as_of_2(key, value) for (table, key), value in known}
    assert verdict(rows) == "accepted"
    name = next(place for place in rows if place[1].startswith(b"s"))
    rows["skills", name[1] + b"!"] = rows.pop(name)  # its model has the name in its key
    with pytest.raises(AssertionError, match="something else"):
        verdict(rows)


def test_a_reader_that_does_not_look_at_checksums_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = original()
    place = next(place for place in rows if place[1].startswith(b"p"))
    rows[place] = rows[place][:3] + b"\1" + rows[place][4:]  # when a pool was paused
    assert verdict(rows, had_checksums=True) == "refused"
    monkeypatch.setattr(restore, "crc32", lambda value, start=0: RESIDUE)
    with pytest.raises(AssertionError, match="not what was written"):
        verdict(rows, had_checksums=True)


@pytest.mark.parametrize("value", [b"", b"NaN", b"[1,]", b"\xff", b'"\\ud800"', b"\xef\xbb\xbf{}", b"{'a':1}"])
def test_what_is_no_json_is_known_as_such(value: bytes) -> None:
    with pytest.raises(NotJson):
        parse(value)


def test_every_sample_is_permitted_by_the_page_and_no_event_is_missing_there() -> None:
    samples = contract.read_samples()
    for name, value in samples.items():
        section = "Input events" if name in Contract("Input events").events else "Output events"
        assert Contract(section).permits(value), name
    assert {*Contract("Input events").events, *Contract("Output events").events} == set(samples)


def test_every_link_of_the_contract_leads_to_a_section() -> None:
    text = PAGE.read_text(encoding="utf-8")
    headings = {heading.lower() for heading in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", text)) <= headings
