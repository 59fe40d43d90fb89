"""Compile every kernel ahead of its first use: ``python -m kernels``.

Numba compiles a function for the types of its first call, which takes seconds, and keeps the result on disk
(``NUMBA_CACHE_DIR``, else beside the source). Each subpackage's ``precompile()`` calls its kernels once with
the types that the core uses; a second run finds everything on disk.
"""

import importlib
import pkgutil
import time

import kernels


def precompile() -> list[str]:
    """Call ``precompile()`` of every subpackage that has kernels; return their names.

    A package without compiled functions declares none.
    """
    done = []
    for module in pkgutil.iter_modules(kernels.__path__, prefix="kernels."):
        if not module.ispkg:
            continue
        compile_package = getattr(importlib.import_module(module.name), "precompile", None)
        if compile_package is not None:
            compile_package()
            done.append(module.name)
    return done


if __name__ == "__main__":
    began = time.perf_counter()
    names = precompile()
    print(f"kernels ready in {time.perf_counter() - began:.1f} s: {', '.join(names)}")
