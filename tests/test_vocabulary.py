"""Every table of words or codes beside an enumeration of the contract holds all of its values.

Two nets. The tables that are known are compared one by one; and the sources are searched for collections that hold most
values of an enumeration but not all, so that a table nobody has listed here is found by the value it lacks.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import inspect

from kernels.lifecycle import codes
from load.chaos import ledger
from load.replay import demo_report as report
from stream import events as wire
from stream.audit import inputs as audited
from stream.audit import leases
from stream.core import outbox as results
from stream.core.batch import Reason
from stream.core.intake import handlers, task_handlers
from stream.shell.commands import import_command, why
from stream.shell.snapshots import snapshot

ROOT = Path(__file__).parent.parent
FOLDERS = ("stream", "load", "monitoring")

ENUMERATIONS: dict[str, tuple[Any, ...]] = {
    name: get_args(enumeration)
    for name, enumeration in {
        "purpose": wire.Purpose, "state of a project": wire.ProjectState, "kind of annotator": wire.AnnotatorKind,
        "mode": wire.Mode, "reason to decline": wire.DeclineReason, "source of a score": wire.ScoreSource,
        "end": wire.End, "cause": wire.Cause, "why work is unavailable": wire.UnavailableReason,
        "what a bound covers": wire.Covers, "origin": wire.Origin, "why a judgment does not count": wire.NotCounted,
        "outcome of a judgment": wire.JudgmentOutcome, "outcome of a task": wire.TaskOutcome,
        "reason of a dead letter": Reason, "why a snapshot is not used": snapshot.Flaw,
    }.items()
}  # fmt: skip

TABLES: list[tuple[str, str, Any]] = [
    ("purpose", "task_handlers.PURPOSES", task_handlers.PURPOSES),
    ("state of a project", "handlers.PROJECT_STATES", handlers.PROJECT_STATES),
    ("kind of annotator", "handlers.KINDS", handlers.KINDS),
    ("reason to decline", "handlers.REASONS", handlers.REASONS),
    ("source of a score", "handlers.SOURCES", handlers.SOURCES),
    ("end", "results.ENDS", results.ENDS[1:]),
    ("cause", "results.CAUSES", results.CAUSES[1:]),
    ("outcome of a judgment", "results.JUDGMENTS", results.JUDGMENTS[1:]),
    ("outcome of a task", "results.OUTCOMES", results.OUTCOMES[1:]),
    ("why a judgment does not count", "results.NOT_COUNTED", results.NOT_COUNTED[1:]),
    ("end", "why.ENDS", why.ENDS),
    ("end", "leases.AFTER", leases.AFTER),
    ("cause", "why.CAUSES", why.CAUSES),
    ("outcome of a task", "report.OUTCOMES", report.OUTCOMES),
    ("outcome of a judgment", "import_command.OUTCOMES", import_command.OUTCOMES),
    # the chaos run erases nobody
    ("reason of a dead letter", "ledger.REASONS and EXCUSED", (*ledger.REASONS, *ledger.EXCUSED, "erased")),
]

#: Collections that hold most of an enumeration and mean no more than that, by the name of their file.
PARTS = {
    ("answerers.py", "reason to decline"),  # what simulated people say when they decline
    ("habits.py", "reason to decline"),
    ("events.py", "state of a project"),  # words for why a judgment doesn't count
    ("outbox.py", "state of a project"),
    ("books.py", "outcome of a task"),  # after which a late judgment doesn't count
    ("annotators.py", "end"),  # those that an annotator did not cause
    ("fuzz_cases.py", "purpose"),  # values that turn up in fields of any kind
    ("ledger.py", "reason of a dead letter"),  # in TABLES, together with those that are excused
}


@pytest.mark.parametrize(("enumeration", "table"), [(e, t) for e, _, t in TABLES], ids=[name for _, name, _ in TABLES])
def test_a_table_holds_every_value_of_its_enumeration_once(enumeration: str, table: Any) -> None:
    assert sorted(table) == sorted(ENUMERATIONS[enumeration])


#: Values whose code has another name.
OTHERWISE = {"cancelled": "CANCEL", "corrected": "REPLACED", "retracted": "TAKEN_BACK"}


@pytest.mark.parametrize(
    ("table", "prefix"),
    [
        (results.ENDS, "END_"),
        (results.CAUSES, "CAUSE_"),
        (results.JUDGMENTS, ""),
        (results.OUTCOMES, ""),
        (results.NOT_COUNTED, "WHY_"),
    ],
)
def test_what_the_kernels_emit_is_published_under_its_name(table: tuple[Any, ...], prefix: str) -> None:
    names = [OTHERWISE.get(value, value.upper()) for value in table[1:]]
    assert table[0] is None
    assert [int(getattr(codes, prefix + name)) for name in names] == list(range(1, len(table)))


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (handlers.REASONS, {name: name.upper() for name in handlers.REASONS}),
        (handlers.PROJECT_STATES, {"active": "ACTIVE", "paused": "HELD", "closed": "CLOSED"}),
        (task_handlers.PURPOSES, {name: name.upper() for name in task_handlers.PURPOSES}),
    ],
)
def test_what_comes_in_reaches_the_kernels_under_its_code(table: dict[str, int], values: dict[str, str]) -> None:
    assert table == {value: int(getattr(codes, name)) for value, name in values.items()}


def literals(kind: inspect.Type) -> Iterator[tuple[Any, ...]]:
    match kind:
        case inspect.LiteralType(values=values):
            yield values
        case inspect.StructType(fields=fields):
            for field in fields:
                yield from literals(field.type)
        case inspect.UnionType(types=types):
            for one in types:
                yield from literals(one)
        case inspect.Metadata(type=item) | inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            yield from literals(item)


def test_every_enumeration_of_the_contract_is_known_here() -> None:
    known = {frozenset(values) for values in ENUMERATIONS.values()} | {frozenset({-1, 0, 1})}
    found = {frozenset(values) for kind in (wire.Input, wire.Result) for values in literals(inspect.type_info(kind))}
    assert len(found) > 10
    assert found <= known


def collections(path: Path) -> Iterator[tuple[int, set[str]]]:
    """Lines and texts of the dicts (their keys), tuples, lists and sets in a source."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        items = node.keys if isinstance(node, ast.Dict) else getattr(node, "elts", None)
        if items and isinstance(node, ast.expr):
            values = (one.value for one in items if isinstance(one, ast.Constant))
            yield node.lineno, {value for value in values if isinstance(value, str)}


