"""How the kernels are compiled: decorators, and the one instruction that Numba does not offer.

``_nrt=False`` compiles without Numba's runtime for allocated memory: an allocation inside a kernel becomes
a compile error, and array views cost no reference counts (an atomic operation
each).  ``error_model="numpy"`` removes the checks that could raise.  Kernels called only by kernels need no
Python wrapper, which is most of the compile time of a small one.  No ``fastmath``: sums and ties must not
depend on the machine."""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

entry = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True)
"""For kernels that Python calls."""

inner = njit(cache=True, nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True, no_cpython_wrapper=True)
"""For kernels that only kernels call."""

merged = njit(inline="always", _nrt=False, error_model="numpy")
"""For large kernels with a single caller: compiled as part of it, not twice."""


@intrinsic
def prefetch(typing_context, array, index):
    """Ask for the cache line of ``array[index]``; no effect on results, and no fault for a wrong index."""

    def generate(context, builder, signature, args):
        view = context.make_array(signature.args[0])(context, builder, args[0])
        byte, word = ir.IntType(8), ir.IntType(32)
        line = builder.bitcast(builder.gep(view.data, [args[1]]), ir.PointerType(byte))
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(byte), word, word, word])
        llvm_prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(llvm_prefetch, [line, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
