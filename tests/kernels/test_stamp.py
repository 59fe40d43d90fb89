"""Compiled code is used as long as nothing has changed of which it is made, and no longer."""

import ast
import importlib
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numba import config

import kernels
from kernels.stamp import of, stamp

pytestmark = pytest.mark.compiled

ROOT = Path(kernels.__path__[0])

SAMPLE = {
    "far": '''"""Far away."""
from typing import NamedTuple
import numpy as np
from numba import types
from numba.extending import intrinsic

LIMIT = 3
TABLE = np.array([1.0, 2.0])
ROW = np.dtype([("x", "i4"), ("y", "f8")])
PAIR = (1, 2.0)
ELSEWHERE = 5

class Both(NamedTuple):
    first: int
    second: int

def made(number):
    @intrinsic
    def one(typing_context):
        def generate(context, builder, signature, args):
            return context.get_constant(types.int64, number)
        return types.int64(), generate
    return one

seven = made(7)
''',
    "middle": '''"""In between."""
from kernels.jit import inner
from . import far
from .far import Both, TABLE

@inner
def least(x):
    """Says what it does."""
    return min(x, far.LIMIT) + TABLE[0] + Both(1, 2).first  # and why

@inner
def beside(x):
    return x + 1
''',
    "near": '''"""Near."""
import numpy as np
from kernels.jit import allocating, inner
from .far import PAIR, ROW, seven
from .middle import least

@inner
def twice(x):
    return 2 * x

@allocating
def kernel(x):
    """The entry."""
    return twice(least(x)) + PAIR[1] + np.empty(1, ROW).size + seven()
''',
}

CHANGES = {
    "a constant three modules away": ("far", "LIMIT = 3", "LIMIT = 4"),
    "a constant's type": ("far", "LIMIT = 3", "LIMIT = 3.0"),
    "an array": ("far", "[1.0, 2.0]", "[1.0, 2.5]"),
    "an array's dtype": ("far", "np.array([1.0, 2.0])", "np.array([1.0, 2.0], np.float32)"),
    "a dtype": ("far", '("x", "i4")', '("x", "i8")'),
    "a tuple": ("far", "(1, 2.0)", "(1, 2.5)"),
    "a named tuple's fields": ("far", "    first: int\n    second: int", "    second: int\n    first: int"),
    "what a closure keeps": ("far", "made(7)", "made(8)"),
    "Python that writes instructions": ("far", "types.int64, number", "types.int64, number + 1"),
    "a kernel two calls away": ("middle", "min(x, far.LIMIT)", "max(x, far.LIMIT)"),
    "which kernel is called": ("near", "twice(least(x))", "least(twice(x))"),
    "the kernel's own literal": ("near", "2 * x", "3 * x"),
    "a default": ("near", "def twice(x)", "def twice(x=1)"),
    "how a kernel is compiled": ("middle", "@inner\ndef least", "@inlined\ndef least"),
}

NO_CHANGES = {
    "comments": ("middle", "  # and why", "  # or not"),
    "docstrings": ("middle", "Says what it does.", "Says more."),
    "a docstring that was missing": ("near", "def twice(x):", 'def twice(x):\n    """Times two."""'),
    "the module's docstring, and all lines further down": ("far", "Far away.", "Far\n\n\naway."),
    "annotations": ("near", "def twice(x):", "def twice(x: float) -> float:"),
    "a constant nobody uses": ("far", "ELSEWHERE = 5", "ELSEWHERE = 6"),
    "a kernel that isn't called": ("middle", "return x + 1", "return x + 2"),
}


def write(folder: Path, name: str = "", old: str = "", new: str = "") -> None:
    """Write the sample package, with one text changed."""
    (folder / "sample").mkdir(exist_ok=True)
    (folder / "sample" / "__init__.py").touch()
    for module, source in SAMPLE.items():
        assert module != name or source.count(old) == 1
        changed = source.replace(old, new) if module == name else source
        changed = changed.replace("import inner", "import inlined, inner")
        (folder / "sample" / f"{module}.py").write_text(changed)


@pytest.fixture
def stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The stamp of the sample's kernel, with one text changed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def made(*change: str) -> str:
        for module in [name for name in sys.modules if name.partition(".")[0] == "sample"]:
            del sys.modules[module]
        write(tmp_path, *change)
        importlib.invalidate_caches()
        return stamp(importlib.import_module("sample.near").kernel.py_func)

    return made


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_kernel_is_made_of_counts(change: str, stamped: Callable[..., str]) -> None:
    assert stamped() != stamped(*CHANGES[change])


@pytest.mark.parametrize("change", NO_CHANGES)
def test_what_a_kernel_is_not_made_of_does_not_count(change: str, stamped: Callable[..., str]) -> None:
    assert stamped() == stamped(*NO_CHANGES[change])


