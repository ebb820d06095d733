"""Draws of a block of 64 coupled units one after the other, in sixteen or thirty-two lanes at once.

What counts is the gap of a unit minus its logistic noise, its *margin*: the unit is up where it is
positive. The margins of a block are taken once; a flip is added at once to the margins of the units of
the block that come later, and later to the fields of everything else. It is the sequential sweep, draw
for draw; only the order in which memory is visited differs.

From one unit to the next there is a chain of a comparison, a choice and a multiply-add. Eight units at
a time stand in registers; their flips are added to the margins of later units together. Two vectors of
lanes go side by side, so that one chain fills the gaps of the other.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from physebm.backends.numba_cpu.vector_code import (
    INDEX,
    LANES,
    SINGLE,
    WORD,
    any_of,
    constant,
    load,
    multiply_add,
    place,
    spread,
    store,
)

__all__ = ["add_constant", "add_constants", "decide_units", "margins_of", "state_room"]

_GROUP = 8  # units in registers
_LONG, _WORDS, _LONGS = ir.IntType(64), ir.VectorType(WORD, LANES), ir.VectorType(ir.IntType(64), LANES)


def _transposed(builder, rows):
    """Sixteen vectors of sixteen as columns: element j of vector i becomes element i of vector j."""
    rows, distance = list(rows), 1
    while distance < LANES:
        # elements of the second of two vectors count on from sixteen
        first = [j if not j & distance else LANES + j - distance for j in range(LANES)]
        second = [j + distance if not j & distance else LANES + j for j in range(LANES)]
        for i in range(LANES):
            if not i & distance:
                a, b = rows[i], rows[i + distance]
                rows[i], rows[i + distance] = (
                    builder.shuffle_vector(a, b, ir.Constant(_WORDS, order))
                    for order in (first, second)
                )
        distance *= 2
    return rows


@intrinsic
def _margin_square(typing, G, noise, row, F, dF, c):
    """``G[b, lane] = c[lane] F[lane, b] - noise[b, lane]`` of sixteen units and lanes.

    Addresses of G and noise, with the bytes between their rows; of F, with those; and of c.
    """

    def code(context, builder, signature, arguments):
        G, noise, row, F, dF, c = arguments
        fields = [load(builder, place(builder, F, builder.mul(dF, INDEX(k)))) for k in range(LANES)]
        c = load(builder, c)
        for b, field in enumerate(_transposed(builder, fields)):
            offset = builder.mul(row, INDEX(b))
            opposite = builder.fsub(constant(-0.0), load(builder, place(builder, noise, offset)))
            store(builder, multiply_add(builder, c, field, opposite), place(builder, G, offset))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), code


@njit(nogil=True, error_model="numpy")
def state_room(n, width):
    """Room for ``S[unit, lane]``; after it follow rows up to a multiple of 64, which no unit has."""
    return np.zeros(((n + 63) // 64 * 64, width), np.float32)[:n]


@njit(nogil=True, error_model="numpy")
def margins_of(G, F, noise, c, first):
    """``G[b, lane] = c[lane] F[lane, first + b] - noise[b, lane]`` of 64 units."""
    row = 4 * G.shape[1]
    for place_ in range(0, G.shape[1], LANES):
        lanes = 4 * place_
        fields = F.ctypes.data + F.strides[0] * place_ + 4 * first
        for b in range(0, G.shape[0], LANES):
            _margin_square(
                G.ctypes.data + row * b + lanes, noise.ctypes.data + row * b + lanes, row,
                fields + 4 * b, F.strides[0], c.ctypes.data + lanes,
            )  # fmt: skip


@njit(nogil=True, error_model="numpy")
def add_constants(G, h, c, first, count):
    """``G[b, lane] += c[lane] h[first + b]`` of `count` units."""
    for b in range(count):
        field = G.dtype.type(h[first + b])
        for lane in range(G.shape[1]):
            G[b, lane] += c[lane] * field


@njit(nogil=True, error_model="numpy")
def add_constant(G, h, c, first, count):
    """``G[b, lane] += c[lane] h`` of `count` units."""
    for b in range(count):
        for lane in range(G.shape[1]):
            G[b, lane] += c[lane] * h


def _decision(vectors: int):
    """An intrinsic that draws groups of eight units in some vectors of lanes.

    Addresses of margins G and states S of the first unit, with the bytes between their rows; of c; of
    the couplings A within the block, with the bytes between rows; of bits (see `decide_units`); number
    of groups; and the two states.
    """
    parts = range(vectors)

    def code(context, builder, signature, arguments):
        G, S, row, c, A, dA, moved, ups, groups, low, high = arguments
        low, high = spread(builder, low), spread(builder, high)
        c = [load(builder, place(builder, c, 4 * LANES * v)) for v in parts]

        def at(array, unit, v):
            return place(builder, array, builder.mul(unit, row), 4 * LANES * v)

        def coupling(unit, later):
            offset = builder.add(builder.mul(unit, dA), builder.mul(later, INDEX(4)))
            return spread(builder, load(builder, place(builder, A, offset), SINGLE))

        with cgutils.for_range(builder, groups, intp=INDEX) as group:
            start = builder.mul(group.index, INDEX(_GROUP))
            unit = [builder.add(start, INDEX(u)) for u in range(_GROUP)]
            margin = {(u, v): load(builder, at(G, unit[u], v)) for u in range(_GROUP) for v in parts}
            step, is_moved, is_up = {}, {}, {}
            for u in range(_GROUP):
                for v in parts:
                    here = at(S, unit[u], v)
                    old = load(builder, here)
                    up = builder.fcmp_ordered(">", margin[u, v], constant(0.0))
                    new = builder.select(up, high, low)
                    store(builder, new, here)
                    # both products are there before the margin is
                    rise, fall = (builder.fmul(c[v], builder.fsub(state, old)) for state in (high, low))
                    step[u, v] = builder.select(up, rise, fall)
                    is_up[u, v], is_moved[u, v] = up, builder.fcmp_ordered("!=", new, old)
                for later in range(u + 1, _GROUP):
                    J = coupling(unit[u], unit[later])
                    for v in parts:
                        margin[later, v] = multiply_add(builder, J, step[u, v], margin[later, v])
            for v in parts:
                _keep_bits(builder, place(builder, moved, 8 * LANES * v), is_moved, v, start)
                _keep_bits(builder, place(builder, ups, 8 * LANES * v), is_up, v, start)
            some = is_moved[0, 0]
            for flag in list(is_moved.values())[1:]:
                some = builder.or_(some, flag)
            with builder.if_then(any_of(builder, some)):
                end = builder.mul(groups, INDEX(_GROUP))
                after = builder.add(start, INDEX(_GROUP))
                with cgutils.for_range_slice(builder, after, end, INDEX(1), intp=INDEX) as (later, _):
                    total = [load(builder, at(G, later, v)) for v in parts]
                    for u in range(_GROUP):
                        J = coupling(unit[u], later)
                        total = [multiply_add(builder, J, step[u, v], total[v]) for v in parts]
                    for v in parts:
                        store(builder, total[v], at(G, later, v))
        return context.get_dummy_value()

    @intrinsic
    def decision(typing, G, S, row, c, A, dA, moved, ups, groups, low, high):
        return types.void(*[types.intp] * 9, types.float32, types.float32), code

    return decision


def _keep_bits(builder, address, flags, v, start):
    """Bits ``start + u`` of sixteen words of 64 bits: the flags of the units u of a group."""
    bits = ir.Constant(_WORDS, [0] * LANES)
    for u in range(_GROUP):
        bit = ir.Constant(_WORDS, [1 << u] * LANES)
        bits = builder.or_(bits, builder.select(flags[u, v], bit, ir.Constant(_WORDS, [0] * LANES)))
    shifted = builder.shl(builder.zext(bits, _LONGS), spread(builder, start, _LONGS))
    store(builder, builder.or_(load(builder, address, _LONGS), shifted), address)


_decide_one, _decide_two = _decision(1), _decision(2)


@njit(nogil=True, error_model="numpy")
def decide_units(S, G, c, A, first, count, low, high, moved, ups):
    """Draw units ``first .. first + count - 1`` in this order, in all lanes of a tile.

    Parameters
    ----------
    S
        States ``[unit, lane]``, changed; rows up to the next multiple of 8 units belong to no unit.
    G
        Margins of the block ``[b, lane]``, changed by the flips within the block.
    c
        What fields are multiplied by in margins ``[lane]``.
    A
        Couplings within the block ``[b, b']``, zero beyond `count`.
    moved, ups
        Filled with words of 64 bits ``[lane]``: whether unit b moved, and whether it is up.
    """
    moved[:], ups[:] = 0, 0
    row, groups = 4 * S.shape[1], (count + 7) // 8
    states = S.ctypes.data + row * first
    place_ = 0
    while place_ < S.shape[1]:
        lanes, words = 4 * place_, 8 * place_
        if place_ + 2 * LANES <= S.shape[1]:
            _decide_two(
                G.ctypes.data + lanes, states + lanes, row, c.ctypes.data + lanes, A.ctypes.data,
                A.strides[0], moved.ctypes.data + words, ups.ctypes.data + words, groups, low, high,
            )  # fmt: skip
            place_ += 2 * LANES
        else:
            _decide_one(
                G.ctypes.data + lanes, states + lanes, row, c.ctypes.data + lanes, A.ctypes.data,
                A.strides[0], moved.ctypes.data + words, ups.ctypes.data + words, groups, low, high,
            )  # fmt: skip
            place_ += LANES
