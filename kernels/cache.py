"""The cache on disk in which compiled kernels are kept: numba's own, but that freshness is a matter of `stamp`.

Two things of numba's cache are overridden, for our kernels alone: its version, by which an index is known to be of use
before anything of it is unpickled (what is stale may name modules that are gone), and the line number in the names of
the cached files. Its version is pinned.
"""

from typing import Any

from numba.core.caching import CacheImpl, CompileResultCacheImpl, FunctionCache

from kernels.stamp import stamp


class _Place:
    """Where a kernel is kept: as numba finds it, whatever the file says and wherever in it the kernel stands."""

    def get_source_stamp(self) -> str:
        return "its version says it"

    def get_disambiguator(self) -> str:
        return "kernel"


class _Kept(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = tuple(type(place.__name__, (_Place, place), {}) for place in CacheImpl._locator_classes)


class KernelCache(FunctionCache):  # type: ignore[misc]
    """What is kept of one kernel."""

    _impl_class = _Kept

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Look for compiled code; numba does so before it compiles, and saves after it."""
        self._cache_file._version = stamp(self._py_func)
        return super().load_overload(signature, context)