def lacking(path: Path) -> list[str]:
    """What the collections of a source that hold most of an enumeration lack of it."""
    return [
        f"{path.name}:{line}: {name} lacks {sorted(set(values) - held)}"
        for line, held in collections(path)
        for name, values in ENUMERATIONS.items()
        if len(values) / 2 < len(held & set(values)) < len(values) and (path.name, name) not in PARTS
    ]


def test_no_table_of_the_sources_lacks_a_value() -> None:
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 100
    assert [line for path in sources for line in lacking(path)] == []


def test_a_table_that_lacks_a_value_is_found(tmp_path: Path) -> None:
    words = tmp_path / "words.py"
    words.write_text('CAUSES = {"cancel": 1, "pause": 2, "absence": 3, "met_need": 4, "override": 5}\n')
    assert lacking(words) == ["words.py:1: cause lacks ['erased']"]


def test_every_event_has_its_handler_and_its_place_in_the_audit() -> None:
    inputs = set(get_args(wire.Input))
    assert set(handlers.HANDLERS) == inputs
    followed = set(audited.OF_POOL) | set(audited.OF_TASK) | {wire.AnnotatorErased} | set(wire.NOT_SUPPORTED_YET)
    assert followed == inputs


GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
WORDS = [word.strip() for word in re.findall(r"^\| ([^|]+) \| [^|]+ \|[^|]*\|$", GLOSSARY, re.MULTILINE)][1:]


def parts_of_names(folder: str) -> Counter[str]:
    """How often words are part of names in the sources of a folder, plural or not."""
    found: Counter[str] = Counter()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in (getattr(node, key, None) for key in ("name", "id", "attr", "arg")):
                if isinstance(name, str):
                    words = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower().split("_")
                    found.update({word.removesuffix("s") for word in words})
    return found


def test_the_glossary_has_one_line_a_word_and_every_word_is_a_name_in_the_code() -> None:
    assert 40 <= len(WORDS) <= 50 and len(set(WORDS)) == len(WORDS) == GLOSSARY.count("\n| ") - 1
    names = parts_of_names("kernels") + parts_of_names("stream")
    assert [word for word in WORDS if names[word.removesuffix("s")] < 3] == []
    assert names["honeypot"] == names["reservation"] == 0


def test_the_words_that_meant_several_things_are_in_the_glossary() -> None:
    assert {"market", "due", "place", "share", "pool", "fits", "price"} <= set(WORDS)
