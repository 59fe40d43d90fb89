"""Every target of the Makefile says what it does and runs something that exists."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
PHONY = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", MAKEFILE, re.MULTILINE)
assert PHONY is not None
TARGETS = PHONY[1].replace("\\\n", " ").split()


def test_the_help_names_every_target_and_says_what_it_does() -> None:
    command = ["make", "--no-print-directory", "help"]  # it may itself run under make
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert list(lines) == TARGETS
    assert all(len(text) > 10 for text in lines.values())


def test_every_module_a_target_runs_exists() -> None:
    modules = set(re.findall(r"python -m ([a-z_.]+)", MAKEFILE))
    assert {module for module in modules if importlib.util.find_spec(module) is None} == set()


def test_every_program_a_target_runs_comes_with_the_environment() -> None:
    programs = set(re.findall(r"\$\(BIN\)/([a-z-]+)", MAKEFILE)) - {"python"}
    assert {program for program in programs if not (Path(sys.prefix) / "bin" / program).exists()} == set()


def test_the_entry_points_of_the_project_can_be_loaded() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for group in ("console_scripts", "faust.transports", "faust.stores"):
        ours = [entry for entry in entry_points(group=group) if entry.name == "allocator"]
        assert len(ours) == 1
        assert callable(ours[0].load())
    assert set(project["entry-points"]) == {"faust.transports", "faust.stores"}


def test_ci_runs_the_checks_and_the_tests_and_nothing_else() -> None:
    commands = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith("make")]
    assert [command.split()[1] for command in commands] == ["check", "test"]
