"""Sums over patterns of signs, sixteen lanes in a vector, from tables of the sums of four.

Patterns ``xi_i^mu`` are +1 or -1, so the fields of a block of 32 units and what their flips do to the
overlaps are both sums of rows with signs,

    H[b] = sum_mu xi_b^mu M[mu],        M[mu] += sum_b xi_b^mu D[b]        (every row holds all lanes).

Four rows have 16 sums with signs. A table of them turns four multiply-adds per row of the result into
one addition of the sum that four signs (a *nibble*) pick; it is made once per block and read by 32
units, or by P patterns. States, overlaps and so all sums are integers. They are exact in whatever order
they are added, in single precision below 2^24 and in 16 bits where they fit, which holds twice as many
lanes in a vector.

Sums in 16 bits may run over on the way, as long as the last one fits: of as many nibbles as have
``sum_mu |M[mu]| < 2^15`` in all lanes, whatever the signs. A field is added up from such parts, each as
long as it may be; of one nibble every sum fits while ``4 sum_i |x_i| < 2^15`` (see `overlap_blocks`).
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from physebm.backends.numba_cpu.vector_code import INDEX, LANES, SINGLE, load, place, store
from physebm.backends.numba_cpu.vectors.dense import add_product

__all__ = [
    "add_steps_to_overlaps",
    "pattern_sums",
    "sum_room",
]

_TABLES = 32768  # bytes: they stay in the first cache, beside what reads them
_LINE = 64
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
def _fill_tables(typing, T, table, R, rows, groups, vectors):
    """``T[g, s] = sum_k (s_k ? + : -) R[4 g + k]`` for ``g < groups`` and 16 nibbles s.

    Arrays T and R give the kinds of numbers, `table` and `rows` their addresses; a row of either is
    some vectors of sixteen lanes.
    """
    held, wanted = _element(R), _element(T)

    def code(context, builder, signature, arguments):
        _, table, _, rows, groups, vectors = arguments

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
                    half = [_plus(builder, r[0], r[1]), _minus(builder, r[0], r[1])]
                    rest = [_plus(builder, r[2], r[3]), _minus(builder, r[2], r[3])]
                    for a in range(2):
                        for b in range(2):
                            # r0 +- r1 +- (r2 +- r3): nibble bits 0 and 2 set, then its opposite
                            both = _plus(builder, half[a], rest[b])
                            other = _minus(builder, half[a], rest[b])
                            signs = 1 | (2 if a == 0 else 0)
                            last = 4 | (8 if b == 0 else 0)
                            for value, nibble in ((both, signs | last), (other, signs | (12 ^ last))):
                                at = place(builder, there, row * nibble + _size(wanted) * lane)
                                store(builder, value, at)
                                at = place(builder, there, row * (15 ^ nibble) + _size(wanted) * lane)
                                store(builder, _minus(builder, zero, value), at)

        _for_each_width(builder, vectors, emit)
        return context.get_dummy_value()

    return types.void(T, types.intp, R, *[types.intp] * 3), code


@intrinsic
def _add_picked(typing, F, first, count, fresh, nibbles, distance, T, table, groups, vectors):
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
def _fit(typing, M, rows, count, vectors):
    """Whether ``sum_mu |M[mu]| < 2^15`` in every lane, over `count` rows from an address on.

    Rows of M in single precision always fit.
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


@njit(nogil=True, error_model="numpy")
def sum_room(width, kind):
    """Room for tables of rows of `width` lanes, numbers of the kind of an array; begins at a line."""
    size = kind.itemsize
    room = np.empty((_TABLES + _LINE) // size, kind.dtype)
    return room[(-room.ctypes.data) % _LINE // size :][: _TABLES // size]


def _sum_up(H, rows, M, room):
    """``H[b] = sum_mu xi_b^mu M[mu]`` of a block of units; see `pattern_sums`."""


@overload(_sum_up)
def _fields_of(H, rows, M, room):
    if rows.dtype != types.uint8:

        def product(H, rows, M, room):
            H[:] = 0
            add_product(H, rows, M, M.shape[0])

        return product

    def subsets(H, rows, M, room):
        width, table, row = M.shape[1], room.ctypes.data, M.strides[0]
        vectors, groups, first = width // LANES, rows.shape[1], 0
        most = room.shape[0] // (16 * width)
        while first < groups:
            count, start = min(groups - first, most), M.ctypes.data + 4 * first * row
            while count > 1 and not _fit(M, start, 4 * count, vectors):
                count = (count + 1) // 2
            _fill_tables(room, table, M, start, count, vectors)
            _add_picked(
                H, H.ctypes.data, H.shape[0], first == 0, rows.ctypes.data + first, rows.strides[0],
                room, table, count, vectors,
            )  # fmt: skip
            first += count

    return subsets


def _add_steps(M, columns, D, units, room):
    """``M[mu] += sum_b xi_b^mu D[b]`` of a block of units; see `add_steps_to_overlaps`."""


@overload(_add_steps)
def _steps_of(M, columns, D, units, room):
    if columns.dtype != types.uint8:

        def product(M, columns, D, units, room):
            add_product(M, columns, D, units)

        return product

    def subsets(M, columns, D, units, room):
        D[units:] = 0
        vectors, groups, table = M.shape[1] // LANES, D.shape[0] // 4, room.ctypes.data
        _fill_tables(room, table, D, D.ctypes.data, groups, vectors)
        _add_picked(
            M, M.ctypes.data, columns.shape[0], False, columns.ctypes.data, columns.strides[0], room,
            table, groups, vectors,
        )  # fmt: skip

    return subsets


@njit(nogil=True, error_model="numpy")
def pattern_sums(H, rows, M, room):
    """``H[b, lane] = sum_mu xi_b^mu M[mu, lane]``.

    Parameters
    ----------
    H
        Sums of the 32 units of a block, float32.
    rows
        Patterns of these units: nibbles ``[b, group]`` (bytes) of patterns of signs, or the numbers
        ``[b, mu]`` of others; the type of the array decides which code is compiled.
    M
        Overlaps, int16 or float32; rows beyond the last pattern, up to whole nibbles, are 0.
    room
        See `sum_room`.
    """
    _sum_up(H, rows, M, room)


@njit(nogil=True, error_model="numpy")
def add_steps_to_overlaps(M, columns, D, units, room):
    """``M[mu, lane] += sum_b xi_b^mu D[b, lane]``; `columns` ``[mu, group of b]`` or ``[mu, b]``."""
    _add_steps(M, columns, D, units, room)
