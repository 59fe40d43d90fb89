"""Ask for memory before it is needed."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def prefetch(typing, column, i):
    """Fetch the beginning of `column`[i] into the cache, without waiting for it."""

    def generate(context, builder, signature, arguments):
        kind = signature.args[0]
        array = context.make_array(kind)(context, builder, arguments[0])
        at = [arguments[1]] + [arguments[1].type(0)] * (kind.ndim - 1)
        place = builder.bitcast(cgutils.get_item_pointer(context, builder, kind, array, at), ir.IntType(8).as_pointer())
        word = ir.IntType(32)
        called = ir.FunctionType(ir.VoidType(), [place.type, word, word, word])
        fetch = cgutils.get_or_insert_function(builder.module, called, "llvm.prefetch.p0")
        builder.call(fetch, [place, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(column, types.int64), generate
