"""Kernels: arrays in, arrays out, compiled by numba. No I/O, clock, strings, dicts; nothing of ours is imported.

Compiled code is cached on disk. Numba compares the file of the cached kernel with the one it was compiled from, but
not the files of the kernels that it calls: after a change in one of those it would go on running the old code. So
the stamp of a kernel here covers every file it may call. The auction calls nothing outside its package, nothing else
calls it, and how kernels are compiled (`jit.py`) concerns all. It covers too whether numba was told to check indices
(``NUMBA_BOUNDSCHECK``), which the cache doesn't know.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any

from numba.core import caching, config

_HERE = Path(__file__).parent
_AUCTION = _HERE / "auction"


@functools.cache
def _digest(auction: bool) -> str:
    """Digest of the sources of the auction, or of all the others."""
    concerned = (p for p in _HERE.rglob("*.py") if p == _HERE / "jit.py" or p.is_relative_to(_AUCTION) == auction)
    sources = sorted(concerned)
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _stamp(locator: Any) -> Any:
    """Numba's own stamp of a source file, and the digest of what its kernels may call."""
    path = Path(locator._py_file)
    own = _own_stamp(locator)
    if not path.is_relative_to(_HERE):
        return own
    return own, _digest(path.is_relative_to(_AUCTION)), bool(config.BOUNDSCHECK)


_own_stamp = caching._SourceFileBackedLocatorMixin.get_source_stamp
caching._SourceFileBackedLocatorMixin.get_source_stamp = _stamp
