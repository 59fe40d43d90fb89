"""What an image and a wheel contain: the product, and nothing that can hurt it."""

import fnmatch
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from setuptools import find_namespace_packages

ROOT = Path(__file__).parents[2]
FAULTS = {
    "ALLOCATOR_FAULT_KILL": "rebalance.assigned",
    "ALLOCATOR_FAULT_CLOCK_S": "3600",
    "ALLOCATOR_FAULT_TAKEOVER": "block",
    "ALLOCATOR_FAULT_UNFENCED": "1",
    "ALLOCATOR_FAULT_EVENT": "e",
    "ALLOCATOR_FAULT_SOLVE": "t",
    "ALLOCATOR_FAULT_DOUBLE_OFFER": "1",
    "ALLOCATOR_FAULT_OLDER": "1",
}


def is_sent(path: str, rules: list[str]) -> bool:
    """Whether a file is part of the context of a build: the last rule of .dockerignore that meets it decides."""
    sent = True
    parents = [path, *(str(parent) for parent in Path(path).parents)][:-1]
    for rule in rules:
        pattern = rule.removeprefix("!")
        names = {pattern, pattern.removeprefix("**/")}
        if any(fnmatch.fnmatchcase(parent, name) for parent in parents for name in names):
            sent = rule.startswith("!")
    return sent


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources that the Dockerfile copies."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert {"kernels", "stream", "load", "pyproject.toml"} <= set(names)
    target = tmp_path_factory.mktemp("image")
    for path in (path for name in names for path in (ROOT / name, *(ROOT / name).rglob("*"))):
        name = str(path.relative_to(ROOT))
        if path.is_file() and is_sent(name, rules):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / name)
    return target


def run(image: Path, program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the image's folder, where this checkout (an editable installation) can't be imported."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("ALLOCATOR_")}
    alone = "import sys; sys.meta_path = [finder for finder in sys.meta_path if 'Editable' not in repr(finder)]\n"
    return subprocess.run(
        [sys.executable, "-c", alone + program], cwd=image, env=own | environ, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def test_no_file_of_the_image_knows_of_planted_faults(image: Path) -> None:
    texts = {path.relative_to(image): path.read_text() for path in image.rglob("*.py")}
    assert len(texts) > 150
    assert [str(path) for path, text in texts.items() if "ALLOCATOR_FAULT" in text] == []


def test_the_image_can_play_the_demo_and_nothing_else_of_load(image: Path) -> None:
    assert {path.name for path in (image / "load").iterdir() if path.is_dir()} == {"world", "system", "replay"}
    shown = run(image, "import load.replay.demo as d; print(d.__file__); d.demo(['--help'])")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(str(image))
    missing = run(image, "import load.planted")
    assert missing.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'load.planted'"


@pytest.mark.slow
def test_every_module_of_the_image_can_be_imported_there(image: Path) -> None:
    """Nothing that is copied needs what is not."""
    modules = sorted(
        ".".join(path.relative_to(image).with_suffix("").parts)
        for top in ("stream", "streaming_allocator", "load")
        for path in (image / top).rglob("*.py")
        if path.name not in ("__init__.py", "evaluation_plot.py")  # which needs matplotlib
    )
    done = run(image, f"import importlib\nfor name in {modules}: importlib.import_module(name)")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_worker_of_the_image_starts_as_if_no_fault_were_asked_for(image: Path, tmp_path: Path) -> None:
    """It comes as far as the web server's port, which is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        program = "from stream.shell.commands.cli import main; main(['worker'])"
        done = run(
            image, program, ALLOCATOR_WEB_PORT=port, ALLOCATOR_WEB_HOST="127.0.0.1",
            ALLOCATOR_DATA_DIR=str(tmp_path), ALLOCATOR_FAULT_NONSENSE="1", **FAULTS,
        )  # fmt: skip
    said = done.stdout + done.stderr
    assert (done.returncode, "can't be bound" in said) == (2, True), said
    assert "fault" not in said


def test_steps_clock_and_fencing_of_the_image_are_what_they_say(image: Path) -> None:
    program = """
import time
from stream.settings import load
from stream.shell.kafka import clients
from stream.shell.process import clock, steps
for step in steps.STEPS:
    steps.reach(step)
print(abs(clock.unix_s() - time.time()) < 1.0, clients.transactional_id(load(), 3))
"""
    done = run(image, program, **FAULTS)
    assert (done.returncode, done.stdout) == (0, "True allocator-3\n"), done.stderr


def test_a_wheel_contains_the_same_packages(image: Path) -> None:
    """What setuptools would find, by the project's own rules."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    packages = set(find_namespace_packages(str(ROOT), found["exclude"], found["include"]))
    sent = {".".join(path.parent.relative_to(image).parts) for path in image.rglob("*.py")}
    assert sent <= packages
    code = {name for name in packages if any((ROOT / name.replace(".", "/")).glob("*.py"))}
    assert code == sent