@pytest.mark.parametrize("setting", ["BOUNDSCHECK", "OPT"])
def test_settings_that_change_code_count(
    setting: str, stamped: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stamped()
    monkeypatch.setattr(config, setting, 2)
    assert stamped() != before


def test_a_global_that_no_digest_can_be_made_of_is_an_error() -> None:
    with pytest.raises(TypeError, match="stamp can cover"):
        of((1, object()))


def test_values_that_look_alike_are_told_apart() -> None:
    alike = [1, 1.0, True, "1", b"1", None, "None", -0.0, 0.0, np.int32(1), np.int64(1), (1,), (1, ()), ((1,),), [1]]
    alike += [np.ones(1), np.ones((1, 1)), np.ones(1, np.float32), {1: 2}, {1, 2}, np.dtype("i4"), np.int32]
    assert len({of(value) for value in alike}) == len(alike)


STAMPS_OF_ALL = """
import importlib, json, pkgutil
import kernels
from kernels.cache import KernelCache
from kernels.stamp import stamp
found = {}
for module in pkgutil.walk_packages(kernels.__path__, "kernels."):
    for value in vars(importlib.import_module(module.name)).values():
        if isinstance(getattr(value, "_cache", None), KernelCache):
            found[value.py_func.__module__ + "." + value.py_func.__qualname__] = stamp(value.py_func)
print(json.dumps(found))
"""


def run(code: str, folder: Path, **environ: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **environ}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stamps(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(run(STAMPS_OF_ALL, folder))
    return found


def copied(folder: Path, edit: Callable[[Path, str], str] = lambda path, text: text) -> dict[str, str]:
    """The stamps of all our kernels, with every file edited."""
    for path in ROOT.rglob("*.py"):
        target = folder / "kernels" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(edit(path.relative_to(ROOT), path.read_text()))
    return stamps(folder)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return copied(tmp_path_factory.mktemp("ours"))


def without_words(source: str) -> str:
    """The program without comments and docstrings, its lines elsewhere."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            said = [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
            node.body = said or [ast.Pass()]  # type: ignore[attr-defined]
    return "\n\n" + ast.unparse(tree)


@pytest.mark.slow
def test_every_kernel_of_ours_has_a_stamp_and_no_comment_or_docstring_is_in_it(
    ours: dict[str, str], tmp_path: Path
) -> None:
    assert len(ours) > 40 and len(set(ours.values())) == len(ours)
    assert copied(tmp_path, lambda path, text: without_words(text)) == ours


def changed(path: str, old: str, new: str, folder: Path) -> dict[str, str]:
    def edit(name: Path, text: str) -> str:
        assert str(name) != path or old in text
        return text.replace(old, new) if str(name) == path else text

    return copied(folder, edit)


@pytest.mark.slow
def test_a_constant_of_ours_concerns_the_kernels_that_come_to_use_it(ours: dict[str, str], tmp_path: Path) -> None:
    """`recall_kernel` calls `once.permits`, as `may_offer` does elsewhere: it speaks in these codes."""
    before, after = "LAPSED, WITHDRAWN = _typed(3, 4)", "LAPSED, WITHDRAWN = _typed(4, 3)"
    now = changed("lifecycle/codes.py", before, after, tmp_path)
    concerned = {name for name in ours if now[name] != ours[name]}
    assert {"kernels.candidates.recall_kernel", "kernels.teaching.teach", "kernels.lifecycle.apply.apply"} <= concerned
    assert not any(name.startswith(("kernels.auction", "kernels.skill", "kernels.hashing")) for name in concerned)


@pytest.mark.slow
def test_a_kernel_of_ours_concerns_those_that_call_it_alone(ours: dict[str, str], tmp_path: Path) -> None:
    now = changed("teaching.py", "HOPELESS = 0.02", "HOPELESS = 0.03", tmp_path)
    assert {name for name in ours if now[name] != ours[name]} == {
        "kernels.teaching.find_wanting", "kernels.teaching.teach",
    }  # fmt: skip


@pytest.mark.slow
def test_how_kernels_are_compiled_concerns_all(ours: dict[str, str], tmp_path: Path) -> None:
    now = changed("jit.py", '"error_model": "numpy"', '"error_model": "python"', tmp_path)
    assert not set(now.values()) & set(ours.values())


COUNTED = """
from sample.near import kernel
print(kernel(1), sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
"""


@pytest.mark.slow
def test_changed_code_is_compiled_anew_and_only_that(tmp_path: Path) -> None:
    def play(*change: str, **environ: str) -> list[str]:
        write(tmp_path, *change)
        shutil.rmtree(tmp_path / "sample" / "__pycache__", ignore_errors=True)
        path = f"{tmp_path}{os.pathsep}{ROOT.parent}"
        return run(COUNTED, tmp_path, PYTHONPATH=path, NUMBA_CACHE_DIR=str(tmp_path / "cache"), **environ).split()

    assert play() == ["16.0", "0", "1"]
    assert play(*NO_CHANGES["comments"]) == ["16.0", "1", "0"]
    assert play(*NO_CHANGES["docstrings"]) == ["16.0", "1", "0"]
    assert play(*CHANGES["an array"]) == ["16.0", "0", "1"]
    for index in (tmp_path / "cache").rglob("*.nbi"):  # of code whose types live in modules that have moved since
        head = io.BytesIO(index.read_bytes())
        index.write_bytes(pickle.dumps(pickle.load(head)) + b"cmodule.that.has.moved\nName\n.")
    assert play() == ["16.0", "0", "1"]
    assert play(*CHANGES["a kernel two calls away"]) == ["20.0", "0", "1"]
    assert play(*CHANGES["a kernel two calls away"], NUMBA_BOUNDSCHECK="1") == ["20.0", "0", "1"]
