"""Rules and terms are whole: each has what a slice has, and is part of what puts them together."""

import ast
import inspect
from pathlib import Path

import pytest

from kernels import rules, terms
from kernels.rules import predicate

FOLDERS = {package: Path(inspect.getfile(package)).parent for package in (rules, terms)}


def modules(package: object) -> set[str]:
    return {path.stem for path in FOLDERS[package].glob("*.py")} - {"__init__"}  # type: ignore[index]


def called(function: object) -> set[str]:
    """What `module.function` a kernel calls."""
    tree = ast.parse(inspect.getsource(getattr(function, "py_func", function)))
    return {
        f"{node.func.value.id}.{node.func.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
    }


def test_every_rule_is_one_of_pairs_or_of_all() -> None:
    listed = {rule.__name__.rpartition(".")[2] for rule in (*predicate.OF_PAIRS, *predicate.OF_ALL)}
    assert listed == modules(rules) - {"predicate", "charges"}


def test_every_rule_of_pairs_is_asked() -> None:
    asked = called(predicate.permitted) | called(predicate.allowed)
    assert asked == {f"{rule.__name__.rpartition('.')[2]}.permits" for rule in predicate.OF_PAIRS}


def test_every_term_is_reckoned_in_its_place() -> None:
    assert {name for name in modules(terms)} == set(terms.NAMES)
    lines = [line.strip() for line in inspect.getsource(getattr(terms.reckon, "py_func", terms.reckon)).splitlines()]
    for place, name in enumerate(terms.NAMES):
        assert f"out[{place}] = {name}.worth(pool, t, a, case, policy)" in lines
    assert terms.NAMES[terms.INFORMATION] == "information" and terms.NAMES[terms.COST] == "cost"


@pytest.mark.parametrize("slice_", [*predicate.OF_PAIRS, *predicate.OF_ALL, *terms.OF_VALUE])
def test_every_slice_has_words(slice_: object) -> None:
    words = getattr(slice_, "WORDS")  # noqa: B009 - of any of them
    assert isinstance(words, str) and len(words) > 20 and words == words.strip(" .")
