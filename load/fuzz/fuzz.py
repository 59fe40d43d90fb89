"""``python -m load.fuzz`` (`make fuzz`): random and mutated bytes through every decoder.

    event    `stream.events.decode`         against the published contract, read from docs/contract.md
    output   `stream.events.decode_result`  likewise: what `why` and the auditor decode
    letter   `stream.letters.letter_of` and the auditor's `dead_letter`: headers of dead letters
    audit    `stream.audit.Audit`: a log in which one record is noise
    rows     `stream.core.shard.Shard.restore`: the state of a partition with spoilt rows

For each: nothing but the decoder's declared errors escapes; what is accepted is permitted by the contract and is the
same after encoding and decoding again; what the contract permits is accepted (looked at for one refusal in eight, for
the time it takes). Two processes, everything from the seed.
Prints one JSON object as its last line; exit code 1 below the bar. With ``--keep FILE`` one case of each kind of
verdict is written there: the corpus that the tests replay.
"""

import argparse
import itertools
import json
import multiprocessing
import random
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec

from load.fuzz.fuzz_cases import TOKENS, Cases
from load.fuzz.fuzz_contract import Contract, repeats_keys
from load.fuzz.fuzz_rows import RowCases
from load.fuzz.fuzz_rows import verdict as verdict_on_rows
from stream import contract, events
from stream.audit import Audit, IncompleteLog, Record
from stream.audit.log import LETTERS, TOPICS
from stream.audit.round import dead_letter
from stream.letters import letter_of
from stream.topics import REPLAYED, is_mark

BAR = 10_000_000
SHARES = {"event": 0.86, "output": 0.11, "letter": 0.02, "audit": 0.0085, "rows": 0.0015}
DECLARED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
MEMORY = 8 << 30  # of address space: a row that asks for more must be an error, not the end of the machine
KEPT_BYTES = 400
KEPT = 250
SHOWN = 20


class Case(NamedTuple):
    """What was tried and what came of it; `trouble` is empty when all is well."""

    value: bytes
    verdict: str
    trouble: str


Target = Iterator[Case]


def _outcome(
    decode: Callable[[bytes], Any], value: bytes, permits: Callable[[bytes], bool], number: int
) -> tuple[str, str]:
    """Verdict and trouble of one value; whether a refusal was right is looked at for one in eight."""
    try:
        event = decode(value)
    except DECLARED as error:
        if number % 8:
            return "refused", ""
        if permits(value) and not repeats_keys(value):
            return "refused", f"the contract permits what is refused: {error}"
        return f"refused {_shape(error)}", ""
    except Exception as error:
        return "escaped", f"{type(error).__name__} escapes: {error}"
    if not permits(value):
        return "accepted", f"accepted against the contract: {event}"
    if decode(events.encode(event)) != event:
        return "accepted", f"another after encoding and decoding: {event}"
    return f"accepted {type(event).__name__}", ""


def _shape(error: BaseException) -> str:
    return re.sub(r"`[^`]*`|\d+|'[^']*'", "#", f"{type(error).__name__}: {error}")[:80]


def try_events(seed: int) -> Target:
    """Values for the decoder of inputs."""
    cases, permits = Cases(samples(events.Input), seed), Contract("Input events").permits
    for number in itertools.count():
        value = cases.next()
        yield Case(value, *_outcome(events.decode, value, permits, number))


def try_outputs(seed: int) -> Target:
    """Values for the decoder of outputs."""
    cases, permits = Cases(samples(events.Result), seed), Contract("Output events").permits
    for number in itertools.count():
        value = cases.next()
        yield Case(value, *_outcome(events.decode_result, value, permits, number))


class _Letter(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]


