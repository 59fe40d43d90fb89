"""A kernel's stamp: a digest of all that its machine code is made of, by which code kept on disk is known to be fresh.

Numba compares the file of a kernel with the one it was compiled from. That is too little, for the file of a kernel
that it calls may be another one; and too much, for a comment is no other program. The stamp covers instead

    the kernel         bytecode, constants, defaults, closure; what is not in there (comments, docstrings, annotations,
                       line numbers, the functions beside it) doesn't count
    what it names      the module's globals, again each with what it names, across modules: kernels and how they are
                       compiled, Python that writes LLVM instructions, numbers, arrays, dtypes, named tuples
    how it is made     ``kernels/jit.py``, numba's settings that change code, the versions of what compiles

Of a module that a kernel names, what counts is whatever has the name of one of the kernel's attributes: the stamp
rather covers too much. A global that no digest can be made of is a TypeError.

It is made when the kernel is first called: by then all it names exists.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator
from dis import EXTENDED_ARG, get_instructions, hasconst
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import config, types
from numba.core.dispatcher import Dispatcher
from numba.extending import _Intrinsic

LIBRARIES = {"builtins", "llvmlite", "math", "numba", "numpy", "operator"}
"""Of these the name is enough, and the version below."""

SETTINGS = "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE"

PLAIN = type(None), bool, int, float, complex, str, bytes, np.generic, np.dtype, types.Type, BuiltinFunctionType

LOADING = frozenset(hasconst)

_made: dict[int, tuple[Any, str]] = {}
"""Digests by identity, each beside what it is of, so that the identity stays taken."""

_being_made: list[Any] = []


def stamp(kernel: FunctionType) -> str:
    """Digest of all that the machine code of `kernel` is made of."""
    return _digest([how_kernels_are_compiled(), *(f"{name}={getattr(config, name)}" for name in SETTINGS), of(kernel)])


@functools.cache
def how_kernels_are_compiled() -> str:
    """Digest of the program of ``kernels/jit.py`` and of the compilers' versions."""
    program = ast.parse((Path(__file__).parent / "jit.py").read_bytes())
    for node in ast.walk(program):
        body = getattr(node, "body", None)
        if isinstance(body, list):  # strings that stand alone say something to people
            said = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = said or [ast.Pass()]  # type: ignore[attr-defined]
    return _digest([ast.dump(program), numba.__version__, llvmlite.__version__, np.__version__])


def of(value: Any) -> str:
    """Digest of a function, or of anything that one may name."""
    known = _made.get(id(value))
    if known is None:
        if any(value is begun for begun in _being_made):
            raise TypeError(f"{value}: expected no kernel that comes to call itself")
        _being_made.append(value)
        try:
            known = _made[id(value)] = value, _digest(_parts(value))
        finally:
            _being_made.pop()
    return known[1]


def _digest(parts: Iterator[str] | list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _parts(value: Any) -> Iterator[str]:
    yield type(value).__qualname__
    if isinstance(value, Dispatcher):
        yield f"{sorted(value.targetoptions.items())} {value._compiler.pipeline_class.__qualname__}"
        yield of(value.py_func)
    elif isinstance(value, _Intrinsic):
        yield of(value._defn)
    elif isinstance(value, FunctionType):
        yield from [_name(value)] if _is_of_a_library(value) else _parts_of_function(value)
    elif isinstance(value, CodeType):
        yield from _parts_of_code(value)
    elif isinstance(value, type):
        yield f"{_name(value)} {getattr(value, '_fields', '')}"
    elif isinstance(value, ModuleType):
        yield value.__name__
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape} {value.tobytes().hex()}"
    elif isinstance(value, tuple | list):
        yield of(type(value))
        yield from map(of, value)
    elif isinstance(value, set | frozenset):
        yield from sorted(map(of, value))
    elif isinstance(value, dict):
        yield from map(of, value.items())
    elif isinstance(value, PLAIN) or type(value).__module__.startswith("llvmlite.ir"):
        yield repr(value)
    else:
        raise TypeError(f"Expected something that a kernel's stamp can cover, got {type(value)}: {value!r}")


def _parts_of_function(function: FunctionType) -> Iterator[str]:
    yield _name(function)
    yield from map(of, (function.__code__, function.__defaults__, function.__kwdefaults__))
    yield from (of(cell.cell_contents) for cell in function.__closure__ or ())
    loaded, names = _names(function.__code__)
    for name in sorted(loaded & function.__globals__.keys()):
        value = function.__globals__[name]
        yield f"{name} {of(value)}"
        if isinstance(value, ModuleType) and not _is_of_a_library(value):
            inside = sorted(names & vars(value).keys())
            yield from (f"{name}.{other} {of(getattr(value, other))}" for other in inside)


def _names(code: CodeType) -> tuple[set[str], set[str]]:
    """Names of its module that it loads, and all names, which attributes of anything have as well."""
    loaded = {step.argval for step in get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inside = _names(constant)
            loaded |= inside[0]
            names |= inside[1]
    return loaded, names


def _parts_of_code(code: CodeType) -> Iterator[str]:
    """Instructions with the constants they load: the docstring, which none does, would move the places of others."""
    yield f"{code.co_names} {code.co_varnames} {code.co_cellvars} {code.co_freevars}"
    yield f"{code.co_argcount} {code.co_kwonlyargcount} {code.co_exceptiontable.hex()}"
    place = 0
    for instruction, argument in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        place = place << 8 | argument
        if instruction != EXTENDED_ARG:
            yield f"{instruction} {of(code.co_consts[place]) if instruction in LOADING else place}"
            place = 0


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _is_of_a_library(value: Any) -> bool:
    module = value.__name__ if isinstance(value, ModuleType) else value.__module__
    return str(module).partition(".")[0] in LIBRARIES
