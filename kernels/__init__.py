"""Kernels: arrays in, arrays out, compiled by numba. No I/O, clock, strings, dicts; nothing of ours is imported.

Compiled code is cached on disk. Numba notices a change in the file of the kernel it caches, but not one in a kernel
that this one calls from another file: it would go on running the old code. So the cache's folder carries a digest of
all the sources.
"""

import hashlib
import os
from pathlib import Path

_here = Path(__file__).parent
_digest = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(_here.rglob("*.py")))
).hexdigest()[:16]
_base = Path(os.environ.get("NUMBA_CACHE_DIR") or _here / "__pycache__")
if _base.name != _digest:  # a child process inherits the folder with its digest
    os.environ["NUMBA_CACHE_DIR"] = str(_base / _digest)
