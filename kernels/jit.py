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

from types import SimpleNamespace

from numba import njit
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.typed_passes import IRLegalization


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


OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}

entry = njit(cache=True, **OPTIONS)
"""For kernels that Python calls."""

inner = njit(no_cpython_wrapper=True, pipeline_class=PartCompiler, **OPTIONS)
"""For kernels that only kernels call: cached as part of their callers."""

inlined = njit(no_cpython_wrapper=True, pipeline_class=PartCompiler, forceinline=True, **OPTIONS)
"""For small kernels in the loops of others: a call would pass every array of a tuple as seven numbers on the stack."""
