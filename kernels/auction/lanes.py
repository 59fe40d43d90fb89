"""The best few surpluses among arcs in one pass, eight arcs at a time: the inner loop of every bid.

A bid needs the ``q`` best of ``s = w − dual`` and the best one it leaves, where ``dual`` is the price or the profit
on the other side of the arc.  Eight lanes read every eighth arc each, and keep their own best ``q + 1`` in a sorted
list, without a branch:

    key[d] ← key[d − 1] if s > key[d − 1] else s if s > key[d] else key[d]

Then ``q + 1`` times the largest head of the lanes is taken, and its lane moves up.  Only positive surpluses count (NaN
and −inf never do); among equals the lowest place wins, because a lane meets its arcs in order and puts each behind its
equals, and heads of equal surplus are compared by place.

Numba has no vectors and LLVM finds none in such a loop, so these functions are written as LLVM instructions; LLVM
turns them into what the processor has.  For tests they are compared with a sort.

Arcs come as two arrays (rows of `Edges`) or as records `ARC` and `ARC32` (`columns`)."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from kernels.auction.compiling import instructions

WIDTH = 8
FEW = 3
"""Largest q with a function here."""

_BIT, _WORD, _LONG, _SINGLE, _DOUBLE = ir.IntType(1), ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()
_SURPLUSES, _PLACES = ir.VectorType(_DOUBLE, WIDTH), ir.VectorType(_LONG, WIDTH)


def _vector(kind, numbers):
    return ir.Constant(ir.VectorType(kind, len(numbers)), list(numbers))


def _same(builder, number, width=WIDTH):
    """A vector with `number` in every lane."""
    one = builder.insert_element(ir.Constant(ir.VectorType(number.type, width), ir.Undefined), number, _WORD(0))
    return builder.shuffle_vector(one, one, _vector(_WORD, [0] * width))


def _load(builder, array, first, kind, left=None):
    """Vector of `kind` from item `first` of `array`; with `left`, zeros from its `left`-th element on."""
    at = builder.bitcast(builder.gep(array, [first]), ir.PointerType(kind))
    if left is None:
        loaded = builder.load(at)
        loaded.align = 4
        return loaded
    inside = builder.icmp_signed("<", _vector(_LONG, range(kind.count)), _same(builder, left, kind.count))
    name = f"llvm.masked.load.v{kind.count}{ {_WORD: 'i32', _SINGLE: 'f32', _DOUBLE: 'f64'}[kind.element]}.p0"
    shape = ir.FunctionType(kind, [ir.PointerType(kind), _WORD, ir.VectorType(_BIT, kind.count), kind])
    masked = cgutils.get_or_insert_function(builder.module, shape, name)
    return builder.call(masked, [at, _WORD(4), inside, ir.Constant(kind, None)])


def _pairs(builder, arrays, floats, first, left):
    """Values and indices of eight arcs that are stored in two arrays."""
    values = _load(builder, arrays[0], first, ir.VectorType(floats, WIDTH), left)
    return values, _load(builder, arrays[1], first, ir.VectorType(_WORD, WIDTH), left)


def _records(builder, arrays, floats, first, left):
    """Values and rows of eight records: 32-bit words value (1 or 2), arc, row."""
    words = 3 if floats is _SINGLE else 4
    left = builder.mul(left, _LONG(words)) if left is not None else None
    loaded = _load(builder, arrays[0], first, ir.VectorType(_WORD, WIDTH * words), left)
    wide = words - 2
    of_value = [words * lane + part for lane in range(WIDTH) for part in range(wide)]
    value = builder.shuffle_vector(loaded, loaded, _vector(_WORD, of_value))
    row = builder.shuffle_vector(loaded, loaded, _vector(_WORD, range(words - 1, words * WIDTH, words)))
    return builder.bitcast(value, ir.VectorType(floats, WIDTH)), row


def _gather(builder, dual, indices):
    """``dual[indices]``."""
    found = ir.Constant(_SURPLUSES, ir.Undefined)
    for lane in range(WIDTH):
        index = builder.zext(builder.extract_element(indices, _WORD(lane)), _LONG)
        found = builder.insert_element(found, builder.load(builder.gep(dual, [index])), _WORD(lane))
    return found


def _insert(builder, keys, places, surplus, place):
    """Insert eight surpluses into the sorted lists of their lanes, each behind its equals."""
    old = [(builder.load(key), builder.load(where)) for key, where in zip(keys, places, strict=True)]
    better = [builder.fcmp_ordered(">", surplus, key) for key, _ in old]
    for d in range(len(old)):
        key, where = builder.select(better[d], surplus, old[d][0]), builder.select(better[d], place, old[d][1])
        if d > 0:  # it went in above: everybody below moves down
            key = builder.select(better[d - 1], old[d - 1][0], key)
            where = builder.select(better[d - 1], old[d - 1][1], where)
        builder.store(key, keys[d])
        builder.store(where, places[d])


def _best_head(builder, key, place):
    """The largest of eight surpluses, among equals the one of the lowest place, and its place."""
    width = WIDTH
    while width > 1:
        width //= 2
        halves = _vector(_WORD, range(width)), _vector(_WORD, range(width, 2 * width))
        a, b = (builder.shuffle_vector(key, key, half) for half in halves)
        at, bt = (builder.shuffle_vector(place, place, half) for half in halves)
        tie = builder.and_(builder.fcmp_ordered("==", b, a), builder.icmp_signed("<", bt, at))
        other = builder.or_(builder.fcmp_ordered(">", b, a), tie)
        key, place = builder.select(other, b, a), builder.select(other, bt, at)
    return builder.extract_element(key, _WORD(0)), builder.extract_element(place, _WORD(0))


def _top(depth, load, count):
    """A function for the `depth` best of arcs that `load` reads from `count` arrays."""

    def generate(context, builder, signature, args):
        arrays = [context.make_array(kind)(context, builder, arg).data
                  for kind, arg in zip(signature.args, args, strict=True) if isinstance(kind, types.Array)]  # fmt: skip
        source, (dual, pick, pick_key) = arrays[:count], arrays[count:]
        start, stop = args[count + 1 : count + 3]
        arc = signature.args[0].dtype
        value = arc.typeof("value") if isinstance(arc, types.Record) else arc
        floats = _DOUBLE if value == types.float64 else _SINGLE
        keys = [cgutils.alloca_once_value(builder, ir.Constant(_SURPLUSES, None)) for _ in range(depth)]
        places = [cgutils.alloca_once_value(builder, _vector(_LONG, [0] * WIDTH)) for _ in range(depth)]
        size = builder.sub(stop, start)
        whole = builder.and_(size, _LONG(-WIDTH))

        def read(c, left=None):
            values, indices = load(builder, source, floats, builder.add(start, c), left)
            values = builder.fpext(values, _SURPLUSES) if floats is _SINGLE else values
            surplus = builder.fsub(values, _gather(builder, dual, indices))
            if left is not None:  # beyond the end there is nothing, whatever the dual at index 0
                inside = builder.icmp_signed("<", _vector(_LONG, range(WIDTH)), _same(builder, left))
                surplus = builder.select(inside, surplus, ir.Constant(_SURPLUSES, None))
            place = builder.add(_same(builder, c), _vector(_LONG, range(WIDTH)))
            _insert(builder, keys, places, surplus, place)

        with cgutils.for_range_slice(builder, _LONG(0), whole, _LONG(WIDTH), intp=_LONG) as (c, _):
            read(c)
        with builder.if_then(builder.icmp_signed("<", whole, size)):
            read(whole, builder.sub(size, whole))
        keys, places = [builder.load(key) for key in keys], [builder.load(place) for place in places]
        for t in range(depth):
            key, place = _best_head(builder, keys[0], places[0])
            builder.store(key, builder.gep(pick_key, [_LONG(t)]))
            builder.store(place, builder.gep(pick, [_LONG(t)]))
            lane = builder.icmp_signed("==", places[0], _same(builder, place))
            for d in range(depth - 1 - t):
                keys[d] = builder.select(lane, keys[d + 1], keys[d])
                places[d] = builder.select(lane, places[d + 1], places[d])
        return context.get_dummy_value()

    return generate


def _sort(values, dual, depth, pick, pick_key):
    """What the instructions do, by a sort."""
    surplus = values.astype(np.float64) - dual
    found = np.flatnonzero(surplus > 0.0)
    found = found[np.argsort(-surplus[found], kind="stable")][:depth]
    pick[:depth], pick_key[:depth] = 0, 0.0
    pick[: found.size], pick_key[: found.size] = found, surplus[found]


def _of_rows(depth):
    def write(typing_context, values, indices, dual, start, stop, pick, pick_key):
        return types.void(values, indices, dual, types.int64, types.int64, pick, pick_key), _top(depth, _pairs, 2)

    @instructions(write)
    def top(values, indices, dual, start, stop, pick, pick_key):
        """Places (from `start`) and surpluses of the best arcs of ``start:stop``, 0.0 where there are no more."""
        _sort(values[start:stop], dual[indices[start:stop]], depth, pick, pick_key)

    return top


def _of_columns(depth):
    def write(typing_context, arcs, dual, start, stop, pick, pick_key):
        return types.void(arcs, dual, types.int64, types.int64, pick, pick_key), _top(depth, _records, 1)

    @instructions(write)
    def top(arcs, dual, start, stop, pick, pick_key):
        """Likewise, of records."""
        _sort(arcs["value"][start:stop], dual[arcs["row"][start:stop]], depth, pick, pick_key)

    return top


row_top_1, row_top_2, row_top_3, row_top_4 = (_of_rows(depth) for depth in range(1, FEW + 2))
column_top_2, column_top_3, column_top_4 = (_of_columns(depth) for depth in range(2, FEW + 2))