def _letters(seed: int) -> Iterator[_Letter]:
    rng = random.Random(seed)
    names = [f"__streams.errors.{name}" for name in ("exception", "message", "topic", "partition", "offset")]
    names += ["reason", "round", REPLAYED, "", "x", "\ud83d"]
    values = [b"0", b"1", b"-1", b"", b"malformed", b"labeling.tasks.v1", b"\xff", b"9" * 5000, "٣".encode(), b"1_0"]
    while True:
        good: list[tuple[str, bytes | None]] = [
            ("mine", b"1"), (names[0], b"clock"), (names[1], b"why"), (names[2], b"labeling.tasks.v1"),
            (names[3], b"0"), (names[4], b"7"), ("reason", b"clock"), ("round", b"3"),
        ]  # fmt: skip
        for _ in range(rng.choice((0, 1, 1, 2, 8))):
            at = rng.randrange(len(good) + 1)
            text = rng.choice((None, rng.choice(values), rng.choice(TOKENS), rng.randbytes(3)))
            change = [(rng.choice(names), text)]
            good[at : at + rng.randrange(2)] = change if rng.random() < 0.8 else []
        key = rng.choice((None, b"", b"p", b"\xff", rng.randbytes(5)))
        yield _Letter(LETTERS[0], 0, 5, rng.choice((0, -1, 10**12)), key, rng.choice((None, rng.randbytes(9))), good)


def try_letters(seed: int) -> Target:
    """Records for the readers of dead letters: one that takes anything, one that may refuse."""
    for record in _letters(seed):
        trouble, verdict = "", "mark"
        shown = json.dumps([[name, (value or b"").hex()] for name, value in record.headers]).encode()
        try:
            if not is_mark((name, value or b"") for name, value in record.headers):
                letter = letter_of(record)
                verdict = "letter"
                given = [(name, value or b"") for name, value in record.headers[: len(letter.headers)]]
                if given != letter.headers:
                    trouble = "the record's own headers are not its first"
        except Exception as error:
            trouble = f"{type(error).__name__} escapes letter_of: {error}"
        headers = [(name, value or b"") for name, value in record.headers]
        try:
            dead_letter(Record(record.topic, 0, 5, record.key, record.value, headers))
            verdict += ", audited"
        except (ValueError, KeyError):
            verdict += ", refused by the auditor"
        except Exception as error:
            trouble = f"{type(error).__name__} escapes dead_letter: {error}"
        yield Case(shown, verdict, trouble)


def try_audit(seed: int) -> Target:
    """Logs of one round and one record of noise."""
    rng = random.Random(seed)
    cases, letters = Cases(samples(events.Result) + samples(events.Input), seed), _letters(seed)
    rounds = [value for value in samples(events.Result) if b"round_completed" in value]
    while True:
        topic, value, letter = rng.choice(TOPICS), cases.next(), next(letters)
        headers = [(name, value or b"") for name, value in letter.headers] if topic in LETTERS else []
        key = rng.choice((None, b"", b"acme-en", b"\xff"))
        noise = Record(topic, 0, 0, key, rng.choice((None, value, value, value)), headers)
        auditor = Audit(0, 1)
        try:
            auditor.feed([noise, Record(TOPICS[-1], 0, 1, b"0", rounds[0])])
            yield Case(value, "violations" if auditor.finish() else "nothing found", "")
        except IncompleteLog:
            yield Case(value, "incomplete", "")
        except Exception as error:
            yield Case(value, "escaped", f"{type(error).__name__} escapes the auditor on {topic}: {error}")


def try_rows(seed: int) -> Target:
    """States of a partition with spoilt rows."""
    cases = RowCases(seed)
    while True:
        spoilt = cases.next()
        try:
            yield Case(b"", verdict_on_rows(*spoilt), "")
        except AssertionError as error:
            yield Case(b"", "accepted", str(error))
        except Exception as error:
            yield Case(b"", "escaped", f"{type(error).__name__} escapes: {error}")


TARGETS: dict[str, Callable[[int], Target]] = {
    "event": try_events,
    "output": try_outputs,
    "letter": try_letters,
    "audit": try_audit,
    "rows": try_rows,
}


