"""Tables of the 16 sums with signs of four rows, sixteen lanes in a vector, as intrinsics of numba.

A row holds the numbers of all lanes of a tile, one to three vectors of sixteen, in 16 bits or in single
precision; 32 numbers of 16 bits are one vector. Four signs are a *nibble*: bit k is 1 where the sign of
row k is +. The kinds of numbers follow from the types of arrays, which stand beside their addresses.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.vector_code import INDEX, LANES, SINGLE, load, place, store

__all__ = ["add_picked", "fill_tables", "sums_fit"]

_BYTE, _SHORT, _FLAG = ir.IntType(8), ir.IntType(16), ir.IntType(1)
_ROWS = 4  # of a result that are added up side by side


def _element(array: types.Array):
    return _SHORT if array.dtype == types.int16 else SINGLE


def _pieces(element, vectors: int) -> list[tuple[int, int]]:
    """First lane and number of lanes of the vectors that hold a row: two sixteens of short ones."""
    if element is SINGLE or vectors == 1:
        return [(LANES * v, LANES) for v in range(vectors)]
    return [(0, 2 * LANES), (2 * LANES, LANES)][: vectors - 1]


def _size(element) -> int:
    return 2 if element is _SHORT else 4


def _row(builder, address, held, wanted, lane: int, lanes: int):
    """Some lanes of a row of numbers of one kind, as numbers of another kind."""
    value = load(builder, place(builder, address, _size(held) * lane), ir.VectorType(held, lanes))
    several = ir.VectorType(wanted, lanes)
    if held is wanted:
        return value
    if wanted is _SHORT:
        return builder.fptosi(value, several)
    return builder.sitofp(value, several)


def _plus(builder, a, b):
    return builder.fadd(a, b) if a.type.element is SINGLE else builder.add(a, b)


def _minus(builder, a, b):
    return builder.fsub(a, b) if a.type.element is SINGLE else builder.sub(a, b)


def _for_each_width(builder, vectors, emit) -> None:
    """``emit(1)``, ``emit(2)`` or ``emit(3)``, by the number of vectors of sixteen lanes."""
    for width in (1, 2, 3):
        with builder.if_then(builder.icmp_signed("==", vectors, INDEX(width))):
            emit(width)


@intrinsic
def fill_tables(typing, T, table, R, rows, groups, vectors):
    """``T[g, s] = sum_k (s_k ? + : -) R[4 g + k]`` for ``g < groups`` and 16 nibbles s.

    Arrays T and R give the kinds of numbers, `table` and `rows` their addresses; a row of either is
    some vectors of sixteen lanes.
    """
    held, wanted = _element(R), _element(T)

    def code(context, builder, signature, arguments):
        _, table, _, rows, groups, vectors = arguments

        def signed(a, b):
            """The sums with +a, and two bits for their signs; those with -a are their opposites."""
            return (0b11, _plus(builder, a, b)), (0b01, _minus(builder, a, b))

        def keep(value, table, nibble, row, lane):
            store(builder, value, place(builder, table, row * nibble + _size(wanted) * lane))

        def emit(width):
            row, step = _size(wanted) * LANES * width, _size(held) * LANES * width
            with cgutils.for_range(builder, groups, intp=INDEX) as loop:
                there = place(builder, table, builder.mul(loop.index, INDEX(16 * row)))
                here = place(builder, rows, builder.mul(loop.index, INDEX(4 * step)))
                for lane, lanes in _pieces(wanted, width):
                    r = [
                        _row(builder, place(builder, here, step * k), held, wanted, lane, lanes)
                        for k in range(4)
                    ]
                    zero = ir.Constant(r[0].type, None)
                    for low, half in signed(r[0], r[1]):
                        for high, rest in signed(r[2], r[3]):
                            added, taken = _plus(builder, half, rest), _minus(builder, half, rest)
                            for nibble, value in ((low | high << 2, added), (low | ~high << 2, taken)):
                                keep(value, there, nibble & 15, row, lane)
                                keep(_minus(builder, zero, value), there, ~nibble & 15, row, lane)

        _for_each_width(builder, vectors, emit)
        return context.get_dummy_value()

    return types.void(T, types.intp, R, *[types.intp] * 3), code


@intrinsic
def add_picked(typing, F, first, count, fresh, nibbles, distance, T, table, groups, vectors):
    """``F[a] += sum_g T[g, nibble[a, g]]`` for ``a < count`` and ``g < groups``; = where `fresh`.

    Arrays F and T give the kinds of numbers, `first` and `table` their addresses; `nibbles` is the
    address of the first one, a byte, and `distance` that between nibbles of two rows.
    """
    held, summed = _element(F), _element(T)

    def code(context, builder, signature, arguments):
        _, first, count, fresh, nibbles, distance, _, table, groups, vectors = arguments

        def emit_rows(width, a, rows):
            """Of the rows a, a + 1, ... the sums side by side."""
            row, pieces = _size(summed) * LANES * width, _pieces(summed, width)
            sums = {}
            for r in range(rows):
                for lane, lanes in pieces:
                    several = ir.VectorType(summed, lanes)
                    zero = ir.Constant(several, None)
                    sums[r, lane] = cgutils.alloca_once(builder, several)
                    builder.store(zero, sums[r, lane])
            start = place(builder, nibbles, builder.mul(a, distance))
            with cgutils.for_range(builder, groups, intp=INDEX) as loop:
                T_g = place(builder, table, builder.mul(loop.index, INDEX(16 * row)))
                for r in range(rows):
                    at = place(builder, start, builder.mul(distance, INDEX(r)), loop.index)
                    nibble = builder.zext(load(builder, at, _BYTE, align=1), INDEX)
                    picked = place(builder, T_g, builder.mul(nibble, INDEX(row)))
                    for lane, lanes in pieces:
                        term = _row(builder, picked, summed, summed, lane, lanes)
                        sum_ = builder.load(sums[r, lane])
                        builder.store(_plus(builder, sum_, term), sums[r, lane])
            step = _size(held) * LANES * width
            for r in range(rows):
                there = place(builder, first, builder.mul(builder.add(a, INDEX(r)), INDEX(step)))
                for lane, lanes in pieces:
                    sum_ = builder.load(sums[r, lane])
                    if held is not summed:
                        sum_ = builder.sitofp(sum_, ir.VectorType(held, lanes))
                    before = _row(builder, there, held, held, lane, lanes)
                    before = builder.select(fresh, ir.Constant(before.type, None), before)
                    at = place(builder, there, _size(held) * lane)
                    store(builder, _plus(builder, before, sum_), at)

        def emit(width):
            whole = builder.and_(count, INDEX(-_ROWS))
            with cgutils.for_range_slice(builder, INDEX(0), whole, INDEX(_ROWS), intp=INDEX) as (a, _):
                emit_rows(width, a, _ROWS)
            with cgutils.for_range_slice(builder, whole, count, INDEX(1), intp=INDEX) as (a, _):
                emit_rows(width, a, 1)

        _for_each_width(builder, vectors, emit)
        return context.get_dummy_value()

    kinds = (F, types.intp, types.intp, types.boolean, types.intp, types.intp, T, *[types.intp] * 3)
    return types.void(*kinds), code


@intrinsic
def sums_fit(typing, M, rows, count, vectors):
    """Whether ``sum_mu |M[mu]| < 2^15 - 1`` in every lane, over `count` rows from an address on.

    Sums of 16 bits stop at their largest number. Rows of M in single precision always fit.
    """

    def code(context, builder, signature, arguments):
        _, rows, count, vectors = arguments
        fit = cgutils.alloca_once_value(builder, _FLAG(1))
        if _element(M) is SINGLE:
            return builder.load(fit)

        def emit(width):
            for lane, lanes in _pieces(_SHORT, width):
                several = ir.VectorType(_SHORT, lanes)
                size = cgutils.get_or_insert_function(
                    builder.module, ir.FunctionType(several, [several, _FLAG]), f"llvm.abs.v{lanes}i16"
                )
                plus = cgutils.get_or_insert_function(
                    builder.module,
                    ir.FunctionType(several, [several, several]),
                    f"llvm.sadd.sat.v{lanes}i16",
                )
                total = cgutils.alloca_once(builder, several)
                builder.store(ir.Constant(several, None), total)
                with cgutils.for_range(builder, count, intp=INDEX) as loop:
                    at = place(builder, rows, builder.mul(loop.index, INDEX(2 * LANES * width)))
                    value = builder.call(
                        size, [_row(builder, at, _SHORT, _SHORT, lane, lanes), _FLAG(0)]
                    )
                    builder.store(builder.call(plus, [builder.load(total), value]), total)
                full = ir.Constant(several, [2**15 - 1] * lanes)
                flags = builder.icmp_signed("==", builder.load(total), full)
                bits = builder.bitcast(flags, ir.IntType(lanes))
                none = builder.icmp_unsigned("==", bits, ir.IntType(lanes)(0))
                builder.store(builder.and_(builder.load(fit), none), fit)

        _for_each_width(builder, vectors, emit)
        return builder.load(fit)

    return types.boolean(M, *[types.intp] * 3), code
