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

__all__ = ["add_constant", "add_constants", "decide_units", "margins_of"]

_GROUP = 8  # units in registers
_WORDS, _LONGS = ir.VectorType(WORD, LANES), ir.VectorType(INDEX, LANES)
_no_bits = ir.Constant(_WORDS, [0] * LANES)


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
def margins_of(G, F, noise, c):
    """``G[b, lane] = c[lane] F[lane, b] - noise[b, lane]`` of 64 units."""
    row = 4 * G.shape[1]
    for place_ in range(0, G.shape[1], LANES):
        lanes, fields = 4 * place_, F.ctypes.data + F.strides[0] * place_
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
def add_constant(G, h, c, count):
    """``G[b, lane] += c[lane] h`` of `count` units."""
    for b in range(count):
        for lane in range(G.shape[1]):
            G[b, lane] += c[lane] * h


def _decision(vectors: int):
    """An intrinsic that draws groups of eight units in some vectors of lanes.

    Addresses of margins G of the first unit, with the bytes between their rows; of c; of the couplings
    A within the block, with the bytes between rows; of words `moved` and `ups` (see `decide_units`);
    number of groups; and the distance of the two states.
    """
    parts = range(vectors)

    def code(context, builder, signature, arguments):
        G, row, c, A, dA, moved, ups, groups, distance = arguments
        distance, zero = spread(builder, distance), constant(0.0)
        rise = [builder.fmul(distance, load(builder, place(builder, c, 4 * LANES * v))) for v in parts]
        fall = [builder.fneg(step) for step in rise]

        def at(unit, v):
            return place(builder, G, builder.mul(unit, row), 4 * LANES * v)

        def coupling(unit, later):
            offset = builder.add(builder.mul(unit, dA), builder.mul(later, INDEX(4)))
            return spread(builder, load(builder, place(builder, A, offset), SINGLE))

        with cgutils.for_range(builder, groups, intp=INDEX) as group:
            start = builder.mul(group.index, INDEX(_GROUP))
            unit = [builder.add(start, INDEX(u)) for u in range(_GROUP)]
            margin = {(u, v): load(builder, at(unit[u], v)) for u in range(_GROUP) for v in parts}
            old = [_bits_from(builder, place(builder, ups, 8 * LANES * v), start) for v in parts]
            new, step = [_no_bits] * vectors, {}
            for u in range(_GROUP):
                bit = ir.Constant(_WORDS, [1 << u] * LANES)
                for v in parts:
                    was_up = builder.icmp_unsigned("!=", builder.and_(old[v], bit), _no_bits)
                    # what each decision would change is there before the margin is
                    if_up = builder.select(was_up, zero, rise[v])
                    if_down = builder.select(was_up, fall[v], zero)
                    up = builder.fcmp_ordered(">", margin[u, v], zero)
                    step[u, v] = builder.select(up, if_up, if_down)
                    new[v] = builder.or_(new[v], builder.select(up, bit, _no_bits))
                for later in range(u + 1, _GROUP):
                    J = coupling(unit[u], unit[later])
                    for v in parts:
                        margin[later, v] = multiply_add(builder, J, step[u, v], margin[later, v])
            some = _no_bits
            for v in parts:
                changed = builder.xor(new[v], old[v])
                some = builder.or_(some, changed)
                for words in (moved, ups):
                    _change_bits(builder, place(builder, words, 8 * LANES * v), changed, start)
            with builder.if_then(any_of(builder, builder.icmp_unsigned("!=", some, _no_bits))):
                end = builder.mul(groups, INDEX(_GROUP))
                after = builder.add(start, INDEX(_GROUP))
                with cgutils.for_range_slice(builder, after, end, INDEX(1), intp=INDEX) as (later, _):
                    total = [load(builder, at(later, v)) for v in parts]
                    for u in range(_GROUP):
                        J = coupling(unit[u], later)
                        total = [multiply_add(builder, J, step[u, v], total[v]) for v in parts]
                    for v in parts:
                        store(builder, total[v], at(later, v))
        return context.get_dummy_value()

    @intrinsic
    def decision(typing, G, row, c, A, dA, moved, ups, groups, distance):
        return types.void(*[types.intp] * 8, types.float32), code

    return decision


def _bits_from(builder, address, start):
    """The eight bits from `start` on of sixteen words of 64, as words of 32."""
    words = builder.lshr(load(builder, address, _LONGS), spread(builder, start, _LONGS))
    return builder.and_(builder.trunc(words, _WORDS), ir.Constant(_WORDS, [2**_GROUP - 1] * LANES))


def _change_bits(builder, address, bits, start):
    """Flip bits of sixteen words of 64 in memory; bit 0 is that of `start`."""
    shifted = builder.shl(builder.zext(bits, _LONGS), spread(builder, start, _LONGS))
    store(builder, builder.xor(load(builder, address, _LONGS), shifted), address)


_decide_one, _decide_two = _decision(1), _decision(2)


@njit(nogil=True, error_model="numpy")
def decide_units(G, c, A, count, distance, moved, ups):
    """Draw the units of a block in this order, in all lanes of a tile.

    Parameters
    ----------
    G
        Margins ``[b, lane]``, changed by the flips within the block.
    c
        What fields are multiplied by in margins ``[lane]``.
    A
        Couplings within the block ``[b, b']``, zero beyond `count`.
    count
        Units of the block; further ones up to a multiple of 8 are drawn too and mean nothing.
    distance
        The upper state minus the lower.
    moved, ups
        Words of 64 bits ``[lane]``: filled with whether unit b moved; whether it is up, changed.
    """
    moved[:] = 0
    row, groups = 4 * G.shape[1], (count + 7) // 8
    place_ = 0
    while place_ < G.shape[1]:
        lanes, words = 4 * place_, 8 * place_
        if place_ + 2 * LANES <= G.shape[1]:
            _decide_two(
                G.ctypes.data + lanes, row, c.ctypes.data + lanes, A.ctypes.data, A.strides[0],
                moved.ctypes.data + words, ups.ctypes.data + words, groups, distance,
            )  # fmt: skip
            place_ += 2 * LANES
        else:
            _decide_one(
                G.ctypes.data + lanes, row, c.ctypes.data + lanes, A.ctypes.data, A.strides[0],
                moved.ctypes.data + words, ups.ctypes.data + words, groups, distance,
            )  # fmt: skip
            place_ += LANES