def samples(union: Any) -> list[bytes]:
    """The golden samples of the events of a union."""
    wanted = {contract.tag(event) for event in get_args(union)}
    return [value for name, value in contract.read_samples().items() if name in wanted]


class Tally(msgspec.Struct, kw_only=True):
    """What one process, or all of them, found."""

    tried: dict[str, int] = {}
    accepted: dict[str, int] = {}
    troubles: list[str] = []
    trouble_count: int = 0
    kept: dict[str, str] = {}


def run(seed: int, counts: dict[str, int]) -> Tally:
    """Try so many cases of each target."""
    tally = Tally()
    for name, count in counts.items():
        source = TARGETS[name](seed)
        tally.tried[name] = count
        accepted = 0
        for _ in range(count):
            case = next(source)
            accepted += case.verdict.startswith(("accepted", "letter"))
            if case.trouble:
                tally.trouble_count += 1
                if len(tally.troubles) < SHOWN:
                    tally.troubles.append(f"{name}: {case.trouble[:300]} {case.value[:200]!r}")
            kind = f"{name} {case.verdict}"
            if name in ("event", "output") and kind not in tally.kept and len(case.value) <= KEPT_BYTES:
                tally.kept[kind] = case.value.hex()
        tally.accepted[name] = accepted
    return tally


def _child(pipe: Connection, seed: int, counts: dict[str, int]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    pipe.send_bytes(msgspec.json.encode(run(seed, counts)))


def run_in_processes(cases: int, seed: int, processes: int) -> Tally:
    """Try `cases` in all, shared among processes; a process that dies is trouble of its own."""
    counts = {name: int(-(-cases * share // processes)) for name, share in SHARES.items()}
    context = multiprocessing.get_context("spawn")
    whole = Tally()
    started = []
    for number in range(processes):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_child, args=(theirs, seed * 1000 + number, counts))
        process.start()
        theirs.close()
        started.append((process, ours))
    for process, pipe in started:
        try:
            part = msgspec.json.decode(pipe.recv_bytes(), type=Tally)
        except EOFError:
            process.join()
            whole.trouble_count += 1
            whole.troubles.append(f"a process died with code {process.exitcode}: a decoder took it along")
            continue
        process.join()
        for name, count in part.tried.items():
            whole.tried[name] = whole.tried.get(name, 0) + count
            whole.accepted[name] = whole.accepted.get(name, 0) + part.accepted[name]
        whole.trouble_count += part.trouble_count
        whole.troubles += part.troubles
        whole.kept |= part.kept
    return whole


def keep(path: Path, kept: dict[str, str]) -> int:
    """Add one case of each kind to the corpus, which stays sorted and small; return its size."""
    known = {}
    if path.exists():
        known = {entry["kind"]: entry["hex"] for entry in map(json.loads, path.read_text().splitlines())}
    merged = dict(sorted(({**kept, **known}).items())[:KEPT])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"kind": kind, "hex": value}) + "\n" for kind, value in merged.items()))
    return len(merged)


def main(arguments: list[str] | None = None) -> int:
    """Run, print what was found, return the exit code."""
    parser = argparse.ArgumentParser(description="Random and mutated bytes through every decoder.")
    parser.add_argument("--cases", type=int, default=BAR, help=f"how many in all (default {BAR:,})")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="add interesting cases to this corpus")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    found = run_in_processes(given.cases, given.seed, given.processes)
    for trouble in found.troubles[:SHOWN]:
        print(trouble, file=sys.stderr)
    if given.keep:
        print(f"{keep(given.keep, found.kept)} cases in {given.keep}", file=sys.stderr)
    cases = sum(found.tried.values())
    is_ok = not found.trouble_count and cases >= given.cases
    figures = {
        "cases": cases,
        "bar": given.cases,
        "seed": given.seed,
        "tried": found.tried,
        "accepted": found.accepted,
        "troubles": found.trouble_count,
        "seconds": round(time.monotonic() - began, 1),
        "ok": is_ok,
    }
    print(json.dumps(figures))
    return 0 if is_ok else 1
