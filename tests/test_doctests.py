"""Examples in docstrings do what they show."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in ("kernels", "stream", "load")
    for path in sorted((ROOT / package).rglob("*.py"))
    if re.search(r"^ *>>> (?!.*\+SKIP)", path.read_text(), re.MULTILINE)
]


def test_there_are_examples() -> None:
    assert {"kernels.auction.solver", "stream.settings", "load.world.crowd"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_do_what_they_show(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
