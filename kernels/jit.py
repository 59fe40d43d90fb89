"""How the kernels are compiled.

``_nrt=False`` compiles without numba's runtime for allocated memory: an allocation inside a kernel becomes a compile
error, and array views cost no reference counts (an atomic operation each, dozens a call for a tuple of columns).
``error_model="numpy"`` removes the checks that could raise. No ``fastmath``: sums and ties must not depend on the
machine.

Numba makes a finished program of every function it compiles, together with all that the function calls, even where
nobody will ever start it: with kernels of several layers the same code is optimised once a layer. Here the kernels
that only kernels call stay unoptimised parts, and each is optimised once in every entry it becomes part of. That takes
half of the compile time away. The classes that do it override private names of numba, whose version is pinned.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar

from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler, CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import IRLegalization
from numba.extending import intrinsic

from kernels.cache import KernelCache
from kernels.interpreted import INTERPRETED, interpreted

Function = TypeVar("Function", bound=Callable[..., Any])


class Decorator(Protocol):
    """Makes a kernel of a function; to whoever calls it, it is the function."""

    def __call__(self, kernel: Function, /) -> Function: ...


class _Part(JITCodeLibrary):
    """Code that is linked into the kernels that call it, and never runs by itself."""

    #: an environment belongs to code that can run
    codegen = SimpleNamespace(set_env=lambda name, environment: None)

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


@register_pass(mutates_CFG=False, analysis_only=True)
class _LowerToPart(FunctionPass):
    _name = "lower_to_part"

    def __init__(self):
        super().__init__()

    def run_pass(self, state):
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        return False


class PartCompiler(CompilerBase):
    """Compiles code that is only ever part of its callers."""

    def define_pipelines(self):
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        at = [kind for kind, _ in passes.passes].index(IRLegalization)
        passes.passes.insert(at, (_LowerToPart, "part of its callers"))
        passes.finalize()
        return [passes]


class Kernel(CPUDispatcher):
    """A compiled function, in one version for integers of any width: what is narrower comes as int64.

    Numba compiles a function anew for every combination of argument types it meets, and a field of four bytes, or a
    literal number, is another type than an index.
    """

    def compile(self, given):
        """Compile for these argument types, or load what is kept; numba comes here from Python and from kernels."""
        return super().compile(tuple(map(_widened, given)))

    def enable_caching(self):
        """Keep compiled code on disk."""
        self._cache = KernelCache(self.py_func)


def _widened(given):
    given = types.unliteral(given)
    return types.int64 if isinstance(given, types.Integer) and given.bitwidth < types.int64.bitwidth else given


def _compiled(compiler: type[CompilerBase] = Compiler, **options: Any) -> Decorator:
    def decorate(kernel: Function) -> Function:
        made = Kernel(kernel, targetoptions={"nopython": True, **options}, pipeline_class=compiler)
        if compiler is Compiler:
            made.enable_caching()
        return made

    return decorate


OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
PART = {**OPTIONS, "no_cpython_wrapper": True}


def _as_it_is(kernel: Function) -> Function:
    return kernel


entry: Decorator = interpreted if INTERPRETED else _compiled(**OPTIONS)
"""For kernels that Python calls."""

allocating: Decorator = interpreted if INTERPRETED else _compiled(nogil=True)
"""For tools that Python calls beside the market: they may allocate, and raise as Python does."""

inner: Decorator = _as_it_is if INTERPRETED else _compiled(PartCompiler, **PART)
"""For kernels that only kernels call: kept as part of their callers."""

inlined: Decorator = _as_it_is if INTERPRETED else _compiled(PartCompiler, **PART, forceinline=True)
"""For small kernels in the loops of others: a call would pass every array of a tuple as seven numbers on the stack."""


def instructions(write: Callable[..., Any]) -> Decorator:
    """A kernel that `write` writes as LLVM instructions (an `intrinsic`); what is decorated says the same in Python."""

    def decorate(body: Function) -> Function:
        return body if INTERPRETED else intrinsic(write)

    return decorate
