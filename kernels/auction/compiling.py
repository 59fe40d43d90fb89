"""What compiling the auction needs beside the decorators of all kernels."""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from kernels.jit import entry, inlined, inner, instructions

__all__ = ["entry", "inlined", "inner", "instructions", "merged", "prefetch"]

merged = njit(inline="always", _nrt=False, error_model="numpy")
"""For large kernels with a single caller: compiled as part of it, not twice."""


def _write_prefetch(typing_context, array, index):
    def generate(context, builder, signature, args):
        view = context.make_array(signature.args[0])(context, builder, args[0])
        byte, word = ir.IntType(8), ir.IntType(32)
        line = builder.bitcast(builder.gep(view.data, [args[1]]), ir.PointerType(byte))
        kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(byte), word, word, word])
        llvm_prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(llvm_prefetch, [line, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@instructions(_write_prefetch)
def prefetch(array, index):
    """Ask for the cache line of ``array[index]``; no effect on results, and no fault for a wrong index."""
