"""Compile every kernel ahead of its first use: ``python -m kernels``.

Numba compiles a function for the types of its first call, which takes seconds, and keeps the result on disk
(``NUMBA_CACHE_DIR``, else beside the source). ``precompile()`` of a module or package calls its kernels once
with the types that the core uses; a second run finds everything on disk.
"""

import importlib
import pkgutil
import time

import kernels


def precompile() -> list[str]:
    """Call every ``precompile()`` that a module or subpackage of ``kernels`` declares; return their names."""
    done = []
    for module in pkgutil.iter_modules(kernels.__path__, prefix="kernels."):
        if module.name == "kernels.__main__":
            continue
        compile_module = getattr(importlib.import_module(module.name), "precompile", None)
        if compile_module is not None:
            compile_module()
            done.append(module.name)
    return done


if __name__ == "__main__":
    began = time.perf_counter()
    names = precompile()
    print(f"kernels ready in {time.perf_counter() - began:.1f} s: {', '.join(names)}")
